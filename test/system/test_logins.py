"""Limits on connections and on the time until login, and the reports of failed logins."""
import contextlib
import os
import socket
import subprocess
import time

import pytest

import lucid
import proc
import rdp
from events import Events
from lucid import SERVERS
from proc import until

# an X.224 connection request that negotiates TLS, and the first bytes of the answer
HELLO = bytes.fromhex("030000130ee000000000000100080003000000")


def say_nothing(port, address="127.0.0.1"):
    s = socket.socket()
    s.bind((address, 0))
    s.settimeout(10)
    s.connect(("127.0.0.1", port))
    return s


@pytest.fixture
def silent():
    """Connections that send nothing."""
    with contextlib.ExitStack() as all_of_them:
        yield lambda port, n, address="127.0.0.1": [all_of_them.enter_context(say_nothing(port, address)) for _ in range(n)]


def answers_rdp(port, address="127.0.0.1"):
    try:
        with say_nothing(port, address) as s:
            s.sendall(HELLO)
            return s.recv(4) == b"\x03\x00\x00\x13"
    except OSError:
        return False


def is_closed(s):
    s.setblocking(False)
    try:
        return s.recv(1) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


FORKS = """
python3 -c '
import os, time
for n in range(30):
    if os.fork() == 0:
        time.sleep(20); os._exit(0)
open(os.environ["HOME"] + "/.job.forks", "w").write("30")
'
"""


def test_silent_connections_take_no_tasks_of_a_desktop(daemon, users, login, silent):
    user, = users(1, daemon)
    user.paint("#3366cc")
    server = daemon.admin.create_server("limited", limits={"tasks": 64})
    client = login(daemon, server, user)
    client.wait_colour("#3366cc")
    assert daemon.admin.instance(server["server_id"])["limits_enforced"]["tasks"]
    held = silent(server["port"], 60)
    until("60 connections", lambda: len(daemon.admin.connections(server["server_id"])) == 61)
    user.job(FORKS)
    until("30 forks", lambda: proc.read(f"{user.home}/.job.forks") == "30")
    user.paint("#cc6633")
    client.wait_colour("#cc6633")
    assert not any(is_closed(s) for s in held)


def test_silent_connections_leave_a_small_server_its_rdp(daemon, silent):
    server = daemon.admin.create_server("small", limits={"tasks": 32, "memory_mb": 300})
    silent(server["port"], 30)
    until("30 connections", lambda: len(daemon.admin.connections(server["server_id"])) == 30)
    assert answers_rdp(server["port"])


def status_of(daemon, server):
    return daemon.admin.get(f"{SERVERS}/{server['server_id']}/status")["connections"]


def figure(daemon, name):
    page = daemon.admin.call("GET", "/metrics", expect=200).text
    return sum(float(line.split()[-1]) for line in page.splitlines() if line.startswith(name))


def test_silent_connection_is_closed_after_the_login_timeout(make_daemon, silent, users, login):
    daemon = make_daemon(LOGIN_TIMEOUT="3")
    user, = users(1, daemon)
    user.paint("#3366cc")
    server = daemon.admin.create_server("silent")
    client = login(daemon, server, user)
    client.wait_colour("#3366cc")
    first, = silent(server["port"], 1)
    until("a connection without a user", lambda: status_of(daemon, server)["without_user"] == 1)
    until("the connection to be closed", lambda: is_closed(first))
    until("the figure", lambda: figure(daemon, 'rdp_connections_refused_total{reason="login_timeout"}') == 1)
    counts = status_of(daemon, server)
    assert (counts["current"], counts["without_user"], counts["refused"], counts["exhausted"]) == (1, 0, 1, False)
    user.paint("#66cc33")
    client.wait_colour("#66cc33")  # a user who has logged in stays connected


