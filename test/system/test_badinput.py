"""Bad input against the running program: each kind has its own clear error, no data is lost, and errors reveal no secrets or internals."""
import hashlib
import http.client
import json
import os
import socket
import subprocess
import time

import pytest

import lucid
import proc
import shapes
from lucid import SECRET, SERVERS, XRDP, sign, token_for
from proc import until

pytestmark = pytest.mark.shapes

NEW = {"name": "sane", "auto_start": False}


@pytest.fixture(scope="module")
def d(servers):
    daemon = shapes.make(servers).start()
    daemon.kept = daemon.admin.create_server("kept", wait=False, auto_start=False)
    yield daemon
    daemon.end()


@pytest.fixture(autouse=True)
def nothing_is_lost(request):
    """After every refusal the program is unchanged: the same process, and one server in the store."""
    yield
    if "d" in request.fixturenames:
        daemon = request.getfixturevalue("d")
        more = [s for s in daemon.admin.list_servers() if s["server_id"] != daemon.kept["server_id"]]
        for server in more:
            daemon.admin.delete(f"{SERVERS}/{server['server_id']}?force=true")
        assert not more, "it was taken, not refused"
        assert daemon.admin.server(daemon.kept["server_id"]) == daemon.kept


def refused(r, status, code):
    """It is an error response as api.md describes it, and reveals no internals."""
    assert r.status_code in (status if isinstance(status, tuple) else (status,)), f"{r.status_code}: {r.text}"
    error = r.json()["error"]
    assert error["code"] in (code if isinstance(code, tuple) else (code,)), error
    assert len(error["message"]) > 10 and error["version"] == "v1" and error["request_id"] and error["timestamp"].endswith("Z")
    assert error["service"] and r.headers["X-Request-ID"] == error["request_id"]
    for secret in (SECRET, "/src/", ".c:", "SELECT", "sqlite", "/tmp/lrdp", "jansson"):
        assert secret not in r.text, r.text
    return error


# --- JSON

@pytest.mark.parametrize("body", [
    b"{", b"}", b"nul", b"{'name':'a'}", b'{"name":"a",}', b'{"name":"a"} x', b'{"name":"a"}{"name":"b"}', b'{"name":"a","name":"b"}',
    b'{"name":"a","metadata":{"k":1,"k":2}}', b'{"name":"\xff"}', b"\xff\xfe{\x00", b'{"name":"\\ud800"}', b'{"name":"a\\u0000b"}',
    b'{"name":"a\nb"}', b'{"name":"\xc0\xaf"}', b'{"name":"\xed\xa0\x80"}', b'{"port":1e999}', b'{"port":123456789012345678901}',
    b'{"port":NaN}', b'{"port":0x10}', b'{"port":01}', b"\xef\xbb\xbf{}", b'{"metadata":' + b'{"a":' * 100 + b"1" + b"}" * 101,
    b"[" * 5000, b'{"a":' * 20000, b"\x00",
])
def test_malformed_json(d, body):
    refused(d.admin.call("POST", SERVERS, body), 400, "LUCID_ERR_0013")


@pytest.mark.parametrize("body", [b"[]", b'"text"', b"5", b"null", b"true", b"[{}]", b""])
def test_body_that_is_no_object_is_refused(d, body):
    refused(d.admin.call("POST", SERVERS, body), (400, 422), ("LUCID_ERR_0005", "LUCID_ERR_0013"))


def test_huge_body_is_refused(d):
    big = json.dumps({"name": "a", "description": "x" * (2 << 20)})
    refused(d.admin.call("POST", SERVERS, big), 413, "LUCID_ERR_0008")
    error = refused(d.admin.call("POST", SERVERS, {"name": "a", "description": "x" * 100000}), 422, "LUCID_ERR_0005")
    assert error["details"][0]["field"] == "description"
    refused(d.admin.call("POST", SERVERS, {"name": "a", "metadata": {"k": "x" * 20000}}), 422, "LUCID_ERR_0005")
    refused(d.admin.call("POST", SERVERS, {f"k{i}": i for i in range(20000)}), 422, "LUCID_ERR_0005")


# --- fields: what is sent (merged into NEW), and the field that the fault names

