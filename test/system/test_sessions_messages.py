"""Messages to the people in sessions, by session and by broadcast, seen in the pictures of their clients."""
import concurrent.futures
import os
import signal

import pytest

import proc
from lucid import SESSIONS
from proc import until
from test_messages import AMBER, PAPER, PATIENCE, ink
from test_sessions_control import UNKNOWN, error
from test_sessions_life import BLUE, LIST, ended, listed, session_of

TEXT = "Grüße 日本: der Rechner wird um 18:00 neu gestartet."


def sees_message(client):
    until("a message in the client's picture", lambda: client.picture().share(PAPER, 4) > 0.05, 20 * PATIENCE, 0.2)


def sees_none(client):
    return client.picture().share(PAPER, 4) < 0.001


def outcomes(answer):
    return {r["session_id"]: r["outcome"] for r in answer["results"]}


@pytest.fixture
def desk(daemon, users, login):
    """desk(owner): a server of this user with a session of an account of its own: (server, account, client, session)."""
    made = []

    def make(owner=None, server=None):
        user = users(len(made) + 1, daemon)[-1]
        made.append(user)
        user.paint(BLUE)
        server = server or daemon.api(owner or user.name).create_server(f"desk-{len(made)}")
        client = login(daemon, server, user, size=(800, 600))
        client.wait_colour(BLUE)
        session = until("the session", lambda: [s for s in listed(daemon, query=f"?server_id={server['server_id']}&status=active")
                                                if s["username"] == user.name])[0]
        return server, user, client, session
    return make


@pytest.mark.shapes
def test_message_is_seen_by_the_person_in_the_session(daemon, desk):
    server, ben, client, session = desk("anna")
    path = f"{LIST}/{session['session_id']}"
    assert sees_none(client) and ink(client) == 0
    owner = daemon.api("anna", SESSIONS)
    shown = owner.call("POST", path + "/message", {"text": TEXT, "level": "warning"}, expect=200).json()
    assert (shown["session_id"], shown["display"], shown["missing_characters"]) == (session["session_id"], session["display"], 0)
    assert session["started_at"] < shown["shown_at"] < shown["closes_at"]
    sees_message(client)
    until("the colour of a warning", lambda: client.picture().share(AMBER, 20) > 0.002, 10, 0.2)
    assert ink(client) > 200
    if os.environ.get("PICTURE"):
        client.save(f"{os.environ['PICTURE']}-session.png")

    # who may: the session's own user and admins, too; for others the session does not exist
    daemon.api(ben.name, SESSIONS).call("POST", path + "/message", {"text": "a note to me"}, expect=200)
    daemon.api("admin", SESSIONS).call("POST", path + "/message", {"text": "from the admin"}, expect=200)
    for who, where in (("carl", path), ("admin", f"{LIST}/{UNKNOWN}")):
        assert error(daemon.api(who, SESSIONS).call("POST", where + "/message", {"text": "x"}, expect=404))["code"] == "LUCID_ERR_2201"

    # recorded: in the timeline without the text, and in the audit log
    told = [("message", "warning", "anna"), ("message", "info", ben.name), ("message", "info", "admin")]
    until("all in the timeline", lambda: [(e["event"], e["reason"], e["by"]) for e in owner.get(path + "/timeline")["events"] if e["event"] == "message"] == told)
    entries = until("their entries", lambda: (lambda e: e if len(e) == 3 else None)(
        daemon.api("admin", SESSIONS).get("/api/v1/audit?action=sessions.message&outcome=ok")["entries"]))
    assert {e["actor"] for e in entries} == {"anna", ben.name, "admin"}
    assert {e["object"] for e in entries} == {session["session_id"]} and "Rechner" not in str(entries)

    # the desktop has an allowance, whoever sends
    for n in range(3):
        owner.call("POST", path + "/message", {"text": f"message {n}"}, expect=200)
    refused = error(owner.call("POST", path + "/message", {"text": "one too many"}, expect=429))
    assert refused["code"] == "LUCID_ERR_0004" and f":{session['display']}" in refused["message"]

    # after the end, and before the first login, there is nobody to read it
    owner.call("POST", path + "/terminate", {}, expect=200)
    over = error(owner.call("POST", path + "/message", {"text": "hello?"}, expect=409))
    assert over["code"] == "LUCID_ERR_2202" and "has ended" in over["message"]
    waiting = owner.call("POST", LIST, {"server_id": server["server_id"]}, expect=201).json()
    early = error(owner.call("POST", f"{LIST}/{waiting['session_id']}/message", {"text": "hello?"}, expect=409))
    assert early["code"] == "LUCID_ERR_2202" and "logged in" in early["message"]


