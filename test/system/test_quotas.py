"""How many desktops and sessions there may be: logins that a quota refuses, and those that it must not refuse."""
import os
import subprocess

import pytest

from events import Events
from lucid import AGENT, BIN, SERVERS, SESSIONS, XRDP
from proc import until
from test_reload import Settings

LIST, QUOTAS, BLUE, GREEN = "/api/v1/sessions", f"{XRDP}/quotas", "#3366cc", "#33aa66"
SESMAN_REFUSES = "max concurrent session limit"


def failures(d, reason):
    page = d.api("admin", AGENT).call("GET", "/metrics", expect=200).text
    return sum(float(line.split()[-1]) for line in page.splitlines() if line.startswith(f'rdp_login_failures_total{{reason="{reason}"}}'))


def audited(d, account, reason):
    entries = d.api("admin", AGENT).get("/api/v1/audit?action=xrdp.login.failed&limit=100")["entries"]
    return [e for e in entries if (e["actor"], e["reason"]) == (account.name, reason)]


def lines_of(d, server):
    return "\n".join(d.admin.get(f"{SERVERS}/{server['server_id']}/logs?lines=500")["lines"])


def refused(d, server, account, login, reason, sentence):
    """PAM refuses the login, so sesman starts no desktop, and the reason is in the event, the audit log, the figures and the server's log."""
    before = failures(d, reason)
    desktops = len(d.admin.desktops(server["server_id"]))
    with Events(d, "xrdp.login.*") as events:
        client = login(d, server, account)
        event = events.next()
    data = event["data"]
    assert (event["topic"], data["username"], data["reason"], data["client_address"]) == ("xrdp.login.failed", account.name, reason, "127.0.0.1")
    assert sentence in data["detail"]
    entry = until("the entry", lambda: audited(d, account, reason))[0]
    assert (entry["object"], entry["outcome"]) == (server["server_id"], "refused")
    until("the figure", lambda: failures(d, reason) == before + 1)
    text = lines_of(d, server)
    assert f"refused login of {account.name}: {data['detail']}" in text and SESMAN_REFUSES not in text, text
    assert len(d.admin.desktops(server["server_id"])) == desktops
    return client


@pytest.mark.shapes
def test_login_beyond_max_sessions_is_refused_by_pam(daemon, users, login):
    anna, bert = users(2, daemon)
    anna.paint(BLUE)
    bert.paint(GREEN)
    server = daemon.admin.create_server("one desktop", desktop={"max_sessions": 1})
    first = login(daemon, server, anna)
    first.wait_colour(BLUE)
    client = refused(daemon, server, bert, login, "max_sessions", "desktop.max_sessions")
    until("xrdp's window", lambda: client.picture().share("#dedede") > 0.2, 30)
    if os.environ.get("PICTURE"):
        client.save(os.environ["PICTURE"])
    client.close()
    # the owner of a desktop returns to it
    first.close()
    again = login(daemon, server, anna)
    again.wait_colour(BLUE)
    desktop, = daemon.admin.desktops(server["server_id"])
    # and another account may log in as soon as the desktop has ended
    daemon.admin.delete(f"/api/v1/xrdp/instances/{server['server_id']}/desktops/{desktop['display']}")
    login(daemon, server, bert).wait_colour(GREEN)


@pytest.mark.shapes
def test_user_at_the_bound_gets_no_further_desktop(make_daemon, users, login):
    """MAX_SESSIONS_PER_USER, for a user with two accounts."""
    anna, bert, carl = users(3)
    d = make_daemon(MAX_SESSIONS_PER_USER="2", RDP_USER_MAP=f"anna@example.org={anna.name},anna@example.org={bert.name}")
    d.accounts = [anna, bert, carl]
    servers = [d.admin.create_server(f"number {n}") for n in range(2)]
    clients = []
    for server, account in zip(servers, (anna, bert)):
        account.paint(BLUE)
        clients.append(login(d, server, account))
        clients[-1].wait_colour(BLUE)
    refused(d, servers[0], bert, login, "user_sessions", "MAX_SESSIONS_PER_USER").close()
    refused(d, servers[1], anna, login, "user_sessions", "MAX_SESSIONS_PER_USER").close()
    # the account returns to its desktop, and other users are not affected
    clients[0].close()
    login(d, servers[0], anna).wait_colour(BLUE)
    carl.paint(GREEN)
    login(d, servers[0], carl).wait_colour(GREEN)
    # a session less: the other account may log in
    sessions = d.api("admin", SESSIONS)
    mine = until("the session", lambda: [s for s in sessions.get(f"{LIST}?server_id={servers[0]['server_id']}&status=active")["sessions"]
                                         if s["username"] == anna.name])
    sessions.call("POST", f"{LIST}/{mine[0]['session_id']}/terminate", {}, expect=200)
    login(d, servers[0], bert).wait_colour(BLUE)


