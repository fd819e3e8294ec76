"""Tokens of an external issuer, guessing of tokens, and places where secrets must not appear."""
import base64
import json
import os
import resource
import signal
import subprocess
import sys
import time
import uuid

import lucid
import proc
import pytest
import requests
from proc import until

KINDS = {  # how openssl generates the key, and how it signs
    "RS256": (["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"], ["dgst", "-sha256", "-sign"]),
    "ES256": (["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"], ["dgst", "-sha256", "-sign"]),
    "EdDSA": (["-algorithm", "ED25519"], ["pkeyutl", "-sign", "-rawin", "-inkey"]),
}


def openssl(*args, **more):
    return subprocess.run(["openssl", *args], check=True, capture_output=True, **more).stdout


class Issuer:
    """An external issuer of tokens: the program has only its public key."""

    def __init__(self, folder, kind, name="issuer"):
        self.kind, self.folder, self.private = kind, str(folder), os.path.join(folder, f"{name}.pem")
        openssl("genpkey", *KINDS[kind][0], "-out", self.private)
        self.pem = openssl("pkey", "-in", self.private, "-pubout").decode()

    def sign(self, data):
        path = os.path.join(self.folder, "data")
        with open(path, "wb") as f:
            f.write(data)
        how = KINDS[self.kind][1]
        sig = openssl(*how, self.private, *(["-in", path] if how[0] == "pkeyutl" else [path]))
        if self.kind != "ES256":
            return sig
        fields = [int(line.rsplit(":", 1)[1], 16) for line in openssl("asn1parse", "-inform", "DER", input=sig).decode().splitlines()
                  if "INTEGER" in line]
        return b"".join(n.to_bytes(32, "big") for n in fields)

    def token(self, sub, *roles, **claims):
        head = {"alg": self.kind, "typ": "JWT"}
        body = {"sub": sub, "roles": list(roles) or ["user"], "exp": int(time.time()) + 600, **claims}
        text = ".".join(lucid.b64(json.dumps(part).encode()) for part in (head, body))
        return text + "." + lucid.b64(self.sign(text.encode()))


def public_file(folder, *issuers):
    path = os.path.join(folder, "public.pem")
    with open(path, "w", encoding="ascii") as f:
        for i, issuer in enumerate(issuers):
            f.write(f"kid: key-{i}\n{issuer.pem}")
    os.chmod(folder, 0o755)
    return path


@pytest.fixture
def folder():
    # in a directory of its own, because the key is not read as root
    path = subprocess.run(["mktemp", "-d", "/tmp/lrdp-keys-XXXXXX"], check=True, capture_output=True, text=True).stdout.strip()
    yield path
    subprocess.run(["rm", "-rf", path], check=True)


def get(daemon, token):
    return lucid.Api(daemon.url(), token).call("GET", lucid.SERVERS).status_code


@pytest.mark.parametrize("kind", KINDS)
def test_tokens_of_an_issuer(make_daemon, folder, kind):
    issuer, second, stranger = (Issuer(folder, kind, n) for n in ("one", "two", "stranger"))
    d = make_daemon(start=False, JWT_ALGORITHM=kind, JWT_PUBLIC_KEY_FILE=public_file(folder, issuer, second), JWT_ISSUER="https://idp",
                    JWT_AUDIENCE="desk")
    d.spawn()
    until("readiness", d.ready, 20)
    parties = {"iss": "https://idp", "aud": ["mail", "desk"]}
    assert get(d, issuer.token("anna", **parties)) == 200
    assert get(d, second.token("anna", **parties)) == 200
    assert get(d, stranger.token("anna", **parties)) == 401
    assert get(d, issuer.token("anna", iss="https://idp", aud=["mail"])) == 401
    assert get(d, issuer.token("anna", **{**parties, "exp": 1})) == 401
    # HS256 with the secret is for the program's own tokens; HS256 with the public key is invalid
    assert get(d, lucid.token_for("anna", iss="https://idp", aud="desk")) == 401
    # a misspelt setting or option gets a suggestion
    with open(f"{d.dir}/misspelt.env", "w", encoding="ascii") as f:
        f.write("JWT_SECERT=x\n")
    r = d.run("token", "--user", "root", "--env-file", f"{d.dir}/misspelt.env")
    assert r.returncode == 0 and "did you mean JWT_SECRET?" in r.stderr and "JWT" not in r.stdout, r.stderr
    for word, says in (("--uesr", "did you mean --user?"), ("help", "did you mean --help?"), ("--env_file=x", "did you mean --env-file?"), ("now", "see lucid-rdp token --help")):
        r = d.run("token", word, "root")
        assert r.returncode == 2 and says in r.stderr, r.stderr
    r = d.run("token", "--role", "--set", "JWT_SECRET=secret words")
    assert r.returncode == 2 and "JWT_SECRET" in r.stderr and "secret words" not in r.stderr, r.stderr
    for words in (("--role", "admin"), ("--role=service",)):
        r = d.run("token", "--user", "root", *words)
        assert r.returncode == 2 and "did you mean --roles?" in r.stderr, r.stderr
    own = d.run("token", "--user", "root", "--roles", "admin")
    assert own.returncode == 0 and get(d, own.stdout.strip()) == 200
    d.end(check=False)


