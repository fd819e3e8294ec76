"""How many desktops and sessions there may be: logins that a quota refuses, and those that it must not refuse."""
import os

import pytest

from events import Events
from lucid import AGENT, SERVERS, SESSIONS
from proc import until

LIST, BLUE, GREEN = "/api/v1/sessions", "#3366cc", "#33aa66"
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
