"""Faults under a running supervisor, or between two runs: records, directories, ownership of the data."""
import ctypes
import glob
import os
import shutil
import socket
import struct

import pytest
from lucid import SERVERS, XRDP
from proc import alive, listening, until

pytestmark = pytest.mark.one_shape("the supervisor's own files")


def record_files(d, server_id):
    return [f"{d.dir}/data/xrdp/servers/{server_id}/instance.json", f"{d.dir}/run/xrdp/records/{server_id}.json"]


PIDFD_GETFD = 438  # number of the system call, the same on all architectures


def pair_of(d):
    """The server's end of the socket pair, as a compromised server can use it."""
    pid = d.server_pid()
    held = os.pidfd_open(pid)
    try:
        for name in os.listdir(f"/proc/{pid}/fd"):
            fd = ctypes.CDLL(None, use_errno=True).syscall(PIDFD_GETFD, held, int(name), 0)
            if fd < 0 or not os.readlink(f"/proc/self/fd/{fd}").startswith("socket:"):
                if fd >= 0:
                    os.close(fd)
                continue
            s = socket.socket(fileno=fd)
            if s.family == socket.AF_UNIX and not s.getsockname():
                peer = struct.unpack("3i", s.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]
                if peer == d.supervisor:
                    return s
            s.close()
    finally:
        os.close(held)
    raise AssertionError("the server has no pair")


def call_frame(number, op="host.info", nfds=0):
    text = f'{{"id":"x{number}","op":"{op}","params":[],"ms":60000}}'.encode()
    return struct.pack("<IBBH", len(text), ord("C"), nfds, 0) + text


