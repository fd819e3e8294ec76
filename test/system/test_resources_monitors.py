"""Two monitors on one store: both answer with the same figures, and each server is in the metrics of one of them. When that one is killed, the other
exports it."""
import pytest

from lucid import AGENT, MANAGER, MONITOR, SERVERS, URLS
from proc import until
from test_apart import apart  # noqa: F401  (a fixture)
from test_managers import mongo  # noqa: F401  (a fixture)
from test_resources import BASE, gauges

pytestmark = pytest.mark.one_shape("processes that it makes itself")
GAUGES = ("rdp_cpu_usage_percent", "rdp_memory_usage_percent", "rdp_network_in_kbps", "rdp_network_out_kbps")
RATES = ("cpu_percent", "cpu_core_percent", "memory_percent", "net_in_kbps", "net_out_kbps")


@pytest.fixture
def scene(mongo, apart):  # noqa: F811
    """Two monitors, a manager and an agent, and a running server."""
    made = apart([MONITOR], [MONITOR], [MANAGER], [AGENT], start=False, MONGODB_URL=mongo.url(), METRICS_INTERVAL="1")
    *pair, manager, agent = made
    for d in pair:
        d.settings[URLS[MONITOR]] = None  # neither forwards to the other one
    agent.settings["NODE_URL"] = agent.url(AGENT)
    for d in reversed(made):
        d.start()
    until("the node", lambda: [n["status"] for n in manager.admin.get("/api/v1/rdp/nodes")["nodes"]] == ["ready"], 20)
    server = manager.admin.create_server("seen by both")
    manager.ids.add(server["server_id"])
    return pair, manager, server


def usage(d, server):
    return d.api("admin", MONITOR).get(f"{BASE}/servers/{server['server_id']}/usage")


def known(d, server):
    u = usage(d, server)
    return u if all(u[rate] is not None for rate in RATES) and u["sampled_at"] else None


def exporting(pair, server, name=GAUGES[0]):
    return [d for d in pair if server["server_id"] in gauges(d, name)]


def test_each_monitor_knows_the_rates_and_one_exports_them(scene):
    pair, manager, server = scene
    for d in pair:
        api = d.api("admin", MONITOR)
        until("the rates of the server", lambda d=d: known(d, server))
        node = until("the rates of the node", lambda api=api: (lambda n: n if n["sampled_at"] else None)(api.get(f"{BASE}/nodes/{server['node']}/usage")))
        assert node["net_in_kbps"] is not None
        assert [s["server_id"] for s in api.get(f"{BASE}/top?by=cpu")["items"]] == [server["server_id"]]
        totals = api.get(f"{BASE}/usage")["totals"]
        assert totals["cpu_core_percent"] is not None and totals["servers"] == 1
    for name in GAUGES:
        until("one of them to export the server", lambda n=name: len(exporting(pair, server, n)) == 1)
    dead, = exporting(pair, server)
    other, = [d for d in pair if d is not dead]
    dead.kill(dead.process.pid)
    assert known(other, server)
    until("the other one to export the server", lambda: exporting([other], server), 20)
    manager.admin.delete(f"{SERVERS}/{server['server_id']}?force=true")
    until("the series of the deleted server to disappear", lambda: not exporting([other], server), 20)
