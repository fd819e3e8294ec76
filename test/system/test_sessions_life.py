"""The life of a session, followed on real desktops: found, left, taken up again, ended, and told from every other one."""
import pytest

from events import Events
from lucid import AGENT, MANAGER, MONITOR, SERVERS, SESSIONS, XRDP
from proc import until
from test_apart import apart  # noqa: F401  (a fixture)

LIST = "/api/v1/sessions"
BLUE = "#3366cc"


def listed(d, who="admin", query=""):
    return d.api(who, SESSIONS).get(LIST + query)["sessions"]


def session_of(d, server, status, who="admin"):
    """The only session of the server that has not ended; waits until it has the status."""
    def found():
        all_of_it = [s for s in listed(d, who, f"?server_id={server['server_id']}") if not s["stopped_at"]]
        assert len(all_of_it) <= 1, all_of_it
        return all_of_it[0] if all_of_it and all_of_it[0]["status"] == status else None
    return until(f"a session that is {status}", found)


def ended(d, session, status="terminated"):
    return until(f"its end as {status}",
                 lambda: (lambda s: s if s["status"] == status else None)(d.api("admin", SESSIONS).get(f"{LIST}/{session['session_id']}")))


@pytest.mark.shapes
def test_reconnecting_keeps_the_session(daemon, users, login):
    user, = users(1, daemon)
    user.paint(BLUE)
    server = daemon.api(user.name).create_server("followed")
    client = login(daemon, server, user)
    client.wait_colour(BLUE)
    first = session_of(daemon, server, "active", user.name)
    assert first["statistics"]["connections"] == 1 and first["connection_id"]
    client.close()
    away = session_of(daemon, server, "disconnected", user.name)
    assert away["session_id"] == first["session_id"] and away["client_address"] is None and away["connection_id"] is None
    until("its bytes", lambda: session_of(daemon, server, "disconnected")["statistics"]["bytes_out"] > 0)
    login(daemon, server, user).wait_colour(BLUE)
    again = session_of(daemon, server, "active", user.name)
    assert again["session_id"] == first["session_id"] and again["started_at"] == first["started_at"]
    statistics = again["statistics"]
    assert statistics["connections"] == 2 and statistics["reconnects"] == 1
    assert statistics["connected_ms"] > 0 and statistics["disconnected_ms"] > 0
    daemon.admin.delete(f"{XRDP}/instances/{server['server_id']}/desktops/{again['display']}")
    over = ended(daemon, again)
    assert over["status_reason"] == "ended" and over["stopped_at"] and over["display"] == first["display"]
    assert listed(daemon, query="?status=active") == []
    # the same display again is another session
    login(daemon, server, user).wait_colour(BLUE)
    other = session_of(daemon, server, "active", user.name)
    assert other["session_id"] != first["session_id"]
    assert {s["status"] for s in listed(daemon)} == {"active", "terminated"}


@pytest.mark.shapes
def test_two_users_on_one_server_have_sessions_of_their_own(daemon, users, login):
    anna, ben = users(2, daemon)
    server = daemon.api(anna.name).create_server("shared", security={})
    for user in (anna, ben):
        user.paint(BLUE)
        login(daemon, server, user).wait_colour(BLUE)
    both = until("both", lambda: (lambda s: s if len(s) == 2 and all(x["status"] == "active" for x in s) else None)(listed(daemon)))
    assert {s["user_id"] for s in both} == {anna.name, ben.name} and len({s["session_id"] for s in both}) == 2
    assert len(listed(daemon, anna.name)) == 2  # the server is hers
    own, = listed(daemon, ben.name)
    assert own["user_id"] == ben.name and own["visible_to"] == [ben.name, anna.name]
    # stopping the server ends both
    daemon.api(anna.name).call("POST", f"{SERVERS}/{server['server_id']}/stop?wait=true&force=true", expect=(200, 202))
    for s in both:
        assert ended(daemon, s)["status_reason"]


