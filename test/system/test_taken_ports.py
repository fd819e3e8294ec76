"""Ports in use by another process: a start logs at once that it waits and for which process; doctor tells own servers from other processes."""
import json
import os
import socket
import subprocess
import sys

import pytest
from lucid import ROLES
from proc import until

pytestmark = pytest.mark.one_shape("how a process starts")

LISTENER = "import socket, sys, time; s = socket.create_server((sys.argv[1], int(sys.argv[2]))); print('listens', flush=True); time.sleep(600)"


@pytest.fixture
def stranger(tmp_path):
    """stranger(port): a process named lrdpstranger that listens on the port."""
    made = []
    program = tmp_path / "lrdpstranger"
    os.symlink(sys.executable, program)

    def listen(port, address="0.0.0.0"):
        p = subprocess.Popen([program, "-c", LISTENER, address, str(port)], stdout=subprocess.PIPE, text=True)
        made.append(p)
        assert p.stdout.readline() == "listens\n"
        return p
    yield listen
    for p in made:
        p.kill()
        p.wait()
        p.stdout.close()


def messages(d):
    return [json.loads(line)["message"] for line in d.log().splitlines() if line.startswith("{")]


def test_second_daemon_names_the_process_it_waits_for(make_daemon):
    first = make_daemon()
    second = make_daemon(start=False)
    port = first.ports[ROLES[0]]
    second.settings["RDP_SERVER_MANAGER_PORT"] = str(port)
    second.spawn()
    until("the second to say that it waits", lambda: [m for m in messages(second) if "waiting up to" in m])
    assert second.process.poll() is None, "it waits, and says so before it gives up"
    said = [m for m in messages(second) if "waiting up to" in m]
    assert len(said) == 1 and said[0].startswith("RDP_SERVER_MANAGER_PORT: ") and f"port {port} " in said[0], said
    assert f"by pid {first.process.pid} (lucid-rdp)" in said[0], said
    assert second.process.wait(30) == 78
    last = [m for m in messages(second) if "cannot listen" in m]
    assert len(last) == 1 and last[0].endswith(f"port {port}: the port is in use by pid {first.process.pid} (lucid-rdp); stop it or choose another port"), last


def test_released_port_is_used(make_daemon, stranger):
    d = make_daemon(start=False)
    other = stranger(d.ports[ROLES[1]], "127.0.0.1")
    d.spawn()
    said = until("the start to say that it waits", lambda: [m for m in messages(d) if "waiting up to" in m])
    assert said[0].startswith("XRDP_INTEGRATION_PORT: ") and f"by pid {other.pid} (lrdpstranger)" in said[0], said
    other.kill()
    other.wait()
    until("the start to go on", lambda: any("sockets open" in m for m in messages(d)))


def test_holder_of_a_unix_socket_is_named(make_daemon):
    first = make_daemon()
    path = f"{first.dir}/api.sock"
    first.stop()
    first.settings["BIND_ADDRESS"] = f"127.0.0.1,unix:{path}"
    first.start()
    second = make_daemon(start=False)
    second.settings["BIND_ADDRESS"] = f"127.0.0.1,unix:{path}"
    second.spawn()
    said = until("the second to say that it waits", lambda: [m for m in messages(second) if "waiting up to" in m])
    assert path in said[0] and f"by pid {first.process.pid} (lucid-rdp)" in said[0], said
    assert second.process.wait(30) == 78


def ports_found(d):
    out = d.run("doctor", "--json")
    return next(c for c in json.loads(out.stdout)["checks"] if c["name"] == "ports")


def test_doctor_tells_own_servers_from_other_processes(make_daemon, stranger):
    d = make_daemon()
    ports = [d.admin.create_server(name)["port"] for name in ("one", "two")]
    free = next(p for p in range(d.range[0], d.range[1] + 1) if p not in ports)

    def own():
        check = ports_found(d)
        assert check["state"] == "ok" and "2 own servers on " in check["found"], check
        assert all(str(p) in check["found"] for p in ports), check
        return check["found"]
    assert "the program runs" in own()
    other = stranger(free)
    check = ports_found(d)
    assert check["state"] == "warn" and f"in use within the RDP port range: {free} by pid {other.pid} (lrdpstranger); 2 own servers on" in check["found"], check
    # without the program its servers continue to run
    d.stop()
    check = ports_found(d)
    assert check["state"] == "warn" and f"RDP port range: {free} by pid {other.pid} (lrdpstranger); 2 own servers on" in check["found"], check
    other.kill()
    other.wait()
    assert "the next start adopts" in own()
    role = stranger(d.ports[ROLES[0]], "127.0.0.1")
    check = ports_found(d)
    assert check["state"] == "fail" and f"in use: {d.ports[ROLES[0]]} by pid {role.pid} (lrdpstranger)" in check["found"], check
    role.kill()
    role.wait()
    d.start()
    assert {s["status"] for s in d.admin.list_servers()} == {"running"}


def test_server_of_another_data_dir_is_not_an_own_server(make_daemon):
    theirs = make_daemon()
    port = theirs.admin.create_server("theirs")["port"]
    d = make_daemon(start=False, PORT_RANGE_START=theirs.settings["PORT_RANGE_START"], PORT_RANGE_END=theirs.settings["PORT_RANGE_END"])
    check = ports_found(d)
    pid = theirs.admin.list_servers()[0]["server_id"]
    pid = theirs.admin.instance(pid)["pids"]["xrdp"]
    assert check["state"] == "warn" and f"RDP port range: {port} by pid {pid} (" in check["found"] and "own server" not in check["found"], check
