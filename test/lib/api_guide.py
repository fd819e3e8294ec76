"""Generates docs/api-guide.md from recorded requests and responses of a running program, one for each operation. Values that differ
between runs (ids, times, ports, measured values) are replaced by fixed examples. Long lists and texts are shortened, marked with `…`."""
import json
import re

EXAMPLE_ID = "0b2c5c0e-6d2b-4c8e-9a57-2f3a1d4e5f60"
TIME = "2026-01-31T10:00:00.000Z"
LINE = "[20260131-10:00:00] [INFO ] …"
HASH = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
TITLES = {"rdp-server-manager": "Servers, ports and hosts", "xrdp-integration": "The agent of a host", "rdp-session-controller": "Sessions",
          "rdp-resource-monitor": "Usage", "lucid-rdp": "The audit log", "common": "Every process"}

# members whose values depend on the machine or the time: always replaced
EXAMPLES = {
    "pid": 4711, "xrdp": 4711, "sesman": 4710, "sesman_port": 13350, "display_offset": 20, "display": 20, "client_port": 50412, "restarts": 0,
    "port": 13389, "cores": 4, "memory_mb": 7812, "cpu_percent": 12, "memory_percent": 31, "cpu_usec": 1840000, "load": [0.4, 0.3, 0.2],
    "memory_total_bytes": 8191500288, "memory_available_bytes": 5652135936, "memory_used_bytes": 2539364352, "memory_bytes": 41943040,
    "total_bytes": 125000000000, "used_bytes": 31000000000, "free_bytes": 94000000000, "tasks": 24, "processes": 9, "forced": 0, "memory": 5242880,
    "bytes_in": 20480, "bytes_out": 409600, "idle_seconds": 12, "uptime_seconds": 3600, "latency_ms": 1, "size_bytes": 8192, "available": 1000,
    "blocked": 0, "allocated": 1, "reserved": 0, "days_left": 364, "boot_id": EXAMPLE_ID, "xrdp_version": "0.9.21.1", "unit": None, "raw_output": "…",
    "backend": "process", "isolation": "private", "hash": HASH, "previous": HASH, "fingerprint": HASH, "certificate_fingerprint": HASH,
    "request_id": "5c0e6d2b-00000001", "seq": 7, "subject": "CN = node-1", "issuer": "CN = node-1", "total": 1, "pages": 1, "has_next": False,
    "last_exit": None, "cpu_enforced": True, "limits_enforced": {"cpu_percent": True, "memory_mb": True, "tasks": True}, "message": "…",
    "backup": "xrdp.ini.20260131-100000-000", "connection_id": "20480-1", "connected_ms": 0, "disconnected_ms": 0, "total_ms": 0, "client_address": "192.0.2.7", "start": 13389, "end": 14389, "url": None,
    "sections": {"Globals": {"max_bpp": 32, "…": "…"}}, "values": {"rdpdr": True, "…": "…"}, "xrdp_ini": "[Globals]\n…", "sesman_ini": "[Globals]\n…",
    "kernel": "6.1.0-18-amd64", "machine": "x86_64", "heartbeat_at": TIME, "not_before": TIME, "not_after": TIME, "version": 3,
    "pressure": {"cpu": 0.4, "memory": 0.0, "io": 0.1}, "clock_usec": 3600000000, "temperature_celsius": 48.3, "throttled": False,
    "throttle_events": None, "cpu_core_percent": 48, "net_in_kbps": 12.4, "net_out_kbps": 310.8, "io_read_bytes": 4194304, "io_write_bytes": 1048576,
    "io_read_bps": 0, "io_write_bps": 8192, "sampled_at": TIME, "value": 86.5,
    "duration_ms": 61400, "t0_ms": 0, "raw_bytes": 8300000, "frames": 24, "bytes": 75000, "chunks_bytes": 75000, "activity": [11, 4, 0], "entry": "…", "head": HASH,
    "prev_hash": 64 * "0", "merkle_root": HASH, "key_id": "7c1d0e5b9a3f4c21", "cipher": "aes-256-gcm", "figures": {"…": "…"}, "manifest": "{…}", "seal": "{…}",
    "more": False, "percent": 42, "seconds_left": 7, "fps": 10, "processing_time_ms": 12.5, "mean_time_ms": 0.5, "worst_time_ms": 2.1, "items_processed": 24, "storage": {"…": "…"},
    "points": [{"time": TIME, "min": 40960000, "mean": 41943040, "max": 46137344}, "…"],
}


