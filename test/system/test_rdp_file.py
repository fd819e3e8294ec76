"""The .rdp file of a server, opened by a real xfreerdp. Before, the files of servers with the layers tls and rdp had "negotiate security layer:i:0",
with which xfreerdp does not connect."""
import socket

import pytest

import rdp
from lucid import SERVERS
from proc import until

BLUE = "#3366cc"


@pytest.mark.parametrize("layer", ["negotiate", "tls"])
def test_xfreerdp_logs_in_with_the_file(make_daemon, users, login, layer):
    d = make_daemon(NODE_PUBLIC_HOST="127.0.0.1")
    user, = users(1, d)
    user.paint(BLUE)
    mine = d.api(user.name)
    server = mine.create_server("opened", desktop={"profile": "paint"}, security={"layer": layer}, display={"width": 640, "height": 480})
    file = mine.call("GET", f"{SERVERS}/{server['server_id']}/rdp-file", expect=200).content
    assert b"username:s:" + user.name.encode() + b"\r\n" in file
    login(d, server, user, file=file).wait_colour(BLUE)
    connection, = d.admin.connections(server["server_id"])
    assert connection["username"] == user.name


def test_xfreerdp_agrees_on_classic_rdp_security(make_daemon, users, login):
    """No login: Debian's xrdp 0.9.21 and FreeRDP 2.11 differ on the checksums of classic RDP security, with a file and without."""
    d = make_daemon(NODE_PUBLIC_HOST="127.0.0.1")
    user, = users(1, d)
    server = d.api(user.name).create_server("classic", desktop={"profile": "paint"}, security={"layer": "rdp"})
    where = f"{SERVERS}/{server['server_id']}"
    login(d, server, user, file=d.api(user.name).call("GET", where + "/rdp-file", expect=200).content)
    until("a connection without TLS", lambda: any("Non-TLS connection established" in line for line in d.admin.get(where + "/logs?lines=200")["lines"]))


def asked(file):
    """The connection request that xfreerdp sends when it opens the file: its address must be that of this listener."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(20)
        port = str(listener.getsockname()[1])
        client = rdp.Client(0, "", "x", file=file(port))
        try:
            peer, _ = listener.accept()
            with peer:
                peer.settimeout(20)
                return peer.recv(300)
        except TimeoutError:
            raise AssertionError(f"xfreerdp did not connect: {client.log()}") from None
        finally:
            client.close()


@pytest.mark.parametrize("name", ["first.last", "DOM\\anna", "m\u00fcller", "\u65e5\u672c", "anna@example.org", "two words"])
def test_xfreerdp_reads_names_of_every_script(make_daemon, name):
    d = make_daemon(NODE_PUBLIC_HOST="127.0.0.1")
    server = d.admin.create_server("named", auto_start=False, wait=False)
    content = d.admin.call("GET", f"{SERVERS}/{server['server_id']}/rdp-file", params={"username": name}, expect=200).content
    code = "ascii" if name.isascii() else "utf-16"
    text = content.decode(code)
    assert content.startswith(b"\xff\xfe") == (not name.isascii()) and f"username:s:{name}\r\n" in text

    def at(port):
        given = text.replace(f"127.0.0.1:{server['port']}\r", f"127.0.0.1:{port}\r")
        return given.encode("ascii") if name.isascii() else b"\xff\xfe" + given.encode("utf-16-le")
    request = asked(at)
    assert f"Cookie: mstshash={name.split(chr(92))[-1]}\r\n".encode() in request
    assert request[-8:-3] == b"\x01\x00\x08\x00\x01"  # TLS is offered, without NLA, which xrdp does not have


def test_no_name_adds_a_line(daemon):
    for name in ("a\u0085alternate shell:s:evil", "a\u2028alternate shell:s:evil", "a\nalternate shell:s:evil"):
        server = daemon.admin.create_server("safe", auto_start=False, wait=False)
        where = f"{SERVERS}/{server['server_id']}"
        assert daemon.admin.call("GET", where + "/rdp-file", params={"username": name}).status_code == 422
        daemon.admin.call("DELETE", where, expect=204)
    until("no server", lambda: not daemon.admin.get(SERVERS)["servers"])
