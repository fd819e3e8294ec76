"""Server-managers side by side on one MongoDB, in front of one agent: no port twice, no operation twice, and when one is killed
the other goes on with what it had begun."""
import re
from concurrent.futures import ThreadPoolExecutor

import pytest

import proc
from lucid import ROLES, SERVERS, XRDP, free_ports
from mongo import MongoServer
from proc import until
from test_apart import URLS, apart  # noqa: F401  (a fixture)
from test_events import Stream

pytestmark = pytest.mark.one_shape("processes that it makes itself")

MANAGER, AGENT, SESSIONS, MONITOR = ROLES


@pytest.fixture
def mongo():
    with MongoServer() as m:
        yield m


@pytest.fixture
def beside(mongo, apart):  # noqa: F811
    """Two managers, or more, and the agent."""
    def make(ports=24, managers=2, **settings):
        first = free_ports(ports)
        made = apart(*[[MANAGER]] * managers, [AGENT], start=False, MONGODB_URL=mongo.url(), PORT_RANGE_START=str(first),
                     PORT_RANGE_END=str(first + ports - 1), MAX_CONCURRENT_SERVERS="1000", **settings)
        *beside_it, agent = made
        for d in beside_it:
            d.settings[URLS[MANAGER]] = None  # each answers for itself
        agent.settings["NODE_URL"] = agent.url(AGENT)
        for d in made:
            d.range = (first, first + ports - 1)
        for d in (agent, *beside_it):
            d.start()
        until("the node", lambda: all([n["status"] for n in d.admin.get("/api/v1/rdp/nodes")["nodes"]] == ["ready"] for d in beside_it), 20)
        return made
    return make


def at_once(*jobs):
    with ThreadPoolExecutor(len(jobs)) as pool:
        return [f.result() for f in [pool.submit(j) for j in jobs]]


def starts(agent):
    """Instances that the agent has started so far."""
    text = agent.api(None, AGENT).call("GET", "/metrics", expect=200).text
    return int(float(re.search(r"^rdp_instance_starts_total (\S+)", text, re.M).group(1)))


def test_creations(beside):
    a, b, _ = beside(ports=24)
    n = 24

    def create(i, name):
        return lambda: (a, b)[i % 2].admin.call("POST", SERVERS, {"name": name, "auto_start": False}, expect=(201, 409, 503))
    answers = at_once(*[create(i, f"n{i}") for i in range(n)])
    assert [r.status_code for r in answers] == [201] * n, [r.text for r in answers if r.status_code != 201]
    assert len({r.json()["port"] for r in answers}) == n
    a.ids.update(r.json()["server_id"] for r in answers)
    # the range is used up, at both
    for d in (a, b):
        assert d.admin.call("POST", SERVERS, {"name": "one more", "auto_start": False}, expect=503).json()["error"]["code"] == "LUCID_ERR_2007"
        assert len(d.admin.list_servers()) == n
    # one is deleted at one: it is gone at the other with that answer, and one alone gets its port and name
    gone = answers[0].json()
    a.admin.delete(f"{SERVERS}/{gone['server_id']}")
    b.admin.call("GET", f"{SERVERS}/{gone['server_id']}", expect=404)
    again = at_once(*[create(i, "the same") for i in range(2)])
    assert sorted(r.status_code for r in again) in ([201, 409], [201, 503])
    assert len(a.admin.list_servers()) == len(b.admin.list_servers()) == n


