"""Responses that are merged from several hosts: four agents, of which one is frozen and one unreachable. The rows of the others arrive in
time, and the response names the missing hosts."""
import contextlib
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

import hosts
import mongo
from faults import HEALED_S
from lucid import AGENT, MANAGER, MONITOR, SERVERS, SESSIONS, URLS, XRDP
from proc import until
from relay import Relay
from shapes import KEYS

pytestmark = pytest.mark.one_shape("processes that it makes itself")

NAMES = ("one", "two", "three", "four")
FROZEN, APART = "two", "three"
BLUE = "#3366cc"
# requests whose responses are merged from all hosts
WHOLE = {"sessions": (SESSIONS, "/api/v1/sessions?limit=100"), "usage": (MONITOR, "/api/v1/resources/usage"), "servers": (MANAGER, SERVERS)}
CLIENT_S = 60  # how long the test waits for a response; without a bound in the program, none would come


@pytest.fixture
def database():
    with mongo.MongoServer() as server:
        yield server


class Scene:
    """The roles that are called on one host, four agents on their own hosts, and the store on a sixth."""

    def __init__(self, net, url):
        self.net = net
        self.front = net.host("front")
        self.roles = {role: self.front.daemon([role], start=False, range_size=1, **KEYS) for role in (MANAGER, SESSIONS, MONITOR)}
        self.agents = {name: net.host(name).daemon([AGENT], start=False, range_size=12, **KEYS) for name in NAMES}
        first, made = self.agents[NAMES[0]], [*self.agents.values(), *self.roles.values()]
        for d in made:
            d.ids = made[0].ids
            d.settings.update({"MONGODB_URL": url, "HEALTH_CHECK_INTERVAL": "1", "PORT_RANGE_START": str(first.range[0]),
                               "PORT_RANGE_END": str(first.range[1]), "REQUEST_TIMEOUT": "20"})
            d.settings.update({URLS[role]: e.url() for role, e in self.roles.items() if e is not d})
            if d.roles[0] == AGENT:
                d.settings["NODE_URL"] = d.url()
            else:
                d.settings[URLS[AGENT]] = first.url()
            d.start()

    def ask(self, what, token="admin"):
        """The whole response."""
        role, path = WHOLE[what]
        return self.roles[role].api(token).get(path, timeout=CLIENT_S)

    def all_there(self):
        return all(self.ask(what)["unreachable"] == [] for what in WHOLE)

    def end(self):
        """Removes the servers while the store runs; leaks are checked later."""
        manager = self.roles[MANAGER]
        for client in manager.clients:
            client.close()
        manager.remove_servers()
        for d in [*self.roles.values(), *self.agents.values()]:
            d.stop()

    @contextlib.contextmanager
    def harmed(self):
        agent = self.agents[FROZEN]
        pids = [agent.supervisor, agent.server_pid()]
        away = (self.front, self.agents[APART].host)
        self.net.apart(*away)
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)
            self.net.together(*away)


@pytest.fixture
def scene(database):
    with hosts.Net() as net:
        stores = net.host("stores")
        with Relay(database.port, stores) as relay:
            found = Scene(net, f"mongodb://{stores.address}:{relay.port}/many")
            yield found
            found.end()


def test_two_of_four_hosts_are_unreachable(scene, pool):
    user, = pool.get(1)
    user.paint(BLUE)
    scene.agents["one"].accounts = [user]
    admin = scene.roles[MANAGER].admin
    until("four nodes", lambda: [n["status"] for n in admin.get("/api/v1/rdp/nodes")["nodes"]] == ["ready"] * len(NAMES), 20)
    made = {name: admin.create_server(name, node=name) for name in NAMES}
    for name in ("one", FROZEN):
        client = scene.front.client(scene.agents[name].host, made[name]["port"], user)
        scene.roles[MANAGER].clients.append(client)
        client.wait_colour(BLUE)
    pids = {name: scene.agents[name].admin.instance(s["server_id"])["pids"] for name, s in made.items()}
    until("two desktops", lambda: sorted(s["node"] for s in scene.ask("sessions")["sessions"]) == ["one", FROZEN])
    assert scene.all_there()

    def partial(what):
        """The rows of the other hosts, and the names of the missing ones."""
        def lacks_both():
            answer = scene.ask(what)
            return answer if sorted(answer["unreachable"]) == sorted([FROZEN, APART]) else None
        # sessions are stored: their hosts are named once a comparison with them has failed
        doc = until("both hosts to be named", lacks_both, HEALED_S) if what == "sessions" else lacks_both()
        assert doc, what
        if what == "sessions":
            assert sorted(s["node"] for s in doc["sessions"]) == ["one", FROZEN]  # as they were last seen
        elif what == "usage":
            assert sorted(n["node"] for n in doc["nodes"]) == sorted(s["name"] for s in doc["servers"]) == ["four", "one"]
            assert doc["totals"]["servers"] == 2 and doc["totals"]["sessions"]["active"] == 1
        else:
            assert {s["name"]: s["sessions"]["active"] for s in doc["servers"]} == {**dict.fromkeys(NAMES, 0), "one": 1}
    with scene.harmed(), ThreadPoolExecutor(len(WHOLE)) as threads:
        for _ in range(3):
            list(threads.map(partial, WHOLE))
        # a user without objects on any host is told too, and a reachable host answers for itself
        assert sorted(scene.ask("sessions", "nobody")["unreachable"]) == sorted([FROZEN, APART])
        assert scene.agents["four"].admin.instance(made["four"]["server_id"])["pids"] == pids["four"]
        until("the node to be unreachable", lambda: admin.get(f"/api/v1/rdp/nodes/{FROZEN}")["status"] == "unreachable", 30)
        list(threads.map(partial, WHOLE))
    healed = time.monotonic()
    until("all to be there again", scene.all_there, HEALED_S)
    print(f"all there {time.monotonic() - healed:.1f} s after")
    assert sorted(s["node"] for s in scene.ask("sessions")["sessions"]) == ["one", FROZEN]
    until("servers as they were", lambda: {(s["status"], s["status_reason"]) for s in admin.list_servers()} == {("running", None)}, HEALED_S)
    for name, s in made.items():
        listed, = scene.agents[name].admin.get(XRDP + "/instances")["instances"]
        assert (listed["server_id"], listed["pids"], listed["restarts"]) == (s["server_id"], pids[name], 0)
