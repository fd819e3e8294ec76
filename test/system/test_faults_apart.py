"""Faults between processes and hosts: a store, a Redis, a role or a link dies, freezes, is slow or sends wrong data. For each: no acknowledged
write is lost, nothing is done twice, every request is answered by its deadline, and all is well again within ten seconds after the cause has
ended, without help."""
import contextlib
import socket
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

import figures
import hosts
import proc
from faults import AWAY, HEALED_S, Writers, checks, error, nobody_knows, refused
from lucid import AGENT, MANAGER, SERVERS, SESSIONS, URLS, XRDP
from proc import until
from shapes import KEYS

pytestmark = pytest.mark.one_shape("processes that it makes itself")

@pytest.fixture
def split(make_daemon):
    def make(shape="split-embedded", **settings):
        return make_daemon(start=False, shape=shape, **{"range_size": 300, **settings})
    return make


# --- a role

def create_again(d, name, key):
    """Repeats a creation at the same port with its key, which prevents a second one. Returns the response, or that the outcome is unknown."""
    answers = []

    def settled():
        answers.append(d.api("admin", SESSIONS).call("POST", SERVERS, {"name": name}, headers={"Idempotency-Key": key}))
        return answers[-1].status_code in (201, 409) or nobody_knows(answers[-1])
    until("a final outcome", settled, HEALED_S)
    assert answers[-1].status_code == 201 or nobody_knows(answers[-1]), answers[-1].text
    return answers[-1]


def test_a_role_killed_in_the_middle_of_a_call(split):
    """kill -9 of the agent's server, the manager, and the role whose port is called, while they start servers."""
    d = split(range_size=40).start()
    for n, role in enumerate((AGENT, MANAGER, SESSIONS)):
        for moment in (0.01, 0.08, 0.2):
            name, key, got = f"s{n} {moment}", str(uuid.uuid4()), []

            def ask():
                api = d.api("admin", SESSIONS)
                with contextlib.suppress(requests.ConnectionError):
                    got.append(api.call("POST", SERVERS + "?wait=running", {"name": name}, headers={"Idempotency-Key": key}, timeout=35))
            t = threading.Thread(target=ask)
            t.start()
            time.sleep(moment)
            old = d.pid_of(role)
            d.kill(old)
            t.join(40)
            assert not t.is_alive()
            until("all roles to be ready again", lambda: d.pid_of(role) != old and d.ready(), HEALED_S)
            again = create_again(d, name, key)
            if got and got[0].status_code == 201:
                assert again.status_code == 201 and again.json()["server_id"] == got[0].json()["server_id"]
            found = [s for s in d.admin.list_servers() if s["name"] == name]
            assert len(found) <= 1 and (found or again.status_code != 201)
            for server in found:
                sid = server["server_id"]
                d.ids.add(sid)
                until("running", lambda s=sid: d.admin.server(s)["status"] == "running", HEALED_S)
                names = [proc.exe(p).rsplit("/", 1)[-1] for p in proc.marked(server_ids=[sid])]
                assert sorted(n for n in names if n in proc.DAEMONS) == sorted(proc.DAEMONS)
                d.admin.delete(f"{SERVERS}/{sid}?force=true")


def test_the_manager_killed_under_writers(split):
    d = split().start()
    with Writers(d, SESSIONS) as w:
        w.wait()
        for _ in range(3):
            old = d.pid_of(MANAGER)
            d.kill(old)
            until("the manager again", lambda: d.pid_of(MANAGER) != old and d.ready(), HEALED_S)
            w.wait()


# --- a peer

def test_peer_that_never_answers(split):
    d = split(REQUEST_TIMEOUT="2")
    relay = d.between(MANAGER, AGENT)
    d.start()
    server = d.admin.create_server("one")
    relay.freeze()
    for path in (XRDP + "/instances", f"{SERVERS}/{server['server_id']}/logs"):
        refused(d.admin.call("GET", path, timeout=15))
    # what does not depend on the agent is answered in time
    assert d.admin.get(f"{SERVERS}/{server['server_id']}/status", timeout=15)["agent"] == "away"
    assert [s["name"] for s in d.admin.list_servers()] == ["one"]
    until("the fault in readiness", lambda: checks(d)[AGENT]["status"] == "unhealthy", 15)
    # operations that need no other process are done meanwhile
    with Writers(d) as w:
        w.wait(20)
    relay.heal()
    until("the agent again", lambda: d.admin.call("GET", XRDP + "/instances", timeout=15).status_code == 200, HEALED_S)
    until("readiness", d.ready, HEALED_S)


