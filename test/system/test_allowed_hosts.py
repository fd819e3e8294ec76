"""ALLOWED_HOSTS: the Host header, targets in absolute form, HTTP/1.0. Requests of the program itself always pass."""
import json
import socket

import pytest

import lucid
from lucid import ROLES
from proc import until
from shapes import KEYS

NAMED = {"Host": "desk.example"}


def raw(port, text):
    """Status and body of the response to these bytes."""
    with socket.create_connection(("127.0.0.1", port), 5) as s:
        s.sendall(text.encode())
        s.shutdown(socket.SHUT_WR)
        got = b""
        while part := s.recv(65536):
            got += part
    return int(got.split()[1]), got.partition(b"\r\n\r\n")[2]


@pytest.fixture
def strict(make_daemon):
    """A daemon on 127.0.0.1, which is not in its ALLOWED_HOSTS."""
    def make(**settings):
        d = make_daemon(start=False, ALLOWED_HOSTS="desk.example,*.lab.example", **settings)
        d.spawn()
        until("readiness", lambda: d.run("healthcheck").returncode == 0, 20)
        return d
    return make


@pytest.mark.one_shape("the names that one process answers to")
def test_unlisted_host_names_are_refused(strict):
    d = strict()
    port = d.ports[ROLES[0]]
    for host, status in (("desk.example", 200), ("DESK.example:8090", 200), ("desk.example.", 200), ("a.lab.example", 200), ("127.0.0.1", 400),
                         (f"127.0.0.1:{port}", 400), ("evil.example", 400), ("desk.example.evil", 400), ("desk.example:80.evil.example", 400),
                         ("desk.example:x", 400), ("desk.example:8090:8090", 400), ("desk.example:65536", 400), ("desk.example, evil", 400), ("", 400), (":8090", 400)):
        assert raw(port, f"GET /health HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")[0] == status, host
    assert raw(port, "GET /health HTTP/1.0\r\n\r\n")[0] == 400
    assert raw(port, "GET /health HTTP/1.0\r\nHost: desk.example\r\n\r\n")[0] == 200
    assert raw(port, "GET /health HTTP/1.1\r\nConnection: close\r\n\r\n")[0] == 400
    d.end(check=False)


@pytest.mark.one_shape("the names that one process answers to")
def test_host_in_an_absolute_target_is_checked(strict):
    d = strict()
    port = d.ports[ROLES[0]]
    for target, host, status in ((f"http://desk.example:{port}/health", "evil.example", 200), ("HTTPS://Desk.Example/health", "x", 200),
                                 ("http://evil.example/health", "desk.example", 400), ("http://desk.example@evil.example/health", "desk.example", 400),
                                 ("http://desk.example:80x/health", "desk.example", 400), ("http:///health", "desk.example", 400)):
        assert raw(port, f"GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")[0] == status, target
    status, body = raw(port, "GET http://desk.example?x=1 HTTP/1.0\r\n\r\n")
    assert status == 422 and json.loads(body)["error"]["details"][0]["field"] == "x"  # the path is "/", which does not accept a query
    status, body = raw(port, f"GET http://desk.example{lucid.SERVERS}?limit=1 HTTP/1.1\r\nHost: y\r\nConnection: close\r\nAuthorization: Bearer {d.admin.token}\r\n\r\n")
    assert status == 200 and json.loads(body)["pagination"]["limit"] == 1
    assert raw(port, "OPTIONS * HTTP/1.1\r\nHost: desk.example\r\nConnection: close\r\n\r\n")[0] == 204
    d.end(check=False)


@pytest.mark.one_shape("the names that one process answers to")
@pytest.mark.parametrize("settings", [{}, {"BIND_ADDRESS": "unix"}], ids=["address", "socket"])
def test_healthcheck_passes_with_any_allowed_hosts(make_daemon, settings):
    for names in ("desk.example", "*.lab.example", "2001:db8::1", "192.0.2.7"):
        d = make_daemon(start=False, ALLOWED_HOSTS=names)
        if settings:
            d.settings["BIND_ADDRESS"] = f"unix:{d.dir}/api.sock"
        d.spawn()
        until(f"a healthcheck with ALLOWED_HOSTS={names}", lambda: d.run("healthcheck").returncode == 0, 20)
        if not settings:
            for url in (d.url(), d.url() + "/health/live", d.url().replace("127.0.0.1", "localhost")):
                r = d.run("healthcheck", url)
                assert r.returncode == 0, r.stderr
            # requests of others are still refused
            assert d.api(None).call("GET", "/health").status_code == 400
            assert d.admin.call("GET", "/health").status_code == 400
        d.end(check=False)


@pytest.mark.one_shape("processes that it makes itself")
def test_roles_reach_each_other_with_any_allowed_hosts(make_daemon):
    manager, agent = (make_daemon(start=False, roles=[role], HEALTH_CHECK_INTERVAL="2", ALLOWED_HOSTS="desk.example", **KEYS) for role in ROLES[:2])
    manager.settings["XRDP_INTEGRATION_URL"] = agent.url(ROLES[1])
    agent.settings["RDP_SERVER_MANAGER_URL"] = manager.url()
    for d in (agent, manager):
        d.spawn()
    for d in (agent, manager):
        until("readiness", lambda: d.run("healthcheck").returncode == 0, 20)
    for d, other in ((manager, ROLES[1]), (agent, ROLES[0])):
        def healthy():
            r = d.api(None, d.roles[0]).call("GET", "/health/ready", headers=NAMED)
            return r.status_code == 200 and r.json()["checks"].get(other, {}).get("status") == "healthy"
        until(f"{other} to be seen as healthy", healthy, 20)
        until("its events to be followed", lambda: "is connected" in d.log(), 20)
    server = manager.admin.call("POST", f"{lucid.SERVERS}?wait=running", {"name": "apart"}, headers=NAMED, expect=201).json()
    assert server["status"] == "running"
    manager.admin.call("DELETE", f"{lucid.SERVERS}/{server['server_id']}", headers=NAMED, expect=204)
    for d in (manager, agent):
        d.end(check=False)
