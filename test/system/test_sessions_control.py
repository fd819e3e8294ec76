"""Sessions over the API: declared and joined with a login, changed, ended, and deleted."""
import csv
import io
import time

import pytest

import proc
import shapes
from lucid import AGENT, MANAGER, SERVERS, SESSIONS, XRDP, Api, token_for
from proc import until
from test_events import Stream
from test_sessions_life import BLUE, LIST, ended, listed, session_of

UNKNOWN = "sess-0123456789abcdef"


def error(answer):
    return answer.json()["error"]


@pytest.mark.shapes
def test_login_is_joined_with_the_oldest_declaration(daemon, users, login):
    user, = users(1, daemon)
    user.paint(BLUE)
    mine = daemon.api(user.name, SESSIONS)
    server = daemon.api(user.name).create_server("declared")
    body = {"server_id": server["server_id"], "name": "drawing", "limits": {"idle_timeout": 600},
            "metadata": {"project": "bridge", "environment": "test", "tags": ["cad"]}, "recording_config": {"enabled": False, "frame_rate": 10}}
    answer = mine.call("POST", LIST, body, expect=201)
    first = answer.json()
    assert answer.headers["Location"] == f"{LIST}/{first['session_id']}"
    assert first["status"] == "created" and first["declared"] and first["metadata"]["owner"] == user.name
    second = mine.call("POST", LIST, {"server_id": server["server_id"]}, expect=201).json()
    assert mine.get(f"{LIST}/{first['session_id']}/connection")["port"] == server["port"]
    file = mine.call("GET", f"{LIST}/{first['session_id']}/rdp-file", expect=200)
    assert f":{server['port']}\r\n" in file.text and user.name in file.text
    assert file.headers["Content-Type"].startswith("application/x-rdp") and "drawing.rdp" in file.headers["Content-Disposition"]
    login(daemon, server, user).wait_colour(BLUE)
    joined = until("the login to be joined", lambda: (lambda s: s if s["status"] == "active" else None)(mine.get(f"{LIST}/{first['session_id']}")))
    assert joined["name"] == "drawing" and joined["username"] == user.name and joined["display"] and joined["started_at"]
    assert mine.get(f"{LIST}/{second['session_id']}")["status"] == "created"
    assert [s["session_id"] for s in listed(daemon, query="?project=bridge&environment=test&status=active")] == [first["session_id"]]
    figures = mine.get(f"{LIST}/{first['session_id']}/statistics")
    assert figures["connections"] == 1 and figures["connected_ms"] > 0 and figures["agent"] == "available"
    until("bytes of the open connection", lambda: mine.get(f"{LIST}/{first['session_id']}/statistics")["bytes_out"] > 0)
    statistics = mine.get(f"{LIST}/{first['session_id']}/statistics")
    connection, = daemon.api("admin", AGENT).get(f"{XRDP}/instances/{server['server_id']}/connections")["connections"]
    assert 0 < statistics["latency_ms"] < 60000 and 0 < connection["latency_ms"] < 60000  # of loopback, on a busy machine
    assert mine.get(f"{LIST}/{second['session_id']}/statistics")["latency_ms"] is None
    summary = mine.get(LIST + "/summary")
    assert summary["live"] == 2 and summary["by_status"]["active"] == 1 and summary["by_user"] == [{"user_id": user.name, "sessions": 2}]

    # changed
    changed = mine.call("PATCH", f"{LIST}/{first['session_id']}", {"description": "the bridge", "limits": None, "metadata": {"project": "tunnel"}}, expect=200).json()
    assert changed["description"] == "the bridge" and changed["limits"] is None
    assert changed["metadata"] == {"project": "tunnel", "environment": "test", "tags": ["cad"], "owner": user.name}
    assert mine.call("PUT", f"{LIST}/{first['session_id']}", changed, expect=200).json()["version"] == changed["version"]
    mine.call("PATCH", f"{LIST}/{first['session_id']}", {"name": "x"}, headers={"If-Match": '"1"'}, expect=412)
    assert error(mine.call("PATCH", f"{LIST}/{first['session_id']}", {"status": "expired"}, expect=422))["code"] == "LUCID_ERR_0005"

    # ended by its user: the client sees it, and no process is left
    of_it = [p for p in proc.marked(user_ids={user.uid}) if f"DISPLAY=:{joined['display']}" in (proc.read(f"/proc/{p}/environ") or "")]
    assert of_it
    client = daemon.clients[-1]
    over = mine.call("POST", f"{LIST}/{first['session_id']}/terminate", {"reason": "done for today"}, expect=200).json()
    assert over["status"] == "terminated" and over["ended"]["display"] == joined["display"] and over["processes"] >= len(of_it)
    assert not [proc.describe(p) for p in of_it if proc.alive(p)]
    until("the client to disconnect", lambda: not client.connected)
    now = mine.get(f"{LIST}/{first['session_id']}")
    assert now["status_reason"] == "done for today" and now["ended_by"] == user.name and now["client_address"] is None
    assert error(mine.call("POST", f"{LIST}/{first['session_id']}/terminate", {}, expect=409))["code"] == "LUCID_ERR_2202"
    mine.call("GET", f"{LIST}/{first['session_id']}/connection", expect=409)

    def timeline():
        return [(e["event"], e["by"]) for e in mine.get(f"{LIST}/{first['session_id']}/timeline")["events"]]
    until("the end in the timeline", lambda: timeline()[-1] == ("terminated", user.name))
    events = timeline()
    assert events[:2] == [("created", user.name), ("started", None)]
    assert ("updated", user.name) in events

    # deleted
    mine.call("DELETE", f"{LIST}/{first['session_id']}", expect=204)
    mine.call("GET", f"{LIST}/{first['session_id']}", expect=404)
    mine.call("POST", f"{LIST}/{second['session_id']}/terminate", {}, expect=200)
    assert ended(daemon, second)["status_reason"] == "terminated"


