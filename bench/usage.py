"""Measurements of sessions and of resource usage: lists of live sessions, sampling, a year of history. BENCH_SCALE (1) multiplies the numbers
of servers, for a trial run."""
import datetime
import json
import os
import re
import subprocess
import tempfile
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from measure import BENCH, SECONDS, SERVER_CPU, cpu_seconds, daemon, lucid, pace, pin, proc, pss_kib, row, sh, wrk
import shapes

SCALE = float(os.environ.get("BENCH_SCALE", "1"))
PAGE = 50
EACH = 20  # sessions of a server in `sessions`


def scaled(n):
    return max(int(n * SCALE), 2)


# --- lists of live sessions

class Agent:
    """An agent, and a manager that knows no server, as far as rdp-session-controller asks them. It has that many desktops on each of its servers."""

    def __init__(self, servers):
        agent = self
        self.ids = [str(uuid.uuid4()) for _ in range(servers)]
        self.each = 0
        self.started = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.000Z")

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):  # pylint: disable=invalid-name
                status, doc = agent.answer(self.path.split("?")[0])
                text = json.dumps(doc).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("X-Request-ID", "bench")  # a peer without it is not taken for lucid-rdp
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_):  # pylint: disable=arguments-differ
                pass
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def url(self):
        return f"http://127.0.0.1:{self.http.server_port}"

    def counts(self):
        return {"active": self.each, "disconnected": 0, "orphaned": 0}

    def answer(self, path):
        if path == f"{lucid.XRDP}/instances":
            return 200, {"instances": [{"server_id": i, "status": "running", "sessions": self.counts()} for i in self.ids]}
        found = re.fullmatch(f"{lucid.XRDP}/instances/([^/]+)/desktops", path)
        if found:
            return 200, {"desktops": [self.desktop(found[1], n) for n in range(self.each)]}
        if path.startswith(lucid.SERVERS):
            return 404, {"error": {"code": "LUCID_ERR_2001", "message": "server not found"}}
        return (200, {"status": "healthy", "checks": {}}) if path.startswith("/health") else (404, {"error": {"code": "LUCID_ERR_0004", "message": "not found"}})

    def desktop(self, server, n):
        number = self.ids.index(server) * EACH + n
        return {"display": 20 + n, "server_id": server, "username": f"user{number}", "status": "active", "session": "Xorg", "started_at": self.started,
                "disconnected_at": None, "idle_seconds": 5, "processes": 12, "memory_bytes": 200 << 20, "client_address": f"10.0.{number >> 8}.{number & 255}",
                "connection_id": f"{number:016x}"}

    def end(self):
        self.http.shutdown()
        self.http.server_close()