def open_files(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


@pytest.mark.parametrize("said", [0, 4])
def test_descriptors_of_a_compromised_server_are_not_kept(daemon, said):
    """The first one ends the pair and the server; a new server answers at once, and RDP servers can be started."""
    supervisor, server = daemon.supervisor, daemon.server_pid()
    before = open_files(supervisor)
    with pair_of(daemon) as pair, open("/dev/null", "rb") as null:
        pair.settimeout(10)
        try:
            for n in range(500):
                socket.send_fds(pair, [call_frame(n, nfds=said)], [null.fileno()] * 4)
        except OSError:
            pass  # the pair was closed meanwhile
    until("a new server", lambda: daemon.server_pid() not in (None, server) and daemon.ready())
    assert daemon.supervisor == supervisor
    until("no descriptor is kept", lambda: open_files(supervisor) <= before + 20)
    assert "violated the socket pair protocol" in daemon.log()
    daemon.admin.create_server("after")


def test_calls_of_a_compromised_server_are_bounded(daemon):
    """20,000 calls about desktops that do not exist: those beyond the bound are refused, and the supervisor continues."""
    supervisor = daemon.supervisor
    with pair_of(daemon) as pair:
        pair.settimeout(30)
        for n in range(20000):  # one by one: a frame that is sent at once is not mixed with those of the server itself
            pair.sendall(call_frame(n))  # the server gets the responses and drops them, because it did not send these calls
    daemon.admin.create_server("after")
    assert daemon.supervisor == supervisor and daemon.ready()


def test_damaged_record_loses_no_server(make_daemon):
    d = make_daemon()
    server = d.admin.create_server("kept")
    before = d.admin.get(f"{SERVERS}/{server['server_id']}")
    own, copy = record_files(d, server["server_id"])
    assert os.path.exists(own) and os.path.exists(copy)
    d.stop()
    with open(own, "w", encoding="utf-8") as f:
        f.write('{"record": 1, "boot')
    d.start()
    assert d.admin.get(f"{SERVERS}/{server['server_id']}")["status"] == "running" == before["status"]
    assert listening(server["port"])


def test_delete_ends_a_server_without_any_record(make_daemon):
    d = make_daemon()
    server = d.admin.create_server("lost")
    d.stop()
    assert listening(server["port"])
    for path in record_files(d, server["server_id"]):
        with open(path, "wb") as f:
            f.write(b"\x7fELF\0\0")
    d.start()
    d.admin.call("DELETE", f"{SERVERS}/{server['server_id']}?force=true", expect=(200, 202, 204))
    until("nothing answers on its port", lambda: not listening(server["port"]))
    until("it is gone", lambda: d.admin.call("GET", f"{SERVERS}/{server['server_id']}").status_code == 404)


def remove_own(d, server_id):
    shutil.rmtree(f"{d.settings['DATA_DIR']}/xrdp/servers/{server_id}", ignore_errors=True)


def remove_all(d, server_id):
    remove_own(d, server_id)
    os.unlink(record_files(d, server_id)[1])


@pytest.mark.parametrize("remove", [remove_own, remove_all])
def test_server_with_removed_directory_does_not_block_its_port(make_daemon, remove):
    """It is adopted from the copy of its record; without the copy, its processes are ended and it starts again."""
    d = make_daemon()
    server = d.admin.create_server("bare")
    sid = server["server_id"]
    before = d.admin.instance(sid)["pids"]
    d.stop()
    remove(d, sid)
    d.start()
    # the stored status is running from before, until the manager has asked the agent
    until("its instance to run", lambda: d.admin.call("GET", f"{XRDP}/instances/{sid}").json().get("status") == "running")
    after = d.admin.instance(sid)["pids"]
    assert (after == before) == (remove is remove_own)
    assert remove is remove_own or not any(alive(p) for p in before.values())
    d.admin.delete(f"{SERVERS}/{sid}?force=true")
    until("nothing answers on its port", lambda: not listening(server["port"]))
    assert not any(alive(p) for p in (*before.values(), *after.values()))


@pytest.mark.parametrize("path", ["log", "data/xrdp/servers/{id}/etc"])
def test_restart_restores_removed_directories(daemon, users, login, path):
    """The namespace of the server shows the directory that the restart made, not the removed one; the desktop is kept."""
    user, = users(1, daemon)
    user.paint("#3366cc")
    server = daemon.admin.create_server("emptied")
    sid = server["server_id"]
    login(daemon, server, user).wait_colour("#3366cc")
    desktop, = daemon.admin.desktops(sid)
    shutil.rmtree(os.path.join(daemon.dir, path.format(id=sid)))
    daemon.admin.post(f"{SERVERS}/{sid}/restart?wait=true")
    assert daemon.admin.server(sid)["status"] == "running"
    user.paint("#33aa44")
    login(daemon, server, user).wait_colour("#33aa44")
    assert [d["display"] for d in daemon.admin.desktops(sid)] == [desktop["display"]]
    assert any("connection received" in line for line in daemon.admin.get(f"{SERVERS}/{sid}/logs?lines=500")["lines"])


def test_removed_runtime_dir_is_recreated(daemon):
    hook = f"{daemon.dir}/run/xrdp/hook.sock"
    until("the hook socket", lambda: os.path.exists(hook))
    shutil.rmtree(f"{daemon.dir}/run")
    until("the hook socket again", lambda: os.path.exists(hook))


def test_data_of_another_account_is_handed_over(make_daemon):
    """As after cp -r by root, or with another RUN_USER."""
    d = make_daemon()
    server = d.admin.create_server("owned", auto_start=False)
    d.stop()
    for path in glob.glob(f"{d.dir}/data/store/*"):
        os.chown(path, 0, 0)
        os.chmod(path, 0o600)
    d.start()
    assert d.admin.get(f"{SERVERS}/{server['server_id']}")["name"] == "owned"
    d.admin.create_server("written", auto_start=False)


def test_data_that_cannot_be_handed_over_is_named(make_daemon):
    d = make_daemon()
    d.stop()
    path = f"{d.dir}/data/store/lucid.db"
    os.chown(path, 0, 0)
    os.chmod(path, 0o600)
    os.link(path, f"{d.dir}/data/second-name")
    r = d.run()
    assert r.returncode == 78
    said = r.stdout + r.stderr
    assert path in said and "user 0" in said and "chown -R" in said
    os.unlink(f"{d.dir}/data/second-name")
    d.start()
    assert d.ready()