@pytest.mark.shapes
def test_disconnecting_keeps_the_desktop_and_deleting_ends_it(daemon, users, login):
    user, = users(1, daemon)
    user.paint(BLUE)
    mine = daemon.api(user.name, SESSIONS)
    server = daemon.api(user.name).create_server("cut")
    client = login(daemon, server, user)
    client.wait_colour(BLUE)
    session = session_of(daemon, server, "active")
    path = f"{LIST}/{session['session_id']}"
    cut = mine.call("POST", path + "/terminate?mode=disconnect", {}, expect=200).json()
    assert cut["ended"] is None and [c["id"] for c in cut["cut"]] == [session["connection_id"]]
    until("the client to disconnect", lambda: not client.connected)
    assert session_of(daemon, server, "disconnected")["session_id"] == session["session_id"]
    assert error(mine.call("POST", path + "/terminate?mode=disconnect", {}, expect=409))["code"] == "LUCID_ERR_2202"
    assert daemon.admin.desktops(server["server_id"])
    mine.call("DELETE", path, expect=204)
    assert daemon.admin.desktops(server["server_id"]) == []
    mine.call("GET", path, expect=404)
    time.sleep(1.5)  # no event of the end makes another session of it
    assert listed(daemon) == []


@pytest.mark.shapes
def test_terminating_many_says_what_became_of_each(daemon, users, login):
    anna, ben = users(2, daemon)
    server = daemon.api(anna.name).create_server("both")
    other = daemon.admin.create_server("third")
    for user, where in ((anna, server), (ben, server), (ben, other)):
        user.paint(BLUE)
        login(daemon, where, user).wait_colour(BLUE)
    until("all three", lambda: len(listed(daemon, query="?status=active")) == 3)
    admin = daemon.api("admin", SESSIONS)
    dry = admin.call("POST", f"{LIST}/terminate?dry_run=true&server_id={server['server_id']}", {}, expect=200).json()
    assert dry["dry_run"] and dry["matched"] == 2 and dry["ended"] == 0 and {r["outcome"] for r in dry["results"]} == {"would_end"}
    assert len(listed(daemon, query="?status=active")) == 3
    # the owner of the server ends those on it, and no others
    done = daemon.api(anna.name, SESSIONS).call("POST", f"{LIST}/terminate", {"reason": "maintenance"}, expect=200).json()
    assert done["matched"] == done["ended"] == 2 and {r["outcome"] for r in done["results"]} == {"ended"}
    assert {s["status_reason"] for s in listed(daemon, query=f"?server_id={server['server_id']}")} == {"maintenance"}
    left, = listed(daemon, query="?status=active")
    assert left["server_id"] == other["server_id"]
    assert daemon.admin.desktops(server["server_id"]) == []
    daemon.api(anna.name, SESSIONS).call("POST", f"{LIST}/{left['session_id']}/terminate", {}, expect=404)