def test_slow_peer(split):
    """Late is not lost: a response within the deadline is used, and everything is done once."""
    d = split()
    relay = d.between(MANAGER, AGENT)
    d.start()
    relay.slow(0.7)
    server = d.admin.create_server("late")
    assert server["status"] == "running"
    assert d.admin.instance(server["server_id"])["pids"]
    relay.heal()
    assert len(d.api("admin", AGENT).get(XRDP + "/instances")["instances"]) == 1


class Liar:
    """A listener that gives every request the same response."""

    def __init__(self, answer):
        self.answer = answer
        self.sock = socket.create_server(("127.0.0.1", 0))
        self.port = self.sock.getsockname()[1]
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self):
        with contextlib.suppress(OSError):
            while True:
                s, _ = self.sock.accept()
                with s, contextlib.suppress(OSError):
                    s.settimeout(2)
                    s.recv(65536)
                    s.sendall(self.answer)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.shutdown(socket.SHUT_RDWR)
        self.sock.close()
        self.thread.join(5)


LIES = [b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n", b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000000\r\n\r\n{",
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"]


@pytest.mark.parametrize("lie", LIES, ids=range(len(LIES)))
def test_other_program_at_the_agents_url_is_reported(split, lie):
    """Whatever answers at the agent's URL, the manager continues to work and reports that it is not the agent."""
    d = split(REQUEST_TIMEOUT="2")
    with Liar(lie) as liar:
        manager = d.parts[MANAGER]
        manager.settings[URLS[AGENT]] = f"http://127.0.0.1:{liar.port}"
        manager.start()
        until("the fault in readiness", lambda: checks(manager)[AGENT]["status"] == "unhealthy", HEALED_S)
        assert checks(manager)[AGENT]["message"]
        server = manager.admin.create_server("waits", wait=False)
        r = manager.admin.call("GET", f"{SERVERS}/{server['server_id']}/logs", timeout=15)
        assert r.status_code in (502, 503, 504) and error(r)["message"], r.text
        assert manager.admin.server(server["server_id"])["status"] != "running"
        manager.stop()
    manager.settings[URLS[AGENT]] = d.parts[AGENT].url(AGENT)
    d.start()
    d.ids.add(server["server_id"])
    until("running", lambda: d.admin.server(server["server_id"])["status"] == "running", HEALED_S)


@pytest.mark.parametrize("shift_s", [300, -300])
def test_wrong_clock(split, shift_s):
    """The agent's host has another time: either that does no harm, or it is reported that the clocks differ; nothing runs twice."""
    d = split()
    agent = d.parts[AGENT]
    agent.settings["LUCID_CLOCK_SHIFT_MS"] = str(shift_s * 1000)
    for role in (AGENT, MANAGER):
        d.parts[role].start()
    admin = d.admin
    server = admin.create_server("one", wait=False)
    d.ids.add(server["server_id"])
    r = admin.call("GET", XRDP + "/instances", timeout=15)
    assert r.status_code == 200 or (r.status_code == 503 and "clock" in error(r)["message"]), r.text
    assert admin.server(server["server_id"])["name"] == "one"
    agent.stop()
    agent.settings["LUCID_CLOCK_SHIFT_MS"] = None
    d.start()
    until("running", lambda: admin.server(server["server_id"])["status"] == "running", HEALED_S)
    assert len(d.api("admin", AGENT).get(XRDP + "/instances")["instances"]) == 1


# --- links

WAYS = {"there": (True, False), "back": (False, True), "both": (True, True)}
MINUTE_S = 60
# requests to a manager whose agent is unreachable: the deadline of each, and the permitted outcomes
ASKED = [("GET", SERVERS, 2, (200,)), ("GET", SERVERS + "/{kept}/status", 2, (200,)), ("GET", SERVERS + "/{kept}/logs", 2, (200, 503, 504)),
         ("GET", XRDP + "/instances", 10, (200, 503, 504)), ("POST", SERVERS, 35, (201, 409, 503, 504))]
SLACK_S = 60  # for a machine that is busy with other tests


class Pair:
    """A manager on one host, its agent on another, and a client that calls the manager all the time."""

    def __init__(self, net, ways):
        self.net, self.ways = net, ways
        self.a, self.b = net.host(f"manager-{ways}"), net.host(f"agent-{ways}")
        self.manager, self.agent = (h.daemon([role], start=False, range_size=200, HEALTH_CHECK_INTERVAL="1", REQUEST_TIMEOUT="2", **KEYS)
                                    for h, role in ((self.a, MANAGER), (self.b, AGENT)))
        for d in (self.manager, self.agent):
            d.settings.update({URLS[MANAGER]: self.manager.url(), URLS[AGENT]: self.agent.url(), "NODE_NAME": self.b.name,
                               "PORT_RANGE_START": str(self.agent.range[0]), "PORT_RANGE_END": str(self.agent.range[1])})
        self.agent.ids = self.manager.ids
        self.agent.start()
        self.manager.start()
        self.made, self.late, self.wrong, self.answers = [], [], [], set()
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self._ask)

    def link(self, do):
        """net.cut or net.heal for the directions of this pair."""
        there, back = WAYS[self.ways]
        if there:
            do(self.a, self.b)
        if back:
            do(self.b, self.a)

    def begin(self):
        admin = self.manager.admin
        self.kept = admin.create_server("kept")["server_id"]
        self.pids = admin.instance(self.kept)["pids"]
        admin.get(f"{SERVERS}/{self.kept}/logs")
        self.before = self.descriptors()

    def descriptors(self):
        return [figures.descriptors(d.pid_of(d.roles[0])) for d in (self.manager, self.agent)]

    def _ask(self):
        n, admin = 0, self.manager.api("admin")
        while not self.stopping.is_set():
            n += 1
            for method, path, within, well in ASKED:
                body = {"name": f"idle {n}", "auto_start": False} if method == "POST" else None
                headers = {"Idempotency-Key": f"{self.ways} {n}"} if body else {}
                began = time.monotonic()
                try:
                    r = admin.call(method, path.format(kept=self.kept), body, headers=headers, timeout=within + SLACK_S)
                except requests.RequestException as e:
                    self.wrong.append(f"{self.ways}: {method} {path}: {e!r} after {time.monotonic() - began:.1f} s")
                    continue
                self.late.append((time.monotonic() - began) / within)
                self.answers.add((method, path, r.status_code))
                if r.status_code not in well or (r.status_code in (503, 504) and error(r)["code"] not in AWAY):
                    self.wrong.append(f"{self.ways}: {method} {path}: {r.status_code} {r.text[:300]}")
                elif r.status_code == 201:
                    self.made.append(r.json()["server_id"])
            self.stopping.wait(0.5)

    def meanwhile(self):
        """The fault is reported once its deadline is over; the agent's host is not affected."""
        admin = self.manager.api("admin")
        refused(admin.call("GET", XRDP + "/instances", timeout=15))
        self.later = admin.create_server("later", wait=False)["server_id"]
        until("the fault in readiness", lambda: checks(self.manager)[AGENT]["status"] == "unhealthy", 15)
        assert admin.get(f"{SERVERS}/{self.kept}/status", timeout=15)["agent"] == "away"
        assert self.agent.api("admin").instance(self.kept)["pids"] == self.pids

    def healed(self):
        """Everything is as before, and was done once."""
        admin = self.manager.api("admin")
        until("the agent", lambda: checks(self.manager)[AGENT]["status"] == "healthy", HEALED_S)
        until("running", lambda: admin.server(self.later)["status"] == "running", HEALED_S)
        assert admin.instance(self.kept)["pids"] == self.pids and admin.server(self.kept)["status"] == "running"
        assert {i["server_id"]: i["restarts"] for i in admin.get(XRDP + "/instances")["instances"]} == {self.kept: 0, self.later: 0}
        assert figures.of_page(self.agent.api(None).call("GET", "/metrics", expect=200).text, "rdp_instance_starts_total") == 2
        for sid in (self.kept, self.later):
            names = [proc.exe(p).rsplit("/", 1)[-1] for p in proc.marked(server_ids=[sid])]
            assert sorted(n for n in names if n in proc.DAEMONS) == sorted(proc.DAEMONS), names

    def whole(self):
        """No request exceeded its deadline, every acknowledged write is there, nothing is there twice, and nothing has accumulated."""
        self.stopping.set()
        self.thread.join(60)
        print(f"{self.ways}: {sorted(self.answers)}; the longest took {max(self.late):.2f} of its time; {len(self.made)} made")
        assert not self.wrong, self.wrong[:5]
        there = self.manager.admin.list_servers()
        assert set(self.made) <= {s["server_id"] for s in there}
        for what in ("name", "port"):
            assert len({s[what] for s in there}) == len(there)
        grown = []

        def flat():
            grown[:] = [n - b for n, b in zip(self.descriptors(), self.before)]
            return max(grown) <= 4
        try:
            until("descriptors to be as many as before", flat, HEALED_S)
        finally:
            print(f"{self.ways}: descriptors of manager and agent: {grown} more than before")


