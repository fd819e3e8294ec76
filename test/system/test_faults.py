"""Failure on order (test builds): the store refuses, commits fail, answers come late, memory ends. Nothing that was
acknowledged is lost, and it heals by itself."""
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
    """A daemon, and a way to order faults of it: order() takes them all back."""
    folder = tempfile.TemporaryDirectory(prefix="lrdp-faults-")
    os.chmod(folder.name, 0o755)  # who runs the server reads it
    path = pathlib.Path(folder.name, "faults")
    path.write_text("")
    d = make_daemon(range_size=80, LUCID_FAULTS=str(path), STORE_TIMEOUT_MS="3000")

    def order(*lines):
        path.write_text("".join(line + "\n" for line in lines))
        time.sleep(0.1)  # it looks every 20 ms
    yield d, order
    order()
    folder.cleanup()


def create(d, name):
    return d.admin.call("POST", SERVERS, {"name": name, "auto_start": False})


@pytest.mark.parametrize("fault", ["store.begin always", "store.commit always"])
def test_a_store_that_refuses(faulty, fault):
    d, order = faulty
    kept = create(d, "before")
    assert kept.status_code == 201
    order(fault)
    refused = create(d, "meanwhile")
    assert refused.status_code == 503 and refused.json()["error"]["code"] == "LUCID_ERR_0010"
    assert int(refused.headers["Retry-After"]) >= 1
    assert d.admin.get(f"{SERVERS}/{kept.json()['server_id']}")["name"] == "before"  # reading goes on
    order()
    healed = until("writes again", lambda: (lambda r: r.status_code == 201 and r)(create(d, "after")), 15)
    names = {s["name"] for s in d.admin.list_servers()}
    assert names == {"before", "after"} and healed


def test_commits_that_fail_now_and_then(faulty):
    """Every third commit fails: what was answered 201 is there, what was refused is not, and names and ports are not lost."""
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
    for name in sorted(refused):  # a refused name was not used up
        until(name, lambda name=name: create(d, name).status_code == 201, 15)


def test_answers_that_come_late(faulty):
    d, order = faulty
    order("bus.answer delay 300")
    began = time.monotonic()
    r = create(d, "late")
    assert r.status_code == 201 and time.monotonic() - began >= 0.3
    order()


def test_no_memory(faulty):
    """The server says so and ends; the supervisor starts it anew, and what was acknowledged is there."""
    d, order = faulty
    made = create(d, "kept").json()["server_id"]
    before = d.server_pid()
    order("alloc after 2000")
    until("it to end", lambda: d.server_pid() != before or ask_quietly(d), 20, 0.02)
    order()
    until("a server again", lambda: d.server_pid() not in (None, before) and d.ready(), 20)
    assert "no memory for" in d.log()
    assert d.admin.server(made)["name"] == "kept"


def ask_quietly(d):
    with contextlib.suppress(requests.RequestException):
        d.admin.call("GET", SERVERS, timeout=2)
    return False


def test_a_clock_that_is_off(make_daemon):
    """Tokens are judged by the program's own clock: an hour ahead, a token of ten minutes is over."""
    d = make_daemon(LUCID_CLOCK_SHIFT_MS="3600000")
    assert Api(d.url(), token_for("anna", ttl=600)).call("GET", SERVERS).status_code == 401
    assert Api(d.url(), token_for("anna", ttl=7200)).call("GET", SERVERS).status_code == 200
    assert d.admin.call("GET", "/health").status_code == 200


def test_a_loop_that_stands(faulty):
    """A request holds the loop for longer than the watchdog suffers: it says so meanwhile, with what it was at; who asked whether it is
    alive is told that it was not; then all is well again."""
    d, order = faulty
    order("api.stand delay 8000")
    with contextlib.closing(socket.create_connection(("127.0.0.1", d.ports["rdp-server-manager"]), timeout=30)) as standing:
        standing.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n")
        time.sleep(0.3)
        order()  # what stands has read its delay
        with contextlib.closing(socket.create_connection(("127.0.0.1", d.ports["rdp-server-manager"]), timeout=30)) as asking:
            asking.sendall(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            until("the watchdog's word", lambda: "the loop has not turned" in d.log(), 20)
            line, = [x for x in d.log().splitlines() if "the loop has not turned" in x]
            assert '"level":"ERROR"' in line and "it was at /openapi.json" in line
            head = asking.recv(65536).decode()
        assert head.startswith("HTTP/1.1 503 ") and '"alive":false' in head, head
    page = until("it to be alive again", lambda: (lambda r: r.status_code == 200 and r.json())(d.api(None).call("GET", "/health/live")))
    assert page["alive"] is True
    until("the end of it in the log", lambda: "the loop turns again" in d.log())
    until("the figure", lambda: "rdp_loop_stuck_total 1\n" in d.api(None).call("GET", "/metrics").text)


def test_a_store_too_big_to_be_looked_through(faulty):
    """Ordered here, as a file that takes more than 3 s would be a big one: it is used, and said."""
    d, order = faulty
    assert create(d, "one").status_code == 201
    assert d.api(None).get("/health/ready")["checks"]["store"]["message"] == ""
    order("store.check always")
    pid = d.server_pid()
    d.kill(pid)
    until("a new server", lambda: d.server_pid() not in (None, pid) and d.ready())
    store = d.api(None).get("/health/ready")["checks"]["store"]
    assert store["status"] == "healthy" and "only in part" in store["message"] and "lucid-rdp backup" in store["message"]
    line, = [x for x in d.log().splitlines() if "only in part" in x]
    assert '"level":"WARNING"' in line
    assert create(d, "two").status_code == 201
