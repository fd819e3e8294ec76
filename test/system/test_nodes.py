"""Several hosts on one store: agents in processes of their own, each with its own directories, ports and node name, and a manager that finds
them through the store alone."""
import os
import signal

import pytest

import proc
from lucid import ROLES, SERVERS, XRDP
from mongo import MongoServer
from proc import until

pytestmark = pytest.mark.one_shape("processes that it makes itself")

MANAGER, AGENT = ROLES[:2]
NODES = "/api/v1/rdp/nodes"
KEYS = {"MASTER_KEY": "a master key for tests alone, of more than 32 bytes"}
LOST = 40  # longer than the time after which a silent node is unreachable


@pytest.fixture
def database():
    server = MongoServer().start()
    yield server
    server.end()


@pytest.fixture
def hosts(database, make_daemon):
    """hosts("one", "two"): a manager, and an agent for each of these nodes."""
    def make(*names):
        common = {"MONGODB_URL": database.url("nodes"), "HEALTH_CHECK_INTERVAL": "2", **KEYS}
        manager = make_daemon(start=False, roles=[MANAGER], NODE_NAME="front", **common)
        agents = [make_daemon(start=False, roles=[AGENT], NODE_NAME=name, NODE_PUBLIC_HOST=f"{name}.example.org", **common)
                  for name in names]
        for d in agents:
            d.ids = manager.ids
            d.start()
        manager.start()
        for name in names:
            until(f"node {name}", lambda n=name: status(manager, n) == "ready", 20)
        return manager, agents
    return make


def status(manager, node):
    r = manager.admin.call("GET", f"{NODES}/{node}")
    return r.json()["status"] if r.status_code == 200 else r.status_code


def create(manager, name, **fields):
    server = manager.admin.create_server(name, **fields)
    manager.ids.add(server["server_id"])
    assert server["status"] == "running"
    return server


def instances(agent):
    return {i["server_id"] for i in agent.api("admin", AGENT).get(XRDP + "/instances")["instances"]}


def node_check(d):
    return d.api(None, d.roles[0]).call("GET", "/health/ready", timeout=6).json()["checks"]["node"]


def test_servers_live_on_their_node(hosts, users, login):
    manager, (one, two) = hosts("one", "two")
    user, = users(1, manager, one, two)
    user.paint("#3366cc")
    admin = manager.admin
    listed = {n["node"]: n for n in admin.get(NODES)["nodes"]}
    assert set(listed) == {"one", "two"}  # the host of the manager has no agent, so it is no node
    assert listed["two"]["url"] == two.url(AGENT) and listed["two"]["host"] == "two.example.org"
    assert listed["two"]["capacity"]["cores"] == os.cpu_count()
    for d in (one, two):  # they listen on 127.0.0.1 only, although there is another host
        until("the warning", lambda d=d: "NODE_URL" in node_check(d)["message"])

    there = create(manager, "there", node="two")
    assert there["node"] == "two" and there["host"] == "two.example.org"
    assert instances(two) == {there["server_id"]} and not instances(one)
    login(manager, there, user).wait_colour("#3366cc")
    until("its desktop in the list", lambda: admin.list_servers()[0]["sessions"]["active"] == 1)
    # here both nodes are on one machine: a port that one uses belongs to another process for the other, whose agent reports it
    admin.call("POST", SERVERS, {"name": "same", "node": "one", "port": there["port"]}, expect=409)

    # by label, on the node with the most free capacity
    admin.call("PUT", f"{NODES}/one", {"labels": ["gpu=yes"]}, expect=200)
    until("the label", lambda: admin.call("POST", f"{SERVERS}?labels=gpu%3Dyes", {"name": "by-label", "auto_start": False}).status_code == 201)
    labelled, = [s for s in admin.list_servers() if s["name"] == "by-label"]
    assert labelled["node"] == "one"
    refused = admin.call("POST", f"{SERVERS}?labels=gpu%3Dno", {"name": "no"}, expect=422).json()
    assert refused["error"]["details"][0]["field"] == "labels"

    # a node that is full or drains gets no more servers
    admin.call("PUT", f"{NODES}/two", {"draining": True}, expect=200)
    until("two to drain", lambda: status(manager, "two") == "draining")
    assert create(manager, "here")["node"] == "one"
    refused = admin.call("POST", SERVERS, {"name": "no", "node": "two"}, expect=409).json()
    assert "draining" in refused["error"]["message"]
    admin.call("DELETE", f"{SERVERS}/{there['server_id']}?force=true", expect=204)
    assert not instances(two)


