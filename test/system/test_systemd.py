"""The host's own xrdp under systemd, over D-Bus: a real systemd with Debian's units, in namespaces of the test
(test/lib/own_systemd.py)."""
import os
import socket

import pytest
from lucid import XRDP, free_ports
from own_systemd import DaemonInside
from proc import kill_one, listening, status, until

pytestmark = pytest.mark.one_shape("a program that systemd starts")

CONFIG, SERVICE = f"{XRDP}/config", f"{XRDP}/service"


@pytest.fixture
def daemon():
    d = DaemonInside()
    try:
        yield d.start()
        d.end()
    finally:
        if d.process and d.process.poll() is None:
            print(d.log()[-20000:])
        d.sweep()
        d.host.end()


def test_service(daemon):
    admin, host = daemon.admin, daemon.host
    stopped = admin.get(SERVICE)
    assert stopped["status"] == "stopped" and stopped["unit"] == "xrdp.service" and stopped["pid"] is None
    assert stopped["raw_output"] == "xrdp.service: inactive (dead); xrdp-sesman.service: inactive (dead)"
    server = admin.create_server("beside")
    before = admin.instance(server["server_id"])["pids"]
    assert admin.call("POST", f"{SERVICE}/reload").status_code == 409
    assert admin.post(f"{SERVICE}/start") == {"action": "start", "status": "running", "message": "done", "warnings": []}
    state = admin.get(SERVICE)
    assert state["status"] == "running" and str(state["pid"]) == host.show("xrdp.service", "MainPID") and state["error"] is None
    assert 0 < state["memory"] < 1 << 30 and state["since"]
    assert listening(host.port) and listening(host.sesman_port) and host.systemctl("is-active", "xrdp-sesman") == "active"
    assert admin.post(f"{SERVICE}/start")["message"] == "the host's xrdp is already running"
    sesman = host.show("xrdp-sesman.service", "MainPID")
    assert "restart" in admin.post(f"{SERVICE}/reload")["message"]
    assert host.show("xrdp-sesman.service", "MainPID") == sesman and admin.get(SERVICE)["pid"] == state["pid"]
    assert admin.post(f"{SERVICE}/restart")["message"] == "done"
    assert host.show("xrdp-sesman.service", "MainPID") != sesman and admin.get(SERVICE)["pid"] not in (None, state["pid"])
    # changes made by others are seen as well
    host.systemctl("stop", "xrdp")
    assert admin.get(SERVICE)["status"] == "stopped" and not listening(host.port)
    host.systemctl("start", "xrdp")
    assert admin.get(SERVICE)["status"] == "running"
    assert admin.post(f"{SERVICE}/stop")["status"] == "stopped"
    assert host.systemctl("is-active", "xrdp-sesman") != "active" and not listening(host.port)
    # a server of the program is not affected, although the units removed /run/xrdp
    now = admin.instance(server["server_id"])
    assert now["status"] == "running" and now["pids"] == before and listening(server["port"])


def test_failures_have_reasons(daemon):
    admin, host = daemon.admin, daemon.host
    admin.post(f"{SERVICE}/start")
    # after a kill it is failed, and a start recovers it
    kill_one(pid_outside(host, admin.get(SERVICE)["pid"]))
    until("the state", lambda: admin.get(SERVICE)["status"] == "failed")
    assert "xrdp.service: failed" in admin.get(SERVICE)["error"]
    assert admin.post(f"{SERVICE}/start")["status"] == "running"
    admin.post(f"{SERVICE}/stop")
    # a unit that cannot be started
    host.write_unit("xrdp.service", "[Service]\nExecStart=/bin/false\nType=oneshot")
    host.systemctl("daemon-reload")
    r = admin.call("POST", f"{SERVICE}/start")
    error = r.json()["error"]
    assert r.status_code == 502 and error["code"] == "LUCID_ERR_2101"
    assert "systemd could not start" in error["message"] and "journalctl -u xrdp" in error["message"]
    # a masked unit
    os.unlink(f"{host.units}/xrdp.service")
    os.symlink("/dev/null", f"{host.units}/xrdp.service")
    host.systemctl("daemon-reload")
    r = admin.call("POST", f"{SERVICE}/start")
    assert r.status_code == 502 and "masked" in r.json()["error"]["message"]
    # without a bus: pid files give the state, and the answer says why no more is known
    host.systemctl("stop", "dbus.socket", "dbus.service")
    until("the bus to go", lambda: "D-Bus" in admin.get(SERVICE)["raw_output"])
    r = admin.call("POST", f"{SERVICE}/start")
    assert r.status_code == 502 and "D-Bus" in r.json()["error"]["message"]
    host.systemctl("start", "dbus.service")
    assert "D-Bus" not in admin.get(SERVICE)["raw_output"]


def pid_outside(host, pid):
    """The pid, on this machine, of a process of that host."""
    return next(p for p in host.own() if (status(p).get("NSpid") or "").split()[-1:] == [str(pid)])


def test_failed_change_is_rolled_back_automatically(daemon):
    admin, host = daemon.admin, daemon.host
    admin.post(f"{SERVICE}/start")
    pid = admin.get(SERVICE)["pid"]
    # each connection reads it itself, so nothing is restarted
    done = admin.call("PUT", f"{CONFIG}?apply=true", {"sections": {"Globals": {"max_bpp": 16}}}, expect=200).json()
    assert done["applied"] is True and admin.get(SERVICE)["pid"] == pid
    port = free_ports(1)
    done = admin.call("PUT", f"{CONFIG}?apply=true", {"sections": {"Globals": {"port": port}}}, expect=200).json()
    assert done["applied"] is True and listening(port) and not listening(host.port) and admin.get(SERVICE)["pid"] != pid
    text = host.text()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        r = admin.call("PUT", f"{CONFIG}?apply=true", {"sections": {"Globals": {"port": taken.getsockname()[1]}}})
    assert r.status_code == 502 and "previous file was restored" in r.json()["error"]["message"]
    assert host.text() == text and listening(port) and admin.get(SERVICE)["status"] == "running"
    sesman, other = host.show("xrdp-sesman.service", "MainPID"), free_ports(1)
    done = admin.call("PUT", f"{CONFIG}?file=sesman&apply=true", {"sections": {"Globals": {"ListenPort": other}}}, expect=200).json()
    assert done["applied"] is True and listening(other) and host.show("xrdp-sesman.service", "MainPID") == sesman
    admin.post(f"{SERVICE}/stop")
    assert not listening(port)
