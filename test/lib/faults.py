"""What tests of faults share: clients that write all the time and record the responses, and checks of responses."""
import threading
import time
import uuid

import requests

from lucid import ROLES, SERVERS
from proc import until

HEALED_S = 10
IDLE = {"auto_start": False}
AWAY = ("LUCID_ERR_0010", "LUCID_ERR_0012")  # unavailable, deadline
WELL = (200, 201, 202, 204)


def error(r):
    return r.json()["error"]


def checks(d, role=ROLES[0]):
    return d.api(None, role).get("/health/ready", expect=(200, 503))["checks"]


def refused(r):
    """An error with a message and a code, and with Retry-After if a retry can help."""
    e = error(r)
    assert r.status_code in (503, 504) and e["code"] in AWAY and len(e["message"]) > 20, r.text
    assert r.status_code == 504 or int(r.headers["Retry-After"]) >= 1, r.headers
    return e


def nobody_knows(r):
    """The outcome of a creation with a key was lost with a process: the client must look, and it is not repeated."""
    return any(words in r.text for words in ("outcome is unknown", "still in progress", "read the object")) and r.status_code in (409, 503, 504)


class Writers:
    """Clients that create definitions all the time, each with a key, and repeat a request with its key if the outcome is unknown. Every
    acknowledged creation must exist afterwards."""

    def __init__(self, d, role=ROLES[0], n=3, limit_s=35):
        self.d, self.role, self.limit_s = d, role, limit_s
        self.told, self.answers, self.slowest, self.wrong = {}, [], 0.0, []
        self.stopping = False
        self.threads = [threading.Thread(target=self._write, args=(i,)) for i in range(n)]

    def _ask(self, api, name, key):
        began = time.monotonic()
        try:
            r = api.call("POST", SERVERS, {"name": name, **IDLE}, headers={"Idempotency-Key": key}, timeout=self.limit_s)
        except requests.ConnectionError:
            return None
        except requests.Timeout:
            self.wrong.append(f"{name} waited past its deadline")
            return None
        self.slowest = max(self.slowest, time.monotonic() - began)
        return r

    def _write(self, i):
        n = 0
        while not self.stopping:
            n += 1
            name, key, api = f"w{i} {n}", str(uuid.uuid4()), self.d.api("admin", self.role)
            while not self.stopping:
                r = self._ask(api, name, key)
                self.answers.append(r.status_code if r is not None else 0)
                if r is not None and r.status_code == 201:
                    self.told[name] = r.json()["server_id"]
                    break
                if r is not None and nobody_knows(r):
                    break
                if r is not None and r.status_code not in (409, 429, 503, 504):
                    self.wrong.append(f"{name}: {r.status_code} {r.text[:300]}")
                    return
                time.sleep(0.05)
            time.sleep(0.02)

    def __enter__(self):
        for t in self.threads:
            t.start()
        return self

    def wait(self, n=5):
        """Waits for n more acknowledged creations."""
        had = len(self.told)
        until(f"{n} more writes; {self.answers[-8:]} {self.wrong}", lambda: len(self.told) >= had + n or self.wrong, HEALED_S)

    def __exit__(self, kind, *_):
        self.stopping = True
        for t in self.threads:
            t.join(60)
        if kind is None:
            assert not self.wrong, self.wrong[:5]
            self.whole()

    def whole(self):
        """Every acknowledged creation exists, with the id in its response, and none exists twice."""
        there = until("the list", self._list, HEALED_S)
        names = [s["name"] for s in there]
        assert len(names) == len(set(names)), sorted(n for n in names if names.count(n) > 1)
        ids = {s["name"]: s["server_id"] for s in there}
        lost = {n: i for n, i in self.told.items() if ids.get(n) != i}
        assert not lost, f"acknowledged and lost: {list(lost.items())[:5]} of {len(self.told)}"
        ports = [s["port"] for s in there if s["port"]]
        assert len(ports) == len(set(ports))

    def _list(self):
        try:
            return self.d.admin.list_servers()
        except (Exception,):  # whatever the error is, the request is repeated
            return None
