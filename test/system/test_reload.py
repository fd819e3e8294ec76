"""SIGHUP: live settings change, all or none; invalid settings change nothing; changes that need a restart are reported."""
import json
import os
import random
import signal
import socket
import ssl
import subprocess
import time

import pytest

import lucid
import proc
from lucid import SERVERS, Api, sign, token_for
from proc import until
from test_events import Stream

pytestmark = pytest.mark.one_shape("the configuration file of a process")

NEW_SECRET = "another secret for tests alone, of more than 32 bytes"


class Settings:
    """A configuration file of the test; its settings come from no other source."""

    def __init__(self, make_daemon, first, **more):
        self.d = make_daemon(start=False, **{name: None for name in first}, **more)
        self.path = f"{self.d.dir}/lucid.conf"
        self.d.args += ["--config", self.path]
        self.write(first)
        self.d.start()

    def write(self, values):
        with open(self.path, "w", encoding="utf-8") as f:
            f.writelines(f"{name}={value}\n" for name, value in values.items())
        os.chmod(self.path, 0o600)  # only root can read it, if there is a supervisor

    def reload(self, values, word="settings applied:"):
        """Writes the file, sends SIGHUP, and waits for the line with the result."""
        self.write(values)
        before = self.d.log().count(word)
        self.d.process.send_signal(signal.SIGHUP)
        until(f"a line with: {word}; log: {self.d.log()[-2000:]}", lambda: self.d.log().count(word) > before)


def burst(api, n):
    return [api.call("GET", SERVERS).status_code for _ in range(n)]


def test_live_settings_also_apply_to_the_next_server(make_daemon):
    first = {"RATE_LIMIT_ENABLED": "false", "LOG_LEVEL": "INFO", "METRICS_PUBLIC": "true", "ALLOWED_HOSTS": "*", "MAX_SERVERS_PER_USER": "50"}
    s = Settings(make_daemon, first)
    d, anna = s.d, s.d.api("anna")
    assert set(burst(anna, 12)) == {200}
    assert d.api(None).call("GET", "/metrics").status_code == 200
    anna.create_server("one", wait=False, auto_start=False)
    pid = d.server_pid()
    s.reload({"RATE_LIMIT_ENABLED": "true", "RATE_LIMIT_PER_MINUTE": "1", "RATE_LIMIT_BURST_SIZE": "5", "LOG_LEVEL": "WARNING",
              "METRICS_PUBLIC": "false", "ALLOWED_HOSTS": "127.0.0.1", "MAX_SERVERS_PER_USER": "1"})

    def as_told():
        assert d.api(None).call("GET", "/metrics").status_code == 401
        bob = d.api("bob")
        assert bob.call("GET", SERVERS, headers={"Host": "evil.example"}).status_code in (400, 403, 421)
        answer = d.api("carl").call("POST", SERVERS, {"name": "first", "auto_start": False})
        assert answer.status_code in (201, 429), answer.text
        assert d.api("carl").call("POST", SERVERS, {"name": "second", "auto_start": False}).status_code == 429
        assert burst(d.api("dora"), 12).count(429) >= 6
    as_told()
    requests_logged = d.log().count('"message":"request"')
    burst(d.api("emil"), 3)
    assert d.log().count('"message":"request"') == requests_logged, "LOG_LEVEL was not taken up"
    assert d.server_pid() == pid
    d.kill(pid)
    until("a new server", lambda: d.server_pid() not in (None, pid))
    until("readiness", d.ready)
    as_told()
    # back again, so that the harness can clean up
    s.reload(first)
    assert set(burst(anna, 12)) == {200}


@pytest.mark.parametrize("alone", [False, True])
def test_secrets_rotate(make_daemon, alone):
    old = token_for("admin", "admin")
    new = sign({"sub": "admin", "roles": ["admin"], "iat": int(time.time()), "exp": int(time.time()) + 3600}, secret=NEW_SECRET)
    secret = "a secret for tests alone, of more than 32 bytes"
    more = {"roles": ("rdp-server-manager",)} if alone else {}
    s = Settings(make_daemon, {"JWT_SECRET": secret}, **more)
    if alone:  # without a supervisor it has dropped root before the reload
        os.chown(s.path, *os.stat(f"{s.d.dir}/data/store")[4:6])
    url = s.d.url()

    def status(token):
        return Api(url, token).call("GET", SERVERS).status_code
    assert (status(old), status(new)) == (200, 401)
    s.reload({"JWT_SECRET": NEW_SECRET, "JWT_SECRETS_OLD": json.dumps([secret])})
    assert (status(old), status(new)) == (200, 200)
    s.reload({"JWT_SECRET": NEW_SECRET})
    assert (status(old), status(new)) == (401, 200)
    s.reload({"JWT_SECRET": secret, "JWT_SECRETS_OLD": json.dumps([NEW_SECRET])})
    assert (status(old), status(new)) == (200, 200)
    assert secret not in s.d.log() and NEW_SECRET not in s.d.log()