@pytest.fixture
def pairs():
    with hosts.Net() as net:
        yield [Pair(net, ways) for ways in WAYS]


def test_link_down_for_a_minute(pairs):
    """Packets of the manager, of the agent, or of both are dropped for a minute, each case between two hosts of its own: it is reported once the
    deadline is over, no request exceeds its own, and afterwards all is well, and everything was done once."""
    with ThreadPoolExecutor(len(pairs)) as pool:
        def each(what, *args):
            for f in [pool.submit(what, p, *args) for p in pairs]:
                f.result()
        each(Pair.begin)
        cut = time.monotonic()
        for p in pairs:
            p.link(p.net.cut)
            p.thread.start()
        try:
            each(Pair.meanwhile)
            time.sleep(max(cut + MINUTE_S - time.monotonic(), 0))
            for p in pairs:
                p.link(p.net.heal)
            healed = time.monotonic()
            each(Pair.healed)
            print(f"cut for {healed - cut:.1f} s, well {time.monotonic() - healed:.1f} s after")
        finally:
            for p in pairs:
                p.stopping.set()
        each(Pair.whole)


# --- many

def test_a_thousand_faults(split):
    """Connections between roles are reset a thousand times during calls: nothing accumulates, and each call is answered."""
    d = split()
    relay = d.between(MANAGER, AGENT)
    d.start()
    server = d.admin.create_server("one")["server_id"]
    manager, agent = d.pid_of(MANAGER), d.pid_of(AGENT)
    before, answers, done = None, [], threading.Event()

    def ask():
        api = d.admin
        while not done.is_set():
            answers.append(api.call("GET", XRDP + "/instances/" + server, timeout=35).status_code)
    threads = [threading.Thread(target=ask) for _ in range(4)]
    for t in threads:
        t.start()
    for n in range(1100):
        if n == 100:  # growth of the first hundred is start-up cost
            before = [figures.of_process(p) for p in (manager, agent)]
        had = len(answers)
        until("calls in flight", lambda h=had: len(answers) > h, HEALED_S, 0.001)
        relay.reset()
    done.set()
    for t in threads:
        t.join(40)
    assert set(answers) <= {200, 503, 504} and 200 in answers
    until("an answer", lambda: d.admin.call("GET", XRDP + "/instances/" + server).status_code == 200, HEALED_S)
    assert (d.pid_of(MANAGER), d.pid_of(AGENT)) == (manager, agent)

    now = []

    def flat():
        now[:] = [figures.of_process(p) for p in (manager, agent)]
        return all(n["memory"] <= b["memory"] + 4096 and n["fds"] <= b["fds"] + 8 and n["threads"] <= b["threads"] for n, b in zip(now, before))
    try:
        until("resources to be as before", flat, HEALED_S)
    finally:
        print(f"then {before}, now {now}")