def test_bad_declarations_are_refused(make_daemon):
    d = make_daemon(MAX_SESSIONS_PER_USER="2", MAX_CONCURRENT_SESSIONS="3")
    server = d.api("anna").create_server("one", auto_start=False)
    anna, sid = d.api("anna"), server["server_id"]
    for body, field in (({}, "server_id"), ({"server_id": "x"}, "server_id"), ({"server_id": sid, "status": "active"}, "status"),
                        ({"server_id": sid, "user_id": "ben"}, "user_id"), ({"server_id": sid, "limits": {"idle_timeout": -1}}, "limits.idle_timeout"),
                        ({"server_id": sid, "recording_config": {"frame_rate": 100}}, "recording_config.frame_rate"),
                        ({"server_id": sid, "rdp_config": {"host": "192.0.2.1"}}, "server_id"), ({"server_id": sid, "colour": "red"}, "colour")):
        details = error(anna.call("POST", LIST, body, expect=422))["details"]
        assert field in [x["field"] for x in details], (body, details)
    assert error(anna.call("POST", LIST, {"server_id": "0b2c5c0e-6d2b-4c8e-9a57-2f3a1d4e5f60"}, expect=404))["code"] == "LUCID_ERR_2001"
    d.api("ben").call("POST", LIST, {"server_id": sid}, expect=404)  # another's server stays invisible
    denied = Api(d.url(), token_for("anna", can_create_sessions=False)).call("POST", LIST, {"server_id": sid}, expect=403)
    assert "can_create_sessions" in error(denied)["message"]
    # quotas
    key = {"Idempotency-Key": "first"}
    one = anna.call("POST", LIST, {"server_id": sid}, headers=key, expect=201).json()
    assert anna.call("POST", LIST, {"server_id": sid}, headers=key, expect=201).json() == one
    anna.call("POST", LIST, {"server_id": sid}, expect=201)
    over = error(anna.call("POST", LIST, {"server_id": sid}, expect=429))
    assert over["code"] == "LUCID_ERR_2008" and "MAX_SESSIONS_PER_USER" in over["message"]
    d.admin.call("POST", LIST, {"server_id": sid, "user_id": "carl", "name": "=1+1", "metadata": {"project": "a,\"b"}}, expect=201)
    over = error(d.admin.call("POST", LIST, {"server_id": sid, "user_id": "dora"}, expect=429))
    assert over["code"] == "LUCID_ERR_2008" and "MAX_CONCURRENT_SESSIONS" in over["message"]
    anna.call("DELETE", f"{LIST}/{one['session_id']}", expect=204)
    anna.call("POST", LIST, {"server_id": sid}, expect=201)
    for method, tail in (("GET", ""), ("PATCH", ""), ("DELETE", ""), ("POST", "/terminate"), ("GET", "/timeline"), ("GET", "/statistics"),
                         ("GET", "/connection"), ("GET", "/rdp-file")):
        answer = anna.call(method, f"{LIST}/{UNKNOWN}{tail}", {} if method in ("PATCH", "POST") else None, expect=404)
        assert error(answer)["code"] == "LUCID_ERR_2201", (method, tail)
    assert d.admin.get(f"{XRDP}/instances")["instances"] == []


