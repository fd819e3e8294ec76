"""Measurements of roles in separate processes, and of another stack that does the same work."""
import os
import resource
import select
import socket
import subprocess
import time

import requests

from measure import BENCH, LOAD_CPU, ROOT, SECONDS, SERVER_CPU, connect_within, cpu_seconds, daemon, fill, lucid, pin, proc, pss_kib, row, sh, wrk
import mongo
import redis
import shapes

PEER_PYTHON = os.path.join(ROOT, "build/peer/bin/python")


def streams(d, count):
    """Opens that many event streams of users and reads their heads."""
    found = []
    for i in range(count):
        s = socket.create_connection(("127.0.0.1", d.ports[lucid.ROLES[0]]), 10)
        s.sendall(f"GET /events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {lucid.token_for('admin', 'admin') if i % 2 else lucid.token_for('ann')}\r\n\r\n".encode())
        found.append(s)
    for s in found:
        if b" 200 " not in s.recv(4096):
            raise AssertionError("a stream was refused")
    return found


def events():
    """One event to 1,000 streams: the time from the request that causes it until the last stream has it, and the memory of a stream."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 4096), hard))
    d = daemon()
    try:
        ann = d.api("ann")
        ann.post(lucid.SERVERS, {"name": "warm", "auto_start": False})
        for s in streams(d, 20):
            s.close()
        before = pss_kib(d.server_pid())
        held = streams(d, 1000)
        each = (pss_kib(d.server_pid()) - before) * 1024 / len(held)
        pin(d.server_pid())
        took = []
        for i in range(9):
            poll = select.epoll()
            waiting = {s.fileno(): s for s in held}
            for fd in waiting:
                poll.register(fd, select.EPOLLIN)
            name = f"event {i}"
            start = time.perf_counter()
            ann.post(lucid.SERVERS, {"name": name, "auto_start": False})
            while waiting:
                for fd, _ in poll.poll(10):
                    if b"server.created" in waiting[fd].recv(65536):
                        poll.unregister(fd)
                        del waiting[fd]
            took.append((time.perf_counter() - start) * 1e3)
            poll.close()
            time.sleep(0.3)
            for s in held:  # other events
                s.setblocking(False)
                try:
                    s.recv(65536)
                except BlockingIOError:
                    pass
                s.setblocking(True)
        took.sort()
        row("a change until 1,000 event streams have it", f"{took[len(took) // 2]:.0f} ms (slowest of {len(took)}: {took[-1]:.0f})", f"{each / 1000:.1f} kB a stream", "≤ 50 ms, ≤ 20 kB")
        for s in held:
            s.close()
    finally:
        d.end(check=False)


def split(mongo_url, **settings):
    """Four processes on that database."""
    return shapes.Split(None, beside=("mongo",), MONGODB_URL=mongo_url, MAX_SERVERS_PER_USER="100000", PORT_RANGE_START="33000", PORT_RANGE_END="60000",
                        METRICS_PUBLIC="true", **settings).start()


def pids_of(four):
    """The pids of all its processes."""
    return [pid for part in four.parts.values() for pid in (part.process.pid, part.server_pid()) if pid]


# --- one process or several

def hop():
    """A call over REST to another process compared with a local one and with a bare libevhtp's round trip; one process compared with four."""
    local = dict(line.split() for line in sh("taskset", "-c", SERVER_CPU, f"{BENCH}/local_call").splitlines())
    port = lucid.free_ports(2)
    hello = subprocess.Popen([f"{BENCH}/http_hello", "evhtp", str(port), SERVER_CPU], stdout=subprocess.DEVNULL)
    try:
        time.sleep(0.3)
        bare, rest = [], []
        for _ in range(3):
            bare.append(wrk(f"http://127.0.0.1:{port}/")[0])
            out = sh(f"{BENCH}/rest_call", str(port + 1), f"{SECONDS:g}", "64", SERVER_CPU, LOAD_CPU)
            rest.append({k: float(v) for k, v in (line.split() for line in out.splitlines())})
    finally:
        hello.kill()
        hello.wait()
    best = max(rest, key=lambda r: r["calls_per_s"])
    cost = best["ask_us"] + best["serve_us"]
    row("a call over REST, 64 at a time", f"{best['calls_per_s']:,.0f}/s, p99 {best['p99_ms']:.1f} ms", f"{best['calls_per_s'] / max(bare):.0%} of a bare round trip", "≥ 50 %")
    row("its CPU, both sides", f"{cost:.1f} µs", f"a local call is {cost * 1000 / float(local['local_call_small_ns']):.0f}× cheaper", "≥ 50×")