@pytest.mark.one_shape("the files and the memory of a process")
def test_changed_key_file_is_reloaded(make_daemon, folder):
    first, second = Issuer(folder, "ES256"), Issuer(folder, "ES256", "second")
    d = make_daemon(JWT_ALGORITHM="ES256", JWT_PUBLIC_KEY_FILE=public_file(folder, first))

    def hang_up(word):
        before = d.log().count(word)
        d.process.send_signal(signal.SIGHUP)
        until(f"a line with: {word}", lambda: d.log().count(word) > before)

    def taken():
        return get(d, first.token("anna")), get(d, second.token("anna"))
    assert taken() == (200, 401)
    hang_up("no setting changed that can be applied without a restart")
    public_file(folder, first, second)
    hang_up("settings applied: the keys in JWT_PUBLIC_KEY_FILE")
    assert taken() == (200, 200)
    with open(os.path.join(folder, "public.pem"), "w", encoding="ascii") as f:
        f.write("no key")
    hang_up("the previous settings stay in force")
    assert taken() == (200, 200)
    public_file(folder, second)
    hang_up("settings applied: the keys in JWT_PUBLIC_KEY_FILE")
    assert taken() == (401, 200)
    pid = d.server_pid()
    d.kill(pid)
    until("a new server", lambda: d.server_pid() not in (None, pid) and d.ready())
    hang_up("no setting changed that can be applied without a restart")
    assert taken() == (401, 200)
    d.end(check=False)


def test_roles_authenticate_with_the_secret(make_daemon, folder):
    """In separate processes with tokens of an issuer: calls between roles are signed with the secret, and both roles keep the user."""
    issuer = Issuer(folder, "ES256")
    keys = {"JWT_ALGORITHM": "ES256", "JWT_PUBLIC_KEY_FILE": public_file(folder, issuer), "MASTER_KEY": SECRETS["MASTER_KEY"]}
    asked, asking = (make_daemon(start=False, roles=[role], **keys) for role in (lucid.ROLES[1], lucid.ROLES[0]))
    asking.settings["XRDP_INTEGRATION_URL"] = asked.url(lucid.ROLES[1])
    asked.settings["RDP_SERVER_MANAGER_URL"] = asking.url()
    for d in (asked, asking):
        d.spawn()
        until("readiness", d.ready, 20)
    root, anna = (lucid.Api(asking.url(), issuer.token(*who)) for who in (("root", "admin"), ("anna",)))
    assert root.call("GET", "/api/v1/xrdp/instances").status_code == 200
    assert anna.call("GET", "/api/v1/xrdp/instances").status_code == 403
    request = {"X-Request-ID": "over-two-processes"}
    path = f"/api/v1/xrdp/instances/{uuid.uuid4()}"
    assert root.call("DELETE", path, headers=request).status_code in (200, 204, 404)
    for api in (root, lucid.Api(asked.url(lucid.ROLES[1]), root.token)):
        def told():
            found = api.call("GET", "/api/v1/audit", params={"actor": "root", "action": "xrdp.instances.stop"}).json()["entries"]
            return [e["request_id"] for e in found] == ["over-two-processes"]
        until("an entry of both", told)
    for d in (asking, asked):
        d.end(check=False)


def test_token_guesses_are_rate_limited(make_daemon):
    d = make_daemon(RATE_LIMIT_ENABLED="true", RATE_LIMIT_PER_MINUTE="60000", RATE_LIMIT_BURST_SIZE="60000")
    anna = d.api("anna")
    good = anna.token
    answers = [lucid.Api(d.url(), good[:-6] + f"{i:06d}").call("GET", lucid.SERVERS) for i in range(60)]
    codes = [r.status_code for r in answers]
    assert codes[:30] == [401] * 30 and codes.count(429) >= 25, codes
    last = answers[-1]
    assert int(last.headers["Retry-After"]) >= 1 and last.json()["error"]["code"] == "LUCID_ERR_0004"
    assert "WWW-Authenticate" not in last.headers
    # valid tokens from that address are still accepted, and so are requests without a token
    assert anna.call("GET", lucid.SERVERS).status_code == 200
    assert d.api(None).call("GET", lucid.SERVERS).status_code == 401
    assert d.api(None).call("GET", "/health").status_code == 200


