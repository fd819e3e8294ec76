"""The process that reads bytes from the network can do nothing but that; and what root trusts is root's."""
import os

import pytest

import proc
from proc import until


def network_processes(d):
    """Whoever holds one of the roles' listening sockets and accepts on it, that is: every process of ours but the
    supervisor, which only keeps them open."""
    return [p for p in proc.pids() if proc.alive(p) and proc.exe(p) == proc.exe(d.supervisor) and p != d.supervisor
            and d.dir.encode() in (proc.read(f"/proc/{p}/environ", binary=True) or b"")]


@pytest.mark.one_shape("a supervisor and its server")
def test_the_server_has_no_power(daemon):
    server = until("the server's process", daemon.server_pid)
    s = proc.status(server)
    assert all(int(u) != 0 for u in s["Uid"].split()), s["Uid"]
    assert all(int(g) != 0 for g in s["Gid"].split()), s["Gid"]
    assert "0" not in s["Groups"].split(), s["Groups"]
    for which in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(s[which], 16) == 0, f"{which} {s[which]}"
    assert s["NoNewPrivs"] == "1"
    # every thread of it
    for task in os.listdir(f"/proc/{server}/task"):
        t = proc.status(f"{server}/task/{task}")
        assert int(t["CapEff"], 16) == 0 and int(t["CapPrm"], 16) == 0 and t["NoNewPrivs"] == "1"
        assert all(int(u) != 0 for u in t["Uid"].split())
    # and it is the one that answers: stopped, nobody does
    os.kill(server, 19)
    try:
        refused = False
        try:
            daemon.api(None).call("GET", "/health", timeout=1)
        except Exception:
            refused = True
        assert refused
    finally:
        os.kill(server, 18)
    daemon.api(None).call("GET", "/health", expect=200)


@pytest.mark.one_shape("a supervisor and its server")
def test_every_process_but_the_supervisor(daemon):
    daemon.admin.create_server("one")
    ours = network_processes(daemon)
    assert daemon.server_pid() in ours
    for p in ours:
        assert proc.uids(p)[0] != 0, proc.describe(p)
    assert proc.status(daemon.supervisor)["Threads"] == "1"


def test_xrdp_runs_as_xrdp(daemon):
    import pwd
    server = daemon.admin.create_server("one")
    pids = daemon.admin.get(f"/api/v1/rdp/servers/{server['server_id']}/status")["pids"]
    s = proc.status(pids["xrdp"])
    assert set(s["Uid"].split()) == {str(pwd.getpwnam("xrdp").pw_uid)} and int(s["CapEff"], 16) == 0
    assert "0" not in s["Groups"].split()
    assert proc.uids(pids["sesman"])[0] == 0


def test_what_root_trusts_is_roots(daemon):
    daemon.admin.create_server("one")
    runner = proc.uids(daemon.server_pid())[0]
    for top in ("DATA_DIR", "LOG_DIR", "RUNTIME_DIR"):
        folder = daemon.settings[top]
        if not os.path.isdir(folder):
            continue
        st = os.stat(folder)
        assert st.st_uid == 0 and not st.st_mode & 0o022, f"{folder}: {st.st_uid} {st.st_mode:o}"
        for root, dirs, files in os.walk(os.path.join(folder, "xrdp")):
            for name in dirs + files:
                st = os.lstat(os.path.join(root, name))
                assert st.st_uid != runner, f"{root}/{name} is the server's"
    # secrets are nobody else's to read
    for root, _, files in os.walk(daemon.settings["DATA_DIR"]):
        for name in files:
            if "secret" in name or "key" in name.rsplit(".", 1)[-1] or name.endswith(".db"):
                assert not os.lstat(os.path.join(root, name)).st_mode & 0o007, f"{root}/{name}"
    # the server cannot write where root reads
    probe = os.path.join(daemon.settings["DATA_DIR"], "probe")
    pid = os.fork()
    if pid == 0:
        try:
            os.setgid(runner)
            os.setuid(runner)
            open(probe, "w").close()
            os._exit(1)
        except PermissionError:
            os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