class Guide:
    """The recorded requests, in order, and their places on the page."""

    def __init__(self, names):
        self.names = names  # text of this run → example
        self.done = {}

    def text(self, s):
        for name, example in self.names.items():
            s = s.replace(name, example)
        s = re.sub(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", EXAMPLE_ID, s)
        s = re.sub(r"sess-[0-9a-f]{16}", "sess-4f0c9d2e7a6b1c38", s)
        s = re.sub(r"\.ini\.\d{8}-\d{6}-\d{3}", ".ini.20260131-100000-000", s)
        s = re.sub(r"\b[0-9a-f]{11}-\d+\b", "19c13d2e400-10", s)  # of an event
        s = re.sub(r'"version":\d+', '"version":3', s)
        return re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", TIME, s)

    def plain(self, value, key=None):
        if key == "ports" and value and isinstance(value[0], int):
            return [EXAMPLES["port"]]
        if key == "unit" and value == "bytes":  # of a metric, not of systemd
            return value
        if key == "activity" and isinstance(value, str):  # as the index has it, a digit for each second
            return "b40…"
        if key == "chunks" and isinstance(value, int):  # how many were closed
            return 2
        if key == "global":  # thresholds, not measured values
            return value
        if key in EXAMPLES and not (isinstance(value, dict) and key in ("display", "port")):
            return EXAMPLES[key]
        if isinstance(value, dict):
            return {k: self.plain(v, k) for k, v in value.items()}
        if isinstance(value, list):
            if key == "lines":
                return [LINE]
            if key == "sources":  # which daemon wrote last differs
                return ["xrdp"]
            return [self.plain(v) for v in value[:1]] + (["…"] if len(value) > 1 else [])
        return self.text(value) if isinstance(value, str) else value

    def add(self, operation, method, path, body, answer):
        """Records one request; `answer` is the response object of requests."""
        media = answer.headers.get("Content-Type", "").split(";")[0]
        if media == "application/json":
            shown = answer.json()
            if operation == "openapi":
                shown = {"openapi": shown["openapi"], "info": shown["info"], "…": "…"}
            shown = json.dumps(self.plain(shown), indent=2, ensure_ascii=False)
        elif operation == "metrics":
            shown = "\n".join(line for line in answer.text.splitlines() if line.startswith("# ") and " rdp_servers_total " in line) + "\n…"
        elif operation.endswith("log_file"):
            shown = LINE + "\n…"
        elif media == "application/octet-stream":
            shown = "…" if answer.content else ""
        else:
            shown = self.text(answer.text).replace("\r\n", "\n").rstrip()
        if answer.status_code < 300:
            self.done[operation] = (method, self.text(path), self.plain(body) if body is not None else None, answer.status_code, media, shown)
        else:
            raise AssertionError(f"{operation}: {answer.status_code} {answer.text}")

    def page(self, doc):
        """The whole page, in the order of the description."""
        parts = [
            "# API guide\n",
            "A request and its response for each operation, recorded from the running program; a test compares them with it. `…` marks what was shortened.",
            "Ids, times, ports and measured values are examples. `GET /openapi.json` describes every field, parameter and error.\n",
            "```sh",
            "TOKEN=$(lucid-rdp token --user anna --ttl 1h)      # an admin's: --roles admin",
            "curl -H \"Authorization: Bearer $TOKEN\" http://127.0.0.1:8090/api/v1/rdp/servers",
            "```\n",
            "- Every port serves every route.",
            "- A document from GET can be sent back with PUT or PATCH, with some of its members changed. A read-only member with another value is refused (422).",
            "- With `If-Match` and the ETag of the last GET, a change is refused (412) if the object has been changed since.",
            "- `?wait=true` delays the response until the operation has finished, by at most 30 s.",
            "- Client generators accept `/openapi.json` unchanged. Only `openapi-python-client` needs",
            "  `content_type_overrides: {application/x-rdp: application/octet-stream}`, for the `.rdp` file.\n",
        ]
        tag = None
        for path, item in doc["paths"].items():
            for method, op in item.items():
                if op["tags"][0] != tag:
                    tag = op["tags"][0]
                    parts.append(f"## {TITLES.get(tag, tag)}\n")
                sent, target, body, status, media, shown = self.done[op["operationId"]]
                parts += [f"### {op['summary']}\n", f"`{method.upper()} {path}`, for {op.get('x-who', 'anyone')}\n", "```http", f"{sent} {target}"]
                if body is not None:
                    parts += ["Content-Type: application/json", "", json.dumps(body, indent=2, ensure_ascii=False)]
                parts += ["```\n", f"{status}{', ' + media if media and media != 'application/json' else ''}\n"]
                if shown:
                    parts += [f"```{'json' if media == 'application/json' else ''}", shown, "```\n"]
        return "\n".join(parts)
