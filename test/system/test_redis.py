"""Redis between processes: shared rate limits, events, and what works while Redis is unreachable."""
import contextlib
import json
import os
import re
import subprocess
import time

import pytest

import lucid
import proc
from lucid import AGENT, BIN, MANAGER, SERVERS, SESSIONS
from proc import until
from test_apart import KEYS, point
from test_events import Stream

pytestmark = pytest.mark.one_shape("processes that it makes itself")

BURST = 20
LIMITS = {"RATE_LIMIT_ENABLED": "true", "RATE_LIMIT_PER_MINUTE": "1", "RATE_LIMIT_BURST_SIZE": str(BURST)}
PATHS = {MANAGER: SERVERS + "?limit=1", SESSIONS: "/api/v1/sessions"}
OTHER = "00000000000000f1"  # a process that the test imitates
MEASURE = "asan" not in lucid.BIN


def redis_check(d):
    """The readiness check, and whether the whole is degraded; newer than a cached result."""
    time.sleep(0.05)
    page = d.api(None, d.roles[0]).get("/health/ready", expect=(200, 503))
    return {**page["checks"]["redis"], "degraded": page["degraded"]}


def healthy(d, timeout=10):
    return until("a healthy redis", lambda: (lambda c: c if c["status"] == "healthy" else None)(redis_check(d)), timeout, every=0.3)


def unhealthy(d, *words, timeout=10):
    def look():
        c = redis_check(d)
        return c if c["status"] == "unhealthy" and all(w in c["message"] for w in words) else None
    found = until(f"redis unhealthy for {words}", look, timeout, every=0.3)
    assert found["degraded"]
    return found["message"]


def metrics(d):
    text = d.api(None, d.roles[0]).call("GET", "/metrics", expect=200).text
    return {m[1]: float(m[2]) for m in re.finditer(r"^(\w+(?:\{[^}]*\})?) (\S+)$", text, re.M)}


@pytest.fixture
def two(make_daemon):
    """two(REDIS_URL=…): a server-manager and a session-controller in separate processes, which do not know each other."""
    def make(**settings):
        made = [make_daemon(start=False, roles=[role], **{**KEYS, **settings}) for role in (MANAGER, SESSIONS)]
        made[0].ids = made[1].ids
        for d in made:
            d.start()
        return made
    return make


def asks(d, who, n):
    """How many of n requests were allowed; other errors do not matter here."""
    caller = d.api(who, d.roles[0])
    return sum(caller.call("GET", PATHS[d.roles[0]]).status_code != 429 for _ in range(n))


# --- limits

