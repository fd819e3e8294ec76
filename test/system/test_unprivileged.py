"""With fewer privileges: a daemon of an ordinary user, and root without the right to create namespaces. Servers then share the host's
sesman, and the API reports that."""
import grp
import os
import shutil
import stat
import subprocess

import pytest

import proc
from lucid import BIN, ROLES, SERVERS, XRDP
from proc import until

pytestmark = pytest.mark.one_shape("a program that an ordinary user starts")

BLUE = "#3366cc"
NO_MOUNTS = ["capsh", "--drop=cap_sys_admin", "--", "-c", 'exec "$@"', "sh"]


def has_no_privilege(pid, uid):
    s = proc.status(pid)
    return set(s["Uid"].split()) == {str(uid)} and int(s["CapEff"], 16) == 0 and int(s["CapPrm"], 16) == 0


@pytest.fixture
def ordinary(make_daemon, users):
    """A daemon that an ordinary account started, with its own directories."""
    def make(start=True, groups="--clear-groups", **settings):
        user, = users(1)
        d = make_daemon(start=False, **settings)
        shutil.chown(d.dir, user.uid, user.gid)
        d.wrap = ["setpriv", f"--reuid={user.uid}", f"--regid={user.gid}", groups, "--"]
        d.settings["HOME"] = user.home
        return (d.start() if start else d), user
    return make