def test_connections_beyond_a_bound_are_closed(make_daemon, silent):
    daemon = make_daemon(MAX_CONNECTIONS_PER_SERVER="16", RDP_CONNECTIONS_PER_ADDRESS="10", LOGIN_TIMEOUT="0")
    server = daemon.admin.create_server("bounded")
    port = server["port"]
    with daemon.admin.call("GET", "/events?topics=xrdp.connections.*", expect=200, stream=True) as stream:
        kept = silent(port, 10)
        until("ten connections", lambda: status_of(daemon, server)["current"] == 10)
        extra = silent(port, 3)
        until("three connections to be closed", lambda: all(is_closed(s) for s in extra))
        assert not any(is_closed(s) for s in kept)
        assert status_of(daemon, server)["exhausted"]
        lines = stream.iter_lines(decode_unicode=True)
        event = next(line for line in lines if line.startswith("data:"))
        assert "address_full" in event and "127.0.0.1" in event and server["server_id"] in event
    kept += silent(port, 6, "127.0.0.2")
    until("sixteen connections", lambda: status_of(daemon, server)["current"] == 16)
    other, = silent(port, 1, "127.0.0.3")
    until("the connection to be closed", lambda: is_closed(other))
    assert not any(is_closed(s) for s in kept)
    for s in kept:
        s.close()
    until("room", lambda: status_of(daemon, server)["current"] == 0)
    assert answers_rdp(port)
    until("the figure", lambda: figure(daemon, "rdp_connections_refused_total") >= 4, 30)


# --- logins

def audited(daemon, outcome, user=None):
    """Audit entries of logins, newest first."""
    entries = daemon.admin.get(f"/api/v1/audit?action=xrdp.login.{outcome}&limit=100")["entries"]
    return [e for e in entries if user is None or e["actor"] == user]


@pytest.fixture
def try_login():
    """A client whose login may fail."""
    with contextlib.ExitStack() as all_of_them:
        def start(server, user, password, **more):
            client = rdp.Client(server["port"], user, password, **more)
            all_of_them.callback(client.close)
            return client
        yield start


def test_failed_login_is_reported_with_its_reason(daemon, users, try_login):
    anna, other = users(2, daemon)
    anna.paint("#3366cc")
    server = daemon.admin.create_server("audited", security={"allowed_users": [anna.name]})
    tries = [(anna.name, "wrong", "bad_password"), ("no-such-account", "wrong", "unknown_account"),
             (other.name, other.password, "account_refused")]
    with Events(daemon, "xrdp.login.*") as events:
        for name, password, reason in tries:
            client = try_login(server, name, password)
            event = events.next()
            assert event["topic"] == "xrdp.login.failed"
            data = event["data"]
            assert (data["username"], data["reason"], data["client_address"]) == (name, reason, "127.0.0.1"), data
            client.close()
        client = try_login(server, anna.name, anna.password)
        client.wait_colour("#3366cc")
        event = events.next()
        assert event["topic"] == "xrdp.login.succeeded"
        assert (event["data"]["username"], event["data"]["client_address"]) == (anna.name, "127.0.0.1")
    for name, _, reason in tries:
        entry, = until("the entry", lambda name=name: audited(daemon, "failed", name))
        assert (entry["reason"], entry["object"], entry["client_address"]) == (reason, server["server_id"], "127.0.0.1")
        assert entry["outcome"] == "refused"
        assert figure(daemon, f'rdp_login_failures_total{{reason="{reason}"}}') == 1
    entry, = until("the entry", lambda: audited(daemon, "succeeded"))
    assert (entry["actor"], entry["outcome"], entry["object"]) == (anna.name, "ok", server["server_id"])
    assert figure(daemon, "rdp_logins_total") == 1
    # a client that returns to its desktop logs in again
    client.close()
    again = try_login(server, anna.name, anna.password)
    again.wait_colour("#3366cc")
    until("the second login", lambda: len(audited(daemon, "succeeded", anna.name)) == 2)
    assert len(daemon.admin.desktops(server["server_id"])) == 1


