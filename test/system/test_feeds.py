"""Events between processes over REST alone, and calls that one process makes to another for a user."""
import os
import socket
import threading
import time

import pytest

import proc
from lucid import ROLES, SERVERS, XRDP, Api, token_for
from proc import until
from test_apart import AGENT, KEYS, MANAGER, MONITOR, SESSIONS, apart, error, point  # noqa: F401 (apart is a fixture)
from test_events import Stream

pytestmark = pytest.mark.one_shape("processes that it makes itself")

IDLE = {"auto_start": False}
NEVER = "3600"  # HEALTH_CHECK_INTERVAL: changes are seen by events, not by polling


def service():
    return token_for("lucid-rdp", "service")


def stream(d, role, **more):
    return Stream(d, role=role, **more).head()


def gather(s, want, timeout=15):
    """Reads until want(events) returns a value."""
    until(f"it among {s.events}", lambda: (s.take(0.05), want(s.events))[1], timeout)
    return want(s.events)


def topics(events, sid):
    return [e["topic"] for e in events if e.get("server_id") == sid]


def heard(d, role, peer_role, other):
    """Waits until d follows the events of the other process."""
    page = d.api(None, role).call("GET", "/metrics").text
    return f'rdp_feed_up{{peer="{other.url(peer_role)}"}} 1' in page


def figure(d, role, name, peer):
    page = d.api(None, role).call("GET", "/metrics").text
    return sum(float(line.rsplit(" ", 1)[1]) for line in page.splitlines() if line.startswith(f'{name}{{peer="{peer}"'))


def test_events_of_other_processes_are_followed(apart):
    manager, agent = apart([MANAGER], [AGENT], HEALTH_CHECK_INTERVAL=NEVER)
    until("both to follow each other's events", lambda: heard(manager, MANAGER, AGENT, agent) and heard(agent, AGENT, MANAGER, manager), 15)
    streams = {d: stream(d, role) for d, role in ((manager, MANAGER), (agent, AGENT))}
    admin = manager.admin
    server = admin.create_server("seen", restart_policy="never")
    sid = server["server_id"]
    manager.ids.add(sid)
    old = admin.instance(sid)["pids"]
    # only the agent knows of the new xrdp, and no call asks for it
    proc.kill_one(old["xrdp"])
    until("a new xrdp", lambda: admin.get(f"{SERVERS}/{sid}/status")["pids"]["xrdp"] not in (None, old["xrdp"]))
    proc.kill_one(old["sesman"])
    failed = until("failed", lambda: (lambda s: s if s["status"] == "failed" else None)(admin.server(sid)), 10)
    assert failed["status_reason"] == "sesman_exited"
    admin.call("DELETE", f"{SERVERS}/{sid}?force=true", expect=204)
    for d, s in streams.items():
        gather(s, lambda all: "server.deleted" in topics(all, sid) and "xrdp.instance.stopped" in topics(all, sid) or
               [t for t in topics(all, sid) if t == "server.deleted"] and len({t.split(".")[0] for t in topics(all, sid)}) == 2)
        s.take(0.5)
        # each once, in the order of one process's sequence numbers, whichever process it happened in
        numbers = [int(e["id"].split("-")[1]) for e in s.events]
        assert numbers == sorted(set(numbers))
        kinds = [(e["topic"], str(e["data"]), e["timestamp"]) for e in s.events]
        assert len(kinds) == len(set(kinds)), kinds
    # both publish the same events, in any order
    seen = [sorted((e["topic"], str(e["data"]), e["timestamp"], e["user_id"]) for e in s.events) for s in streams.values()]
    assert seen[0] == seen[1]


def test_user_receives_only_own_events(apart):
    manager, agent = apart([MANAGER], [AGENT], HEALTH_CHECK_INTERVAL=NEVER)
    until("the feed", lambda: heard(agent, AGENT, MANAGER, manager), 15)
    ann, bob = (stream(agent, AGENT, who=who) for who in ("ann", "bob"))
    sids = {who: manager.api(who).create_server(who, wait=False, **IDLE)["server_id"] for who in ("ann", "bob")}
    for who, s in (("ann", ann), ("bob", bob)):
        gather(s, lambda all: topics(all, sids[who]))
        s.take(0.5)
        assert {e["user_id"] for e in s.events} == {who}