@pytest.fixture
def sesman(tmp_path):
    """The host's own sesman, started if none answers."""
    started = None
    # as Debian's unit does before it starts xrdp: the sockets of desktops are for the group xrdp
    subprocess.run(["sh", "/usr/share/xrdp/socksetup"], check=True)
    try:
        if not proc.listening(3350):
            with open(tmp_path / "sesman", "wb") as log:
                started = subprocess.Popen(["/usr/sbin/xrdp-sesman", "-n"], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        until("the host's sesman", lambda: proc.listening(3350), 5)
        yield
        assert started is None or started.poll() is None, "the host's sesman died beside ours"
    finally:
        if started:
            started.terminate()
            started.wait(10)


@pytest.fixture
def desktop_of_host(sesman):
    """Makes the host's own sesman start the desktop of the tests for an account."""
    made = []

    def make(d, user):
        path = os.path.join(user.home, ".xsession")
        shutil.copy(os.path.join(d.dir, "paint"), path)
        os.chown(path, user.uid, user.gid)
        made.append((path, user))
    yield make
    for path, user in made:
        os.unlink(path)
        for pid in proc.marked(user_ids={user.uid}):
            proc.kill_one(pid)
        until("the account's processes to be gone", lambda u=user: not proc.marked(user_ids={u.uid}), 10)
        for left in proc.x_leftovers({user.uid}):
            os.unlink(left)


def test_an_ordinary_user(ordinary):
    d, user = ordinary()
    reader = [p for p in proc.children(d.process.pid) if proc.exe(p) == BIN]
    assert len(reader) == 1
    for pid in (d.process.pid, *reader):
        assert has_no_privilege(pid, user.uid)
    assert proc.status(reader[0])["NoNewPrivs"] == "1"
    admin = d.admin
    assert admin.get(XRDP + "/info")["isolation"] == "shared"
    assert "group xrdp" in d.log()
    for role in ROLES:
        assert d.api(None, role).get("/health/ready")["ready"] is True
    # only the user can read its store
    store = os.stat(f"{d.settings['DATA_DIR']}/store")
    assert store.st_uid == user.uid and not stat.S_IMODE(store.st_mode) & 0o077
    kept = admin.create_server("kept", wait=False, auto_start=False)
    server = admin.create_server("shared", limits={"cpu_percent": 50, "memory_mb": 256, "tasks": 100})
    sid = server["server_id"]
    assert server["status"] == "running" and server["isolation"] == "shared", server
    instance = admin.instance(sid)
    assert instance["isolation"] == "shared" and instance["pids"]["sesman"] is None
    assert not any(instance["limits_enforced"].values())  # no limit is reported as enforced
    assert has_no_privilege(instance["pids"]["xrdp"], user.uid) and proc.listening(server["port"])
    assert str(server["port"]) in admin.get(f"{SERVERS}/{sid}/config")["xrdp_ini"]
    # it is supervised like any other, and the next start finds it again
    proc.kill_one(instance["pids"]["xrdp"])
    new = until("a new xrdp", lambda: (lambda p: p if p not in (None, instance["pids"]["xrdp"]) else None)(admin.instance(sid)["pids"]["xrdp"]), 10)
    until("it to listen", lambda: proc.listening(server["port"]))
    d.stop(expect=0)
    assert proc.alive(new)
    d.start()
    assert admin.instance(sid)["pids"]["xrdp"] == new
    assert {s["server_id"] for s in admin.list_servers()} == {sid, kept["server_id"]}
    admin.delete(f"{SERVERS}/{sid}", expect=204)
    until("it to be gone", lambda: not proc.alive(new) and not proc.listening(server["port"]), 5)


def test_missing_access_is_reported(ordinary, make_daemon):
    """A port or directory without access is reported in a sentence, without a crash."""
    d, user = ordinary(start=False)
    for name, value in (("DATA_DIR", "/root/x"), ("LOG_DIR", "/etc/x"), ("RUNTIME_DIR", "/proc/x")):
        r = run_as(d, user, **{name: value})
        assert r.returncode > 0 and name in r.stderr, (r.returncode, r.stderr)
    low = run_as(d, user, RDP_SERVER_MANAGER_PORT="22")
    assert low.returncode > 0 and "RDP_SERVER_MANAGER_PORT" in low.stderr, low.stderr
    assert not os.path.exists("/root/x") and not os.path.exists("/etc/x")


def run_as(d, user, **settings):
    return subprocess.run([*d.wrap, BIN], env={**d.env, **settings}, cwd=d.dir, capture_output=True, text=True, timeout=30, check=False)


def test_root_without_namespaces(make_daemon, users, login, desktop_of_host):
    d = make_daemon(start=False)
    d.wrap = NO_MOUNTS
    d.start()
    user, = users(1, d)
    user.paint(BLUE)
    desktop_of_host(d, user)
    assert int(proc.status(d.supervisor)["CapEff"], 16) & (1 << 21) == 0
    admin = d.admin
    assert admin.get(XRDP + "/info")["isolation"] == "shared"
    server = admin.create_server("beside the host's")
    sid = server["server_id"]
    assert server["isolation"] == "shared" and admin.instance(sid)["isolation"] == "shared"
    client = login(d, server, user)
    client.wait_colour(BLUE)
    connection = until("the connection", lambda: [c for c in admin.connections(sid) if c["display"] and c["username"]])[0]
    assert connection["username"] == user.name
    # of all desktops on the host, a server has only those that its connections show
    assert [(x["username"], x["display"]) for x in admin.desktops(sid)] == [(user.name, connection["display"])]
    empty = admin.create_server("nobody is on it")
    assert admin.desktops(empty["server_id"]) == []
    admin.delete(f"{SERVERS}/{empty['server_id']}", expect=204)
    assert user.name in admin.call("DELETE", f"{SERVERS}/{sid}", expect=409).text
    client.wait_colour(BLUE)
    admin.delete(f"{SERVERS}/{sid}?force=true", expect=204)
    assert not proc.listening(server["port"])
    until("no processes and files to be left", lambda: not proc.marked(server_ids=[sid]), 5)


def test_an_ordinary_user_in_the_group(ordinary, pool, login, desktop_of_host):
    """The sockets of desktops are for the group xrdp: a member can serve other accounts."""
    d, runner = ordinary(groups=f"--groups={grp.getgrnam('xrdp').gr_gid}")
    assert "group xrdp" not in d.log()
    _, person = pool.get(2)
    d.accounts = [person]
    person.paint(BLUE)
    desktop_of_host(d, person)
    server = d.admin.create_server("for others")
    login(d, server, person).wait_colour(BLUE)
    assert has_no_privilege(d.admin.instance(server["server_id"])["pids"]["xrdp"], runner.uid)


def test_server_starts_without_cap_sys_ptrace(make_daemon):
    """Without CAP_SYS_PTRACE, which container engines do not grant: open files of other accounts' processes are hidden."""
    d = make_daemon(start=False)
    d.wrap = ["capsh", "--drop=cap_sys_ptrace", "--", "-c", 'exec "$@"', "sh"]
    d.start()
    assert int(proc.status(d.supervisor)["CapEff"], 16) & (1 << 19) == 0
    server = d.admin.create_server("in a container")
    assert server["status"] == "running"
    d.admin.post(f"{SERVERS}/{server['server_id']}/restart?wait=true")
    assert d.admin.server(server["server_id"])["status"] == "running"
