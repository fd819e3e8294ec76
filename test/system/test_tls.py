"""TLS on the roles' ports, mutual TLS and Unix sockets, for clients and between roles."""
import json
import os
import re
import shutil
import signal
import socket
import ssl
import stat
import subprocess
import threading

import pytest
import requests

import lucid
import proc
from lucid import AGENT, MANAGER, ROLES, SERVERS, Api, free_ports, token_for
from proc import until

pytestmark = pytest.mark.one_shape("the listeners of a process")

KEYS = {"MASTER_KEY": "a master key for tests alone, of more than 32 bytes"}


def openssl(*args):
    subprocess.run(["openssl", *args], check=True, capture_output=True, timeout=30)


class Authority:
    def __init__(self, folder, name):
        self.folder, self.name = str(folder), name
        self.cert, self.key = self.path("pem"), self.path("key")
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", self.key, "-out", self.cert,
                "-days", "2", "-subj", f"/CN={name}")

    def path(self, ext, name=None):
        return os.path.join(self.folder, f"{name or self.name}.{ext}")

    def issue(self, name, san="DNS:localhost,IP:127.0.0.1,IP:::1"):
        """(certificate, key): the paths; only root can read the key."""
        cert, key, csr, ext = (self.path(e, name) for e in ("pem", "key", "csr", "ext"))
        with open(ext, "w", encoding="ascii") as f:
            f.write(f"subjectAltName={san}\n")
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out", csr, "-subj", f"/CN={name}")
        openssl("x509", "-req", "-in", csr, "-CA", self.cert, "-CAkey", self.key, "-CAcreateserial", "-out", cert, "-days", "2", "-extfile", ext)
        os.chmod(key, 0o600)
        return cert, key


@pytest.fixture(scope="module")
def ca(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("ca"), "authority")


@pytest.fixture(scope="module")
def strangers(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("strangers"), "strangers")


@pytest.fixture(scope="module")
def own(ca):
    return ca.issue("server")


class Secure:
    """A running program with TLS."""

    def __init__(self, d):
        self.d, self.port = d, d.ports[d.roles[0]]

    def context(self, ca=None, cert=None):
        c = ssl.create_default_context(cafile=ca)
        if cert:
            c.load_cert_chain(*cert)
        return c

    def connect(self, context, port=None):
        s = socket.create_connection(("127.0.0.1", port or self.port), timeout=10)
        return context.wrap_socket(s, server_hostname="localhost")