def test_addresses_of_one_network_share_the_limit(make_daemon):
    """Addresses of one /64 share a limit; here a trusted proxy passes them."""
    d = make_daemon(RATE_LIMIT_ENABLED="true", RATE_LIMIT_PER_MINUTE="60000", RATE_LIMIT_BURST_SIZE="60000", TRUSTED_PROXIES="127.0.0.1")
    bad = lucid.Api(d.url(), "a.b.c")

    def code(address):
        return bad.call("GET", lucid.SERVERS, headers={"X-Forwarded-For": address}).status_code
    codes = [code(f"2001:db8:0:7::{i:x}") for i in range(60)]
    assert codes[:30] == [401] * 30 and codes.count(429) >= 25, codes
    assert code("2001:db8:0:8::1") == 401
    assert [code(f"192.0.2.{i}") for i in range(60)] == [401] * 60


SECRETS = {"JWT_SECRET": "the-secret-that-signs-0123456789abcdef", "MASTER_KEY": "the-key-of-all-keys-0123456789abcdef",
           "JWT_SECRETS_OLD": "an-old-secret-that-signed-0123456789abcdef"}


def test_secrets_do_not_show(make_daemon):
    old = "JWT_SECRETS_OLD"
    d = make_daemon(start=False, **{**SECRETS, old: None, "LOG_LEVEL": "DEBUG"})
    d.args = ["--set", f"{old}={SECRETS[old]}", f"--set=SECRET_KEY={SECRETS['JWT_SECRET']}"]
    d.settings["SECRET_KEY"] = d.settings["JWT_SECRET"]
    d.spawn()
    until("readiness", d.ready, 20)
    token = d.run("token", "--user", "anna").stdout.strip()
    anna = lucid.Api(d.url(), token)
    answers = [anna.call("GET", lucid.SERVERS), anna.call("POST", lucid.SERVERS, body="{"), anna.call("GET", "/nowhere"),
               lucid.Api(d.url(), token + "x").call("GET", lucid.SERVERS), d.api(None).call("GET", lucid.SERVERS),
               d.api(None).call("GET", "/metrics"), d.api(None).call("GET", "/openapi.json"), d.api(None).call("GET", "/health/ready")]
    assert [r.status_code for r in answers] == [200, 400, 404, 401, 401, 200, 200, 200]
    places = {f"answer {i}": r.text + str(r.headers) for i, r in enumerate(answers)}
    places["log"] = d.log()
    places["check-config"] = str(d.run("check-config"))
    for pid in (d.supervisor, d.server_pid()):
        for name in ("cmdline", "environ"):
            with open(f"/proc/{pid}/{name}", "rb") as f:
                places[f"{name} of {pid}"] = f.read().decode(errors="replace")
    for name, text in places.items():
        for secret in SECRETS.values():
            assert secret not in text, name
        assert token.rsplit(".", 1)[1] not in text, name
    for pid in (d.supervisor, d.server_pid()):
        assert "JWT_SECRET=" in places[f"environ of {pid}"]  # the name stays in the environment, the value does not
    d.settings["JWT_SECRET"] = lucid.SECRET
    d.end(check=False)


def crash(pid):
    os.kill(pid, signal.SIGSEGV)
    _, status = os.waitpid(pid, 0)
    assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGSEGV, status
    return os.WCOREDUMP(status)


