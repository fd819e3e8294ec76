"""Sessions as the store has them, and usage as the agents report it: in one process, and in three."""
import pytest

from lucid import AGENT, MANAGER, MONITOR, SERVERS, SESSIONS
from proc import until
from test_apart import apart  # noqa: F401  (a fixture)

LIST, USAGE = "/api/v1/sessions", "/api/v1/resources/usage"
BLUE = "#3366cc"


@pytest.fixture(params=["as it is", pytest.param("three", marks=pytest.mark.one_shape("processes that it makes itself"))])
def shape(request, make_daemon, apart):  # noqa: F811
    """The manager, the role that lists sessions, the role that has the metrics, and the agent."""
    if request.param == "as it is":
        d = make_daemon()
        return d, d, d, d
    manager, agent, rest = apart([MANAGER], [AGENT], [SESSIONS, MONITOR])
    return manager, rest, rest, agent


@pytest.mark.shapes
def test_sessions_and_figures(shape, users, login):
    manager, sessions, monitor, agent = shape
    user, = users(1, manager, agent)
    user.paint(BLUE)
    admin = manager.admin
    mine = manager.api(user.name)
    assert sessions.api("admin", SESSIONS).get(LIST) == {
        "sessions": [], "unreachable": [],
        "pagination": {"page": 1, "limit": 20, "offset": 0, "total": 0, "pages": 0, "has_next": False, "has_previous": False}}
    server = mine.create_server("watched")
    other = admin.create_server("another's", user_id="somebody-else")
    for s in (server, other):
        manager.ids.add(s["server_id"])
    login(manager, server, user).wait_colour(BLUE)
    login(manager, other, user).wait_colour(BLUE)

    def listed(who, query="", role=SESSIONS):
        return sessions.api(who, role).get(LIST + query)["sessions"]
    both = until("both sessions with their clients",
                 lambda: (lambda s: s if len(s) == 2 and all(x["client_address"] for x in s) else None)(listed("admin", "?sort=created_at")))
    one = both[0]
    desktop, = admin.desktops(server["server_id"])
    expected = {"user_id": user.name, "server_id": server["server_id"], "node": server["node"], "username": user.name,
                "client_address": desktop["client_address"], "display": desktop["display"], "status": "active",
                "started_at": desktop["started_at"], "declared": False, "visible_to": [user.name], "status_reason": None, "stopped_at": None}
    assert {k: one[k] for k in expected} == expected
    assert one["session_id"].startswith("sess-") and one["metadata"]["owner"] == user.name
    assert listed(user.name, "?sort=created_at") == both
    assert listed("somebody-else") == [both[1]] and both[1]["visible_to"] == [user.name, "somebody-else"]  # on a server of its own
    path = f"{LIST}/{one['session_id']}"
    assert sessions.api(user.name, SESSIONS).get(path) == one
    sessions.api("somebody-else", SESSIONS).call("GET", path, expect=404)
    sessions.api("admin", SESSIONS).call("GET", f"{LIST}/sess-0123456789abcdef", expect=404)
    tag = sessions.api("admin", SESSIONS).call("GET", path, expect=200).headers["ETag"]
    sessions.api("admin", SESSIONS).call("GET", path, headers={"If-None-Match": tag}, expect=304)
    assert [s["server_id"] for s in listed("admin", f"?server_id={other['server_id']}")] == [other["server_id"]]
    assert [s["server_id"] for s in listed("admin", "?limit=1&page=2&sort=-created_at")] == [server["server_id"]]
    assert listed("admin", "?status=disconnected") == [] and listed("admin", "?node=no-such-host") == []
    assert manager.admin.get(LIST + "?sort=created_at")["sessions"] == both  # through any port

    usage = monitor.api("admin", MONITOR).get(USAGE)
    host, = usage["nodes"]
    assert host["node"] == server["node"] and host["cores"] >= 1 and host["servers"] == 2
    assert host["memory_total_bytes"] > host["memory_used_bytes"] > 0 and host["disk"]["total_bytes"] > 0
    by_name = {s["name"]: s for s in usage["servers"]}
    assert set(by_name) == {"watched", "another's"} and by_name["watched"]["user_id"] == user.name
    assert by_name["watched"]["bytes_out"] > 0 and by_name["watched"]["sessions"]["active"] == 1
    assert usage["totals"]["servers"] == 2 and usage["totals"]["sessions"]["active"] == 2 and usage["unreachable"] == []
    own = monitor.api(user.name, MONITOR).get(USAGE)
    assert [s["name"] for s in own["servers"]] == ["watched"] and "nodes" not in own
    assert own["totals"]["servers"] == 1 and own["totals"]["sessions"]["active"] == 1
    for where in (LIST, USAGE):
        sessions.api(None, SESSIONS).call("GET", where, expect=401)
    sessions.api("admin", SESSIONS).call("GET", LIST + "?status=asleep", expect=422)


@pytest.mark.one_shape("processes that it makes itself")
def test_unreachable_agent_is_named(apart):  # noqa: F811
    """The response names a host that does not answer, and has the rows of the others."""
    manager, agent, rest = apart([MANAGER], [AGENT], [SESSIONS, MONITOR])
    server = manager.admin.create_server("cut off")
    agent.stop()
    for where, role, what in ((LIST, SESSIONS, "sessions"), (USAGE, MONITOR, "servers")):
        answer = until(f"the host to be named in {where}",
                       lambda: (lambda a: a if a["unreachable"] else None)(rest.api("admin", role).get(where)))
        assert answer["unreachable"] == ["testnode"] and answer[what] == []
    # without the server-manager too: metrics are available without names, but users get none, because ownership is unknown
    agent.start()
    until("it to run", lambda: manager.admin.server(server["server_id"])["status"] == "running", 20)
    manager.ids.add(server["server_id"])
    path = f"{SERVERS}/{server['server_id']}"
    manager.stop()
    usage, = until("its figures", lambda: rest.api("admin", MONITOR).get(USAGE)["servers"], 10)
    assert usage["server_id"] == server["server_id"] and usage["name"] is None
    assert rest.api("anna", MONITOR).call("GET", USAGE, expect=503).json()["error"]["code"] == "LUCID_ERR_0010"
    manager.start()
    manager.admin.delete(path + "?force=true")