def test_death_of_the_agent_is_noticed(apart):
    """What happened while the agent could not report is found by polling, as soon as events arrive again."""
    manager, agent = apart([MANAGER], [AGENT], HEALTH_CHECK_INTERVAL=NEVER)
    until("the feed", lambda: heard(manager, MANAGER, AGENT, agent), 15)
    admin = manager.admin
    server, kept = (admin.create_server(name, restart_policy="never") for name in ("lost", "kept"))
    for s in (server, kept):
        manager.ids.add(s["server_id"])
    pids = admin.instance(server["server_id"])["pids"]
    gaps = figure(manager, MANAGER, "rdp_feed_gaps_total", agent.url(AGENT))
    reader = agent.server_pid()
    agent.kill(agent.supervisor)
    until("the server process to exit", lambda: not proc.alive(reader))
    until("the feed to be lost", lambda: not heard(manager, MANAGER, AGENT, agent))
    for name in ("xrdp", "sesman"):
        proc.kill_one(pids[name])
    agent.start()
    until("the feed again", lambda: heard(manager, MANAGER, AGENT, agent), 15)
    again = until("it to run again", lambda: (lambda r: r.status_code == 200 and r.json()["pids"]["xrdp"])(
        admin.call("GET", f"{XRDP}/instances/{server['server_id']}")), 15)
    assert again != pids["xrdp"] and proc.alive(again)
    assert admin.server(kept["server_id"])["status"] == "running"
    assert figure(manager, MANAGER, "rdp_feed_gaps_total", agent.url(AGENT)) > gaps
    # calls work again too; some of them may have failed meanwhile
    assert admin.instance(kept["server_id"])["status"] == "running"
    assert figure(manager, MANAGER, "rdp_peer_breaker", agent.url(AGENT)) == 0


def raw(s, want):
    """The bytes of a stream, up to the expected ones."""
    end = time.monotonic() + 15
    while want not in s.buffer:
        assert time.monotonic() < end, s.buffer
        part = s.sock.recv(65536)
        assert part, s.buffer
        s.buffer += part
    return s.buffer


def test_event_stream_for_roles(apart):
    """own=true is for roles only, contains no echoes, and gives the position of each event."""
    manager, agent = apart([MANAGER], [AGENT], HEALTH_CHECK_INTERVAL=NEVER)
    until("the feed", lambda: heard(agent, AGENT, MANAGER, manager), 15)
    assert error(agent.api("admin", AGENT).call("GET", "/events?own=true", expect=403))["code"] == "LUCID_ERR_0003"
    assert error(agent.api("admin", AGENT).call("GET", "/events?own=perhaps", expect=422))["code"] == "LUCID_ERR_0005"
    theirs = stream(agent, AGENT, token=service(), query="?own=true")
    ours = stream(manager, MANAGER, token=service(), query="?own=true")
    anybody = stream(agent, AGENT)
    admin = manager.admin
    sids = [admin.create_server(f"s{i}", wait=False, **IDLE)["server_id"] for i in range(3)]
    text = raw(ours, sids[2].encode()).decode()
    seqs = [line[5:].split("/") for line in text.split("\n") if line.startswith("seq: ")]
    assert len({origin for origin, _ in seqs}) == 1 and len(seqs[0][0]) == 16
    numbers = [int(n) for _, n in seqs[1:]]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    # the agent's stream has them too, but not as its own
    gather(anybody, lambda all: topics(all, sids[2]))
    assert not any(sid.encode() in theirs.buffer for sid in sids)
    # resuming continues from the last position
    last = [line[4:] for line in text.split("\n") if line.startswith("id: ")][1]
    again = raw(stream(manager, MANAGER, token=service(), query="?own=true", last=last), sids[2].encode()).decode()
    resumed = [line[5:] for line in again.split("\n") if line.startswith("seq: ")]
    assert resumed[0].endswith("/0") and [int(x.split("/")[1]) for x in resumed[1:]] == numbers[1:]


