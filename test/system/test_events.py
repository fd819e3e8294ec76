"""GET /events as clients see it."""
import json
import resource
import select
import socket
import ssl
import subprocess
import time
import uuid

import pytest

import lucid
import proc
import shapes
from lucid import ROLES, SERVERS, token_for
from proc import until

IDLE = {"auto_start": False}
MEASURE = "asan" not in lucid.BIN  # a sanitizer keeps freed memory


class Stream:
    """One reader: a raw socket, so that it can also stop reading."""

    def __init__(self, d, who="admin", query="", last=None, method="GET", version="1.1", token=None, rcvbuf=None, tls=None, role=ROLES[0], **more):
        self.sock = socket.socket()
        if rcvbuf:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        self.sock.settimeout(20)
        self.sock.connect(("127.0.0.1", d.ports[role]))
        self.sock = tls.wrap_socket(self.sock) if tls else self.sock
        token = token or (token_for(who, "admin") if who == "admin" else token_for(who))
        head = {"Host": "localhost", "Authorization": f"Bearer {token}", **({"Last-Event-ID": last} if last is not None else {}), **more}
        text = f"{method} /events{query} HTTP/{version}\r\n" + "".join(f"{k}: {v}\r\n" for k, v in head.items()) + "\r\n"
        self.sock.sendall(text.encode())
        self.buffer, self.events, self.comments, self.ids, self.open = b"", [], 0, [], True

    def head(self):
        while b"\r\n\r\n" not in self.buffer:
            part = self.sock.recv(65536)
            assert part, self.buffer
            self.buffer += part
        text, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        lines = text.decode().split("\r\n")
        self.status = int(lines[0].split()[1])
        self.headers = {n.lower(): v.strip() for n, v in (line.split(":", 1) for line in lines[1:])}
        return self

    def take(self, wait=0.0):
        """Reads what has arrived; false once the stream is closed."""
        poll = select.poll()
        poll.register(self.sock, select.POLLIN)
        if self.open and poll.poll(wait * 1000):
            try:
                part = self.sock.recv(1 << 20)
                while part and isinstance(self.sock, ssl.SSLSocket) and self.sock.pending():
                    part += self.sock.recv(1 << 20)
            except ConnectionResetError:
                part = b""
            self.open = bool(part)
            self.buffer += part
        *blocks, self.buffer = self.buffer.split(b"\n\n")
        for block in blocks:
            fields = [line.split(": ", 1) for line in block.decode().split("\n") if not line.startswith(":")]
            self.comments += not fields
            fields = dict(fields)
            if "id" in fields:
                self.ids.append(fields["id"])
            if "data" in fields:
                event = json.loads(fields["data"])
                assert event["id"] == fields["id"] and event["topic"] == fields["event"]
                self.events.append(event)
        return self.open

    def wait(self, what, check, timeout=20):
        until(f"{what}; heard {[e['topic'] for e in self.events][-20:]}", lambda: (self.take(0.05), check(self))[1], timeout)

    def wait_topic(self, topic, **fields):
        def has(s):
            return [e for e in s.events if e["topic"] == topic and all(e.get(k) == v for k, v in fields.items())]
        self.wait(topic, has)
        return has(self)[-1]

    def topics(self):
        return [e["topic"] for e in self.events]

    def wait_closed(self):
        self.wait("the end of the stream", lambda s: not s.open)

    def close(self):
        self.sock.close()


def make(api, name, expect=201, **fields):
    return api.post(SERVERS, {"name": name, **IDLE, **fields}, expect=expect)


@pytest.fixture
def listen(request):
    streams = []

    def begin(*args, head=True, **more):
        s = Stream(*args, **more)
        streams.append(s)
        return s.head() if head else s
    yield begin
    for s in streams:
        s.close()


