"""Which accounts may log in to a server, how many, and for how long: real logins, observed through the client."""
import os
import subprocess

import lucid
import pytest
from lucid import SERVERS, XRDP
from proc import until

LOGIN_PAGE = "#dedede"  # the colour of xrdp's own window, which shows why a login is refused


@pytest.fixture
def group():
    """A Linux group, removed after the test."""
    name = "lrdpg" + os.urandom(3).hex()
    subprocess.run(["groupadd", name], check=True)
    yield name
    subprocess.run(["groupdel", name], check=False)


def desktops_of(d, server, account):
    return [x["display"] for x in d.admin.desktops(server["server_id"]) if x["username"] == account.name]


def refused(d, server, account, login):
    """The client stays at xrdp's own window, which shows the reason, and the account gets no desktop."""
    before = desktops_of(d, server, account)
    client = login(d, server, account)

    def told():
        lines = "\n".join(d.admin.get(f"{SERVERS}/{server['server_id']}/logs?lines=500")["lines"])
        return f"AUTHFAIL: user={account.name} " in lines
    until("the refusal in the log", told, 30)
    until("xrdp's window", lambda: client.picture().share(LOGIN_PAGE) > 0.2, 30)
    assert desktops_of(d, server, account) == before
    if os.environ.get("PICTURE"):
        client.save(os.environ["PICTURE"])
    client.close()


def allowed(server, client, account, colour):
    account.paint(colour)
    client.wait_colour(colour)


def test_users_and_groups(daemon, users, login, group):
    a, b, c = users(3, daemon)
    admin = daemon.admin
    server = admin.create_server("for one", security={"allowed_users": [a.name]})
    refused(daemon, server, b, login)
    allowed(server, login(daemon, server, a), a, "#336699")
    # a group added later: a client that is connected stays, the next one is checked
    subprocess.run(["usermod", "-aG", group, b.name], check=True)
    admin.call("PATCH", f"{SERVERS}/{server['server_id']}?restart=true",
               {"security": {"allowed_users": [], "allowed_groups": [group]}}, expect=(200, 202))
    until("the change", lambda: not admin.server(server["server_id"])["pending_restart"] and
          admin.server(server["server_id"])["status"] == "running")
    allowed(server, login(daemon, server, b), b, "#996633")
    refused(daemon, server, a, login)
    # both lists: membership in one is enough
    other = admin.create_server("either", security={"allowed_users": [a.name], "allowed_groups": [group]})
    allowed(other, login(daemon, other, a), a, "#669933")
    allowed(other, login(daemon, other, b), b, "#339966")
    refused(daemon, other, c, login)


@pytest.mark.shapes
def test_max_sessions(daemon, users, login):
    a, b = users(2, daemon)
    admin = daemon.admin
    server = admin.create_server("one at a time", desktop={"max_sessions": 1})
    first = login(daemon, server, a)
    allowed(server, first, a, "#336699")
    display = admin.desktops(server["server_id"])[0]["display"]
    client = login(daemon, server, b)
    until("the refusal", lambda: any(f"refused login of {b.name}" in line for line in
                                     admin.get(f"{SERVERS}/{server['server_id']}/logs?lines=500")["lines"]), 30)
    assert [x["username"] for x in admin.desktops(server["server_id"])] == [a.name]
    client.close()
    # the user of a desktop takes it over, also from another client
    again = login(daemon, server, a)
    again.wait_colour("#336699")
    assert [x["display"] for x in admin.desktops(server["server_id"])] == [display]
    until("the first client's end", lambda: not first.connected)
    admin.delete(f"{XRDP}/instances/{server['server_id']}/desktops/{display}")
    allowed(server, login(daemon, server, b), b, "#996633")