@pytest.mark.one_shape("a crash of its processes")
def test_a_killed_server_process_finds_the_truth_again(daemon, users, login):
    stays, goes = users(2, daemon)
    server = daemon.api(stays.name).create_server("survivor")
    clients = []
    for user in (stays, goes):
        user.paint(BLUE)
        clients.append(login(daemon, server, user))
        clients[-1].wait_colour(BLUE)
    both = until("both", lambda: (lambda s: s if len(s) == 2 and all(x["status"] == "active" for x in s) else None)(listed(daemon)))
    by_user = {s["user_id"]: s for s in both}
    pid = daemon.server_pid()
    daemon.kill(pid)
    clients[1].close()  # while nobody sees it
    until("readiness", daemon.ready, 20)
    until("the one that left", lambda: daemon.admin.get(f"{LIST}/{by_user[goes.name]['session_id']}")["status"] == "disconnected")
    assert daemon.admin.get(f"{LIST}/{by_user[stays.name]['session_id']}")["status"] == "active"
    assert len(listed(daemon)) == 2
    page = daemon.api(None, SESSIONS).call("GET", "/metrics").text
    assert 'rdp_sessions_total{status="active"} 1' in page and 'rdp_sessions_total{status="disconnected"} 1' in page


@pytest.mark.one_shape("processes of one instance")
def test_orphaned_desktop_is_told_apart(daemon, users, login):
    user, = users(1, daemon)
    user.paint(BLUE)
    server = daemon.api(user.name).create_server("orphans", restart_policy="always")
    login(daemon, server, user).wait_colour(BLUE)
    session = session_of(daemon, server, "active")
    daemon.kill(daemon.admin.instance(server["server_id"])["pids"]["sesman"])
    orphan = session_of(daemon, server, "orphaned")
    assert orphan["session_id"] == session["session_id"]
    daemon.admin.delete(f"{XRDP}/instances/{server['server_id']}/desktops/{orphan['display']}")
    ended(daemon, orphan)


def test_events_follow_the_life_of_a_session(daemon, users, login):
    user, = users(1, daemon)
    user.paint(BLUE)
    server = daemon.api(user.name).create_server("told")
    with Events(daemon, "session.*") as events:
        client = login(daemon, server, user)
        client.wait_colour(BLUE)
        made, started = events.next(), events.next()
        assert (made["topic"], started["topic"]) == ("session.created", "session.started")
        assert started["session_id"] == made["session_id"] and started["user_id"] == user.name
        assert started["data"]["status"] == "active" and started["data"]["server_id"] == server["server_id"]
        client.close()
        assert events.next()["topic"] == "session.disconnected"
        login(daemon, server, user).wait_colour(BLUE)
        assert events.next()["topic"] == "session.reconnected"
        daemon.admin.call("POST", f"{LIST}/{made['session_id']}/terminate", {"reason": "enough"}, expect=200)
        over = events.next()
        assert over["topic"] == "session.terminated" and over["data"]["reason"] == "enough"
    page = daemon.api(None, SESSIONS).call("GET", "/metrics").text
    assert "\nrdp_sessions_created_total 1\n" in page and "\nrdp_sessions_terminated_total 1\n" in page
    assert 'rdp_sessions_total{status="terminated"} 1' in page


@pytest.mark.one_shape("processes that it makes itself")
def test_end_without_an_agent_is_refused_and_possible_when_it_is_back(apart, users, login):  # noqa: F811
    manager, agent, rest = apart([MANAGER], [AGENT], [SESSIONS, MONITOR])
    user, = users(1, manager, agent)
    user.paint(BLUE)
    server = manager.api(user.name).create_server("silent")
    manager.ids.add(server["server_id"])
    login(manager, server, user).wait_colour(BLUE)
    session = session_of(rest, server, "active")
    path = f"{LIST}/{session['session_id']}"
    admin = rest.api("admin", SESSIONS)
    agent.stop()
    refused = admin.call("POST", path + "/terminate", {}, expect=(503, 504)).json()["error"]
    assert "nothing was ended" in refused["message"] and "testnode" in refused["message"], refused
    until("the host to be named", lambda: admin.get(LIST)["unreachable"] == ["testnode"])
    assert admin.get(path)["status"] == "active"  # as it was last seen
    agent.start()
    until("the host to answer", lambda: admin.get(LIST)["unreachable"] == [])
    assert session_of(rest, server, "active")["session_id"] == session["session_id"]
    assert admin.call("POST", path + "/terminate", {}, expect=200).json()["status"] == "terminated"
    assert agent.api("admin", AGENT).get(f"{XRDP}/instances/{server['server_id']}/desktops")["desktops"] == []