@pytest.mark.shapes
def test_created_changed_deleted(daemon, listen):
    s = listen(daemon, "ann")
    assert s.status == 200 and s.headers["content-type"] == "text/event-stream" and s.headers["cache-control"] == "no-store"
    assert "content-length" not in s.headers and "transfer-encoding" not in s.headers
    ann = daemon.api("ann")
    server = make(ann, "one")
    event = s.wait_topic("server.created")
    assert event["server_id"] == server["server_id"] and event["user_id"] == "ann" and event["data"]["name"] == "one"
    assert "session_id" not in event and event["timestamp"].endswith("Z")
    ann.call("PATCH", f"{SERVERS}/{server['server_id']}", {"description": "x"}, expect=200)
    s.wait_topic("server.updated")
    ann.delete(f"{SERVERS}/{server['server_id']}")
    s.wait_topic("server.deleted", server_id=server["server_id"])
    numbers = [int(i.split("-")[1]) for i in s.ids]
    assert numbers == sorted(numbers)


@pytest.mark.shapes
def test_start_and_stop_publish_events(daemon, listen):
    """The events of a server that is started and stopped."""
    s = listen(daemon, query="?topics=server.*")
    server = daemon.admin.create_server("one")
    s.wait("running", lambda x: any(e["topic"] == "server.status" and e["data"].get("status") == "running" for e in x.events))
    daemon.admin.delete(f"{SERVERS}/{server['server_id']}?force=true")
    s.wait_topic("server.deleted")
    assert all(t.startswith("server.") for t in s.topics())


@pytest.mark.shapes
def test_topics(daemon, listen):
    some, none = listen(daemon, query="?topics=server.deleted,server.upd*"), listen(daemon, query="?topics=session.*")
    every = listen(daemon)
    server = make(daemon.admin, "one")
    daemon.admin.delete(f"{SERVERS}/{server['server_id']}")
    every.wait_topic("server.deleted")
    some.wait_topic("server.deleted")
    assert some.topics() == ["server.deleted"] and every.topics()[0] == "server.created"
    none.take(0.2)
    assert none.events == [] and none.open


@pytest.mark.parametrize("query", ["?topics=", "?topics=a,,b", "?topics=a%20b", "?topics=" + ",".join("abcdefghijklmnopq"), "?topics=" + "x" * 65,
                                   "?topic=server.*", "?topics=a&topics=b"])
def test_unknown_topics_are_refused(daemon, query):
    r = daemon.admin.call("GET", "/events" + query, expect=422)
    assert r.json()["error"]["details"]


@pytest.mark.shapes
def test_ownership(daemon, listen):
    ann, bob, admin = listen(daemon, "ann"), listen(daemon, "bob"), listen(daemon)
    a, b = make(daemon.api("ann"), "one"), make(daemon.api("bob"), "two")
    ann.wait_topic("server.created", server_id=a["server_id"])
    bob.wait_topic("server.created", server_id=b["server_id"])
    admin.wait("both", lambda s: len(s.events) >= 2)
    for s, who in ((ann, "ann"), (bob, "bob")):
        s.take(0.2)
        assert {e["user_id"] for e in s.events} == {who}
    # ownership is checked for resumed events too
    again = listen(daemon, "bob", last=admin.ids[0])
    again.wait_topic("server.created")
    again.take(0.2)
    assert {e["user_id"] for e in again.events} == {"bob"}


@pytest.mark.shapes
def test_streams_need_a_token(daemon):
    nobody = daemon.api(None)
    r = nobody.call("GET", "/events", expect=401)
    assert r.headers["WWW-Authenticate"].startswith("Bearer")
    nobody.call("POST", "/events", expect=405)
    assert "/events" in nobody.get("/openapi.json")["paths"]


@pytest.mark.shapes
def test_resume(daemon, listen):
    s, ann = listen(daemon, "ann"), daemon.api("ann")
    s.wait("its place", lambda x: x.ids)
    nothing_yet = s.ids[0]
    servers = [make(ann, f"s{n}") for n in range(4)]
    s.wait("four", lambda x: len(x.events) == 4)
    s.close()
    for last, missed in ((nothing_yet, 4), (s.events[0]["id"], 3), (s.events[2]["id"], 1), (s.events[3]["id"], 0)):
        again = listen(daemon, "ann", last=last)
        again.wait("what was missed", lambda x, n=missed: len(x.events) == n)
        assert [e["server_id"] for e in again.events] == [x["server_id"] for x in servers[4 - missed:]]
        assert again.events == s.events[4 - missed:]
    again.take(0.2)
    make(ann, "s9")
    again.wait_topic("server.created")
    assert [e["data"]["name"] for e in again.events] == ["s9"]