def test_host_that_leaves_and_returns(hosts):
    manager, (one, two) = hosts("one", "two")
    admin = manager.admin
    server = create(manager, "there", node="two")
    sid = server["server_id"]
    before = two.api("admin", AGENT).get(f"{XRDP}/instances/{sid}")["pids"]
    two.kill(two.supervisor)
    until("it to be unreachable", lambda: status(manager, "two") == "unreachable", LOST)
    until("the server to be unreachable", lambda: admin.server(sid)["status_reason"] == "node_unreachable", 10)
    assert admin.server(sid)["status"] == "running" and proc.alive(before["xrdp"])
    assert not instances(one)  # its servers are not started on another node
    for verb, path in (("POST", "/stop"), ("POST", "/restart"), ("GET", "/config")):
        r = admin.call(verb, f"{SERVERS}/{sid}{path}", expect=503)
        assert "two" in r.json()["error"]["message"]
    assert admin.get(f"{SERVERS}/{sid}/status")["agent"] == "away"
    admin.call("POST", SERVERS, {"name": "no", "node": "two"}, expect=503)
    assert create(manager, "else")["node"] == "one"
    two.start()  # at once, with its identity
    until("it to be ready", lambda: status(manager, "two") == "ready", 20)
    until("the server to be as it was", lambda: admin.server(sid)["status_reason"] is None, 10)
    assert two.api("admin", AGENT).get(f"{XRDP}/instances/{sid}")["pids"] == before
    # the agent's entry in the store may be newer than the manager's connection to it: 503 says when it is tried again
    until("the stop", lambda: admin.call("POST", f"{SERVERS}/{sid}/stop?wait=true", expect=(200, 503)).status_code == 200, 10, 0.5)
    until("it to end", lambda: not proc.alive(before["xrdp"]))


def test_two_agents_with_one_name(hosts, make_daemon):
    manager, (one,) = hosts("one")
    create(manager, "first")
    other = make_daemon(start=False, **{**one_settings(one), "NODE_PUBLIC_HOST": "other.example.org"})
    other.ids = manager.ids
    other.start()
    check = until("the refusal", lambda: (lambda c: c if "node name one" in c["message"] else None)(node_check(other)))
    assert check["status"] == "unhealthy" and one.url(AGENT) in check["message"]
    assert check["message"] in other.log()
    refused = other.api("admin", AGENT).call("GET", XRDP + "/instances", expect=503).json()["error"]
    assert "NODE_NAME" in refused["message"]
    assert manager.admin.get(f"{NODES}/one")["host"] == "one.example.org"
    create(manager, "second")
    assert len(instances(one)) == 2
    # the first is frozen: the other one takes over the name after a while, and the first gives way when it continues
    server = one.server_pid()
    os.kill(server, signal.SIGSTOP)
    try:
        until("the other to have the name", lambda: manager.admin.get(f"{NODES}/one")["host"] == "other.example.org", LOST)
    finally:
        os.kill(server, signal.SIGCONT)
    until("the first to be refused", lambda: "NODE_NAME" in node_check(one)["message"], 20)
    other.stop()
    until("the name to be the first host's again", lambda: manager.admin.get(f"{NODES}/one")["host"] == "one.example.org", LOST)
    until("its servers to be reached", lambda: all(s["status_reason"] is None and s["status"] == "running"
                                                   for s in manager.admin.list_servers()), 20)


def one_settings(one):
    return {"roles": [AGENT], **{k: one.settings[k] for k in ("MONGODB_URL", "HEALTH_CHECK_INTERVAL", "NODE_NAME", "MASTER_KEY")}}
