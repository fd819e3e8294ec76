"""A real Prometheus that scrapes the ports of the roles once a second."""
import json
import os

import requests

from backend import Backend
from lucid import free_ports


class Prometheus(Backend):
    """Use as a context: with Prometheus(["127.0.0.1:8090", …], token) as p: p.query("up")."""

    name, patience_s = "Prometheus", 60

    def __init__(self, targets, token):
        super().__init__()
        self.port = free_ports(1)
        self.config = os.path.join(self.dir, "prometheus.yml")
        with open(self.config, "w", encoding="utf-8") as f:
            json.dump({"global": {"scrape_interval": "1s"},
                       "scrape_configs": [{"job_name": "lucid-rdp", "authorization": {"credentials": token}, "static_configs": [{"targets": targets}]}]}, f)

    def argv(self):
        return ["prometheus", f"--config.file={self.config}", f"--storage.tsdb.path={self.dir}/data", f"--web.listen-address=127.0.0.1:{self.port}",
                "--log.level=warn"]

    def get(self, path, **params):
        return requests.get(f"http://127.0.0.1:{self.port}{path}", params=params, timeout=5)

    def answers(self):
        try:
            return self.get("/-/ready").status_code == 200
        except requests.ConnectionError:
            return False

    def query(self, text):
        """{labels as a tuple of pairs: value} of an instant query."""
        answer = self.get("/api/v1/query", query=text).json()
        assert answer["status"] == "success", answer
        return {tuple(sorted(r["metric"].items())): float(r["value"][1]) for r in answer["data"]["result"]}