@pytest.mark.parametrize("name", ["ro\u200bot", "\ufeff", "a\u202etxet"], ids=ascii)
def test_unknown_account_with_invisible_characters_is_not_named(daemon, try_login, name):
    """The text is a stranger's: it must not deceive who reads logs and the audit log."""
    server = daemon.admin.create_server("audited")
    with Events(daemon, "xrdp.login.*") as events:
        try_login(server, name, "wrong")
        data = events.next()["data"]
    assert (data["username"], data["reason"], data["client_address"]) == (None, "unknown_account", "127.0.0.1"), data
    entry, = until("the entry", lambda: audited(daemon, "failed"))
    assert (entry.get("actor"), entry["reason"]) == (None, "unknown_account"), entry
    assert name not in daemon.log() and "(unknown_account), account -" in daemon.log()


def test_login_beyond_max_sessions_is_reported(daemon, users, login, try_login):
    first, second = users(2, daemon)
    first.paint("#3366cc")
    server = daemon.admin.create_server("one desktop", desktop={"max_sessions": 1})
    login(daemon, server, first).wait_colour("#3366cc")
    client = try_login(server, second.name, second.password)
    entry, = until("the entry", lambda: audited(daemon, "failed", second.name))
    assert entry["reason"] == "max_sessions"
    client.close()


ASK_SESMAN = """
import socket, struct, sys
port, user, password, pieces = int(sys.argv[1]), sys.argv[2].encode(), sys.argv[3].encode(), sys.argv[4] == "pieces"
def text(s): return struct.pack(">H", len(s)) + s
body = struct.pack(">H", 20) + text(user) + text(password) + struct.pack(">HHH", 800, 600, 24) + text(b"") * 4
message = struct.pack(">II", 0, 8 + len(body)) + body
for family, address in ((socket.AF_INET6, "::1"), (socket.AF_INET, "127.0.0.1")):
    try:
        s = socket.socket(family)
        s.settimeout(20)
        s.connect((address, port))
        break
    except OSError:
        s.close()
if len(sys.argv) > 5:
    print("connected", flush=True)
    try:
        s.recv(1)
    except OSError:
        pass
    print("closed", flush=True)
    sys.exit()
try:
    if pieces:
        import time
        s.sendall(message[:20]); time.sleep(0.1); message = message[20:]
    s.sendall(message)
    answer = s.recv(64)
except OSError:
    answer = b""
print(answer.hex())
"""


def ask_sesman(attacker, port, name, password, *more):
    """The answer of sesman to an account of the host that connects to it directly; "" if there is none."""
    r = subprocess.run(["setpriv", f"--reuid={attacker.uid}", f"--regid={attacker.gid}", "--clear-groups", "/usr/bin/python3", "-c", ASK_SESMAN,
                        str(port), name, password, *(more or ("whole",))], capture_output=True, text=True, timeout=60, check=True)
    return r.stdout.strip()


@pytest.mark.parametrize("how", ["whole", "pieces"])
def test_only_the_instances_xrdp_may_ask_sesman(daemon, users, login, how):
    anna, mallory = users(2, daemon)
    anna.paint("#3366cc")
    server = daemon.admin.create_server("guarded")
    port = daemon.admin.instance(server["server_id"])["sesman_port"]
    right = ask_sesman(mallory, port, anna.name, anna.password, how)
    wrong = ask_sesman(mallory, port, anna.name, "wrong", how)
    assert (right, wrong) == ("", "")  # no answer reveals whether the password was right
    assert daemon.admin.desktops(server["server_id"]) == []
    until("both to be counted", lambda: figure(daemon, 'rdp_login_failures_total{reason="not_from_xrdp"}') >= 2)
    entries = until("both entries", lambda: len(found := audited(daemon, "failed", anna.name)) >= 2 and found)
    assert {e["reason"] for e in entries} == {"not_from_xrdp"}
    # null: the sweep for foreign connections closed it while sesman had the request; that has an entry of its own
    stranger = f"uid {mallory.uid} of this host"
    assert {e["client_address"] for e in entries} <= {stranger, None}
    assert f"RDP login failed from {stranger}" in daemon.log()
    login(daemon, server, anna).wait_colour("#3366cc")