def test_limits_are_shared(two, make_redis):
    r = make_redis(password="p@ss/w:rd %")
    a, b = two(REDIS_URL=r.url(3), **LIMITS)
    for d in (a, b):
        healthy(d)
    # one caller, at both in turn: together as many as one bucket holds, and every response has the shared remainder
    left = []
    for i in range(BURST // 2):
        for d in (a, b):
            answer = d.api("ann", d.roles[0]).call("GET", PATHS[d.roles[0]])
            assert answer.status_code != 429
            left.append(int(answer.headers["RateLimit-Remaining"]))
    assert left == list(range(BURST - 1, -1, -1))
    for d in (a, b):
        refused = d.api("ann", d.roles[0]).call("GET", PATHS[d.roles[0]], expect=429)
        assert refused.json()["error"]["code"] == "LUCID_ERR_0004" and 1 <= int(refused.headers["Retry-After"]) <= 60
    # other callers have their own buckets, also a user whose name is the address of another caller
    assert asks(a, "bob", 3) == 3 and asks(b, "127.0.0.1", 3) == 3
    # Redis does not get the names, and full buckets expire
    keys = [k for k in r_keys(r, 3) if k.startswith("lucid:rate:")]
    assert len(keys) == 3 and not any("ann" in k or "bob" in k for k in keys)
    assert all(0 < int(in_db(r, 3, "PTTL", k)) <= BURST * 60 * 1000 for k in keys)
    assert "p@ss" not in a.log() + b.log()
    counted = metrics(a)
    assert counted['rdp_rate_limit_shared_total{outcome="refused"}'] >= 1 and counted['rdp_redis_up{link="commands"}'] == 1


def in_db(r, db, *args):
    """A command in the given database."""
    return r.command("EVAL", "redis.call('SELECT', ARGV[1]); return redis.call(unpack(ARGV, 2))", 0, db, *args)


def r_keys(r, db):
    return sorted(in_db(r, db, "KEYS", "*"))


def test_limits_on_bad_tokens_are_shared(two, make_redis):
    a, b = two(REDIS_URL=make_redis().url(), **{**LIMITS, "RATE_LIMIT_BURST_SIZE": "1000"})
    for d in (a, b):
        healthy(d)
    codes = [lucid.Api(d.url(d.roles[0]), "no.good.token").call("GET", PATHS[d.roles[0]]).status_code for _ in range(20) for d in (a, b)]
    assert set(codes) == {401, 429} and 30 <= codes.count(401) <= 32


def test_redis_for_limits_only(two, make_redis):
    """RATE_LIMIT_STORAGE_URL without REDIS_URL: only limits are shared; a Unix socket works too."""
    r = make_redis()
    a, b = two(RATE_LIMIT_STORAGE_URL=r.unix_url + "?db=1", **LIMITS)
    for d in (a, b):
        assert healthy(d)["message"] == ""
    assert asks(a, "ann", BURST) + asks(b, "ann", BURST) == BURST
    assert {c["name"] for c in r.clients()} == {"lucid-rdp-limits"} and len(r.clients()) == 2
    r.kill()
    unhealthy(a, "limits", "per process")
    assert asks(a, "bob", BURST + 5) == BURST == asks(b, "bob", BURST + 5)


def test_limits_in_another_redis(two, make_redis):
    """Both settings, two servers, one of them by name: limits in one, events in the other."""
    events, limits = make_redis(), make_redis()
    by_name = events.url().replace("127.0.0.1", "localhost")
    a, _ = two(REDIS_URL=by_name, RATE_LIMIT_STORAGE_URL=limits.url(), REDIS_MAX_CONNECTIONS="3", **LIMITS)
    healthy(a)
    assert asks(a, "ann", 2) == 2
    assert [k for k in limits.keys() if k.startswith("lucid:rate:")] and not [k for k in events.keys() if k.startswith("lucid:rate:")]
    assert [k for k in events.keys() if k.startswith("lucid:role:")]
    page = a.api(None).call("GET", "/metrics", expect=200).content
    checked = subprocess.run(["promtool", "check", "metrics"], input=page, capture_output=True, timeout=20, check=False)
    assert b"redis" not in checked.stdout + checked.stderr and b"shared" not in checked.stdout + checked.stderr, checked.stderr


# --- events

def test_events_travel_through_redis(two, make_redis):
    r = make_redis()
    a, b = two(REDIS_URL=r.url())
    for d in (a, b):
        healthy(d)
    with_admin, with_ann = Stream(b, role=SESSIONS).head(), Stream(b, "ann", role=SESSIONS).head()
    server = a.api("ann").create_server("seen elsewhere", wait=False, auto_start=False)
    other = a.api("bob").create_server("not ann's", wait=False, auto_start=False)
    created = with_admin.wait_topic("server.created", server_id=server["server_id"])
    assert created["user_id"] == "ann" and created["timestamp"].startswith("20")
    with_admin.wait_topic("server.created", server_id=other["server_id"])
    with_ann.wait_topic("server.created", server_id=server["server_id"])
    assert not [e for e in with_ann.events if e["user_id"] != "ann"]
    # each event once, also in the process that published it
    at_home = Stream(a).head()
    third = a.api("ann").create_server("third", wait=False, auto_start=False)
    for s in (with_admin, at_home):
        s.wait_topic("server.created", server_id=third["server_id"])
        assert [e["server_id"] for e in s.events if e["topic"] == "server.created"].count(third["server_id"]) == 1
    # each process lists the others by name, and announces that it leaves
    for d in (a, b):
        role, = (b if d is a else a).roles
        until("the other role in readiness", lambda: role in redis_check(d)["message"])
    roles = [k for k in r.keys() if k.startswith("lucid:role:")]
    assert sorted(k.split(":")[2] for k in roles) == sorted([MANAGER, SESSIONS])
    assert all(0 < r.command("TTL", k) <= 15 for k in roles)
    b.stop()
    assert [k.split(":")[2] for k in r.keys() if k.startswith("lucid:role:")] == [MANAGER]
    until("it to be gone", lambda: redis_check(a)["message"] == "no other process is connected")


def message(seq, topic="server.status", **more):
    return json.dumps({"origin": OTHER, "seq": seq, "topic": topic, "object_id": "thing", "user_id": "", "time_ms": 1700000000000, "data": {}, **more})


def test_events_from_redis_are_checked(two, make_redis):
    """Events of a process that the test imitates: each is delivered once; anything else is dropped and counted."""
    r = make_redis()
    a, _ = two(REDIS_URL=r.url(5))
    healthy(a)
    stream = Stream(a).head()

    def say(text, channel="lucid:events:5"):
        assert r.command("PUBLISH", channel, text) == 2
    before = metrics(a)['rdp_redis_events_total{kind="malformed"}']
    strange = ["", "{", "[]", "null", "{}", message(0), message(-1), message("1"), message(1, origin="short"), message(1, origin="G" * 16),
               message(1, origin=None), message(1, topic=""), message(1, topic="bus.gap"), message(1, topic="a\nb"), message(1, topic="x" * 300),
               message(1, data=[]), message(1, data=None), message(1, object_id=7), message(1, user_id="a\x00b"), message(1, viewer_id="a\nb"), message(1, viewer_id=7), message(1, time_ms=-5),
               message(1, data={"x": "y" * 70000}), b"\xff\xfe", "[" * 1000, message(1, time_ms=1.5), '{"origin":"%s","seq":99999999999999999999}' % OTHER]
    for text in strange:
        say(text)
    say("{}", "lucid:beats:5")
    say("nonsense", "lucid:beats:5")
    for seq in (7, 7, 6, 8, 8):
        say(message(seq, "played." + str(seq)))
    say(message(9, "played.end"))
    end = stream.wait_topic("played.end")
    assert end["object_id"] == "thing" and end["timestamp"] == "2023-11-14T22:13:20.000Z"
    assert [t for t in stream.topics() if t.startswith("played.")] == ["played.7", "played.8", "played.end"]
    assert metrics(a)['rdp_redis_events_total{kind="malformed"}'] - before == len(strange) + 2
    # a beat names it; control characters in the name must not break a line
    say(json.dumps({"origin": OTHER, "seq": 9, "node": "n\n\x1b[2Jode", "roles": ["r" * 500, 7]}), "lucid:beats:5")
    until("the imitated process in readiness", lambda: "invalid name" in redis_check(a)["message"])
    say(json.dumps({"origin": OTHER, "here": False}), "lucid:beats:5")
    until("the imitated process to be forgotten", lambda: "invalid name" not in redis_check(a)["message"])


def test_missed_changes_are_polled_after_an_outage(make_daemon, make_redis):
    """While Redis is unreachable, an instance fails on the agent's host; the manager sees it when Redis returns, not only with the next poll."""
    r = make_redis()
    settings = {**KEYS, "REDIS_URL": r.url(), "HEALTH_CHECK_INTERVAL": "3600"}
    manager, agent = (make_daemon(start=False, roles=[role], **settings) for role in (MANAGER, AGENT))
    point(manager, AGENT, agent)
    agent.ids = manager.ids
    agent.start()
    manager.start()
    for d in (manager, agent):
        healthy(d)
    admin = manager.admin
    first, second = (admin.create_server(name, restart_policy="never") for name in ("first", "second"))
    manager.ids.update((first["server_id"], second["server_id"]))
    # by an event through Redis
    proc.kill_one(admin.instance(first["server_id"])["pids"]["sesman"])
    until("failed", lambda: admin.server(first["server_id"])["status"] == "failed", 10)
    r.kill()
    unhealthy(manager, "travel over REST")
    proc.kill_one(admin.instance(second["server_id"])["pids"]["sesman"])
    until("the agent to have seen it", lambda: agent.api("admin", AGENT).instance(second["server_id"])["status"] == "failed", 10)
    r.start()
    until("failed", lambda: admin.server(second["server_id"])["status"] == "failed", 10)


# --- Redis unreachable

def test_redis_dies_and_returns(two, make_redis):
    r = make_redis()
    a, b = two(REDIS_URL=r.url(), **LIMITS)
    for d in (a, b):
        healthy(d)
    assert asks(a, "ann", BURST) == BURST and asks(b, "ann", 3) == 0
    r.kill()
    for d in (a, b):
        unhealthy(d, "counted per process")
    # each process counts limits itself, and everything else works
    assert asks(a, "bob", BURST + 5) == BURST == asks(b, "bob", BURST + 5)
    admin = a.admin
    sid = admin.create_server("without redis", wait=False, auto_start=False)["server_id"]
    assert admin.server(sid)["name"] == "without redis"
    r.start()
    for d in (a, b):
        healthy(d)
    assert asks(a, "cid", BURST) + asks(b, "cid", BURST) == BURST
    stream = Stream(b, role=SESSIONS).head()
    admin.call("DELETE", f"{SERVERS}/{sid}", expect=204)
    stream.wait_topic("server.deleted", server_id=sid)
    assert metrics(a)['rdp_redis_reconnects_total{link="commands"}'] >= 1


def test_redis_freezes(two, make_redis):
    """A Redis that keeps its connections but answers nothing: requests do not wait long, and the connection is given up."""
    r = make_redis()
    a, b = two(REDIS_URL=r.url(), **LIMITS)
    for d in (a, b):
        healthy(d)
    r.freeze()
    try:
        assert asks(a, "ann", BURST + 5) == BURST
        for d in (a, b):
            unhealthy(d)
        assert asks(a, "bob", BURST + 5) == BURST
        counted = metrics(a)
        # after the first timeout no request waits again
        assert 1 <= counted['rdp_rate_limit_shared_total{outcome="late"}'] + counted['rdp_rate_limit_shared_total{outcome="failed"}'] <= 3
        assert "has not answered" in a.log()
    finally:
        r.thaw()
    for d in (a, b):
        healthy(d)
    assert asks(a, "cid", BURST) + asks(b, "cid", BURST) == BURST


def test_redis_loses_its_data(two, make_redis):
    """Scripts and keys are lost: the script is sent again, buckets start full, and the roles appear again."""
    r = make_redis()
    a, b = two(REDIS_URL=r.url(), **LIMITS)
    for d in (a, b):
        healthy(d)
    for _ in range(3):
        r.flush_scripts()
        assert asks(a, "ann", 1) == 1
    assert asks(a, "ann", BURST - 3) + asks(b, "ann", 3) == BURST - 3
    r.flush()
    assert asks(b, "ann", 3) == 3
    until("the roles to be there again", lambda: len([k for k in r.keys() if k.startswith("lucid:role:")]) == 2, 10)
    counted = metrics(a)
    assert counted['rdp_rate_limit_shared_total{outcome="failed"}'] == 0 and counted['rdp_redis_reconnects_total{link="commands"}'] == 0


def test_redis_refuses_the_script(two, make_redis):
    """A Redis that refuses the script reports why; limits are counted here, and readiness reports it."""
    r = make_redis()
    a, _ = two(REDIS_URL=r.url(), **LIMITS)
    healthy(a)
    r.command("CONFIG", "SET", "maxmemory", "1")  # from here on writes are refused
    assert asks(a, "ann", BURST + 5) == BURST
    unhealthy(a, "limits are counted per process", "OOM")
    r.command("CONFIG", "SET", "maxmemory", "0")
    assert asks(a, "bob", 2) == 2
    healthy(a)


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def resident_kb(pid):
    return int(proc.status(pid)["VmRSS"].split()[0])


def test_a_hundred_faults(two, make_redis):
    r = make_redis()
    a, _ = two(REDIS_URL=r.url(), **{**LIMITS, "RATE_LIMIT_BURST_SIZE": "1000000"})
    pid = a.process.pid

    def up():
        m = metrics(a)
        return m['rdp_redis_up{link="commands"}'] == 1 == m['rdp_redis_up{link="events"}'] and m['rdp_redis_pending{link="commands"}'] <= 1

    def freeze():
        r.freeze()
        asks(a, "ann", 2)
        until("the connection to be given up", lambda: metrics(a)['rdp_redis_up{link="commands"}'] == 0, 10)
        r.thaw()

    faults = [lambda: r.command("CLIENT", "KILL", "TYPE", "normal"), lambda: r.command("CLIENT", "KILL", "TYPE", "pubsub"), r.flush_scripts,
              r.restart, r.flush, lambda: r.command("CLIENT", "KILL", "TYPE", "normal"), r.flush_scripts, freeze, r.flush,
              lambda: r.command("CLIENT", "KILL", "TYPE", "pubsub")]

    def run(n):
        for i in range(n):
            faults[i % len(faults)]()
            assert asks(a, "ann", 2) == 2
            until("both connections", up, 10)
    run(20)  # start-up cost
    fds, kb = descriptors(pid), resident_kb(pid)
    lost = metrics(a)
    run(100)
    healthy(a)
    now = metrics(a)
    assert sum(now[f'rdp_redis_reconnects_total{{link="{k}"}}'] - lost[f'rdp_redis_reconnects_total{{link="{k}"}}'] for k in ("commands", "events")) >= 60
    until(f"no more than {fds} descriptors", lambda: descriptors(pid) <= fds, 5)
    if MEASURE:
        assert resident_kb(pid) - kb < 1024, f"{kb} kB before, {resident_kb(pid)} kB after"


# --- settings

def test_refusals_of_redis_are_reported(make_daemon, make_redis):
    """A wrong password or database: the program runs, readiness and the log report why, and no secret is shown."""
    r = make_redis(password="the right one")
    for url, words in ((r.url(password="the-wrong-one"), ("password", "WRONGPASS")), (r.url(99), ("database", "out of range")),
                       (r.url(password=""), ("requires a password",)), ("redis://no-such-host.invalid", ("does not resolve",)),
                       ("unix:/nonexistent/redis.sock", ("is unreachable",))):
        d = make_daemon(roles=[MANAGER], REDIS_URL=url, **KEYS)
        said = unhealthy(d, *words)
        until("a line of the log", lambda: all(w in d.log() for w in words))
        d.admin.get(SERVERS)
        for text in (said, d.log(), d.run("check-config").stdout):
            assert "the-wrong-one" not in text and "the right one" not in text and "the%20right" not in text
        d.stop()


@pytest.mark.parametrize("settings, words", [
    ({"REDIS_URL": "rediss://:hidden@db"}, ("REDIS_URL", "no TLS")),
    ({"RATE_LIMIT_STORAGE_URL": "rediss://:hidden@db"}, ("RATE_LIMIT_STORAGE_URL", "no TLS")),
    ({"REDIS_URL": "redis://:hidden@db/abc"}, ("REDIS_URL", "the database must be a number")),
    ({"REDIS_URL": "http://:hidden@db"}, ("REDIS_URL", "redis:// or unix:")),
    ({"REDIS_URL": "redis://hidden@db"}, ("REDIS_URL", "a user without a password")),
    ({"REDIS_URL": "redis://:hidden@db", "REDIS_MAX_CONNECTIONS": "1"}, ("REDIS_MAX_CONNECTIONS", "need 2")),
    ({"REDIS_URL": "redis://:hidden@db", "RATE_LIMIT_STORAGE_URL": "redis://:hidden@db/1", "REDIS_MAX_CONNECTIONS": "2"}, ("REDIS_MAX_CONNECTIONS", "need 3")),
])
def test_invalid_redis_settings_are_refused(make_daemon, settings, words):
    d = make_daemon(start=False, **settings)
    r = d.run("check-config")
    text = r.stdout + r.stderr
    assert r.returncode != 0 and all(w in text for w in words) and "hidden" not in text, text


def test_redis_on_localhost_in_a_container_is_refused(make_daemon):
    """In a container with its own network, localhost is the container."""
    d = make_daemon(start=False)
    alone = ["unshare", "-mn", "sh", "-c", 'mount -t sysfs none /sys && ip link add c0 type veth && exec "$@"', "sh"]
    for url, code in (("redis://:hidden@localhost", 78), ("redis://127.0.0.9:1/2", 78), ("redis://[::1]", 78), ("redis://db", 0), ("unix:/run/r", 0)):
        r = subprocess.run([*alone, BIN, "check-config"], env={**d.env, "container": "test", "REDIS_URL": url}, capture_output=True, text=True,
                           timeout=20, check=False)
        text = r.stdout + r.stderr
        assert (r.returncode != 0) == (code != 0), text
        assert ("inside a container is the container" in text) == (code != 0) and "hidden" not in text


def test_no_redis_without_a_setting(make_daemon):
    """No connection, no counter, and no more turns of the loop than without any other setting."""
    d = make_daemon(roles=[MANAGER], **KEYS)
    check = redis_check(d)
    assert check["status"] == "disabled" and not check["degraded"]
    assert not [name for name in metrics(d) if "redis" in name or "shared" in name]
    pid, sockets = d.process.pid, []
    for fd in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):  # it belonged to a request that has ended
            link = os.readlink(f"/proc/{pid}/fd/{fd}")
            sockets += [link[8:-1]] if link.startswith("socket:") else []
    rows = [line.split() for line in (proc.read("/proc/net/tcp") or "").splitlines()[1:]]
    connected = [row for row in rows if row[9] in sockets and row[3] != "0A" and not row[1].endswith(f":{d.ports[MANAGER]:04X}")]
    assert not connected