def large():
    """A log of 256 MiB from the supervisor, which reads it, to the client: through one process, and through three of four."""
    rates, grown = {}, {}
    for name, d in (("one process", daemon()), ("three processes", shapes.Split(None, range_size=12).start())):
        try:
            server = d.admin.create_server("talks")
            d.admin.post(f"{lucid.SERVERS}/{server['server_id']}/stop?wait=true")  # otherwise its log is rotated meanwhile
            with open(os.path.join(d.settings["LOG_DIR"], "xrdp/servers", server["server_id"], "xrdp.log"), "ab") as f:
                for _ in range(256):
                    f.write(b"a line that is only there to be long\n".ljust(64, b".") * (1 << 14))
            pids = pids_of(d) if isinstance(d, shapes.Split) else [d.supervisor, d.server_pid()]
            for pid in pids:
                pin(pid)
            url = f"http://127.0.0.1:{d.ports[lucid.ROLES[2]]}{lucid.SERVERS}/{server['server_id']}/log-file"
            fetch = ["taskset", "-c", LOAD_CPU, "curl", "-sSfo", "/dev/null", "-w", "%{speed_download}", "-H", f"Authorization: Bearer {d.admin.token}", url]
            before = sum(map(pss_kib, pids))
            rates[name] = max(float(sh(*fetch)) for _ in range(3)) / 1e6
            grown[name] = (sum(map(pss_kib, pids)) - before) / 1024
        finally:
            d.end(check=False)
    for name, rate in rates.items():
        row(f"a log of 256 MiB: {name}", f"{rate:,.0f} MB/s", f"{grown[name]:.1f} MiB more held after three" + ("" if name == "one process" else f", {rate / rates['one process']:.0%} of one"))


# --- many managers, many servers

def manager(mongo_url, first):
    """One of several rdp-server-managers."""
    settings = {**shapes.KEYS, "MONGODB_URL": mongo_url, "MAX_SERVERS_PER_USER": "100000", "MAX_CONCURRENT_SERVERS": "1000"}
    return lucid.Daemon(roles=[lucid.ROLES[0]], PORT_RANGE_START=str(first), PORT_RANGE_END=str(first + 20000), **settings)