@pytest.mark.shapes
def test_broadcast_reaches_the_sessions_on_all_servers(daemon, desk):
    (one, anna, first, mine), (two, _, second, other) = desk(), desk()
    admin = daemon.api("admin", SESSIONS)
    waiting = admin.call("POST", LIST, {"server_id": one["server_id"], "user_id": "dora"}, expect=201).json()
    ids = {mine["session_id"], other["session_id"]}
    dry = admin.call("POST", LIST + "/broadcast?dry_run=true", {"text": TEXT}, expect=200).json()
    assert dry["dry_run"] and dry["matched"] == 3 and dry["shown"] == 0
    assert outcomes(dry) == {**{i: "would_show" for i in ids}, waiting["session_id"]: "no_desktop"}
    assert sees_none(first) and sees_none(second)

    only = admin.call("POST", f"{LIST}/broadcast?server_id={two['server_id']}", {"text": TEXT}, expect=200).json()
    assert outcomes(only) == {other["session_id"]: "shown"} and only["shown"] == 1
    sees_message(second)
    assert sees_none(first)

    said = admin.call("POST", LIST + "/broadcast", {"text": TEXT, "level": "critical"}, expect=200).json()
    assert said["matched"] == 3 and said["shown"] == 2
    assert outcomes(said) == {**{i: "shown" for i in ids}, waiting["session_id"]: "no_desktop"}
    assert "logged in" in [r for r in said["results"] if r["outcome"] == "no_desktop"][0]["message"]
    sees_message(first)
    until("it in the timeline", lambda: "message" in [e["event"] for e in admin.get(f"{LIST}/{mine['session_id']}/timeline")["events"]])

    # admins only; ended sessions have no desktop
    assert error(daemon.api(anna.name, SESSIONS).call("POST", LIST + "/broadcast", {"text": "x"}, expect=403))["code"] == "LUCID_ERR_0003"
    admin.call("POST", f"{LIST}/{mine['session_id']}/terminate", {}, expect=200)
    ended(daemon, mine)
    over = admin.call("POST", LIST + "/broadcast?status=terminated", {"text": "x"}, expect=200).json()
    assert outcomes(over) == {mine["session_id"]: "no_desktop"}


def test_bad_messages_to_sessions_are_refused(make_daemon, users, login):
    d = make_daemon(RATE_LIMIT_ENABLED="true", RATE_LIMIT_PER_MINUTE="100000", RATE_LIMIT_BURST_SIZE="100000", RATE_LIMIT_SESSION_MESSAGE="40")
    user, = users(1, d)
    user.paint(BLUE)
    server = d.api("anna").create_server("careful")
    client = login(d, server, user)
    client.wait_colour(BLUE)
    session = session_of(d, server, "active")
    admin = d.api("admin", SESSIONS)
    for where in (f"{LIST}/{session['session_id']}/message", LIST + "/broadcast"):
        for text in ("\x1b[31mred", "bell\x07", "c1 \x9b", "\u202eright to left", "", "x" * 2001, "x" * 100_000):
            refused = error(admin.call("POST", where, {"text": text}, expect=422))
            assert refused["code"] == "LUCID_ERR_0005" and refused["details"][0]["field"] == "text", (text[:20], refused)
        assert error(admin.call("POST", where, {"text": "nul\x00"}, expect=400))["code"] == "LUCID_ERR_0013"
        for body, field in (({}, "text"), ({"text": "x", "level": "loud"}, "level"), ({"text": "x", "started_at": "2026-01-31T10:00:00Z"}, "started_at"),
                            ({"text": 5}, "text")):
            assert error(admin.call("POST", where, body, expect=422))["details"][0]["field"] == field, body
    assert error(admin.call("POST", f"{LIST}/{session['session_id']}/message", {"text": " \n\t "}, expect=422))["code"] == "LUCID_ERR_0005"
    assert error(admin.call("POST", LIST + "/broadcast?colour=red", {"text": "x"}, expect=422))["details"][0]["field"] == "colour"
    assert sees_none(client) and not [p for p in proc.pids() if proc.exe(p).endswith("/lucid-rdp-notice") and user.uid in proc.uids(p)]
    # one caller may send so many a minute; others go on
    answers = [admin.call("POST", LIST + "/broadcast?status=expired", {"text": "x"}) for _ in range(41)]
    spent = next(a for a in answers if a.status_code == 429)
    assert error(spent)["code"] == "LUCID_ERR_0004" and int(spent.headers["Retry-After"]) >= 1
    d.api("anna", SESSIONS).call("POST", f"{LIST}/{session['session_id']}/message", {"text": "hello"}, expect=200)
    assert 'rdp_rate_limited_total{class="session-message"}' in d.api(None, SESSIONS).call("GET", "/metrics").text


def test_message_to_a_desktop_that_hangs_does_not_delay_its_end(daemon, desk):
    _, user, _, session = desk("anna")
    path = f"{LIST}/{session['session_id']}"
    x, = [p for p in proc.pids() if f":{session['display']}" in proc.cmdline(p).split() and proc.exe(p).endswith("/Xorg") and user.uid in proc.uids(p)]
    admin, owner = daemon.api("admin", SESSIONS), daemon.api("anna", SESSIONS)
    with concurrent.futures.ThreadPoolExecutor() as threads:
        os.kill(x, signal.SIGSTOP)
        said = threads.submit(admin.call, "POST", f"{LIST}/broadcast", {"text": "hello"}, expect=200)
        until("the process of the message", lambda: [p for p in proc.pids() if proc.exe(p).endswith("/lucid-rdp-notice") and user.uid in proc.uids(p)])
        assert owner.call("POST", path + "/terminate", {}, expect=200).json()["ended"]["display"] == session["display"]
        assert not said.done() or said.result().json()["shown"] == 0
        result, = said.result().json()["results"]
    assert result["outcome"] in ("no_desktop", "failed", "uncertain") and result["message"], result
    assert not proc.alive(x) and ended(daemon, session)["ended_by"] == "anna"
    assert "message" not in [e["event"] for e in owner.get(path + "/timeline")["events"]]
