"""The bound on HTTP connections of one address: one address cannot use up all connections."""
import contextlib
import socket

import pytest

from lucid import ROLES

GET = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"
MOST = 64
SHARE = MOST * 3 // 4

pytestmark = pytest.mark.one_shape("the listeners of one process")


def status(s):
    """The status of the response to one request; 0 if the connection is closed instead."""
    with contextlib.suppress(OSError):
        s.sendall(GET)
        got = b""
        while b"\r\n\r\n" not in got or b"timestamp" not in got.partition(b"\r\n\r\n")[2]:
            part = s.recv(65536)
            if not part:
                break
            got += part
        return int(got.split()[1]) if got else 0
    return 0


@contextlib.contextmanager
def crowd(d, source, n, speak):
    socks = []
    try:
        for _ in range(n):
            socks.append(socket.create_connection(("127.0.0.1", d.ports[ROLES[0]]), 10, source_address=(source, 0)))
        yield socks, [status(s) for s in socks] if speak else None
    finally:
        for s in socks:
            s.close()


def probe(d, source="127.0.0.1"):
    with crowd(d, source, 1, True) as (_, heard):
        return heard[0]


@pytest.mark.parametrize("speak", [True, False], ids=["busy", "silent"])
def test_one_address_does_not_take_all_connections(make_daemon, speak):
    d = make_daemon(MAX_CONNECTIONS=str(MOST))
    with crowd(d, "127.0.0.2", 2 * MOST, speak) as (_, heard):
        if speak:
            assert set(heard) <= {200, 503, 0} and SHARE - 2 <= heard.count(200) <= SHARE, heard
        assert probe(d) == 200
        assert probe(d, "127.0.0.3") == 200
        assert d.run("healthcheck").returncode == 0
        assert d.admin.get("/health")["status"] == "healthy"
    assert "127.0.0.2 has 48 open connections" in d.log()
    # once they are closed, the address is served again; its idle connections are closed to make room
    assert probe(d, "127.0.0.2") == 200


def test_bound_is_a_setting(make_daemon):
    d = make_daemon(MAX_CONNECTIONS_PER_ADDRESS="5")
    with crowd(d, "127.0.0.2", 8, True) as (_, heard):
        assert heard[:5] == [200] * 5 and 200 not in heard[5:]
        assert probe(d) == 200


def test_trusted_proxies_have_no_bound(make_daemon):
    d = make_daemon(MAX_CONNECTIONS_PER_ADDRESS="5", TRUSTED_PROXIES="127.0.0.2")
    with crowd(d, "127.0.0.2", 20, True) as (_, heard):
        assert heard == [200] * 20
    with crowd(d, "127.0.0.3", 20, True) as (_, heard):
        assert heard.count(200) == 5