def managers():
    """Creations per second through one, two and four managers on one database."""
    rates = {}
    with mongo.MongoServer() as database:
        for count in (1, 2, 4):
            url = database.url(f"managers{count}")
            agent = lucid.Daemon(roles=[lucid.ROLES[1]], MONGODB_URL=url, **shapes.KEYS).start()
            many = [manager(url, 33000).start() for _ in range(count)]
            token = lucid.token_for("admin", "admin")
            try:
                time.sleep(2)
                loads = [subprocess.Popen([f"{BENCH}/load", "creates", str(d.ports[lucid.ROLES[0]]), token, str(32 // count), f"{SECONDS:g}"],
                                          stdout=subprocess.PIPE, text=True) for d in many]
                outs = [p.communicate(timeout=60)[0] for p in loads]
                if any(" bad 0 " not in out for out in outs):
                    raise AssertionError(outs)
                rates[count] = sum(float(out.split()[-1]) for out in outs)
            finally:
                for d in (*many, agent):
                    d.end(check=False)
    for count, rate in rates.items():
        row(f"creations through {count} manager{'s' if count > 1 else ''}, one database", f"{rate:,.0f}/s", "" if count == 1 else f"{rate / rates[1]:.2f}× one")


def reconcile():
    """A start with that many stored servers: the work of the first five seconds, and the time of a GET meanwhile."""
    for count in (250, 500, 1000):
        d = daemon(MAX_SERVERS_PER_USER="2000", PORT_RANGE_START="33000", PORT_RANGE_END="36000")
        try:
            fill(d, count)
            d.stop()
            d.spawn()
            connect_within(d.ports[lucid.ROLES[0]])
            slowest, start = 0, time.perf_counter()
            while time.perf_counter() - start < 5:
                begin = time.perf_counter()
                d.admin.call("GET", f"{lucid.SERVERS}?limit=1", expect=200)
                slowest = max(slowest, time.perf_counter() - begin)
                time.sleep(0.02)
            row(f"a start with {count:,} servers", f"{cpu_seconds(d.server_pid()) * 1000:.0f} ms CPU in 5 s of asking", f"slowest answer {slowest * 1e3:.0f} ms")
        finally:
            d.end(check=False)


# --- another stack with the same work

class Peer:
    """bench/peer as four processes on a database and a Redis of their own."""

    def __init__(self, mongo_url, redis_url):
        if not os.path.exists(PEER_PYTHON):
            sh("python3", "-m", "venv", os.path.dirname(os.path.dirname(PEER_PYTHON)))
            sh(PEER_PYTHON, "-m", "pip", "install", "-q", "-r", "bench/peer/requirements.txt")
        first = lucid.free_ports(4)
        env = {**os.environ, "MONGODB_URL": mongo_url, "REDIS_URL": redis_url, "JWT_SECRET": lucid.SECRET}
        self.ports = [first + i for i in range(4)]
        with open(os.devnull, "wb") as nothing:  # its access log: written, like that of the program, and discarded
            self.processes = [subprocess.Popen([PEER_PYTHON, "bench/peer/app.py", role, str(port), f"http://127.0.0.1:{first}"], env=env,
                                               stdout=nothing, stderr=nothing) for role, port in zip(lucid.ROLES, self.ports)]
        for port in self.ports:
            proc.until("the peer", lambda at=port: answers(at), 30)

    def pids(self):
        return [p.pid for p in self.processes]

    def end(self):
        for p in self.processes:
            p.kill()
            p.wait()


def answers(port):
    try:
        return requests.get(f"http://127.0.0.1:{port}/health", timeout=2).status_code == 200
    except requests.RequestException:
        return False


def created(port, token, clients=8):
    """Creations per second; each client waits for the response before its next request."""
    out = sh("taskset", "-c", LOAD_CPU, f"{BENCH}/load", "creates", str(port), token, str(clients), f"{SECONDS:g}")
    if " bad 0 " not in out:
        raise AssertionError(out)
    return float(out.split()[-1])


def work(name, ports, pids):
    """Rates of: GET of one, list of 20, GET through another role, creations; and the memory of the processes after the reads, when all have the
    same number of servers."""
    token = lucid.token_for("admin", "admin")
    base = f"http://127.0.0.1:{ports[0]}"
    head = {"Authorization": f"Bearer {token}"}
    ids = [requests.post(base + lucid.SERVERS, json={"name": f"bench {i}", "auto_start": False}, headers=head, timeout=10).json()["server_id"]
           for i in range(20)]
    for pid in pids:
        pin(pid)
    one = f"{lucid.SERVERS}/{ids[0]}"
    before = sum(map(cpu_seconds, pids))
    rate, count = wrk(base + one, token)
    cost = (sum(map(cpu_seconds, pids)) - before) / count * 1e6
    rates = {
        "GET": rate,
        "GET of 20 in turn": wrk(base, token, paths=[f"{lucid.SERVERS}/{i}" for i in ids])[0],
        "list of 20": wrk(base + lucid.SERVERS, token, connections=16)[0],
        "GET through another role": wrk(f"http://127.0.0.1:{ports[3]}{one}", token)[0],
    }
    held = sum(pss_kib(p) for p in pids) / 1024
    rates["creations"] = created(ports[0], token)
    return {"name": name, "rates": rates, "cost": cost, "MiB": held}


def peer():
    """The same calls to a common Python stack and to the program: in one process on its own store, and in four on the same database."""
    results = []
    with mongo.MongoServer() as database, redis.RedisServer() as cache:
        p = Peer(database.url("peer"), cache.url())
        try:
            results.append(work("FastAPI", p.ports, p.pids()))
        finally:
            p.end()
        d = daemon(MAX_SERVERS_PER_USER="100000", PORT_RANGE_START="33000", PORT_RANGE_END="60000")
        try:
            results.append(work("one process, its own store", list(d.ports.values()), [d.supervisor, d.server_pid()]))
        finally:
            d.end(check=False)
        four = split(database.url("ours"), REDIS_URL=cache.url())
        try:
            results.append(work("four processes, the same database", list(four.ports.values()), pids_of(four)))
        finally:
            four.end(check=False)
    theirs = results[0]
    for r in results:
        for what, rate in r["rates"].items():
            row(f"{what}: {r['name']}", f"{rate:,.0f}/s", "" if r is theirs else f"{rate / theirs['rates'][what]:.0f}× FastAPI", "" if r is theirs else "≥ 50×")
        row(f"CPU of a GET: {r['name']}", f"{r['cost']:.0f} µs", "" if r is theirs else f"1/{theirs['cost'] / r['cost']:.0f} of FastAPI's", "")
        row(f"memory: {r['name']}", f"{r['MiB']:.0f} MiB PSS", "" if r is theirs else f"1/{theirs['MiB'] / r['MiB']:.0f} of FastAPI's", "" if r is theirs else "≤ 1/15")


APART = (events, hop, large, peer, managers, reconcile)