CORES = os.cpu_count()
MEMORY = int(proc.read("/proc/meminfo").split()[1]) // 1024
FIELDS = [
    ({"name": ""}, "name"), ({"name": "x" * 65}, "name"), ({"name": 5}, "name"), ({"name": None}, "name"), ({"name": ["a"]}, "name"),
    ({"name": "a\nb"}, "name"), ({"name": "a\tb"}, "name"), ({"name": "a\rb"}, "name"), ({"name": "\x7f"}, "name"), ({"name": "a\x1bb"}, "name"),
    ({"nmae": "a"}, "nmae"), ({"": 1}, ""), ({"description": "bell\x07"}, "description"), ({"description": 5}, "description"),
    ({"display": 5}, "display"), ({"display": {"width": 319}}, "display.width"), ({"display": {"width": 8193}}, "display.width"),
    ({"display": {"width": "640"}}, "display.width"), ({"display": {"width": 640.5}}, "display.width"), ({"display": {"height": 199}}, "display.height"),
    ({"display": {"height": 8193}}, "display.height"), ({"display": {"color_depth": 17}}, "display.color_depth"),
    ({"display": {"color_depth": 0}}, "display.color_depth"), ({"display": {"depth": 24}}, "display.depth"),
    ({"desktop": {"session": "wayland"}}, "desktop.session"), ({"desktop": {"profile": "../../bin/sh"}}, "desktop.profile"),
    ({"desktop": {"profile": "xterm; id"}}, "desktop.profile"), ({"desktop": {"profile": "a\nb"}}, "desktop.profile"),
    ({"desktop": {"max_sessions": 0}}, "desktop.max_sessions"), ({"desktop": {"max_sessions": 51}}, "desktop.max_sessions"),
    ({"desktop": {"max_sessions": True}}, "desktop.max_sessions"), ({"desktop": {"idle_timeout": -1}}, "desktop.idle_timeout"),
    ({"desktop": {"disconnected_timeout": "1h"}}, "desktop.disconnected_timeout"), ({"desktop": {"kill_disconnected": 1}}, "desktop.kill_disconnected"),
    ({"security": {"layer": "none"}}, "security.layer"), ({"security": {"min_tls": "1.1"}}, "security.min_tls"), ({"security": {"min_tls": 1.2}}, "security.min_tls"),
    ({"security": {"crypt_level": "best"}}, "security.crypt_level"), ({"security": {"allowed_users": "root"}}, "security.allowed_users"),
    ({"security": {"allowed_users": ["a\nauth sufficient pam_permit.so"]}}, "security.allowed_users"), ({"security": {"allowed_users": ["\u00fc" * 129]}}, "security.allowed_users"),
    ({"security": {"allowed_groups": ["a\u2028b"]}}, "security.allowed_groups"), ({"security": {"allowed_users": [f"u{i}" for i in range(101)]}}, "security.allowed_users"),
    ({"channels": {"clipboard": "yes"}}, "channels.clipboard"), ({"channels": {"usb": True}}, "channels.usb"),
    ({"limits": {"cpu_percent": 0}}, "limits.cpu_percent"), ({"limits": {"cpu_percent": 100 * CORES + 1}}, "limits.cpu_percent"),
    ({"limits": {"memory_mb": 63}}, "limits.memory_mb"), ({"limits": {"memory_mb": 2 * MEMORY}}, "limits.memory_mb"),
    ({"limits": {"tasks": 31}}, "limits.tasks"), ({"limits": {"tasks": 100001}}, "limits.tasks"),
    ({"restart_policy": "sometimes"}, "restart_policy"), ({"auto_start": "true"}, "auto_start"), ({"auto_start": 1}, "auto_start"),
    ({"tags": ["x"] * 33}, "tags"), ({"tags": ["a\nb"]}, "tags"), ({"tags": [""]}, "tags"), ({"tags": [5]}, "tags"), ({"tags": "a"}, "tags"),
    ({"metadata": []}, "metadata"), ({"metadata": "x"}, "metadata"), ({"recording": {"mode": "maybe"}}, "recording.mode"),
    ({"recording": {"notice": "x" * 501}}, "recording.notice"), ({"recording": {"notice": "a\nb"}}, "recording.notice"),
    ({"port": 80}, "port"), ({"port": 65536}, "port"), ({"port": "20000"}, "port"), ({"port": -1}, "port"), ({"port": 1025}, "port"),
    ({"user_id": ""}, "user_id"), ({"user_id": "a\nb"}, "user_id"), ({"user_id": 7}, "user_id"), ({"user_id": "x" * 129}, "user_id"),
    ({"node": "no such node!"}, "node"), ({"node": "elsewhere"}, "node"),
    ({"server_id": "5f0c1f0e-9d57-4b43-9a53-0c8a2f1d7e11"}, "server_id"), ({"status": "running"}, "status"), ({"host": "h"}, "host"),
    ({"version": 3}, "version"), ({"created_at": "2026-01-01T00:00:00.000Z"}, "created_at"), ({"pending_restart": False}, "pending_restart"),
    ({"isolation": "shared"}, "isolation"), ({"sessions": {}}, "sessions"), ({"status_reason": None}, "status_reason"),
]


@pytest.mark.parametrize("fields,named", FIELDS, ids=[f"{n or 'empty'}-{i}" for i, (_, n) in enumerate(FIELDS)])
def test_invalid_fields_are_refused(d, fields, named):
    error = refused(d.admin.call("POST", SERVERS, {**NEW, **fields}), 422, "LUCID_ERR_0005")
    assert any(f["field"].split("[")[0].startswith(named) and len(f["message"]) > 3 for f in error["details"]), error
    if "server_id" not in fields and named not in ("node", "port"):
        changed = d.admin.call("PATCH", f"{SERVERS}/{d.kept['server_id']}", fields)
        if fields not in ({"status_reason": None}, {"pending_restart": False}, {"sessions": {}}):  # as GET returns them
            refused(changed, 422, "LUCID_ERR_0005")


def test_unknown_profile(d):
    error = refused(d.admin.call("POST", SERVERS, {**NEW, "desktop": {"profile": "no-such"}}), 422, "LUCID_ERR_0005")
    assert error["details"][0]["field"] == "desktop.profile"


def test_all_faults_at_once(d):
    error = refused(d.admin.call("POST", SERVERS, {"nmae": 1, "display": {"width": 1, "height": 2}, "tags": 5, "auto_start": "x"}), 422, "LUCID_ERR_0005")
    assert {"name", "nmae", "display.width", "display.height", "tags", "auto_start"} <= {f["field"] for f in error["details"]}