def ask(s, path="/health", method="GET", body=b"", headers=""):
    s.sendall(f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n{headers}\r\n".encode() + body)
    data = b""
    while b"\r\n\r\n" not in data:
        part = s.recv(65536)
        if not part:
            raise ConnectionError(data)
        data += part
    head, rest = data.split(b"\r\n\r\n", 1)
    length = int(re.search(rb"(?i)content-length: (\d+)", head).group(1))
    while len(rest) < length:
        rest += s.recv(65536)
    return int(head.split()[1]), rest


def is_up(d, port, context=None):
    """Checks the port without the harness, which uses plain HTTP."""
    assert d.process.poll() is None, d.log()
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as s:
            if not context:
                return ask(s, "/health/ready")[0] == 200
            with context.wrap_socket(s, server_hostname="localhost") as t:
                return ask(t, "/health/ready")[0] == 200
    except OSError:
        return False


@pytest.fixture
def secure(make_daemon, own, ca):
    """secure(…): a program with TLS. The harness stops it and has nothing to remove in it."""
    made = []

    def make(context=None, **settings):
        cert, key = settings.pop("pair", own)
        d = make_daemon(start=False, TLS_CERT_FILE=cert, TLS_KEY_FILE=key, **settings)
        d.spawn()
        made.append(d)
        s = Secure(d)
        until(f"readiness: {d.log()[-2000:]}", lambda: is_up(d, s.port, context or s.context(ca.cert)), 20)
        return s
    yield make
    for d in made:
        d.remove_servers = lambda: None
        d.stop()


def test_requests_over_tls(secure, ca):
    s = secure()
    api = Api(f"https://127.0.0.1:{s.port}", token_for("admin", "admin"))
    api.http.verify = ca.cert
    server = api.post(SERVERS, {"name": "over tls", "auto_start": False}, expect=201)
    for role in ROLES:
        there = Api(f"https://127.0.0.1:{s.d.ports[role]}", token_for("admin", "admin"))
        there.http.verify = ca.cert
        assert there.get(f"{SERVERS}/{server['server_id']}")["name"] == "over tls"
    api.delete(f"{SERVERS}/{server['server_id']}")
    with s.connect(s.context(ca.cert)) as t:  # one connection, many requests, small and large ones
        for i in range(50):
            assert ask(t)[0] == 200
        large = b'{"name":"' + b"x" * 900_000 + b'"}'
        status, text = ask(t, SERVERS, "POST", large, f"Authorization: Bearer {token_for('admin', 'admin')}\r\nContent-Type: application/json\r\n")
        assert status == 422 or status == 400, text[:300]
        status, text = ask(t, "/openapi.json")
        assert status == 200 and len(text) > 50_000
    with s.connect(s.context(ca.cert)) as t:
        status, text = ask(t, SERVERS, "POST", b"x" * 1_500_000)
        assert status == 413 and b"LUCID_ERR" in text


def test_versions(secure, ca):
    s = secure(TLS_MIN_VERSION="1.3")

    def version(highest):
        c = s.context(ca.cert)
        c.maximum_version = highest
        with s.connect(c) as t:
            return t.version()
    with pytest.raises((ssl.SSLError, ConnectionError)):
        version(ssl.TLSVersion.TLSv1_2)
    assert version(ssl.TLSVersion.TLSv1_3) == "TLSv1.3"


def test_alpn_and_ciphers(secure, ca):
    s = secure()
    c = s.context(ca.cert)
    c.set_alpn_protocols(["h2", "http/1.1"])
    with s.connect(c) as t:
        assert t.selected_alpn_protocol() == "http/1.1"
    c.set_alpn_protocols(["h2"])
    with pytest.raises((ssl.SSLError, ConnectionError)):
        s.connect(c)
    for old in ("-tls1", "-tls1_1", "-cipher=AES128-SHA"):
        r = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{s.port}", *(["-tls1_2"] if "=" in old else []), *old.split("="),
                            *([] if "=" in old else ["-cipher", "DEFAULT@SECLEVEL=0"])], input=b"", capture_output=True, timeout=20, check=False)
        assert b"Cipher is (NONE)" in r.stdout or b"Cipher    : 0000" in r.stdout, r.stdout