@pytest.mark.parametrize("kind", ("xorg", "xvnc"))
def test_limits(daemon, users, login, kind):
    """Idle limit: the client is disconnected and the desktop stays. Disconnected limit: the desktop ends."""
    user, = users(1, daemon)
    admin = daemon.admin
    server = admin.create_server("limited", desktop={"session": kind, "idle_timeout": 4})
    sid = server["server_id"]
    client = login(daemon, server, user)
    allowed(server, client, user, "#336699")
    until("the client's end", lambda: not client.connected, 30)
    left = until("a desktop without client", lambda: [x for x in admin.desktops(sid) if x["status"] == "disconnected"], 10)
    admin.call("PATCH", f"{SERVERS}/{sid}?restart=true", {"desktop": {"idle_timeout": 0, "disconnected_timeout": 3}}, expect=(200, 202))
    until("the desktop's end", lambda: not admin.desktops(sid), 30)
    assert left[0]["username"] == user.name
    # the desktop ends after its client has left; a client that returns at once keeps it
    admin.call("PATCH", f"{SERVERS}/{sid}?restart=true", {"desktop": {"disconnected_timeout": 0, "kill_disconnected": True}},
               expect=(200, 202))
    client = login(daemon, server, user)
    client.wait_colour("#336699", timeout=60)
    display = admin.desktops(sid)[0]["display"]
    second = login(daemon, server, user)
    second.wait_colour("#336699")
    if kind == "xorg":
        until("the first client's end", lambda: not client.connected)
    else:
        client.close()  # Xvnc shows the desktop to both clients
    assert [(x["display"], x["status"]) for x in admin.desktops(sid)] == [(display, "active")]
    second.close()
    until("the desktop's end", lambda: not admin.desktops(sid), 30)


def test_account_of_a_user(make_daemon, users):
    """RDP_USER_MAP: the account with which the clients of a user log in. (For the user of a desktop see test_host_observe.)"""
    account, = users(1)
    d = make_daemon(RDP_USER_MAP=f"anna@example.org={account.name}")
    anna = d.api("anna@example.org")
    own = anna.create_server("mine")
    assert f"username:s:{account.name}\r\n" in anna.call("GET", f"{SERVERS}/{own['server_id']}/rdp-file", expect=200).text
    assert anna.get(f"{SERVERS}/{own['server_id']}/connection")["username"] == account.name


def test_rdp_file_names_only_an_account_that_may_log_in(daemon, users):
    """With an admin's token, the file contained username:s:root, which may not log in."""
    account, other = users(2)
    admin = daemon.admin
    server = admin.create_server("named", auto_start=False, security={"allowed_users": [account.name]})
    path = f"{SERVERS}/{server['server_id']}"

    def named(api, query=""):
        name = api.get(f"{path}/connection{query}")["username"]
        file = api.call("GET", f"{path}/rdp-file{query}", expect=200)
        assert [line for line in file.text.splitlines() if line.startswith("username")] == ([f"username:s:{name}"] if name else [])
        return name

    for sub, expected in (("root", None), ("daemon", None), ("nobody", None), ("no-such-account", None), (account.name, account.name), (other.name, None)):
        assert named(lucid.Api(daemon.url(), lucid.token_for(sub, "admin"))) == expected, sub
    assert named(admin, f"?username={other.name}") == other.name
    for bad in ("", "%0Ax", "a%0D%0Ab", "x" * 257):
        assert admin.call("GET", f"{path}/rdp-file?username={bad}").status_code == 422, bad
    file = admin.call("GET", f"{path}/rdp-file?username=DOM%5Cm%C3%BCller", expect=200).content
    assert file.startswith(b"\xff\xfe") and "username:s:DOM\\m\u00fcller\r\n" in file.decode("utf-16")
    # by group: the host's PAM decides
    admin.call("PATCH", path, {"security": {"allowed_users": [], "allowed_groups": [other.name]}}, expect=200)
    for one, expected in ((account, None), (other, other.name)):
        assert named(lucid.Api(daemon.url(), lucid.token_for(one.name, "admin"))) == expected