def test_admin_fields_are_refused_to_users(d):
    api = d.api("somebody")
    for fields in ({"user_id": "other"}, {"port": d.range[1]}, {"node": "testnode"}):
        refused(api.call("POST", SERVERS, {**NEW, **fields}), (403, 422), ("LUCID_ERR_0003", "LUCID_ERR_0005"))


def test_duplicate_name_is_refused(d):
    refused(d.admin.call("POST", SERVERS, {**NEW, "name": "kept"}), 409, "LUCID_ERR_0011")
    other = d.api("somebody").create_server("kept", wait=False, auto_start=False)  # another user's server may have the same name
    d.admin.delete(f"{SERVERS}/{other['server_id']}")


def test_newlines_are_allowed_in_free_text(d):
    server = d.admin.create_server("lines", wait=False, auto_start=False, description="two\nlines\tand a tab", metadata={"k": "a\nb"})
    assert server["description"] == "two\nlines\tand a tab" and server["metadata"] == {"k": "a\nb"}
    config = d.admin.get(f"{SERVERS}/{server['server_id']}/config")
    assert "two" not in config["xrdp_ini"] + config["sesman_ini"]
    d.admin.delete(f"{SERVERS}/{server['server_id']}")


# --- ids, paths, queries

@pytest.mark.parametrize("sid", ["x", "5f0c1f0e", "5F0C1F0E-9D57-4B43-9A53-0C8A2F1D7E11", "5f0c1f0e9d574b439a530c8a2f1d7e11", "..%2f..%2fetc", "%2e%2e",
                                 "a%00b", "a%0ab", "x" * 3000, "'%20or%201=1", "{server_id}", "5f0c1f0e-9d57-4b43-9a53-0c8a2f1d7e1g", "-1", "%F0%9F%92%A9"])
@pytest.mark.parametrize("base", [SERVERS, XRDP + "/instances"])
def test_invalid_ids_are_refused(d, base, sid):
    for method, tail in (("GET", ""), ("DELETE", "")) + ((("POST", "/start"), ("GET", "/rdp-file")) if base == SERVERS else (("GET", "/desktops"),)):
        refused(d.admin.call(method, f"{base}/{sid}{tail}"), (400, 404, 422), ("LUCID_ERR_0005", "LUCID_ERR_0006", "LUCID_ERR_0013", "LUCID_ERR_2001", "LUCID_ERR_2103"))


def test_unknown_ids_are_not_found(d):
    nobody = "5f0c1f0e-9d57-4b43-9a53-0c8a2f1d7e11"
    for method, tail in (("GET", ""), ("DELETE", ""), ("POST", "/start"), ("POST", "/stop"), ("POST", "/restart"), ("GET", "/status"), ("GET", "/config"), ("GET", "/logs"),
                         ("GET", "/connection"), ("GET", "/rdp-file")):
        refused(d.admin.call(method, f"{SERVERS}/{nobody}{tail}"), 404, "LUCID_ERR_2001")
    for method, tail in (("GET", ""), ("GET", "/connections"), ("GET", "/desktops"), ("GET", "/stats"), ("DELETE", "/desktops/12"), ("DELETE", "/connections/c1")):
        refused(d.admin.call(method, f"{XRDP}/instances/{nobody}{tail}"), 404, "LUCID_ERR_2103")
    for display in ("0", "-1", "x", "99999999999999999999", "1.5", "0x10"):
        refused(d.admin.call("DELETE", f"{XRDP}/instances/{nobody}/desktops/{display}"), (404, 422), ("LUCID_ERR_0005", "LUCID_ERR_2103"))


@pytest.mark.parametrize("query", ["page=0", "page=-1", "page=abc", "page=1.5", "page=", "page", "limit=0", "limit=101", "limit=1e2", "limit=+5", "limit=%205", "offset=-1",
                                   "page=1&offset=0", "page=99999999999999999999", "limit=1&limit=2", "sort=nope", "sort=", "sort=-", "sort=name;drop", "status=odd",
                                   "unknown=1", "q=", "q=" + "x" * 65, "q=a%0Ab", "tag=a%00b", "user_id=", "=1", "LIMIT=5"])
def test_invalid_queries_are_refused(d, query):
    error = refused(d.admin.call("GET", f"{SERVERS}?{query}"), (400, 422), ("LUCID_ERR_0005", "LUCID_ERR_0013"))
    name = query.split("=")[0]
    if error["code"] == "LUCID_ERR_0005" and name:
        assert any(f["field"] in (name, "page", "offset") for f in error["details"]), error


BAD_TIMES = ("2026-02-29T00:00:00Z", "2026-04-31T00:00:00Z", "2026-13-01T00:00:00Z", "2026-1-1T0:0:0Z", "2026-01-01T24:00:00Z", "2026-01-01T00:60:00Z",
             "2026-01-01T00:00:60Z", "2026-01-01T00:00:00", "2026-01-01", "2026-01-01 00:00:00Z", "2026-01-01T00:00:00+24:00", "2026-01-01T00:00:00+00:60",
             "2026-01-01T00:00:00+0100", "2026-01-01T00:00:00+1:00", "2026-01-01T00:00: 1Z", "2026-01-01T00:00:00.Z", "9999-12-31T23:59:59-00:01",
             "1969-12-31T23:59:59Z", "yesterday", "1700000000", "")
