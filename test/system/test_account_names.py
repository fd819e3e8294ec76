"""Accounts and groups with names as directory services have them: every account that PAM accepts can be listed, mapped, found and shown."""
import os
import random

import accounts
import pytest
from lucid import SERVERS
from proc import until
from test_accounts import refused

BLUE = "#3366cc"
# chosen once for a run: all workers must have the same names of test cases
RUN = random.Random(os.environ.get("PYTEST_XDIST_TESTRUNUID", str(os.getpid())))
TAIL = f"{RUN.randrange(16**4):04x}"
NAMES = (f"first.last{TAIL}", f"MixedCase{TAIL}", f"name@realm{TAIL}", f"DOMAIN\\name{TAIL}", f"müller{TAIL}", str(RUN.randrange(10**9, 2 * 10**9)),
         f"with blank{TAIL}", f"long-{'x' * 60}{TAIL}", f"$(id)\'\"%s{TAIL}")


@pytest.fixture
def named():
    made = []

    def make(name, groups=()):
        account = accounts.NamedAccount(name, groups)
        made.append(account)
        account.paint(BLUE)
        return account
    yield make
    for account in made:
        account.remove()


def of(rows, name):
    return [r for r in rows if r["username"] == name]


@pytest.mark.parametrize("name", NAMES)
def test_listed_name_logs_in(make_daemon, named, login, name):
    account = named(name)
    d = make_daemon(RDP_USER_MAP=f'["anna@example.org={name}"]'.replace("\\", "\\\\") if '"' not in name else "")
    d.accounts = [account]
    server = d.admin.create_server("one", security={"allowed_users": [name]})
    sid = server["server_id"]
    assert d.admin.server(sid)["security"]["allowed_users"] == [name]
    client = login(d, server, account, args=["/d:"])
    client.wait_colour(BLUE)
    desktop, = of(d.admin.desktops(sid), name)
    until("the connection's user", lambda: of(d.admin.connections(sid), name))
    user = "anna@example.org" if '"' not in name else name
    session, = until("its session", lambda: d.admin.get(
        f"/api/v1/sessions?status=active&user_id={user.replace('%', '%25').replace('$', '%24')}")["sessions"])
    assert session["username"] == name and session["display"] == desktop["display"]
    assert d.api(user).get("/api/v1/sessions")["sessions"] == [session]
    if user != name:
        own = d.api(user).create_server("mine", wait=False, auto_start=False)
        rdp_file = d.api(user).call("GET", f"{SERVERS}/{own['server_id']}/rdp-file", expect=200).content
        assert f"username:s:{name}\r\n" in rdp_file.decode("utf-8" if name.isascii() else "utf-16")


def test_members_of_a_group_with_a_space_log_in(make_daemon, named, login, users):
    group = f"domain users{TAIL}"
    member, (other,) = named(f"DOMAIN\\member{TAIL}", [group]), users(1)
    d = make_daemon()
    d.accounts = [member, other]
    server = d.admin.create_server("a group", security={"allowed_groups": [group]})
    login(d, server, member, args=["/d:"]).wait_colour(BLUE)
    refused(d, server, other, login)


def test_name_that_is_not_listed_is_refused(make_daemon, named, login):
    """Lists compare names byte by byte: a name in another case, or part of a name, is another account."""
    account = named(f"MixedCase{TAIL}")
    d = make_daemon()
    d.accounts = [account]
    server = d.admin.create_server("others", security={"allowed_users": [account.name.lower(), account.name[:-1], f" {account.name}", f"{account.name} "]})
    refused(d, server, account, login)