def test_forwarded_calls_keep_user_and_address(apart):
    """The other process sees the user, the client's address and the request id, and the rate limit counts once."""
    manager, agent, front = apart([MANAGER], [AGENT], [SESSIONS, MONITOR], start=False, RATE_LIMIT_ENABLED="true", RATE_LIMIT_PER_MINUTE="1",
                                  RATE_LIMIT_BURST_SIZE="4")
    front.settings["TRUSTED_PROXIES"] = "127.0.0.1"
    for d in (agent, manager, front):
        d.start()
    ann = Api(front.url(SESSIONS), token_for("ann ä;"))
    head = {"X-Forwarded-For": "203.0.113.9", "X-Request-ID": "far-1"}
    sid = ann.call("POST", SERVERS, {"name": "mine", **IDLE}, headers=head, expect=201).json()["server_id"]
    for left in (2, 1, 0):
        r = ann.call("GET", f"{SERVERS}/{sid}", headers=head, expect=200)
        assert r.headers["RateLimit-Remaining"] == str(left)
    ann.call("GET", f"{SERVERS}/{sid}", headers=head, expect=429)
    # the process that forwarded it counted nothing
    direct = manager.api("ann ä;").call("GET", f"{SERVERS}/{sid}", expect=200)
    assert direct.headers["RateLimit-Remaining"] == "3" and direct.json()["user_id"] == "ann ä;"
    # the header is not trusted if the caller is not a role
    other = manager.api("bob").call("GET", f"{SERVERS}/{sid}", headers={"X-Lucid-For": "sub=ann%20%C3%A4%3B;roles=admin;sessions=yes;from="}, expect=404)
    assert error(other)["code"] == "LUCID_ERR_2001"

    def entry(d, role):
        all = d.api("admin", role).get("/api/v1/audit?action=rdp.servers.create")["entries"]
        return next((e for e in all if e["request_id"] == "far-1"), None)
    for d, role in ((manager, MANAGER), (front, SESSIONS)):
        e = until("its entry", lambda: entry(d, role), 10)
        assert e["actor"] == "ann ä;" and e["client_address"] == "203.0.113.9" and e["object"] == sid, e
    line = next(x for x in manager.log().splitlines() if '"far-1"' in x and "POST" in x)
    assert "203.0.113.9" in line and "ann ä;" in line


class Mute:
    """A process that accepts every connection and sends nothing, or something that is not HTTP."""

    def __init__(self, says=b""):
        self.says, self.lines, self.over = says, [], False
        self.sock = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.url = f"http://127.0.0.1:{self.sock.getsockname()[1]}"
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        while True:
            line, _ = self.sock.accept()
            if self.over:
                line.close()
                return
            self.lines.append(line)
            if self.says:
                line.sendall(self.says)

    def end(self):
        self.over = True
        for line in self.lines:
            line.close()
        self.lines = []
        socket.create_connection(self.sock.getsockname()).close()
        self.thread.join()
        self.sock.close()


def descriptors(d):
    return len(os.listdir(f"/proc/{d.process.pid}/fd"))


@pytest.mark.parametrize("says", [b"", b"220 this is mail\r\n"])
def test_peer_that_is_not_http(make_daemon, says):
    """Every call ends by its deadline, with a message; soon at once; and nothing is leaked."""
    mute = Mute(says)
    d = make_daemon(start=False, roles=[MANAGER], HEALTH_CHECK_INTERVAL=NEVER, **KEYS)
    point(d, AGENT, mute.url)
    d.start()
    try:
        admin, nobody = d.admin, d.api(None)  # one connection each
        assert nobody.get("/health") and admin.get(SERVERS)["servers"] == []  # opens what is opened on first use
        before = descriptors(d)
        answers = [admin.call("GET", XRDP + "/info", headers={"X-Lucid-Deadline-Ms": "500"}) for _ in range(12)]
        assert {r.status_code for r in answers} <= {503, 504}
        assert all(len(error(r)["message"]) > 20 for r in answers)
        assert "the next attempt is in" in error(answers[-1])["message"] and int(answers[-1].headers["Retry-After"]) >= 1
        page = nobody.call("GET", "/metrics").text
        assert f'rdp_peer_breaker{{peer="{mute.url}"}} 0' not in page
        # operations without the agent are not affected, and readiness names it
        assert admin.get(SERVERS)["servers"] == []
        r = nobody.get("/health/ready")
        assert r["ready"] and r["degraded"] and r["checks"][AGENT]["message"]
        until("descriptors to be given back", lambda: descriptors(d) <= before + 2, 10)  # two: of an attempt that is in progress
    finally:
        mute.end()