GOOD_TIMES = ("2024-02-29T00:00:00Z", "2026-01-01t00:00:00z", "2026-01-01T00:00:00.123456789Z", "2026-01-01T12:00:00+02:00", "2016-12-31T23:59:60Z")
TIMES = (("/api/v1/audit", "from"), ("/api/v1/audit", "to"), (XRDP + "/logs", "since"))


@pytest.mark.parametrize("path,name", TIMES)
def test_times_are_those_of_rfc_3339(d, path, name):
    for text in BAD_TIMES:
        error = refused(d.admin.call("GET", path, params={name: text}), 422, "LUCID_ERR_0005")
        assert [f["field"] for f in error["details"]] == [name], text
    for text in GOOD_TIMES:
        assert d.admin.call("GET", path, params={name: text}).status_code in (200, 502), text  # 502: there is no log to read


# --- characters that are invisible, or reverse the direction of text

UNSEEN = [0xad, 0x61c, 0x180e, 0x2028, 0x2029, 0x3164, 0xfe0f, 0xfeff, 0xfff9, 0xfffe, 0xe0001, 0xe0041, 0xe007f, 0xe0100, 0x1fffe, 0x80, 0x85, 0x9f,
          *range(0x200b, 0x2010), *range(0x202a, 0x202f), *range(0x2060, 0x2065), *range(0x2066, 0x206a)]


@pytest.mark.parametrize("code", UNSEEN, ids=[f"U+{c:04X}" for c in UNSEEN])
def test_invisible_characters_in_names_are_refused(d, code):
    odd = f"ad{chr(code)}min"
    kept = f"{SERVERS}/{d.kept['server_id']}"
    for field, value in (("name", odd), ("user_id", odd), ("tags", [odd]), ("recording", {"notice": odd}), ("metadata", {odd: 1})):
        for method, path, body in (("POST", SERVERS, {**NEW, field: value}), ("PATCH", kept, {field: value})):
            error = refused(d.admin.call(method, path, body), 422, "LUCID_ERR_0005")
            assert error["details"][0]["field"].startswith(field), error
    for query in ("q", "user_id"):
        refused(d.admin.call("GET", SERVERS, params={query: odd}), (400, 422), ("LUCID_ERR_0005", "LUCID_ERR_0013"))
    for claim in ("sub", "user_id"):
        api = d.api(None)
        api.token = sign({claim: odd, "roles": ["admin"], "exp": int(time.time()) + 600})
        refused(api.call("GET", SERVERS), 401, "LUCID_ERR_0002")
    minted = d.run("token", "--user", odd)
    assert minted.returncode == 2 and "invisible" in minted.stderr, minted.stderr


def test_text_of_any_script_is_accepted(d):
    prose = "👩\u200d💻 ❤\ufe0f نامه\u200cای\nsecond line"
    for i, name in enumerate(("Zoë O’Neil", "日本語 desk", "العربية", "हिन्दी", "😀", "a\u00a0b")):
        server = d.admin.create_server(name, wait=False, auto_start=False, description=prose, user_id=f"müller {i}")
        assert (server["name"], server["description"], server["user_id"]) == (name, prose, f"müller {i}")
        d.admin.delete(f"{SERVERS}/{server['server_id']}")
    for code in (0x202e, 0x2066, 0xfeff, 0xe0041):  # characters that reverse lines or hide text are refused in prose too
        refused(d.admin.call("POST", SERVERS, {**NEW, "description": f"a{chr(code)}b"}), 422, "LUCID_ERR_0005")
    for blank in (" ", "\u00a0", "\u2003", "\u3000"):
        refused(d.admin.call("POST", SERVERS, {**NEW, "name": "a" + blank}), 422, "LUCID_ERR_0005")


@pytest.mark.parametrize("target", [f"{SERVERS}?q={q}" for q in ("%zz", "%", "%f", "%ff%fe", "%c0%af", "%ed%a0%80")] + [f"{SERVERS}/%zz", f"{SERVERS}/%", "/api/%c0%af"])
def test_encodings(d, target):
    """Sent as they are: a client library would correct them."""
    connection = http.client.HTTPConnection("127.0.0.1", d.ports["rdp-server-manager"], timeout=5)
    connection.request("GET", target, headers={"Authorization": f"Bearer {d.admin.token}"})
    r = connection.getresponse()
    error = json.loads(r.read())["error"]
    assert (r.status, error["code"]) in ((400, "LUCID_ERR_0013"), (422, "LUCID_ERR_0005")), error
    connection.close()


def test_invalid_flags_are_refused(d):
    path = f"{SERVERS}/{d.kept['server_id']}"
    for method, where in (("DELETE", path + "?force=perhaps"), ("POST", path + "/start?wait=1s"), ("POST", path + "/stop?force="), ("GET", path + "/logs?lines=0"),
                          ("GET", path + "/logs?lines=5001"), ("GET", XRDP + "/logs?source=../../etc/passwd"), ("GET", XRDP + "/logs?level=loud"), ("GET", path + "?x=1")):
        refused(d.admin.call(method, where), 422, "LUCID_ERR_0005")
    refused(d.admin.call("POST", SERVERS + "?wait=stopped", NEW), 422, "LUCID_ERR_0005")