@pytest.mark.one_shape("the files and the memory of a process")
@pytest.mark.skipif("asan" in lucid.BIN, reason="a sanitizer takes the signal itself, and writes no core")
def test_no_core_is_written(make_daemon, folder):
    """Whatever the host's settings: a process that is not dumpable has no core. Other processes of the same user cannot read its
    memory either."""
    d = make_daemon()
    server = d.server_pid()
    assert os.stat(f"/proc/{server}/mem").st_uid == 0 and (proc.uids(server) or [0])[0] != 0
    uid = proc.uids(server)[0]
    look = subprocess.run([sys.executable, "-c", f"import os; os.setgid({uid}); os.setuid({uid}); open('/proc/{server}/mem')"],
                          capture_output=True, text=True, check=False)
    assert "PermissionError" in look.stderr
    d.stop()
    # the supervisor, with the limit that a core needs; for comparison, a process that would dump one
    before = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    with open("/proc/sys/kernel/core_pattern", encoding="ascii") as f:
        pattern = f.read().strip()
    other = subprocess.Popen(["sleep", "60"], cwd=folder)
    dumps = crash(other.pid)
    other.returncode = 0
    d.spawn()
    resource.setrlimit(resource.RLIMIT_CORE, before)
    until("readiness", d.ready, 20)
    server = d.server_pid()
    assert not crash(d.supervisor), f"a core was written; the other process's: {dumps}, {pattern}"
    d.process.returncode = -signal.SIGSEGV
    until("the end of the server", lambda: not os.path.exists(f"/proc/{server}"))
    assert not [f for f in os.listdir(d.dir) if f.startswith("core")]


ROUTES = [("GET", lucid.SERVERS), ("POST", lucid.SERVERS), ("DELETE", lucid.SERVERS + "/{id}"), ("PATCH", lucid.SERVERS + "/{id}"), ("POST", lucid.SERVERS + "/{id}/stop"),
          ("GET", lucid.SERVERS + "/{id}/config"), ("GET", "/api/v1/rdp/nodes"), ("PUT", "/api/v1/rdp/nodes/x"), ("GET", "/api/v1/rdp/ports"), ("GET", "/api/v1/audit"),
          ("GET", lucid.XRDP + "/config"), ("PUT", lucid.XRDP + "/config"), ("POST", lucid.XRDP + "/service/stop"), ("GET", lucid.XRDP + "/logs"),
          ("POST", lucid.XRDP + "/certificates/self-signed"), ("GET", "/api/v1/sessions"), ("GET", "/api/v1/resources/usage")]


@pytest.mark.shapes
def test_service_token_is_limited_to_operations_of_roles(daemon):
    server = daemon.admin.create_server("kept", wait=False, auto_start=False)
    role = lucid.Api(daemon.url(), lucid.token_for("lucid-rdp", "service"))
    for method, path in ROUTES:
        role.call(method, path.format(id=server["server_id"]), {} if method in ("POST", "PUT", "PATCH") else None, expect=403)
    assert role.get(f"{lucid.SERVERS}/{server['server_id']}")["name"] == "kept"
    for path in ("/instances", "/stats", "/desktops"):
        role.call("GET", lucid.XRDP + path, expect=200)
    # called for a user, it has the rights of that user, and does not see the objects of others
    for who, status in (("sub=root;roles=admin", 200), ("sub=anna;roles=user", 404), ("sub=anna;roles=service", 403)):
        text = who + ";sessions=yes;from=192.0.2.7"
        role.call("GET", f"{lucid.SERVERS}/{server['server_id']}/config", headers=lucid.acting(role.token, text), expect=status)
        # whoever has only the token cannot call for anybody
        for seal in ({}, {"X-Lucid-Seal": "x" * 43}, {"X-Lucid-Seal": lucid.acting("another", text)["X-Lucid-Seal"]}):
            role.call("GET", f"{lucid.SERVERS}/{server['server_id']}/config", headers={"X-Lucid-For": text, **seal}, expect=403)
    assert daemon.admin.server(server["server_id"])["name"] == "kept"


@pytest.mark.shapes
@pytest.mark.parametrize("claims", [{"roles": []}, {"roles": ["auditor"]}, {"roles": ["User", "ADMIN", "user "]}, {}, {"admin": False}, {"roles": ["adm\u0456n"]}])
def test_token_without_a_known_role_is_refused(daemon, claims):
    nobody = lucid.Api(daemon.url(), lucid.sign({"sub": "anna", "exp": int(time.time()) + 600, **claims}))
    for method, path in [*ROUTES, ("GET", lucid.XRDP + "/instances"), ("GET", "/events")]:
        r = nobody.call(method, path.format(id=uuid.uuid4()), {} if method in ("POST", "PUT", "PATCH") else None, expect=403)
        assert r.json()["error"]["code"] == "LUCID_ERR_0003" and "insufficient_scope" in r.headers["WWW-Authenticate"]
    nobody.call("GET", "/health", expect=200)
    nobody.token = lucid.sign({"sub": "anna", "exp": int(time.time()) + 600, "roles": ["auditor", "user"]})
    nobody.call("GET", lucid.SERVERS, expect=200)