def memory_of(pid):
    """All writable memory of a process except the main stack: there the kernel saves registers on a signal, which may contain what was copied
    last."""
    with open(f"/proc/{pid}/maps", encoding="utf-8") as maps, open(f"/proc/{pid}/mem", "rb", buffering=0) as mem:
        for line in maps:
            span, rights = line.split()[:2]
            first, end = (int(x, 16) for x in span.split("-"))
            if rights.startswith("rw") and "[stack]" not in line:
                mem.seek(first)
                try:
                    yield mem.read(end - first)
                except OSError:
                    pass  # reserved memory that is not mapped


@pytest.mark.skipif("san" in lucid.BIN, reason="a sanitizer keeps what was freed")
@pytest.mark.parametrize("alone", [False, True])
def test_replaced_secrets_are_wiped_from_memory(make_daemon, alone):
    """Neither in the settings, nor in the messages between the processes, nor in freed memory. The last secret is in use, and its presence shows
    that the search works."""
    def made(n):  # an allocator overwrites the start of freed memory, so the text to search for follows it
        return "x" * 32 + random.randbytes(16).hex() * (n // 32)
    sets = [(made(32), made(3200)) for _ in range(4)]
    s = Settings(make_daemon, {"JWT_SECRET": sets[0][0], "JWT_SECRETS_OLD": sets[0][1]}, **({"roles": ("rdp-server-manager",)} if alone else {}))
    if alone:
        os.chown(s.path, *os.stat(f"{s.d.dir}/data/store")[4:6])
    for i, (secret, old) in enumerate(sets[1:]):
        s.reload({"JWT_SECRET": secret, "JWT_SECRETS_OLD": old if i % 2 else json.dumps([old])})
    pids = [s.d.supervisor] if alone else [s.d.supervisor, s.d.server_pid()]

    def found(text):
        return sum(part.count(text[-32:].encode()) for pid in pids for part in memory_of(pid))
    until("the last messages to be wiped", lambda: not any(found(text) for pair in sets[:-1] for text in pair), 5)
    for text in sets[-1]:
        assert found(text) >= len(pids)
    s.reload({"JWT_SECRET": lucid.SECRET})


@pytest.mark.parametrize("bad, words", [
    ({"RATE_LIMIT_PER_MINUTE": "many", "LOG_LEVEL": "LOUD"}, ("RATE_LIMIT_PER_MINUTE", "LOG_LEVEL")),
    ({"NO_SUCH_THING": "1"}, ("NO_SUCH_THING",)),
    ({"JWT_SECRET": "short"}, ("JWT_SECRET",)),
])
def test_invalid_settings_change_nothing(make_daemon, bad, words):
    first = {"METRICS_PUBLIC": "true", "JWT_SECRET": "a secret for tests alone, of more than 32 bytes"}
    s = Settings(make_daemon, first)
    s.reload({**first, "METRICS_PUBLIC": "false", **bad}, "the previous settings stay in force")
    for word in words:
        assert len([line for line in s.d.log().splitlines() if '"level":"ERROR"' in line and word in line]) == 1
    assert s.d.api(None).call("GET", "/metrics").status_code == 200
    assert s.d.admin.call("GET", SERVERS).status_code == 200
    s.reload({**first, "METRICS_PUBLIC": "false"})
    assert s.d.api(None).call("GET", "/metrics").status_code == 401


def test_origins_and_proxies(make_daemon):
    app, other, client = "https://app.example", "https://other.example", "203.0.113.9"
    s = Settings(make_daemon, {"CORS_ORIGINS": app, "TRUSTED_PROXIES": "10.0.0.0/8"})
    anna = s.d.api("anna")

    def allowed(origin):
        r = anna.call("GET", SERVERS, headers={"Origin": origin, "X-Forwarded-For": client}, expect=200)
        return r.headers.get("Access-Control-Allow-Origin") == origin
    assert (allowed(app), allowed(other)) == (True, False)
    assert f'"client":"{client}"' not in s.d.log()
    s.reload({"CORS_ORIGINS": other, "TRUSTED_PROXIES": "127.0.0.0/8"})
    assert (allowed(app), allowed(other)) == (False, True)
    until("its address in the log", lambda: f'"client":"{client}"' in s.d.log())
    s.reload({"CORS_ORIGINS": other, "TRUSTED_PROXIES": "10.0.0.0/8"})
    before = s.d.log().count(client)
    assert allowed(other) and s.d.log().count(client) == before


def test_request_timeout_changes(make_daemon):
    s = Settings(make_daemon, {"REQUEST_TIMEOUT": "3600"})

    def half():
        """A request whose head has been received, and whose body has only begun."""
        sock = socket.create_connection(("127.0.0.1", s.d.ports["rdp-server-manager"]), timeout=30)
        sock.sendall(b"POST /api/v1/rdp/servers HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 10\r\n"
                     b"Expect: 100-continue\r\n\r\n")
        assert sock.recv(4096) == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(b"{")
        return sock
    with half() as before:
        s.reload({"REQUEST_TIMEOUT": "1"})
        with half() as after:
            assert after.recv(4096).startswith(b"HTTP/1.1 408 ")
        before.sendall(b'"name":1}')  # a request in progress keeps the old limit
        assert before.recv(4096).startswith(b"HTTP/1.1 401 ")


def test_user_map_changes_who_receives_desktop_events(make_daemon, users, login):
    account, = users(1)
    s = Settings(make_daemon, {"RDP_USER_MAP": f"anna@example.org={account.name}"})
    s.d.accounts = [account]
    server = s.d.admin.create_server("shared")
    s.reload({"RDP_USER_MAP": f"bob@example.org={account.name}"})
    streams = {who: Stream(s.d, who, "?topics=xrdp.desktop.*").head() for who in ("anna@example.org", "bob@example.org")}
    login(s.d, server, account)
    streams["bob@example.org"].wait_topic("xrdp.desktop.started", user_id="bob@example.org")
    streams["anna@example.org"].take()
    assert streams["anna@example.org"].events == []
    for stream in streams.values():
        stream.close()


def test_changes_that_need_a_restart_are_reported(make_daemon):
    s = Settings(make_daemon, {"MAX_BODY_BYTES": "4096", "IDLE_TIMEOUT": "75"})
    s.reload({"MAX_BODY_BYTES": "1048576", "IDLE_TIMEOUT": "30"}, "no setting changed that can be applied without a restart")
    line, = [x for x in s.d.log().splitlines() if "applied only at the next start" in x]
    assert "MAX_BODY_BYTES" in line and "IDLE_TIMEOUT" in line and "WARN" in line
    assert s.d.admin.call("POST", SERVERS, b"x" * 8000).status_code == 413


def certificate(folder, name):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", f"/CN={name}",
                    "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", f"{folder}/key.pem", "-out", f"{folder}/cert.pem"], check=True, capture_output=True)
    return open(f"{folder}/cert.pem", encoding="ascii").read().strip()