def test_resume_after_a_restart_reports_a_gap(daemon, listen):
    ann = daemon.api("ann")
    s = listen(daemon, "ann")
    make(ann, "one")
    last = s.wait_topic("server.created")["id"]
    pid = daemon.pid_of(ROLES[0])
    daemon.kill(pid)
    s.wait_closed()
    until("the next server", lambda: daemon.pid_of(ROLES[0]) not in (None, pid) and daemon.ready())
    make(daemon.api("ann"), "two")
    for old in (last, "nonsense", "0-0", "ffffffffffffffff-99999999999999999999999"):
        again = listen(daemon, "ann", last=old)
        again.wait_topic("server.created")
        assert again.topics() == ["stream.gap", "server.created"] and again.events[0]["data"]["reason"] == "restarted"
        assert again.events[1]["data"]["name"] == "two"
    # resuming from the gap event itself reports no further gap
    exact = listen(daemon, "ann", last=again.events[0]["id"])
    exact.wait_topic("server.created")
    assert exact.topics() == ["server.created"]


def test_resume_beyond_the_ring_reports_a_gap(make_daemon, listen):
    daemon = make_daemon()
    ann = daemon.api("ann")
    server = make(ann, "one")
    s = listen(daemon, "ann")
    s.wait("its place", lambda x: x.ids)
    for n in range(1100):
        ann.call("PATCH", f"{SERVERS}/{server['server_id']}", {"description": str(n)}, expect=200)
    again = listen(daemon, "ann", last=s.ids[0])
    again.wait("the ring", lambda x: len(x.events) == 1025)
    assert again.events[0]["topic"] == "stream.gap" and again.events[0]["data"]["reason"] == "too-old"
    s.wait("all of them", lambda x: len(x.events) == 1100)
    assert again.events[1:] == s.events[-1024:]


def test_old_and_short_clients(daemon, listen):
    s = listen(daemon, "ann", version="1.0")
    assert s.status == 200 and s.headers["connection"] == "close"
    make(daemon.api("ann"), "one")
    s.wait_topic("server.created")
    h = listen(daemon, "ann", method="HEAD")
    assert h.status == 200 and h.headers["content-type"] == "text/event-stream"
    h.wait_closed()
    assert h.ids == [] and h.buffer == b""


def test_input_on_a_stream_is_not_a_request(daemon, listen):
    s = listen(daemon, "ann")
    s.sock.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
    make(daemon.api("ann"), "one")
    s.wait_topic("server.created")
    assert s.open and b"HTTP/1.1" not in s.buffer
    with pytest.raises(OSError):
        for _ in range(1000):
            s.sock.sendall(b"x" * 65536)


def gauge(d, name):
    text = d.admin.call("GET", "/metrics", expect=200).text
    return float([line for line in text.split("\n") if line.startswith(name + " ")][0].split()[1])


ROLES_LISTENING = 3 if shapes.SHAPE == "split" else 0  # without Redis the other processes follow events by streams of their own


def listeners(d):
    return gauge(d, "rdp_event_streams") - ROLES_LISTENING


def test_gone_clients_are_noticed(daemon, listen):
    streams = [listen(daemon, "ann") for _ in range(20)]
    until("all streams", lambda: listeners(daemon) == 20)
    for s in streams:
        s.close()
    until("the closed streams to be counted out", lambda: listeners(daemon) == 0)


def test_slow_stream_reader_is_dropped(make_daemon, listen):
    """It is dropped; others receive everything, and memory does not grow."""
    daemon = make_daemon(MAX_BODY_BYTES="65536")
    ann = daemon.api("ann")
    server = make(ann, "one")
    slow = [listen(daemon, "ann", head=False, rcvbuf=4096) for _ in range(10)]
    quick = listen(daemon, "ann")
    until("all streams", lambda: listeners(daemon) == 11)
    before, n = rss(daemon), 0
    while listeners(daemon) > 1:
        for _ in range(100):
            n += 1
            ann.call("PATCH", f"{SERVERS}/{server['server_id']}", {"description": f"{n}"}, expect=200)
            quick.take()
        assert n < 20000
    assert gauge(daemon, "rdp_event_streams_dropped_total") == 10
    quick.wait("everything", lambda s: len(s.events) == n)
    assert quick.open and (not MEASURE or rss(daemon) - before < 16 << 20)
    for s in slow:
        s.head().wait_closed()
    # a dropped client reconnects and is told what it missed
    slow[0].take()
    again = listen(daemon, "ann", last=slow[0].ids[-1])
    again.wait("the newest", lambda s: s.events and s.events[-1]["id"] == quick.events[-1]["id"])