@pytest.mark.shapes
def test_list_as_csv_has_all_sessions(make_daemon):
    d = make_daemon(MAX_SESSIONS_PER_USER="2000", MAX_CONCURRENT_SESSIONS="2000", RATE_LIMIT_ENABLED="false")
    anna = d.api("anna", SESSIONS)
    more = 520 if shapes.SHAPE == "one" else 20  # more than a page of the export; a creation on MongoDB takes long here
    sids = [d.api("anna").create_server(f"many {n}", auto_start=False, wait=False, desktop={"max_sessions": 50})["server_id"] for n in range(more // 50 + 1)]
    sid = sids[-1]
    anna.call("POST", LIST, {"server_id": sid, "name": "=1+1", "metadata": {"project": "a,\"b"}}, expect=201)
    d.admin.call("POST", LIST, {"server_id": sid, "user_id": "carl"}, expect=201)
    for n in range(more):
        anna.call("POST", LIST, {"server_id": sids[n // 50]}, expect=201)
    for api in (anna, d.api("anna")):  # through the port of another role, too
        answer = api.call("GET", LIST + "?format=csv&sort=created_at", expect=200)
        assert answer.headers["Content-Type"].startswith("text/csv")
        rows = list(csv.DictReader(io.StringIO(answer.content.decode(), newline="")))
        assert len(rows) == len({r["session_id"] for r in rows}) == more + 2
        assert rows[0]["name"] == "'=1+1" and rows[0]["project"] == 'a,"b' and rows[0]["status"] == "created" and rows[0]["display"] == ""
    assert len(d.api("carl", SESSIONS).call("GET", LIST + "?format=csv", expect=200).text.splitlines()) == 2
    assert d.api("carl").get(LIST)["pagination"]["total"] == 1  # as a document from another port
    anna.call("GET", LIST + "?format=xml", expect=422)


@pytest.mark.shapes
def test_user_of_a_session_connects_to_a_server_of_another_owner(daemon, users, login):
    anna, ben = users(2, daemon)
    server = daemon.api(anna.name).create_server("hers")
    sid = server["server_id"]
    waiting = daemon.admin.call("POST", LIST, {"server_id": sid, "user_id": ben.name}, expect=201).json()
    path = f"{LIST}/{waiting['session_id']}"
    his = daemon.api(ben.name, SESSIONS)
    told = his.get(path + "/connection")
    assert (told["port"], told["username"], told["status"], told["server_status"]) == (server["port"], ben.name, "created", "running")
    assert set(told) == {"session_id", "server_id", "host", "port", "security_layer", "min_tls", "certificate_fingerprint", "username", "domain", "status",
                         "server_status"}
    file = his.call("GET", path + "/rdp-file", expect=200).text
    assert f":{server['port']}\r\n" in file and f"username:s:{ben.name}\r\n" in file
    for who in (anna.name, "admin"):  # whoever asks, it is the account of the session's user
        assert daemon.api(who, SESSIONS).get(path + "/connection")["username"] == ben.name
    # nothing else of the server is his, and the session is nobody else's
    daemon.api(ben.name).call("GET", f"{SERVERS}/{sid}", expect=404)
    daemon.api(ben.name).call("GET", f"{SERVERS}/{sid}/connection", expect=404)
    daemon.api(anna.name).call("GET", f"{SERVERS}/{sid}/connection?user_id={ben.name}", expect=422)
    for tail in ("/connection", "/rdp-file"):
        assert error(daemon.api("carl", SESSIONS).call("GET", path + tail, expect=404))["code"] == "LUCID_ERR_2201"
    ben.paint(BLUE)
    login(daemon, server, ben).wait_colour(BLUE)
    until("the login to be joined", lambda: his.get(path)["status"] == "active")
    assert his.get(path + "/connection")["username"] == ben.name


@pytest.mark.shapes
def test_owner_of_a_server_receives_the_events_of_its_sessions(daemon, users, login):
    """anna owns the server on which ben works; carl has nothing to do with it. Whichever process a client asks."""
    ben, = users(1, daemon)
    ben.paint(BLUE)
    server = daemon.api("anna").create_server("hers")
    streams = {(who, role): Stream(daemon, who, "?topics=session.*", role=role).head() for who in ("anna", ben.name, "carl") for role in (SESSIONS, MANAGER)}
    login(daemon, server, ben).wait_colour(BLUE)
    session = session_of(daemon, server, "active", "anna")
    sid = session["session_id"]
    daemon.api("anna", SESSIONS).call("POST", f"{LIST}/{sid}/terminate", {}, expect=200)
    daemon.api("anna", SESSIONS).call("DELETE", f"{LIST}/{sid}", expect=204)
    for (who, _), stream in streams.items():
        if who != "carl":
            stream.wait_topic("session.deleted", session_id=sid, user_id=ben.name)
            assert {"session.terminated", "session.deleted"} <= set(stream.topics())
            for event in stream.events:
                assert set(event) == {"id", "topic", "timestamp", "session_id", "user_id", "data"} and event["session_id"] == sid
    for role in (SESSIONS, MANAGER):
        assert not streams["carl", role].take(0.5) or not streams["carl", role].events
        resumed = Stream(daemon, "anna", "?topics=session.*", role=role, last=streams["anna", role].events[0]["id"]).head()
        resumed.wait_topic("session.deleted", session_id=sid)
        resumed.close()
    for stream in streams.values():
        stream.close()


@pytest.mark.shapes
def test_owner_of_a_server_has_its_sessions_and_nobody_elses(daemon, users, login):
    """anna owns a server on which ben works; carl owns another one, and works nowhere."""
    ben, = users(1, daemon)
    ben.paint(BLUE)
    hers, his = daemon.api("anna").create_server("hers"), daemon.api("carl").create_server("his", wait=False, auto_start=False)
    client = login(daemon, hers, ben)
    client.wait_colour(BLUE)
    session = session_of(daemon, hers, "active", "anna")
    path = f"{LIST}/{session['session_id']}"
    assert session["user_id"] == ben.name
    routes = (("GET", "", None), ("PATCH", "", {"name": "mine"}), ("PUT", "", {"name": "mine"}), ("DELETE", "", None), ("POST", "/terminate", {}),
              ("POST", "/terminate?mode=disconnect", {}), ("POST", "/message", {"text": "boo"}), ("GET", "/connection", None), ("GET", "/rdp-file", None),
              ("GET", "/statistics", None), ("GET", "/timeline", None))
    carl, anna = daemon.api("carl", SESSIONS), daemon.api("anna", SESSIONS)
    unknown = {m + t: error(carl.call(m, f"{LIST}/{UNKNOWN}{t}", b, expect=404))["message"] for m, t, b in routes}
    for method, tail, body in routes:  # not told from one that does not exist
        refused = error(carl.call(method, path + tail, body, expect=404))
        assert refused["code"] == "LUCID_ERR_2201" and refused["message"] == unknown[method + tail], (method, tail, refused)
    for query in ("", f"?server_id={hers['server_id']}", f"?user_id={ben.name}"):
        assert listed(daemon, "carl", query) == []
        assert carl.call("POST", f"{LIST}/terminate{query}", {}, expect=200).json()["matched"] == 0
    assert carl.get(LIST + "/summary")["live"] == 0 and len(carl.call("GET", LIST + "?format=csv", expect=200).text.splitlines()) == 1
    for who in ("carl", "anna", ben.name):
        daemon.api(who, SESSIONS).call("POST", LIST + "/broadcast", {"text": "boo"}, expect=403)
    carl.call("POST", LIST, {"server_id": hers["server_id"]}, expect=404)
    assert client.connected and anna.get(path)["version"] == session["version"]
    # the owner of the server does what carl may not
    for method, tail, body in routes:
        if method != "DELETE" and not tail.startswith("/terminate"):
            anna.call(method, path + tail, body, expect=200)
    anna.call("POST", path + "/terminate", {"reason": "closing time"}, expect=200)
    until("the client to disconnect", lambda: not client.connected)
    over = daemon.api(ben.name, SESSIONS).get(path)  # he sees what became of it, and who did it
    assert (over["status_reason"], over["ended_by"]) == ("closing time", "anna")
    assert his["server_id"] not in str(listed(daemon, "anna"))