# --- content types and methods

@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "application/jsonx", "", "json", "application/xml", "multipart/form-data; boundary=x"])
def test_content_type(d, kind):
    refused(d.admin.call("POST", SERVERS, NEW, headers={"Content-Type": kind}), 415, "LUCID_ERR_0009")


def test_merge_patch_requires_its_content_type(d):
    path = f"{SERVERS}/{d.kept['server_id']}"
    for method in ("PATCH", "PUT"):
        r = d.admin.call(method, path, {"tags": None}, headers={"Content-Type": "application/merge-patch+json"})
        assert r.status_code == 200 and r.json() == d.kept, r.text
    refused(d.admin.call("POST", SERVERS, NEW, headers={"Content-Type": "application/merge-patch+json"}), 415, "LUCID_ERR_0009")


def test_content_encoding(d):
    import gzip
    refused(d.admin.call("POST", SERVERS, gzip.compress(json.dumps(NEW).encode()), headers={"Content-Encoding": "gzip"}), (400, 415), ("LUCID_ERR_0013", "LUCID_ERR_0009"))


@pytest.mark.parametrize("method,path", [("DELETE", SERVERS), ("PATCH", SERVERS), ("PUT", SERVERS), ("POST", SERVERS + "/{id}"), ("GET", SERVERS + "/{id}/start"), ("POST", "/health"),
                                         ("DELETE", XRDP + "/stats"), ("POST", "/openapi.json"), ("PUT", XRDP + "/instances")])
