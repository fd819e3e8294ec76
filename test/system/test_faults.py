"""Fault injection (test builds): the store refuses, commits fail, responses are late, memory runs out. No acknowledged write is lost, and
the program recovers without help."""
import contextlib
import os
import pathlib
import socket
import tempfile
import time

import pytest
import requests
from lucid import SERVERS, Api, token_for
from proc import until

pytestmark = pytest.mark.one_shape("faults on order inside a process")


@pytest.fixture
def faulty(make_daemon):
    """A daemon, and order(), which sets its faults; order() without arguments clears them."""
    folder = tempfile.TemporaryDirectory(prefix="lrdp-faults-")
    os.chmod(folder.name, 0o755)  # RUN_USER reads it
    path = pathlib.Path(folder.name, "faults")
    path.write_text("")
    d = make_daemon(range_size=80, LUCID_FAULTS=str(path), STORE_TIMEOUT_MS="3000")

    def order(*lines):
        path.write_text("".join(line + "\n" for line in lines))
        time.sleep(0.1)  # the rules are read again within 20 ms
    yield d, order
    order()
    folder.cleanup()


def create(d, name):
    return d.admin.call("POST", SERVERS, {"name": name, "auto_start": False})


@pytest.mark.parametrize("fault", ["store.begin always", "store.commit always"])
def test_store_that_refuses_writes(faulty, fault):
    d, order = faulty
    kept = create(d, "before")
    assert kept.status_code == 201
    order(fault)
    refused = create(d, "meanwhile")
    assert refused.status_code == 503 and refused.json()["error"]["code"] == "LUCID_ERR_0010"
    assert int(refused.headers["Retry-After"]) >= 1
    assert d.admin.get(f"{SERVERS}/{kept.json()['server_id']}")["name"] == "before"  # reads still work
    order()
    healed = until("writes again", lambda: (lambda r: r.status_code == 201 and r)(create(d, "after")), 15)
    names = {s["name"] for s in d.admin.list_servers()}
    assert names == {"before", "after"} and healed


def test_every_third_commit_fails(faulty):
    """Every third commit fails: every creation answered with 201 exists, every refused one does not, and no names or ports are lost."""
    d, order = faulty
    order("store.commit every 3")
    made, refused = set(), set()
    for i in range(40):
        r = create(d, f"server {i}")
        (made if r.status_code == 201 else refused).add(f"server {i}")
        assert r.status_code in (201, 503), r.text
    order()
    assert made and refused
    until("writes again", lambda: create(d, "last").status_code in (201, 409), 15)
    assert {s["name"] for s in d.admin.list_servers()} == made | {"last"}
    for name in sorted(refused):  # the name of a refused creation is free
        until(name, lambda name=name: create(d, name).status_code == 201, 15)


def test_late_responses(faulty):
    d, order = faulty
    order("bus.answer delay 300")
    began = time.monotonic()
    r = create(d, "late")
    assert r.status_code == 201 and time.monotonic() - began >= 0.3
    order()


def test_server_restarts_when_out_of_memory(faulty):
    """The server logs it and exits; the supervisor restarts it, and every acknowledged write is there."""
    d, order = faulty
    made = create(d, "kept").json()["server_id"]
    before = d.server_pid()
    order("alloc after 2000")
    until("it to end", lambda: d.server_pid() != before or ask_quietly(d), 20, 0.02)
    order()
    until("a server again", lambda: d.server_pid() not in (None, before) and d.ready(), 20)
    assert "out of memory" in d.log()
    assert d.admin.server(made)["name"] == "kept"


def ask_quietly(d):
    with contextlib.suppress(requests.RequestException):
        d.admin.call("GET", SERVERS, timeout=2)
    return False


def test_wrong_clock(make_daemon):
    """Tokens are checked against the program's own clock: one hour ahead, a token of ten minutes has expired."""
    d = make_daemon(LUCID_CLOCK_SHIFT_MS="3600000")
    assert Api(d.url(), token_for("anna", ttl=600)).call("GET", SERVERS).status_code == 401
    assert Api(d.url(), token_for("anna", ttl=7200)).call("GET", SERVERS).status_code == 200
    assert d.admin.call("GET", "/health").status_code == 200


def test_stalled_loop_is_reported(faulty):
    """A request blocks the loop beyond the watchdog's bound: meanwhile the watchdog logs it with the operation; /health then reports the stall to
    the waiting client; afterwards all is well again."""
    d, order = faulty
    order("api.stand delay 8000")
    with contextlib.closing(socket.create_connection(("127.0.0.1", d.ports["rdp-server-manager"]), timeout=30)) as standing:
        standing.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n")
        time.sleep(0.3)
        order()  # the blocked request has read its delay
        with contextlib.closing(socket.create_connection(("127.0.0.1", d.ports["rdp-server-manager"]), timeout=30)) as asking:
            asking.sendall(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            until("the watchdog's line in the log", lambda: "event loop stalled" in d.log(), 20)
            line, = [x for x in d.log().splitlines() if "event loop stalled" in x]
            assert '"level":"ERROR"' in line and "in /openapi.json" in line
            head = asking.recv(65536).decode()
        assert head.startswith("HTTP/1.1 503 ") and '"alive":false' in head, head
    page = until("it to be alive again", lambda: (lambda r: r.status_code == 200 and r.json())(d.api(None).call("GET", "/health/live")))
    assert page["alive"] is True
    until("the end of it in the log", lambda: "the event loop has resumed" in d.log())
    until("the figure", lambda: "rdp_loop_stuck_total 1\n" in d.api(None).call("GET", "/metrics").text)


def test_store_too_large_to_be_checked_is_used(faulty):
    """The fault stands for a file whose check takes more than 3 s: it is used, and that is logged."""
    d, order = faulty
    assert create(d, "one").status_code == 201
    assert d.api(None).get("/health/ready")["checks"]["store"]["message"] == ""
    order("store.check always")
    pid = d.server_pid()
    d.kill(pid)
    until("a new server", lambda: d.server_pid() not in (None, pid) and d.ready())
    store = d.api(None).get("/health/ready")["checks"]["store"]
    assert store["status"] == "healthy" and "too large to be checked completely" in store["message"] and "lucid-rdp backup" in store["message"]
    line, = [x for x in d.log().splitlines() if "too large to be checked completely" in x]
    assert '"level":"WARNING"' in line
    assert create(d, "two").status_code == 201