def test_one_start(beside):
    a, b, agent = beside(ports=6)
    server = a.admin.create_server("one", wait=False, auto_start=False)
    sid, path = server["server_id"], f"{SERVERS}/{server['server_id']}"
    a.ids.add(sid)
    for _ in range(3):
        answers = at_once(*[lambda d=d: d.admin.call("POST", f"{path}/start?wait=true", expect=200).json() for d in (a, b, a, b)])
        assert {x["status"] for x in answers} == {"running"}
        instances = agent.api("admin", AGENT).get(XRDP + "/instances")["instances"]
        assert [i["server_id"] for i in instances] == [sid] and instances[0]["restarts"] == 0
        pids = {x["pids"]["xrdp"] for x in (d.admin.get(path + "/status") for d in (a, b))}
        assert len(pids) == 1 and proc.alive(pids.pop())
        for x in at_once(*[lambda d=d: d.admin.call("POST", f"{path}/stop?wait=true", expect=200).json() for d in (a, b)]):
            assert x["status"] == "stopped"
    assert starts(agent) == 3
    assert a.admin.server(sid) == b.admin.server(sid)
    deleted = at_once(*[lambda d=d: d.admin.call("DELETE", path, expect=(204, 404)).status_code for d in (a, b)])
    assert sorted(deleted) == [204, 404]


def test_killed_in_the_middle(beside):
    """What it had begun is ended by the other, within 10 s; what it had said was done is there."""
    a, b, agent = beside(ports=12)
    idle = [a.admin.create_server(f"idle {i}", wait=False, auto_start=False) for i in range(3)]
    made = [a.admin.create_server(f"s{i}", wait=False) for i in range(5)]
    for s in idle:
        a.admin.call("POST", f"{SERVERS}/{s['server_id']}/start", expect=202)
    a.ids.update(s["server_id"] for s in idle + made)
    a.kill(a.process.pid)
    until("all of them to run", lambda: {s["status"] for s in b.admin.list_servers()} == {"running"}, 10)
    instances = agent.api("admin", AGENT).get(XRDP + "/instances")["instances"]
    assert sorted(i["server_id"] for i in instances) == sorted(s["server_id"] for s in idle + made)
    assert len({i["port"] for i in instances}) == len(instances) == starts(agent)
    # it comes back, with all of it, and both go on
    a.start()
    assert sorted(s["server_id"] for s in a.admin.list_servers()) == sorted(s["server_id"] for s in b.admin.list_servers())
    a.admin.call("POST", f"{SERVERS}/{idle[0]['server_id']}/stop?wait=true", expect=200)
    assert b.admin.server(idle[0]["server_id"])["status"] == "stopped"
    # killed while its own servers run: an instance that dies is seen by the other
    b.kill(b.process.pid)
    sid = made[0]["server_id"]
    agent.api("admin", AGENT).delete(f"{XRDP}/instances/{sid}?force=true")
    until("it to run again", lambda: agent.api("admin", AGENT).call("GET", f"{XRDP}/instances/{sid}").status_code == 200, 20)
    until("running", lambda: a.admin.server(sid)["status"] == "running", 10)
    b.start()


def test_what_becomes_of_a_node_is_said_once(beside, make_redis):
    """Both managers see it, and one says it; where the other has its lease by then, that one."""
    a, b, agent = beside(ports=4, REDIS_URL=make_redis().url())
    for d in (a, b):
        until("the other to be heard", lambda d=d: MANAGER in d.admin.call("GET", "/health/ready").text)
    name = a.admin.get("/api/v1/rdp/nodes")["nodes"][0]["node"]
    streams = [Stream(d).head() for d in (a, b)]

    def said():
        for s in streams:
            s.take(0.05)
        return [[e["data"]["status"] for e in s.events if e["topic"] == "node.status"] for s in streams]

    def hears(*words):
        until(f"{words}; heard {said()}", lambda: said() == [list(words)] * 2, 30)
    for n, draining in enumerate((True, False, True)):
        (a, b)[n % 2].admin.call("PUT", f"/api/v1/rdp/nodes/{name}", {"draining": draining}, expect=200)
        hears(*["draining", "ready", "draining"][:n + 1])
    agent.kill(agent.supervisor)
    hears("draining", "ready", "draining", "unreachable")
    agent.start()
    hears("draining", "ready", "draining", "unreachable", "draining")