def test_renewed_certificate_is_used(make_daemon, tmp_path):
    first = certificate(tmp_path, "first")
    d = make_daemon(start=False, roles=("rdp-resource-monitor", "xrdp-integration"), TLS_CERT_FILE=f"{tmp_path}/cert.pem", TLS_KEY_FILE=f"{tmp_path}/key.pem")
    d.spawn()
    where = ("127.0.0.1", d.ports["xrdp-integration"])

    def shown():
        try:
            return ssl.get_server_certificate(where).strip()
        except OSError:
            return None
    until("the first certificate", lambda: shown() == first)
    # a certificate that does not fit its key is refused
    good_key = open(f"{tmp_path}/key.pem", encoding="ascii").read()
    second = certificate(tmp_path, "second")
    new_key = open(f"{tmp_path}/key.pem", encoding="ascii").read()
    open(f"{tmp_path}/key.pem", "w", encoding="ascii").write(good_key)
    d.process.send_signal(signal.SIGHUP)
    until("the refusal", lambda: "the previous settings stay in force" in d.log())
    assert shown() == first
    open(f"{tmp_path}/key.pem", "w", encoding="ascii").write(new_key)
    d.process.send_signal(signal.SIGHUP)
    until("the second certificate", lambda: shown() == second)
    pid = d.server_pid()
    d.kill(pid)
    until("a new server with the same certificate", lambda: d.server_pid() not in (None, pid) and shown() == second)
    assert "PRIVATE KEY" not in d.log()


def test_service_manager_is_notified(make_daemon, tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(f"{tmp_path}/notify")
        os.chmod(tmp_path, 0o755)
        manager.settimeout(10)
        s = Settings(make_daemon, {"LOG_LEVEL": "INFO"}, NOTIFY_SOCKET=f"{tmp_path}/notify")

        def hear(word):
            while word not in (text := manager.recv(4096).decode()):
                pass
            return text
        hear("READY=1")
        s.reload({"LOG_LEVEL": "DEBUG"})
        hear("RELOADING=1")
        assert "role" in hear("READY=1")
        pid = s.d.process.pid
        # many signals at once: the last settings are applied, and none are lost
        for _ in range(20):
            s.d.process.send_signal(signal.SIGHUP)
        s.reload({"LOG_LEVEL": "WARNING"}, "settings applied: LOG_LEVEL")
        assert proc.alive(pid) and s.d.ready()
