"""The process that reads from the network has no privileges, and files that root trusts belong to root."""
import os
import pwd

import pytest

import proc
from proc import until


def network_processes(d):
    """The processes that accept connections on the roles' listening sockets: all of the program except the supervisor, which only keeps them
    open."""
    return [p for p in proc.pids() if proc.alive(p) and proc.exe(p) == proc.exe(d.supervisor) and p != d.supervisor
            and d.dir.encode() in (proc.read(f"/proc/{p}/environ", binary=True) or b"")]


@pytest.mark.one_shape("a supervisor and its server")
def test_server_process_has_no_privileges(daemon):
    server = until("the server's process", daemon.server_pid)
    s = proc.status(server)
    assert all(int(u) != 0 for u in s["Uid"].split()), s["Uid"]
    assert all(int(g) != 0 for g in s["Gid"].split()), s["Gid"]
    assert "0" not in s["Groups"].split(), s["Groups"]
    for which in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(s[which], 16) == 0, f"{which} {s[which]}"
    assert s["NoNewPrivs"] == "1"
    # all its threads
    for task in os.listdir(f"/proc/{server}/task"):
        t = proc.status(f"{server}/task/{task}")
        assert int(t["CapEff"], 16) == 0 and int(t["CapPrm"], 16) == 0 and t["NoNewPrivs"] == "1"
        assert all(int(u) != 0 for u in t["Uid"].split())
    # this process answers requests: while it is stopped, none is answered
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
def test_only_the_supervisor_has_privileges(daemon):
    daemon.admin.create_server("one")
    assert daemon.server_pid() in network_processes(daemon)
    # a job of the supervisor (for example one that generates keys ahead) runs as root for a short time and holds no listening socket
    until("only the supervisor to be root", lambda: all(proc.uids(p)[0] != 0 for p in network_processes(daemon) if proc.alive(p)))
    assert proc.status(daemon.supervisor)["Threads"] == "1"


def test_xrdp_of_each_server_has_an_account_of_its_own(daemon):
    server = daemon.admin.create_server("one")
    pids = daemon.admin.get(f"/api/v1/rdp/servers/{server['server_id']}/status")["pids"]
    s = proc.status(pids["xrdp"])
    other = daemon.admin.create_server("two")
    uids = {tuple(proc.uids(daemon.admin.instance(i)["pids"]["xrdp"])) for i in (server["server_id"], other["server_id"])}
    assert len(uids) == 2 and len(set(s["Uid"].split())) == 1 and int(s["CapEff"], 16) == 0
    for uid in (uid for row in uids for uid in row):
        with pytest.raises(KeyError):
            pwd.getpwuid(uid)  # nobody can log in with it
    assert "0" not in s["Groups"].split()
    assert proc.uids(pids["sesman"])[0] == 0


def test_files_that_root_trusts_belong_to_root(daemon):
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
    # secrets are readable by their owner only
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
