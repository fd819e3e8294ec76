"""Several server-managers on one MongoDB, with one agent: no port is assigned twice, no operation runs twice, and when one is killed, another
completes what it had begun."""
import re
from concurrent.futures import ThreadPoolExecutor

import pytest

import proc
from lucid import AGENT, MANAGER, SERVERS, URLS, XRDP, free_ports
from mongo import MongoServer
from proc import until
from test_apart import apart  # noqa: F401  (a fixture)
from test_events import Stream

pytestmark = pytest.mark.one_shape("processes that it makes itself")



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
            d.settings[URLS[MANAGER]] = None  # no manager forwards to another one
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
    """The number of instances that the agent has started."""
    text = agent.api(None, AGENT).call("GET", "/metrics", expect=200).text
    return int(float(re.search(r"^rdp_instance_starts_total (\S+)", text, re.M).group(1)))


def test_creations_at_two_managers(beside):
    a, b, _ = beside(ports=24)
    n = 24

    def create(i, name):
        return lambda: (a, b)[i % 2].admin.call("POST", SERVERS, {"name": name, "auto_start": False}, expect=(201, 409, 503))
    answers = at_once(*[create(i, f"n{i}") for i in range(n)])
    assert [r.status_code for r in answers] == [201] * n, [r.text for r in answers if r.status_code != 201]
    assert len({r.json()["port"] for r in answers}) == n
    a.ids.update(r.json()["server_id"] for r in answers)
    # both see that the port range is used up
    for d in (a, b):
        assert d.admin.call("POST", SERVERS, {"name": "one more", "auto_start": False}, expect=503).json()["error"]["code"] == "LUCID_ERR_2007"
        assert len(d.admin.list_servers()) == n
    # a server is deleted at one manager: once that is answered, the other does not have it either, and only one of them assigns its port and name
    gone = answers[0].json()
    a.admin.delete(f"{SERVERS}/{gone['server_id']}")
    b.admin.call("GET", f"{SERVERS}/{gone['server_id']}", expect=404)
    again = at_once(*[create(i, "the same") for i in range(2)])
    assert sorted(r.status_code for r in again) in ([201, 409], [201, 503])
    assert len(a.admin.list_servers()) == len(b.admin.list_servers()) == n


def test_server_is_started_once(beside):
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
    # the second finds it gone, or on its way and waits
    assert sorted(deleted) in ([204, 204], [204, 404])
    assert [d.admin.call("GET", path).status_code for d in (a, b)] == [404, 404]


def test_operations_of_a_killed_manager_are_completed(beside):
    """Another manager completes within 10 s what it had begun; every acknowledged write is there."""
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
    # it starts again with all servers, and both continue
    a.start()
    assert sorted(s["server_id"] for s in a.admin.list_servers()) == sorted(s["server_id"] for s in b.admin.list_servers())
    a.admin.call("POST", f"{SERVERS}/{idle[0]['server_id']}/stop?wait=true", expect=200)
    assert b.admin.server(idle[0]["server_id"])["status"] == "stopped"
    # killed while its servers run: the other one sees an instance that dies
    b.kill(b.process.pid)
    sid = made[0]["server_id"]
    agent.api("admin", AGENT).delete(f"{XRDP}/instances/{sid}?force=true")
    until("it to run again", lambda: agent.api("admin", AGENT).call("GET", f"{XRDP}/instances/{sid}").status_code == 200, 20)
    until("running", lambda: a.admin.server(sid)["status"] == "running", 10)
    b.start()


def test_change_of_a_node_is_published_once(beside, make_redis):
    """Both managers see it, and one publishes it: the one that has the lease by then."""
    a, b, agent = beside(ports=4, REDIS_URL=make_redis().url())
    for d in (a, b):
        until("the other role in readiness", lambda d=d: MANAGER in d.admin.call("GET", "/health/ready").text)
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