def test_methods(d, method, path):
    r = d.admin.call(method, path.replace("{id}", d.kept["server_id"]), NEW if method != "GET" else None)
    refused(r, 405, "LUCID_ERR_0007")
    assert r.headers["Allow"] and method not in r.headers["Allow"]


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "BREW", "get", "PROPFIND"])
def test_odd_methods(d, method):
    with socket.create_connection(("127.0.0.1", d.ports["rdp-server-manager"]), 5) as s:
        s.sendall(f"{method} {SERVERS} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert s.recv(4096).split()[1] in (b"400", b"405", b"501")


def test_head_and_options(d):
    path = f"{SERVERS}/{d.kept['server_id']}"
    get, head = d.admin.call("GET", path, expect=200), d.admin.call("HEAD", path, expect=200)
    assert head.headers["Content-Length"] == str(len(get.content)) and not head.content and head.headers["ETag"] == get.headers["ETag"]
    options = d.api(None).call("OPTIONS", path, expect=(200, 204))
    assert {"GET", "PATCH", "DELETE"} <= set(options.headers["Allow"].replace(" ", "").split(","))
    assert d.admin.get(path + "/") == d.kept


# --- tokens

def without(claims, *names):
    return {k: v for k, v in claims.items() if k not in names}


def token_faults():
    now = int(time.time())
    good = {"sub": "eve", "roles": ["admin"], "exp": now + 600}
    token = sign(good)
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    last = alphabet[alphabet.index(token[-1]) ^ 1]  # the unused bits of the last character
    head, body, mac = token.split(".")
    return {
        "none": None, "empty": "Bearer ", "basic": "Basic YTpi", "word": "Bearer", "text": "Bearer hello", "two parts": f"Bearer {head}.{body}",
        "four parts": f"Bearer {token}.x", "no mac": f"Bearer {head}.{body}.", "no head": f"Bearer .{body}.{mac}",
        "alg none": f"Bearer {lucid.b64(json.dumps({'alg': 'none'}).encode())}.{body}.", "alg None": f"Bearer {lucid.b64(json.dumps({'alg': 'None'}).encode())}.{body}.",
        "alg none signed": "Bearer " + sign(good, header={"alg": "none"}), "HS512, same key": "Bearer " + sign(good, header={"alg": "HS512"}, digest=hashlib.sha512),
        "HS512 said, 256 done": "Bearer " + sign(good, header={"alg": "HS512"}), "no alg": "Bearer " + sign(good, header={"typ": "JWT"}), "alg a list": "Bearer " + sign(good, header={"alg": ["HS256"]}),
        "crit": "Bearer " + sign(good, header={"alg": "HS256", "crit": ["x"], "x": 1}),
        "expired": "Bearer " + sign({**good, "exp": now - 60}), "not yet": "Bearer " + sign({**good, "nbf": now + 120}), "no exp": "Bearer " + sign(without(good, "exp")),
        "no sub": "Bearer " + sign(without(good, "sub")), "exp text": "Bearer " + sign({**good, "exp": str(now + 60)}), "exp null": "Bearer " + sign({**good, "exp": None}), "sub number": "Bearer " + sign({**good, "sub": 5}), "sub empty": "Bearer " + sign({**good, "sub": ""}),
        "sub with newline": "Bearer " + sign({**good, "sub": "a\nb"}), "roles text": "Bearer " + sign({**good, "roles": "admin"}), "roles numbers": "Bearer " + sign({**good, "roles": [1]}),
        "admin text": "Bearer " + sign({**good, "admin": "true"}), "truncated": f"Bearer {token[:-4]}", "truncated body": f"Bearer {head}.{body[:-2]}.{mac}",
        "non-canonical base64": f"Bearer {token[:-1]}{last}", "padding": f"Bearer {token}=", "standard alphabet": f"Bearer {token}".replace("-", "+").replace("_", "/") + "+",
        "blank inside": f"Bearer {head} .{body}.{mac}", "another body": f"Bearer {head}.{lucid.b64(json.dumps({**good, 'sub': 'root'}).encode())}.{mac}",
        "sub twice": "Bearer " + sign(f'{{"sub":"eve","sub":"root","roles":["admin"],"exp":{now + 600}}}'), "roles twice": "Bearer " + sign(f'{{"sub":"eve","roles":["user"],"roles":["admin"],"exp":{now + 600}}}'),
        "trailing": "Bearer " + sign(json.dumps(good) + "x"), "not an object": "Bearer " + sign("[]"), "someone else's": "Bearer " + sign(good, secret="another secret of more than 32 bytes!!"),
        "empty key": "Bearer " + sign(good, secret=""), "long": "Bearer " + "a" * 12000,
    }


@pytest.mark.parametrize("fault", token_faults())
def test_invalid_tokens_are_refused(d, fault):
    value = token_faults()[fault]
    api = d.api(None)
    for path in (SERVERS, f"{SERVERS}/{d.kept['server_id']}", XRDP + "/info"):
        r = api.call("GET", path, headers={"Authorization": value} if value is not None else {})
        refused(r, 401, "LUCID_ERR_0002")
        assert r.headers["WWW-Authenticate"].startswith("Bearer")
        if fault not in ("none", "basic"):
            assert "error=" in r.headers["WWW-Authenticate"]


def test_verified_token_expires(d):
    """A verified token is cached; its times are checked at each use, and other tokens get a verdict of their own."""
    api = d.api(None)
    api.token = sign({"sub": "brief", "roles": ["user"], "exp": int(time.time()) - 27})  # 30 s of leeway
    api.call("GET", SERVERS, expect=200)
    until("the token to expire, though it was verified", lambda: api.call("GET", SERVERS).status_code == 401, 10, 0.5)


def test_two_authorization_headers_are_refused(d):
    token = token_for("a", "admin")
    with socket.create_connection(("127.0.0.1", d.ports["rdp-server-manager"]), 5) as s:
        s.sendall(f"GET {SERVERS} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nAuthorization: Bearer {token}\r\n\r\n".encode())
        assert s.recv(4096).split()[1] == b"400"


# --- versions

def test_stale_if_match(d):
    server = d.admin.create_server("versions", wait=False, auto_start=False)
    path = f"{SERVERS}/{server['server_id']}"
    first = d.admin.call("GET", path).headers["ETag"]
    assert d.admin.call("GET", path, headers={"If-None-Match": first}, expect=304).content == b""
    changed = d.admin.call("PATCH", path, {"description": "new"}, headers={"If-Match": first}, expect=200)
    assert changed.headers["ETag"] != first and changed.json()["version"] > server["version"]
    for method, body in (("PATCH", {"description": "lost"}), ("PUT", {"description": "lost"}), ("DELETE", None)):
        refused(d.admin.call(method, path, body, headers={"If-Match": first}), 412, "LUCID_ERR_0014")
    for odd in ("5", "\"x\"", "\"-1\"", "W/\"1\", x", "\"99999999999999999999\""):
        refused(d.admin.call("PATCH", path, {"description": "lost"}, headers={"If-Match": odd}), (400, 412), ("LUCID_ERR_0013", "LUCID_ERR_0014"))
    assert d.admin.server(server["server_id"])["description"] == "new"
    d.admin.call("PATCH", path, {"description": "any"}, headers={"If-Match": "*"}, expect=200)
    d.admin.call("DELETE", path, headers={"If-Match": d.admin.call("GET", path).headers["ETag"]}, expect=204)


def test_request_ids(d):
    assert d.admin.call("GET", "/health", headers={"X-Request-ID": "my-id.1_2"}).headers["X-Request-ID"] == "my-id.1_2"
    for odd in ("a b", "x" * 65, "a;b", "<script>", "\xe4"):
        assert d.admin.call("GET", "/health", headers={"X-Request-ID": odd.encode("latin-1")}).headers["X-Request-ID"] != odd


# --- faults of the host

def test_creation_without_free_ports_is_refused(make_daemon):
    d = make_daemon(range_size=2)
    a, b = (d.admin.create_server(n, wait=False, auto_start=False) for n in "ab")
    assert {a["port"], b["port"]} == set(range(d.range[0], d.range[1] + 1))
    refused(d.admin.call("POST", SERVERS, {"name": "c", "auto_start": False}), 503, "LUCID_ERR_2007")
    d.admin.delete(f"{SERVERS}/{a['server_id']}")
    assert d.admin.create_server("c", wait=False, auto_start=False)["port"] == a["port"]


def test_port_of_another_process_is_not_assigned(make_daemon):
    d = make_daemon(range_size=2)
    first, second = d.range
    with socket.create_server(("0.0.0.0", first)):
        server = d.admin.create_server("other", wait=False, auto_start=False)
        assert server["port"] == second  # a real bind: a port that another process uses is never assigned
        rows = {r["port"]: r["status"] for r in d.admin.get("/api/v1/rdp/ports?limit=100")["ports"]}
        assert rows == {first: "blocked", second: "allocated"}
    path = f"{SERVERS}/{server['server_id']}"
    with socket.create_server(("0.0.0.0", second)):  # between lease and start
        d.admin.call("POST", path + "/start?wait=true")
        failed = d.admin.server(server["server_id"])
        assert (failed["status"], failed["status_reason"], failed["port"]) == ("failed", "port_in_use", second)
    d.admin.call("POST", path + "/start?wait=true", expect=(200, 202))
    assert d.admin.server(server["server_id"])["status"] == "running" and proc.listening(second)


@pytest.mark.one_shape("how a process starts")
def test_missing_xrdp_is_reported(make_daemon):
    # in a mount namespace in which xrdp cannot be executed
    d = make_daemon(start=False)
    d.wrap = ["unshare", "-m", "--propagation", "slave", "sh", "-c", 'mount --bind /dev/null /usr/sbin/xrdp && exec "$@"', "sh"]
    d.start()
    server = d.admin.create_server("waits")
    assert (server["status"], server["status_reason"]) == ("failed", "no_xrdp")
    ready = d.api(None).get("/health/ready")
    assert ready["ready"] is True and ready["degraded"] is True and ready["checks"]["xrdp"]["status"] == "unhealthy"
    assert "xrdp" in d.admin.get(f"{SERVERS}/{server['server_id']}/config")["xrdp_ini"].lower()
    error = refused(d.admin.call("POST", XRDP + "/instances", {"server_id": server["server_id"], "name": "x", "port": server["port"]}), 503, "LUCID_ERR_2104")
    assert "xrdp" in error["message"]


@pytest.fixture
def small_disk():
    """small_disk(daemon, "1m"): puts its data directory on a file system of that size; unmounted at the end."""
    mounted = []

    def mount(d, size):
        path = d.settings["DATA_DIR"]
        os.makedirs(path, exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=755", "lrdp", path], check=True)
        mounted.append(path)
        return path
    yield mount
    for path in mounted:
        subprocess.run(["umount", "-l", path], check=True)


@pytest.mark.one_shape("how a process starts")
def test_data_directory_full(make_daemon, small_disk):
    d = make_daemon(start=False, range_size=200, MAX_CONCURRENT_SERVERS="1000")
    path = small_disk(d, "3m")
    d.start()
    first = d.admin.create_server("first", wait=False, auto_start=False)
    ballast = os.open(os.path.join(path, "ballast"), os.O_WRONLY | os.O_CREAT)
    with pytest.raises(OSError):
        while os.write(ballast, b"x" * 4096):
            pass
    os.close(ballast)
    acknowledged = {first["server_id"]}
    refusals = 0
    for n in range(150):
        r = d.admin.call("POST", SERVERS, {"name": f"n{n}", "auto_start": False, "description": "x" * 2000})
        if r.status_code == 201:
            acknowledged.add(r.json()["server_id"])
        else:
            error = refused(r, 503, "LUCID_ERR_0010")
            assert "disk that holds the store's file is full" in error["message"] and d.dir not in r.text, r.text
            refusals += 1
            if refusals > 3:
                break
    assert refusals, "a full disk took everything"
    until("readiness to report it", lambda: d.api(None).call("GET", "/health/ready").status_code == 503)
    ready = d.api(None).call("GET", "/health/ready").text
    assert "disk that holds the store's file is full" in ready and d.dir not in ready, ready
    assert path in d.log(), "the log names the file"
    assert {s["server_id"] for s in d.admin.list_servers()} == acknowledged
    os.unlink(os.path.join(path, "ballast"))
    until("free space to be used again", lambda: d.admin.call("POST", SERVERS, {"name": "last", "auto_start": False}).status_code in (201, 409), 20, 0.5)
    assert acknowledged <= {s["server_id"] for s in d.admin.list_servers()}
    d.remove_servers()
    d.stop()


@pytest.mark.one_shape("how a process starts")
def test_data_directory_read_only(make_daemon, small_disk):
    d = make_daemon(start=False)
    path = small_disk(d, "16m")
    d.start()
    server = d.admin.create_server("kept", wait=False, auto_start=False)
    d.stop()
    subprocess.run(["mount", "-o", "remount,ro", path], check=True)
    d.spawn()
    # either it does not start and says so, or it runs, is not ready, and refuses writes
    until("a verdict", lambda: d.process.poll() is not None or said(d), 15)
    assert "read-only" in d.log().lower() or "read only" in d.log().lower() or path in d.log()
    if d.process.poll() is None:
        assert d.api(None).call("GET", "/health/ready").status_code == 503
        refused(d.admin.call("POST", SERVERS, NEW), (500, 503), ("LUCID_ERR_0010", "LUCID_ERR_2002"))
        d.stop(expect=None)
    else:
        assert d.process.returncode not in (0, -11, -6)
    subprocess.run(["mount", "-o", "remount,rw", path], check=True)
    d.start()
    assert d.admin.server(server["server_id"])["name"] == "kept"
    d.remove_servers()
    d.stop()


def said(d):
    try:
        return d.api(None).call("GET", "/health/ready", timeout=2).status_code == 503
    except Exception:
        return False


@pytest.mark.one_shape("how a process starts")
def test_role_port_taken(make_daemon):
    d = make_daemon(start=False)
    with socket.create_server(("127.0.0.1", d.ports["rdp-session-controller"])) as s:
        s.listen()
        d.spawn()
        assert d.process.wait(20) not in (0, -11, -6)
        assert str(d.ports["rdp-session-controller"]) in d.log() and "RDP_SESSION_CONTROLLER_PORT" in d.log()
        assert not [p for p in d.ports.values() if p != s.getsockname()[1] and proc.listening(p)]
    d.log_path += ".2"
    d.start()


# --- configuration

BAD_SETTINGS = [
    {"RDP_SERVER_MANAGER_PORT": "0x1F90"}, {"RDP_SERVER_MANAGER_PORT": "70000"}, {"RDP_SERVER_MANAGER_PORT": "-1"}, {"RDP_SERVER_MANAGER_PORT": "80 90"},
    {"PORT_RANGE_START": "100"}, {"PORT_RANGE_START": "30000", "PORT_RANGE_END": "29000"}, {"PORT_RANGE_END": "65536"}, {"MAX_CONCURRENT_SERVERS": "1001"},
    {"MAX_CONCURRENT_SERVERS": "0"}, {"MAX_SERVERS_PER_USER": "many"}, {"ENVIRONMENT": "prod"}, {"LOG_LEVEL": "LOUD"}, {"LOG_FORMAT": "xml"}, {"DEBUG": "perhaps"},
    {"REQUEST_TIMEOUT": "-5"}, {"MAX_BODY_BYTES": "1GB"}, {"ROLE": "rdp-server-manger"}, {"XRDP_BACKEND": "docker"}, {"JWT_SECRET": "short", "ENVIRONMENT": "production"},
    {"XRDP_BINARY": "/nonexistent/xrdp"}, {"JWT_SECRET": None, "ENVIRONMENT": "production"}, {"MONGODB_URL": "mongodb://u:p@ss@db/x"}, {"REDIS_URL": "rediss://r"}, {"BIND_ADDRESS": "not an address"}, {"MAX_CPU_USAGE": "101"},
    {"RDP_SERVER_MANAGER_PORT": "18091", "XRDP_INTEGRATION_PORT": "18091"}, {"RATE_LIMIT_PER_MINUTE": ""}, {"JWT_ALGORITHM": "none"},
]


@pytest.mark.one_shape("how a process starts")
@pytest.mark.parametrize("settings", BAD_SETTINGS, ids=[" ".join(s) + f"-{i}" for i, s in enumerate(BAD_SETTINGS)])
def test_bad_configuration(make_daemon, settings):
    d = make_daemon(start=False, **settings)
    d.spawn()
    try:
        code = d.process.wait(10)
    except subprocess.TimeoutExpired:
        raise AssertionError(f"{settings} was taken: {d.log()[-1000:]}") from None
    assert code not in (0, -6, -11), d.log()
    assert any(name in d.log() for name in settings), d.log()
    assert "short" not in d.log() or "JWT_SECRET" not in settings or "JWT_SECRET=short" not in d.log()
    assert d.run("check-config").returncode != 0


@pytest.mark.one_shape("how a process starts")
def test_every_fault_at_once(make_daemon):
    d = make_daemon(start=False, RDP_SERVER_MANAGER_PORT="x", LOG_LEVEL="y", MAX_CONCURRENT_SERVERS="z", JWT_SECRET="tiny")
    r = d.run("check-config")
    text = r.stdout + r.stderr
    assert r.returncode != 0
    assert all(name in text for name in ("RDP_SERVER_MANAGER_PORT", "LOG_LEVEL", "MAX_CONCURRENT_SERVERS"))
    assert "tiny" not in text


@pytest.mark.one_shape("how a process starts")
def test_wrong_role_lists_the_right_ones(make_daemon):
    d = make_daemon(start=False)
    r = d.run("--role", "rdp-server-manger")
    assert r.returncode != 0 and all(role in r.stderr + r.stdout for role in lucid.ROLES)
    assert d.run("--no-such-option").returncode != 0
    assert d.run("no-such-command").returncode != 0
    for args in (["--help"], ["--version"], ["--help-config"], ["token", "--help"], ["check-config"]):
        assert d.run(*args).returncode == 0, args


@pytest.mark.one_shape("how a process starts")
def test_unknown_names_in_the_configuration_file(make_daemon):
    d = make_daemon(start=False)
    path = os.path.join(d.dir, "lucid.conf")
    with open(path, "w", encoding="ascii") as f:
        f.write("LOG_LEVEL=DEBUG\nLOG_LEVLE=DEBUG\n")
    r = d.run("--config", path, "check-config")
    if r.returncode == 0 or "LOG_LEVLE" not in r.stdout + r.stderr:
        r = d.run("check-config", "--config", path)
    assert r.returncode != 0 and "LOG_LEVLE" in r.stdout + r.stderr


def test_secrets_do_not_show(make_daemon):
    d = make_daemon()
    assert SECRET not in d.run("check-config").stdout
    d.admin.get(SERVERS)
    d.api(None).call("GET", SERVERS, headers={"Authorization": "Bearer " + token_for("eve")[:-3]}, expect=401)
    time.sleep(0.3)
    assert SECRET not in d.log() and token_for("eve")[:40] not in d.log()
    for root, _, files in os.walk(d.dir):
        for name in files:
            if SECRET.encode() in (proc.read(os.path.join(root, name), binary=True) or b""):
                assert not os.stat(os.path.join(root, name)).st_mode & 0o077, name
