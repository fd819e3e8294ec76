"""Unusual file systems: full, read-only, without exec or set-uid, mounted late. Each works, or is refused with the reason, and everything
recovers when the cause is gone."""
import contextlib
import json
import os
import subprocess

import pytest

import lucid
from lucid import SERVERS
from proc import alive, until

pytestmark = pytest.mark.one_shape("the directories of one process")
BLUE, GREEN = "#3366cc", "#33aa44"


def on_disks(d, **options):
    """Its directories on file systems of their own, in a mount namespace that ends with the program and its servers."""
    script = ""
    for name, how in options.items():
        path = d.settings[name] if name in d.settings else name
        script += f"mkdir -p {path} && mount -t tmpfs -o mode=755,{how} lrdp {path} && "
    d.wrap = ["unshare", "-m", "--propagation", "private", "sh", "-c", script + 'exec "$@"', "sh"]
    return d


def inside(d, *command):
    subprocess.run(["nsenter", "-m", "-t", str(d.supervisor), *command], check=True)


def seen(d, path):
    """The path as the program sees it."""
    return f"/proc/{d.supervisor}/root{path}"


@contextlib.contextmanager
def full(path):
    """Fills the file system completely."""
    ballast = os.path.join(path, "ballast")
    fd = os.open(ballast, os.O_WRONLY | os.O_CREAT)
    for size in (1 << 20, 4096, 1):
        with contextlib.suppress(OSError):
            while os.write(fd, b"x" * size):
                pass
    os.close(fd)
    try:
        yield
    finally:
        os.unlink(ballast)


def storage(d):
    return d.api(None).get("/health/ready", expect=(200, 503))["checks"]["storage"]


def test_servers_survive_a_restart_on_a_full_disk(make_daemon, users, login):
    """The disk is full at a restart and at a login: the server keeps running, the desktop is recorded when there is space, and is found again."""
    d = on_disks(make_daemon(start=False), DATA_DIR="size=24m").start()
    path = d.settings["DATA_DIR"]
    first, second = users(2, d)
    first.paint(BLUE)
    second.paint(GREEN)
    server = d.admin.create_server("full")
    sid = server["server_id"]
    client = login(d, server, first)
    client.wait_colour(BLUE)
    before = d.admin.instance(sid)
    with full(seen(d, path)):
        r = d.admin.call("POST", f"{SERVERS}/{sid}/restart?wait=true", expect=(500, 503))
        assert "disk" in r.json()["error"]["message"] and "full" in r.json()["error"]["message"] and d.dir not in r.text, r.text
        assert d.admin.instance(sid)["status"] == "running" and d.admin.instance(sid)["pids"] == before["pids"]
        until("readiness to report it", lambda: "the disk that holds DATA_DIR is full" in storage(d)["message"], 20)
        # a user logs in meanwhile
        other = login(d, server, second)
        other.wait_colour(GREEN)
        until("both desktops", lambda: len(d.admin.desktops(sid)) == 2, 20)
    until("readiness", lambda: storage(d)["status"] == "healthy", 20)
    until("the store", d.ready, 20)
    folder = f"{path}/xrdp/servers/{sid}"
    displays = [x["display"] for x in d.admin.desktops(sid)]
    until("both desktops to be recorded", lambda: all(os.path.exists(seen(d, f"{folder}/desktop-{n}.json")) for n in displays), 20)
    until("running", lambda: d.admin.server(sid)["status"] == "running", 20)
    # after a restart of the program the processes are the same
    keeper = subprocess.Popen(["nsenter", "-m", "-t", str(d.supervisor), "sleep", "infinity"])
    try:
        d.stop()
        d.wrap = ["nsenter", "-m", "-t", str(keeper.pid)]
        d.start()
    finally:
        keeper.kill()
        keeper.wait()
    until("two active desktops", lambda: sorted((x["username"], x["status"]) for x in d.admin.desktops(sid)) ==
          sorted((u.name, "active") for u in (first, second)), 20)
    assert client.connected and other.connected
    d.admin.post(f"{SERVERS}/{sid}/restart?wait=true")
    assert alive(before["pids"]["sesman"]) and not alive(before["pids"]["xrdp"])


def test_a_desktop_without_a_record_is_no_orphan(daemon, users, login):
    """A desktop that an older version did not record is found by its processes."""
    user, = users(1, daemon)
    user.paint(BLUE)
    server = daemon.admin.create_server("unrecorded")
    login(daemon, server, user).wait_colour(BLUE)
    desktop, = daemon.admin.desktops(server["server_id"])
    daemon.stop()
    os.unlink(f"{daemon.settings['DATA_DIR']}/xrdp/servers/{server['server_id']}/desktop-{desktop['display']}.json")
    daemon.start()
    until("the desktop with its user", lambda: [(x["username"], x["status"]) for x in daemon.admin.desktops(server["server_id"])] ==
          [(user.name, "active")], 20)