@pytest.mark.shapes
def test_declared_session_is_counted_and_taken(make_daemon, users, login):
    """MAX_CONCURRENT_SESSIONS: a declared session counts, and its user logs in at the bound."""
    anna, bert, carl = users(3)
    d = make_daemon(MAX_CONCURRENT_SESSIONS="2")
    d.accounts = [anna, bert, carl]
    for account in d.accounts:
        account.paint(BLUE)
    server, sessions = d.admin.create_server("shared"), d.api("admin", SESSIONS)
    declared = sessions.call("POST", LIST, {"server_id": server["server_id"], "user_id": bert.name}, expect=201).json()
    login(d, server, anna).wait_colour(BLUE)
    until("anna's session", lambda: sessions.get(f"{LIST}?user_id={anna.name}&status=active")["sessions"])
    refused(d, server, carl, login, "all_sessions", "MAX_CONCURRENT_SESSIONS").close()
    login(d, server, bert).wait_colour(BLUE)
    until("the declared session", lambda: sessions.get(f"{LIST}/{declared['session_id']}")["status"] == "active")
    refused(d, server, carl, login, "all_sessions", "MAX_CONCURRENT_SESSIONS").close()
    sessions.call("POST", f"{LIST}/{declared['session_id']}/terminate", {}, expect=200)
    login(d, server, carl).wait_colour(BLUE)


def test_second_desktop_of_another_color_depth_is_bounded(make_daemon, users, login):
    """With Xvnc, sesman does not lead a login with another color depth to the account's desktop. PAM cannot know that: the new desktop is ended."""
    anna, = users(1)
    d = make_daemon(MAX_SESSIONS_PER_USER="1")
    d.accounts = [anna]
    anna.paint(BLUE)
    server = d.admin.create_server("two depths", desktop={"session": "xvnc"})
    login(d, server, anna).wait_colour(BLUE)
    desktop, = d.admin.desktops(server["server_id"])
    with Events(d, "xrdp.login.failed,xrdp.desktop.ended") as events:
        second = login(d, server, anna, args=("/bpp:16",))
        seen = [events.next(), events.next()]
    assert sorted(e["topic"] for e in seen) == ["xrdp.desktop.ended", "xrdp.login.failed"]
    assert all(e["data"]["reason"] == "user_sessions" and e["data"]["username"] == anna.name for e in seen), seen
    until("the client's end, or xrdp's window", lambda: not second.connected or second.picture().share("#dedede") > 0.2, 30)
    assert [x["display"] for x in d.admin.desktops(server["server_id"])] == [desktop["display"]]


@pytest.mark.one_shape("the configuration file of a process")
def test_lifted_quota_lets_logins_in_and_a_killed_process_keeps_it(make_daemon, users, login):
    anna, bert = users(2)
    s = Settings(make_daemon, {"MAX_CONCURRENT_SESSIONS": "1"})
    d = s.d
    d.accounts = [anna, bert]
    for account in d.accounts:
        account.paint(BLUE)
    server = d.admin.create_server("small")
    login(d, server, anna).wait_colour(BLUE)
    until("anna's session", lambda: d.admin.get(f"{LIST}?status=active")["sessions"])
    refused(d, server, bert, login, "all_sessions", "MAX_CONCURRENT_SESSIONS").close()
    d.kill(d.server_pid())
    until("the API", lambda: d.admin.call("GET", LIST).status_code == 200)
    refused(d, server, bert, login, "all_sessions", "MAX_CONCURRENT_SESSIONS").close()
    d.kill(d.supervisor)  # it forgets what the controller told it
    d.process.wait()
    d.start()
    until("anna's session", lambda: d.admin.get(f"{LIST}?status=active")["sessions"])
    refused(d, server, bert, login, "all_sessions", "MAX_CONCURRENT_SESSIONS").close()
    s.reload({"MAX_CONCURRENT_SESSIONS": "2"})
    login(d, server, bert).wait_colour(BLUE)


def test_nobody_locks_others_out(make_daemon, users, login):
    """A refused login holds no place, and its address is not blocked; only admins and roles set the numbers; the hook obeys no account."""
    anna, bert, carl = users(3)
    d = make_daemon(LOGIN_MAX_FAILURES="1", MAX_SESSIONS_PER_USER="1")
    d.accounts = [anna, bert, carl]
    for account in d.accounts:
        account.paint(BLUE)
    server = d.admin.create_server("two desktops", desktop={"max_sessions": 2})
    clients = [login(d, server, account) for account in (anna, bert)]
    for client in clients:
        client.wait_colour(BLUE)
    for _ in range(2):
        refused(d, server, carl, login, "max_sessions", "desktop.max_sessions").close()
    clients[0].close()
    login(d, server, anna).wait_colour(BLUE)
    full = {"max_concurrent_sessions": 1, "max_sessions_per_user": 1, "elsewhere": 99}
    d.api(carl.name).call("PUT", QUOTAS, full, expect=403)
    d.api(None).call("PUT", QUOTAS, full, expect=401)
    for wrong in ({}, {**full, "elsewhere": -1}, {**full, "max_sessions_per_user": 0}, {**full, "users": [{"user_id": anna.name}]},
                  {**full, "declared": [{"server_id": "x", "user_id": anna.name, "sessions": 1}]}, {**full, "more": 1}):
        d.admin.call("PUT", QUOTAS, wrong, expect=422)
    # an account that runs the program of the hook itself
    socket = os.path.join(d.settings["RUNTIME_DIR"], "xrdp/hook.sock")
    for kind in ("admit", "allowed"):
        subprocess.run(["setpriv", f"--reuid={carl.uid}", f"--regid={carl.gid}", "--clear-groups", BIN, "pam-hook", kind, socket], check=False, timeout=20,
                       env={"PAM_USER": carl.name, "PAM_TTY": "xrdp-sesman", "PAM_TYPE": "account"})
    display = next(x["display"] for x in d.admin.desktops(server["server_id"]) if x["username"] == bert.name)
    d.admin.delete(f"{XRDP}/instances/{server['server_id']}/desktops/{display}")
    login(d, server, carl).wait_colour(BLUE)