def rss(d):
    return int(proc.status(d.server_pid())["VmRSS"].split()[0]) * 1024


def test_a_thousand_streams(make_daemon, listen):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 4096), hard))
    daemon = make_daemon()
    warm = [listen(daemon, "ann") for _ in range(20)]
    before, token = rss(daemon), token_for("ann")
    streams = [listen(daemon, "ann", head=False, token=token) for _ in range(1000)]
    for s in streams:
        assert s.head().status == 200
    each = (rss(daemon) - before) / 1000
    print(f"bytes a stream: {each:.0f}")
    assert not MEASURE or each <= 20000
    server = make(daemon.api("ann"), "one")
    for s in streams + warm:
        assert s.wait_topic("server.created")["server_id"] == server["server_id"]
    for s in streams:
        s.close()
    until("the closed streams to be counted out", lambda: listeners(daemon) == 20)


def test_streams_have_a_share_of_connections(make_daemon, listen):
    daemon = make_daemon(MAX_CONNECTIONS="64")
    own = [listen(daemon, "ann") for _ in range(17)]
    assert [s.status for s in own] == [200] * 16 + [503]  # one user: half of the streams' half
    assert [listen(daemon, "bob").status for _ in range(10)] == [200] * 10
    admins = [listen(daemon).status for _ in range(7 - ROLES_LISTENING)]
    assert admins == [200] * (6 - ROLES_LISTENING) + [503]
    assert daemon.admin.get("/health")["status"] == "healthy"


def test_stream_ends_with_its_token(daemon, listen):
    now = int(time.time())
    short = token_for("ann", exp=now - 26)  # within the leeway of 30 s
    s, stays = listen(daemon, token=short), listen(daemon, "ann")
    assert s.status == 200
    s.wait_topic("stream.end")
    assert s.events[-1]["data"]["reason"] == "token"
    s.wait_closed()
    stays.take(0.1)
    assert stays.open


def test_comments(daemon, listen):
    s = listen(daemon, "ann")
    s.wait("a comment", lambda x: x.comments >= 1, 25)


def test_drain(daemon, listen):
    s = listen(daemon, "ann")
    daemon.stop()
    s.wait_topic("stream.end")
    assert s.events[-1]["data"]["reason"] == "drain"
    s.wait_closed()


def test_cors_of_a_stream(make_daemon, listen):
    daemon = make_daemon(CORS_ORIGINS="https://app.example")
    s = listen(daemon, "ann", Origin="https://app.example")
    assert s.headers["access-control-allow-origin"] == "https://app.example" and s.headers["x-request-id"]
    s = listen(daemon, "ann", **{"X-Request-ID": "mine-" + uuid.uuid4().hex})
    assert s.headers["x-request-id"].startswith("mine-")


def test_over_tls(make_daemon, listen, tmp_path):
    role = "rdp-resource-monitor"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=x",
                    "-keyout", f"{tmp_path}/key.pem", "-out", f"{tmp_path}/cert.pem"], check=True, capture_output=True)
    d = make_daemon(start=False, roles=(role,), TLS_CERT_FILE=f"{tmp_path}/cert.pem", TLS_KEY_FILE=f"{tmp_path}/key.pem")
    d.spawn()
    until("its port", lambda: proc.listening(d.ports[role]))
    trust = ssl.create_default_context(cafile=f"{tmp_path}/cert.pem")
    trust.check_hostname = False
    s = listen(d, tls=trust, role=role)
    assert s.status == 200
    s.wait("its place", lambda x: x.ids)
    d.process.send_signal(15)
    s.wait_topic("stream.end")
    s.wait_closed()
