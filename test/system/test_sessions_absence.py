"""Sessions of a host that cannot be reached, and of one that was removed from the list of nodes, with its desktops still alive."""
import pytest

from lucid import AGENT, MANAGER, MONITOR, SESSIONS
from proc import until
from test_apart import apart  # noqa: F401  (a fixture)
from test_managers import mongo  # noqa: F401  (a fixture)
from test_sessions_life import BLUE, LIST, listed, session_of

pytestmark = pytest.mark.one_shape("processes that it makes itself")

LOST = 60  # a heartbeat may be missing for 15 s


def test_sessions_of_a_lost_host_say_so_and_end_when_it_is_removed(mongo, apart, users, login):  # noqa: F811
    manager, rest, agent = apart([MANAGER, MONITOR], [SESSIONS], [AGENT], start=False, MONGODB_URL=mongo.url(), HEALTH_CHECK_INTERVAL="1")
    agent.settings["NODE_URL"] = agent.url(AGENT)
    for d in (agent, manager, rest):
        d.start()
    until("the node", lambda: [n["status"] for n in manager.admin.get("/api/v1/rdp/nodes")["nodes"]] == ["ready"], 20)
    user, = users(1, manager, agent)
    user.paint(BLUE)
    server = manager.api(user.name).create_server("lost")
    manager.ids.add(server["server_id"])
    login(manager, server, user).wait_colour(BLUE)
    session = session_of(rest, server, "active")
    path, mine = f"{LIST}/{session['session_id']}", rest.api(user.name, SESSIONS)

    # the agent is gone, the desktop lives: what is known is shown, and what cannot be done is refused
    agent.stop()
    lost = until("the reason", lambda: (lambda s: s if s["status_reason"] == "node_unreachable" else None)(mine.get(path)), LOST)
    assert lost["status"] == "active" and lost["node"] == "testnode"
    assert mine.get(LIST)["unreachable"] == ["testnode"]
    until("the node to be known as unreachable", lambda: manager.admin.get("/api/v1/rdp/nodes/testnode")["status"] == "unreachable", LOST)
    for method, tail, body in (("DELETE", "", None), ("POST", "/terminate", {}), ("POST", "/terminate?mode=disconnect", {}), ("POST", "/message", {"text": "x"})):
        def refused(method=method, tail=tail, body=body):
            error = mine.call(method, path + tail, body, expect=503).json()["error"]
            return "testnode is unreachable" in error["message"] and error
        error = until("a refusal", refused, LOST)  # each process sees the missing heartbeat by itself
        assert error["code"] == "LUCID_ERR_0010" and "nothing was" in error["message"] and "retry" in error["message"], error
    many = rest.api("admin", SESSIONS).call("POST", LIST + "/terminate", {}, expect=200).json()
    assert [r["outcome"] for r in many["results"]] == ["failed"] and "unreachable" in many["results"][0]["message"]
    said = rest.api("admin", SESSIONS).call("POST", LIST + "/broadcast", {"text": "x"}, expect=200).json()
    assert [r["outcome"] for r in said["results"]] == ["failed"] and "unreachable" in said["results"][0]["message"]
    assert mine.get(path)["status"] == "active"

    # the host is removed: its sessions are not live for ever
    mongo.database()["nodes"].delete_one({"_id": "testnode"})
    over = until("its end", lambda: (lambda s: s if s["status"] == "terminated" else None)(mine.get(path)), LOST)
    assert over["status_reason"] == "node_removed" and over["stopped_at"]
    until("no host to be named", lambda: mine.get(LIST)["unreachable"] == [])
    assert listed(rest, query="?status=active") == []
    until("both in the timeline", lambda: [e["event"] for e in mine.get(path + "/timeline")["events"]][-2:] == ["unreachable", "terminated"])

    # it comes back all the same, with the desktop
    agent.start()
    back = until("the desktop's session", lambda: [s for s in listed(rest) if not s["stopped_at"]], LOST)
    assert [(s["session_id"], s["status"], s["status_reason"]) for s in back] == [(session["session_id"], "active", None)]
    assert mine.call("POST", path + "/terminate", {}, expect=200).json()["ended"]["display"] == session["display"]
    mine.call("DELETE", path, expect=204)