def sessions():
    """A filtered page of live sessions, the same one and all in turn; and the memory of a session."""
    agent = Agent(scaled(50))
    d = daemon(roles=[lucid.SESSIONS], XRDP_INTEGRATION_URL=agent.url(), RDP_SERVER_MANAGER_URL=agent.url(), MAX_CONCURRENT_SESSIONS="5000",
               HEALTH_CHECK_INTERVAL="1", **shapes.KEYS)
    try:
        api, base, pid = d.api("admin", lucid.SESSIONS), "/api/v1/sessions", d.process.pid
        path = f"{base}?status=active&limit={PAGE}"

        def grow(each):
            """That many sessions on each server; the memory with them."""
            agent.each = each
            count = each * len(agent.ids)
            proc.until(f"{count} sessions", lambda: api.get(f"{base}/summary")["by_status"]["active"] == count, 60)
            wrk(d.url(lucid.SESSIONS) + path, api.token, seconds=1)
            time.sleep(1)
            return pss_kib(pid)
        grow(1)
        some = grow(EACH // 2)
        each = (grow(EACH) - some) * 1024 / (EACH // 2 * len(agent.ids))
        live = EACH * len(agent.ids)
        pin(pid)
        url = d.url(lucid.SESSIONS)
        pages = [f"{path}&page={n + 1}" for n in range(max(live // PAGE, 1))]
        one, cost = 0, []
        for _ in range(3):
            before = cpu_seconds(pid)
            rate, count = wrk(url + path, api.token)
            one = max(one, rate)
            cost.append((cpu_seconds(pid) - before) / count * 1e6)
        turns = max(wrk(url, api.token, paths=pages)[0] for _ in range(3))
        server = max(wrk(url, api.token, paths=[f"{base}?server_id={i}&limit={PAGE}" for i in agent.ids])[0] for _ in range(3))
        p99 = min(pace(d.ports[lucid.SESSIONS], api.token, one / 2, path) for _ in range(3))
        row(f"{live:,} live sessions: a page of {PAGE}, by status", f"{one:,.0f} lists/s, {min(cost):.0f} µs CPU each", f"{turns:,.0f}/s, all pages in turn", "≥ 20,000/s")
        row("those of one server, all servers in turn", f"{server:,.0f} lists/s, {EACH} sessions each")
        row("p99 of the page at half that load, best of 3", f"{p99:.2f} ms", "", "< 3 ms")
        row("a tracked session", f"{each / 1024:.1f} KiB PSS", "", "≤ 8 KiB")
    finally:
        d.end(check=False)
        agent.end()


# --- sampling

INTERVAL_S = 5


def psutil_round(roots, way, rounds):
    return int(sh("taskset", "-c", SERVER_CPU, "/usr/bin/python3", "bench/peer/sampling.py", way, str(rounds), input=roots))


def sampled(servers, each, processes=False):
    """Figures of bench/sampling.c; with processes, also the µs of a round of bench/peer/sampling.py over the same ones, in both ways."""
    with tempfile.TemporaryDirectory(prefix="lrdp-bench-", dir="/var/tmp") as work:
        rounds, peer = max(int(SECONDS), 2), None
        command = ["taskset", "-c", SERVER_CPU, f"{BENCH}/sampling", str(servers), str(each), str(rounds), work, *(["processes"] if processes else [])]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as p:
            try:
                if processes:
                    roots = p.stdout.readline()
                    peer = {"each": psutil_round(roots, "each", 1), "once": psutil_round(roots, "once", 10)}
                out = p.communicate("go\n" if processes else None, timeout=600)[0]
            finally:
                p.kill()
        if p.returncode:
            raise AssertionError(f"{command} exited with {p.returncode}")
        return {k: float(v) for k, v in (line.split() for line in out.splitlines())}, peer


def sampling():
    """A round of samples from control groups to the store, against psutil over the same processes; and how it grows."""
    few = scaled(50)
    figures, peer = sampled(few, 4, processes=True)
    ours = figures["round_us"]
    row(f"{few} servers, {few * 4} sessions sampled every {INTERVAL_S} s, read and stored", f"{ours / INTERVAL_S / 1e4:.2f}% of a core ({ours / 1e3:.1f} ms a round)",
        f"1/{peer['each'] / ours:.0f} of psutil, which only reads ({peer['each'] / 1e3:,.0f} ms)", "< 1 %, ≤ 1/20")
    row("the same by psutil in one pass over all processes", f"{peer['once'] / 1e3:,.0f} ms a round", f"{peer['once'] / ours:.1f}× ours")
    base = None
    for servers in (few, few * 5, few * 20):
        figures = sampled(servers, 4)[0]
        each = figures["round_us"] / figures["groups"]
        base = base or each
        row(f"a round of {servers:,} servers and {servers * 4:,} sessions, groups without processes", f"{figures['round_us'] / 1e3:.1f} ms",
            f"{each:.1f} µs a group, {each / base:.2f}× that of {few} servers", "linear: about 1×")


# --- history

def year():
    """The store with a year's history of servers, and the chart of a year of each."""
    servers = scaled(50)
    d = daemon()
    try:
        d.stop()
        store = f"{d.dir}/data/store/lucid.db"
        before = os.path.getsize(store)
        ids = sh(f"{BENCH}/history", store, str(servers), str(INTERVAL_S)).split()
        size = os.path.getsize(store) - before
        d.start()
        pin(d.server_pid())
        api, took = d.api("admin", lucid.MONITOR), ([], [])
        begin = (datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=364)).strftime("%Y-%m-%dT%H:%M:%SZ")
        for turn in took:
            for server in ids:
                start = time.perf_counter()
                chart = api.get(f"/api/v1/resources/servers/{server}/history?metric=cpu_percent&from={begin}&step={6 * 3600}")
                turn.append((time.perf_counter() - start) * 1e3)
        first, again = map(sorted, took)
        row(f"a year's history of {servers} servers, sampled every {INTERVAL_S} s", f"{size / 1e6:.0f} MB", f"{size / 1e6 / servers:.2f} MB a server", "< 300 MB")
        row(f"a year's chart of one server, {len(chart['points']):,} points", f"{first[len(first) // 2]:.1f} ms (slowest of {servers}: {first[-1]:.1f})",
            f"{again[len(again) // 2]:.1f} ms the second time", "< 20 ms")
    finally:
        d.end(check=False)


USAGE = (sessions, sampling, year)