@pytest.mark.parametrize("name", ["DATA_DIR", "LOG_DIR", "RUNTIME_DIR", "/tmp"])
def test_directory_without_exec_and_setuid_is_sufficient(make_daemon, users, login, name):
    d = make_daemon(start=False)
    user, = users(1, d)
    user.paint(BLUE)
    if name == "/tmp":  # the test's own files are there, including the desktop's program
        d.settings["DESKTOP_PROFILES"] = f"paint=/bin/sh {d.dir}/paint"
        program = os.path.dirname(lucid.BIN)  # the program may be below /tmp as well
        own = f'mount --bind {program} {program} && mount -o remount,bind,exec {program} && '
        d.wrap = ["unshare", "-m", "--propagation", "private", "sh", "-c",
                  f'mount --bind /tmp /tmp && mount -o remount,bind,noexec,nosuid,nodev /tmp && {own} exec "$@"', "sh"]
    else:
        on_disks(d, **{name: "size=48m,noexec,nosuid,nodev"})
    d.start()
    server = d.admin.create_server("noexec")
    assert server["status"] == "running", d.admin.get(f"{SERVERS}/{server['server_id']}/status")
    login(d, server, user).wait_colour(BLUE)


@pytest.mark.parametrize("name", ["LOG_DIR", "DATA_DIR"])
def test_read_only_directory_is_reported_until_writable(make_daemon, name):
    d = make_daemon(start=False)
    on_disks(d, **{name: "size=24m"})
    if name == "DATA_DIR":  # the store is elsewhere, so the program still answers
        on_disks(d, DATA_DIR="size=24m", **{f"{d.settings['DATA_DIR']}/store": "size=24m"})
    d.start()
    path = d.settings[name]
    inside(d, "mount", "-o", "remount,ro", path)
    waits = d.admin.create_server("waits")
    assert (waits["status"], waits["status_reason"]) == ("failed", "read_only_file_system")
    said = d.admin.get(f"{SERVERS}/{waits['server_id']}/status")["last_exit"]["lines"][0]
    assert f"{name} is mounted read-only" in said and d.dir not in said
    until("readiness to report it", lambda: f"{name} is mounted read-only" in storage(d)["message"], 20)
    page = d.api(None).get("/health/ready", expect=(200, 503))
    assert d.dir not in json.dumps(page)
    inside(d, "mount", "-o", "remount,rw", path)
    until("the server to run by itself", lambda: d.admin.server(waits["server_id"])["status"] == "running", 30)
    until("readiness", lambda: storage(d)["status"] == "healthy", 20)


@pytest.mark.parametrize("propagation", ["private", "shared"])
def test_session_sees_a_home_that_is_mounted_late(make_daemon, users, login, propagation):
    """Also where later mounts do not propagate to the namespaces of the servers; and it goes away when the host unmounts it."""
    d = make_daemon(start=False)
    d.wrap = ["unshare", "-m", "--propagation", propagation, "sh", "-c", 'exec "$@"', "sh"]
    d.start()
    first, second = users(2, d)
    first.paint(GREEN)
    server = d.admin.create_server("early")
    login(d, server, first).wait_colour(GREEN)  # a desktop that was started before
    # its owner's home is mounted now, with other content, and a user logs in at once
    home = f"/home/{second.name}"
    if os.path.exists(f"{home}/.Xauthority"):
        os.unlink(f"{home}/.Xauthority")  # from a login in another test
    inside(d, "sh", "-c", f"mount -t tmpfs -o mode=755 lrdp {home} && chown {second.uid} {home} && echo '{BLUE}' >{home}/.colour && "
           f"mkdir {home}/within && mount -t tmpfs lrdp {home}/within && touch {home}/within/seen")
    client = login(d, server, second)
    client.wait_colour(BLUE)
    sesman = d.admin.instance(server["server_id"])["pids"]["sesman"]
    assert os.path.exists(f"/proc/{sesman}/root{home}/within/seen")
    subprocess.run(["nsenter", "-m", "-t", str(d.supervisor), "touch", f"{home}/one"], check=True)
    assert os.path.exists(f"/proc/{sesman}/root{home}/one")
    assert not os.path.exists(f"{home}/.Xauthority"), "nothing was written beneath the mount"
    inside(d, "umount", "-l", f"{home}/within")
    until("it to go", lambda: not os.path.exists(f"/proc/{sesman}/root{home}/within/seen"), 20)