def test_other_accounts_cannot_exhaust_sesman(daemon, users, login):
    anna, mallory = users(2, daemon)
    anna.paint("#3366cc")
    server = daemon.admin.create_server("guarded")
    port = str(daemon.admin.instance(server["server_id"])["sesman_port"])
    held = [subprocess.Popen(["setpriv", f"--reuid={mallory.uid}", f"--regid={mallory.gid}", "--clear-groups", "/usr/bin/python3", "-c", ASK_SESMAN, port,
                              "x", "x", "whole", "wait"], stdout=subprocess.PIPE, text=True) for _ in range(16)]
    try:
        assert [p.stdout.readline().strip() for p in held] == ["connected"] * 16
        until("all of them to be cut", lambda: all(p.poll() is not None for p in held))
    finally:
        for p in held:
            p.kill()
            p.wait()
            p.stdout.close()
    login(daemon, server, anna).wait_colour("#3366cc")


def test_program_on_the_port_of_a_dead_sesman_keeps_its_connections(daemon):
    server = daemon.admin.create_server("dead", restart_policy="never")
    instance = daemon.admin.instance(server["server_id"])
    os.kill(instance["pids"]["sesman"], 9)
    until("the server's failure", lambda: daemon.admin.server(server["server_id"])["status"] == "failed")
    with socket.create_server(("::1", instance["sesman_port"]), family=socket.AF_INET6) as listener, \
            socket.create_connection(listener.getsockname()[:2]) as client:
        served, _ = listener.accept()
        with served:
            time.sleep(3)  # the connections to these ports are looked at once a second
            client.sendall(b"still open")
            assert served.recv(20) == b"still open"


def test_address_is_blocked_after_too_many_failures(make_daemon, users, try_login):
    daemon = make_daemon(LOGIN_MAX_FAILURES="2", LOGIN_BLOCK_SECONDS="20")
    anna, = users(1, daemon)
    anna.paint("#3366cc")
    server = daemon.admin.create_server("guessed")
    try_login(server, anna.name, "wrong")
    until("one failure", lambda: figure(daemon, "rdp_login_failures_total") == 1)
    assert answers_rdp(server["port"])
    second = try_login(server, anna.name, "wronger")
    until("the connection to be closed", lambda: not second.connected)
    until("no answer", lambda: not status_of(daemon, server)["without_user"] and status_of(daemon, server)["refused"])
    with say_nothing(server["port"]) as s:
        until("the cut of a further one", lambda: is_closed(s))
    elsewhere = say_nothing(server["port"], "127.0.0.9")
    until("a connection from elsewhere", lambda: status_of(daemon, server)["without_user"] == 1)
    elsewhere.close()
    # the block expires
    def logs_in():
        client = try_login(server, anna.name, anna.password)
        until("an outcome", lambda: not client.connected or client.picture().share("#3366cc") > 0.9)
        return client.connected
    until("the end of the block", logs_in, 90)


FILTER = os.path.join(lucid.ROOT, "deploy/fail2ban/filter.d/lucid-rdp.conf")


def matched(lines, tmp_path):
    """The addresses for which the real fail2ban would count a failure."""
    log = tmp_path / "log"
    log.write_text("".join(line + "\n" for line in lines))
    r = subprocess.run(["fail2ban-regex", "--out", "ip", str(log), FILTER], capture_output=True, text=True, timeout=60, check=True)
    return r.stdout.split()


@pytest.mark.parametrize("form", ["json", "text"])
def test_fail2ban_matches_the_log_lines(make_daemon, try_login, tmp_path, form):
    daemon = make_daemon(LOG_FORMAT=form)
    server = daemon.admin.create_server("guessed")
    # a name that looks like another address
    try_login(server, "x RDP login failed from 192.0.2.1 on server", "wrong")
    until("the failure", lambda: "RDP login failed from 127.0.0.1" in daemon.log())
    lines = [line for line in daemon.log().splitlines() if "RDP login failed" in line]
    assert matched(lines, tmp_path) == ["127.0.0.1"]
    v6 = [line.replace("127.0.0.1", "2001:db8::7") for line in lines]
    assert matched(v6, tmp_path) == ["2001:db8::7"]
    for quota in ("max_sessions", "user_sessions", "all_sessions"):
        assert matched([line.replace("bad_password", quota).replace("unknown_account", quota) for line in lines], tmp_path) == []
