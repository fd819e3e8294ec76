"""Quotas on two hosts: the sessions on one count for logins on the other."""
import pytest

import hosts
import mongo
from lucid import AGENT, MANAGER, SERVERS, SESSIONS, URLS
from proc import until
from relay import Relay
from shapes import KEYS

pytestmark = pytest.mark.one_shape("processes that it makes itself")

BLUE, LIST = "#3366cc", "/api/v1/sessions"


@pytest.fixture
def scene():
    """Two hosts with agents, and one with the manager and the controller; a user may have two sessions."""
    with mongo.MongoServer() as server, hosts.Net() as net, Relay(server.port, stores := net.host("stores")) as relay:
        front = net.host("front")
        manager, controller = (front.daemon([role], start=False, range_size=1, **KEYS) for role in (MANAGER, SESSIONS))
        agents = [net.host(name).daemon([AGENT], start=False, range_size=6, **KEYS) for name in ("one", "two")]
        url, made = f"mongodb://{stores.address}:{relay.port}/quotas", [*agents, manager, controller]
        for d in made:
            d.ids = made[0].ids
            d.settings.update({"MONGODB_URL": url, "HEALTH_CHECK_INTERVAL": "1", "PORT_RANGE_START": str(agents[0].range[0]),
                               "PORT_RANGE_END": str(agents[0].range[1]), "MAX_SESSIONS_PER_USER": "2"})
            for role, other in ((MANAGER, manager), (SESSIONS, controller)):
                if d is not other:
                    d.settings[URLS[role]] = other.url()
            d.settings["NODE_URL" if d in agents else URLS[AGENT]] = d.url() if d in agents else agents[0].url()
            d.start()
        yield net, manager, controller, agents
        for client in manager.clients:
            client.close()
        manager.remove_servers()
        for d in reversed(made):
            d.stop()


def test_sessions_of_another_host_count(scene, pool):
    net, manager, controller, agents = scene
    anna, bert = pool.get(2)
    for d in agents:
        d.accounts = [anna, bert]
    until("both agents", lambda: len(manager.admin.get("/api/v1/rdp/nodes")["nodes"]) == 2)
    office = net.host("office")
    servers = []
    for name in ("one", "two", "two"):
        servers.append(manager.admin.create_server(f"number {len(servers)}", node=name))
        manager.ids.add(servers[-1]["server_id"])

    def login(number, account):
        account.paint(BLUE)
        server = servers[number]
        client = office.client(agents[0 if server["node"] == "one" else 1].host, server["port"], account)
        manager.clients.append(client)
        return client

    def refusals():
        lines = [line for s in servers for line in manager.admin.get(f"{SERVERS}/{s['server_id']}/logs?lines=500")["lines"]]
        return [line for line in lines if "refused login of" in line]
    login(0, anna).wait_colour(BLUE)
    sessions = controller.api("admin", SESSIONS)
    sessions.call("POST", LIST, {"server_id": servers[1]["server_id"], "user_id": anna.name}, expect=201)
    until("her sessions", lambda: len(sessions.get(f"{LIST}?user_id={anna.name}")["sessions"]) == 2)
    # at her bound, two of one: a session on the other host, and a declaration on another server of this one
    login(2, anna)
    line, = until("the refusal", refusals, 60)
    assert anna.name in line and "MAX_SESSIONS_PER_USER" in line and agents[1].admin.desktops(servers[2]["server_id"]) == []
    login(1, anna).wait_colour(BLUE)  # takes the declaration
    login(2, bert).wait_colour(BLUE)
    assert len(refusals()) == 1