def test_plain_http_and_slow_handshakes_are_closed(secure, ca):
    s = secure()
    with socket.create_connection(("127.0.0.1", s.port), timeout=10) as p:
        p.sendall(b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n")
        heard = b""
        while part := p.recv(4096):
            heard += part
        assert not heard.startswith(b"HTTP/") and len(heard) <= 7
    with socket.create_connection(("127.0.0.1", s.port), timeout=30) as p:
        assert p.recv(1) == b""  # it is closed without a response, after a time limit
    with s.connect(s.context(ca.cert)) as t:
        assert ask(t)[0] == 200


def test_mutual_tls_requires_a_certificate(secure, ca, strangers):
    prometheus = free_ports(1)
    mine, wrong = ca.issue("caller"), strangers.issue("caller")
    with_mine = ssl.create_default_context(cafile=ca.cert)
    with_mine.load_cert_chain(*mine)
    s = secure(context=with_mine, TLS_CLIENT_CA_FILE=ca.cert, PROMETHEUS_ENABLED="true", PROMETHEUS_PORT=str(prometheus), METRICS_PUBLIC="true")
    for cert in (None, wrong):
        with pytest.raises((ssl.SSLError, ConnectionError)) as e:
            with s.connect(s.context(ca.cert, cert)) as t:
                ask(t)
        assert "alert" in str(e.value), e.value
    with s.connect(with_mine) as t:
        assert ask(t)[0] == 200
    # monitoring needs no certificate
    assert requests.get(f"http://127.0.0.1:{prometheus}/health", timeout=5).status_code == 200
    assert "rdp_http_connections" in requests.get(f"http://127.0.0.1:{prometheus}/metrics", timeout=5).text
    # and its own healthcheck presents the certificate of the program
    r = s.d.run("healthcheck")
    assert r.returncode == 0, r.stderr
    r = s.d.run("healthcheck", f"https://127.0.0.1:{s.port}/health")
    assert r.returncode == 0, r.stderr
    s.d.settings["TLS_CLIENT_CA_FILE"] = strangers.cert
    r = s.d.run("healthcheck", f"https://127.0.0.1:{s.port}/health")
    assert r.returncode == 1 and "not trusted" in r.stderr, r.stderr


def test_tls_faults_are_reported_at_the_start(make_daemon, own, ca, tmp_path):
    other = ca.issue("other")
    junk = tmp_path / "junk.pem"
    junk.write_text("this is no PEM\n")
    cases = (
        ({"TLS_CERT_FILE": own[0]}, "set both TLS_CERT_FILE and TLS_KEY_FILE, or neither"),
        ({"TLS_CLIENT_CA_FILE": ca.cert}, "TLS_CLIENT_CA_FILE"),
        ({"TLS_CERT_FILE": own[0], "TLS_KEY_FILE": other[1]}, "the key does not match the certificate"),
        ({"TLS_CERT_FILE": str(junk), "TLS_KEY_FILE": own[1]}, "the certificate is not in PEM format"),
        ({"TLS_CERT_FILE": own[0], "TLS_KEY_FILE": str(junk)}, "the key is not in PEM format"),
        ({"TLS_CERT_FILE": own[0], "TLS_KEY_FILE": own[1], "TLS_CLIENT_CA_FILE": str(junk)}, "the client CA file holds no"),
        ({"TLS_CERT_FILE": str(tmp_path), "TLS_KEY_FILE": own[1]}, "cannot read"),
        ({"TLS_CERT_FILE": "/nonexistent", "TLS_KEY_FILE": own[1]}, "TLS_CERT_FILE"),
        ({"BIND_ADDRESS": "unix:relative"}, "BIND_ADDRESS"),
        ({"BIND_ADDRESS": "unix:/" + "x" * 200}, "BIND_ADDRESS"),
        ({"BIND_ADDRESS": f"unix:{junk}"}, "the path exists and is not a socket"),
    )
    for settings, want in cases:
        d = make_daemon(start=False, **settings)
        r = d.run()
        assert r.returncode not in (0, None) and want in r.stderr, (settings, r.stderr)
        if "not a socket" not in want:
            r = d.run("check-config")
            assert r.returncode == 1 and want in r.stderr, (settings, r.stderr)
        assert "PRIVATE" not in r.stderr
    assert junk.read_text() == "this is no PEM\n"


def test_server_works_without_access_to_the_key(secure, ca, own):
    s = secure()
    uid = proc.uids(s.d.server_pid())[0]
    assert uid != 0 and os.stat(own[1]).st_mode & 0o777 == 0o600 and os.stat(own[1]).st_uid == 0
    first = s.d.server_pid()
    s.d.kill(first)  # the new server gets the key from the supervisor

    def back():
        pid = s.d.server_pid()
        return pid and pid != first and is_up(s.d, s.port, s.context(ca.cert))
    until("a new server", back, 20)


def test_unix_socket(make_daemon):
    d = make_daemon(start=False)
    path = os.path.join(d.dir, "lucid.sock")
    d.settings["BIND_ADDRESS"] = f"127.0.0.1,unix:{path}"
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(path)
    stale.close()  # a stale socket, on which no process listens, is replaced
    d.start()
    st = os.stat(path)
    assert stat.S_ISSOCK(st.st_mode) and stat.S_IMODE(st.st_mode) == 0o660
    assert st.st_gid == int(proc.status(d.server_pid())["Gid"].split()[0])
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(10)
        s.connect(path)
        for _ in range(3):
            assert ask(s)[0] == 200
        body = b'{"name":"local","auto_start":false}'
        auth = f"Authorization: Bearer {token_for('admin', 'admin')}\r\nContent-Type: application/json\r\n"
        assert ask(s, SERVERS, "POST", body, auth)[0] == 201
        assert ask(s, "/api/v1/xrdp/instances", headers=auth)[0] == 200  # another role's operation, by its full path
    for url in (f"unix:{path}", f"unix:{path}:/health"):
        r = d.run("healthcheck", url)
        assert r.returncode == 0, r.stderr
    # a second daemon does not replace it
    other = make_daemon(start=False, BIND_ADDRESS=f"unix:{path}")
    r = other.run()
    assert r.returncode not in (0, None) and "another program listens on it" in r.stderr, r.stderr
    assert ask_local(path)[0] == 200
    d.remove_servers()
    d.stop()
    assert not os.path.exists(path)


def ask_local(path, **more):
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(10)
        s.connect(path)
        return ask(s, **more)


def ready(port, context):
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as s, context.wrap_socket(s, server_hostname="localhost") as t:
            return ask(t, "/health/ready")
    except OSError as e:
        return 0, str(e).encode()


def test_roles_call_each_other_with_certificates(make_daemon, ca):
    """Mutual TLS between two processes: each presents its own certificate, and both trust the same CA."""
    pairs = {MANAGER: ca.issue("manager"), AGENT: ca.issue("agent")}
    made = {}
    for role, (cert, key) in pairs.items():
        made[role] = make_daemon(start=False, roles=[role], TLS_CERT_FILE=cert, TLS_KEY_FILE=key, TLS_CLIENT_CA_FILE=ca.cert, **KEYS)
    made[MANAGER].settings["XRDP_INTEGRATION_URL"] = f"https://127.0.0.1:{made[AGENT].ports[AGENT]}"
    context = ssl.create_default_context(cafile=ca.cert)
    context.load_cert_chain(*pairs[MANAGER])
    port = made[MANAGER].ports[MANAGER]
    for d in (made[AGENT], made[MANAGER]):
        d.remove_servers = lambda: None
        d.spawn()
    until("both to be ready", lambda: b'"healthy"' in ready(port, context)[1] and ready(port, context)[0] == 200, 20)
    api = Api(f"https://127.0.0.1:{port}", token_for("admin", "admin"))
    api.http.verify, api.http.cert = ca.cert, pairs[MANAGER]
    server = api.post(SERVERS + "?wait=running", {"name": "apart"}, expect=201, timeout=60)
    made[MANAGER].ids.add(server["server_id"])
    made[AGENT].ids.add(server["server_id"])
    assert api.get(f"{SERVERS}/{server['server_id']}")["status"] == "running"
    api.delete(f"{SERVERS}/{server['server_id']}?force=true")


def test_role_with_an_untrusted_certificate_is_not_called(make_daemon, ca, strangers):
    cert, key = strangers.issue("agent")
    agent = make_daemon(start=False, roles=[AGENT], TLS_CERT_FILE=cert, TLS_KEY_FILE=key, **KEYS)
    agent.spawn()
    manager = make_daemon(start=False, roles=[MANAGER], XRDP_INTEGRATION_URL=f"https://127.0.0.1:{agent.ports[AGENT]}", **KEYS)
    manager.spawn()
    until("the manager", lambda: proc.listening(manager.ports[MANAGER]), 20)
    until("the agent", lambda: proc.listening(agent.ports[AGENT]), 20)
    page = {}

    def said():
        try:
            page.update(manager.api(None, MANAGER).call("GET", "/health/ready").json())
        except requests.RequestException:
            return False
        return "certificate is not trusted" in str(page)
    until(f"the reason: {page}", said, 20)


@pytest.mark.parametrize("address, code", [("0.0.0.0", 78), ("127.0.0.1", 0)])
def test_tls_is_enforced_on_inherited_sockets(make_daemon, address, code):
    d = make_daemon(start=False, roles=[MANAGER], ENFORCE_TLS="true")
    with socket.create_server((address, 0)) as s:
        script = f'exec 3<&{s.fileno()}; export LISTEN_FDS=1 LISTEN_FDNAMES={MANAGER} LISTEN_PID=$$; exec "$0"'
        p = subprocess.Popen(["bash", "-c", script, lucid.BIN], env=d.env, cwd=d.dir, pass_fds=[s.fileno()], stderr=subprocess.PIPE, text=True)
        port = s.getsockname()[1]
        if not code:
            until("/health to answer", lambda: is_up_at(port))
            p.terminate()
        said = p.communicate(timeout=20)[1]
    assert p.returncode == code, said
    assert ("ENFORCE_TLS is on, but the inherited socket rdp-server-manager" in said) == (code != 0)


def is_up_at(port):
    try:
        return requests.get(f"http://127.0.0.1:{port}/health", timeout=5).status_code == 200
    except requests.RequestException:
        return False


def test_renewed_certificate_is_used_between_roles(make_daemon, ca, strangers, tmp_path):
    """A reload: the agent accepts now what it refused before."""
    def put(pair):
        for source, name in zip(pair, ("cert.pem", "cert.key")):
            shutil.copy(source, tmp_path / name)
    put(strangers.issue("manager"))
    cert, key = ca.issue("agent")
    agent = make_daemon(start=False, roles=[AGENT], TLS_CERT_FILE=cert, TLS_KEY_FILE=key, TLS_CLIENT_CA_FILE=ca.cert, **KEYS)
    manager = make_daemon(start=False, roles=[MANAGER], TLS_CERT_FILE=f"{tmp_path}/cert.pem", TLS_KEY_FILE=f"{tmp_path}/cert.key",
                          TLS_CLIENT_CA_FILE=shutil.copy(ca.cert, tmp_path), XRDP_INTEGRATION_URL=f"https://127.0.0.1:{agent.ports[AGENT]}", **KEYS)
    context = ssl.create_default_context(cafile=ca.cert)
    context.load_verify_locations(strangers.cert)
    context.load_cert_chain(cert, key)
    for d in (agent, manager):
        d.remove_servers = lambda: None
        d.spawn()
    # without a supervisor it has dropped root before the reload
    until("its data", lambda: os.path.isdir(f"{manager.dir}/data/store"))
    os.chown(tmp_path / "cert.key", *os.stat(f"{manager.dir}/data/store")[4:6])
    for folder in (tmp_path, *(p for p in tmp_path.parents if "pytest-" in str(p))):
        os.chmod(folder, 0o755)

    def agent_is(state):
        status, page = ready(manager.ports[MANAGER], context)
        return status == 200 and json.loads(page)["checks"][AGENT]["status"] == state
    until("the manager alone", lambda: agent_is("unhealthy"), 20)
    put(ca.issue("manager"))
    manager.process.send_signal(signal.SIGHUP)
    until("the agent", lambda: agent_is("healthy"), 20)
    put(strangers.issue("manager"))
    manager.process.send_signal(signal.SIGHUP)
    until("the manager alone again", lambda: agent_is("unhealthy"), 20)


def test_roles_over_a_unix_socket(make_daemon):
    manager = make_daemon(start=False, roles=[MANAGER], **KEYS)  # first, so that it also ends first: its URL names the other's directory
    agent = make_daemon(start=False, roles=[AGENT], **KEYS)
    path = os.path.join(agent.dir, "agent.sock")
    agent.settings["BIND_ADDRESS"] = f"127.0.0.1,unix:{path}"
    agent.start()
    # the manager has dropped root, so it connects by the group of the socket
    manager.settings["XRDP_INTEGRATION_URL"] = f"unix:{path}"
    manager.ids = agent.ids
    manager.start()
    server = manager.admin.create_server("by socket")
    agent.ids.add(server["server_id"])
    assert server["status"] == "running"
    manager.admin.delete(f"{SERVERS}/{server['server_id']}?force=true")


def test_many_tls_connections_and_drain(secure, ca):
    s = secure()
    context, bad = s.context(ca.cert), []

    def work():
        try:
            with s.connect(context) as t:
                for _ in range(20):
                    assert ask(t)[0] == 200
        except Exception as e:  # pylint: disable=broad-except
            bad.append(e)
    threads = [threading.Thread(target=work) for _ in range(20)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not bad, bad[:3]
    with s.connect(context) as idle:
        assert ask(idle)[0] == 200
        s.d.stop()
        assert idle.recv(1) == b""  # a close_notify; without one this raises
