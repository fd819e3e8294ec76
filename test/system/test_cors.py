"""CORS headers for pages of other origins."""
import socket

import pytest
import requests

from lucid import SERVERS

APP, OTHER = "https://app.example", "https://evil.example"


def ask(d, origin, method="GET", path=SERVERS, api=None, **headers):
    head = {k.replace("_", "-"): v for k, v in headers.items()}
    if origin:
        head["Origin"] = origin
    return (api or d.api("ann")).call(method, path, headers=head)


def preflight(d, origin, path=SERVERS, method="POST", **headers):
    return ask(d, origin, "OPTIONS", path, d.api(None), Access_Control_Request_Method=method,
               Access_Control_Request_Headers="authorization, content-type, idempotency-key", **headers)


def said(r):
    return {k.lower(): v for k, v in r.headers.items() if k.lower().startswith("access-control-")}


def test_listed_origins_are_allowed(make_daemon):
    d = make_daemon(CORS_ORIGINS=f"{APP},http://localhost:3000")
    for origin in (APP, "http://localhost:3000"):
        r = ask(d, origin)
        assert r.status_code == 200 and r.headers["Access-Control-Allow-Origin"] == origin
        assert r.headers["Access-Control-Allow-Credentials"] == "true"
        exposed = r.headers["Access-Control-Expose-Headers"].lower().split(", ")
        assert {"etag", "location", "retry-after", "x-request-id", "ratelimit-remaining"} <= set(exposed)
        assert "Origin" in r.headers["Vary"]
    for origin in (OTHER, "null", "https://app.example.evil.example", "http://app.example", "https://app.example:444", "https://app.example/",
                   "https://sub.app.example", "app.example", "*"):
        r = ask(d, origin)
        assert r.status_code == 200 and said(r) == {}, origin
        assert "Origin" in r.headers["Vary"]
    assert "Origin" in ask(d, None).headers["Vary"]


def test_preflight_without_token(make_daemon):
    d = make_daemon(CORS_ORIGINS=APP)
    r = preflight(d, APP)
    assert r.status_code == 204 and r.content == b""
    assert r.headers["Access-Control-Allow-Origin"] == APP
    assert "POST" in r.headers["Access-Control-Allow-Methods"] and r.headers["Access-Control-Allow-Methods"] == r.headers["Allow"]
    assert {"authorization", "content-type", "if-match", "idempotency-key", "last-event-id"} <= set(
        r.headers["Access-Control-Allow-Headers"].lower().split(", "))
    assert int(r.headers["Access-Control-Max-Age"]) > 0
    assert "Access-Control-Request-Headers" in r.headers["Vary"]
    assert "Access-Control-Expose-Headers" not in r.headers
    assert said(preflight(d, OTHER)) == {}
    assert preflight(d, APP, "/nothing/there").status_code == 404
    # an OPTIONS request of a client is no preflight
    assert "Access-Control-Allow-Methods" not in ask(d, APP, "OPTIONS", api=d.api(None)).headers


def test_errors_have_cors_headers(make_daemon):
    d = make_daemon(CORS_ORIGINS=APP)
    for path, status in ((SERVERS, 401), ("/nothing/there", 404), (SERVERS + "?x=%zz", 401)):
        r = ask(d, APP, path=path, api=d.api(None))
        assert r.status_code == status and r.headers["Access-Control-Allow-Origin"] == APP


@pytest.mark.parametrize("origins", ["*", f"*,{APP}"])
def test_wildcard_allows_every_origin(make_daemon, origins):
    d = make_daemon(CORS_ORIGINS=origins)
    r = ask(d, OTHER)
    assert r.headers["Access-Control-Allow-Origin"] == "*"
    assert "Access-Control-Allow-Credentials" not in r.headers  # never together with *
    r = ask(d, APP)
    if origins == "*":
        assert r.headers["Access-Control-Allow-Origin"] == "*" and "Vary" not in r.headers
    else:
        assert r.headers["Access-Control-Allow-Origin"] == APP and r.headers["Access-Control-Allow-Credentials"] == "true"
        assert r.headers["Vary"] == "Origin"
    assert preflight(d, OTHER).headers["Access-Control-Allow-Origin"] == "*"


def test_empty_list_allows_no_origin(make_daemon):
    d = make_daemon(CORS_ORIGINS="")
    assert said(ask(d, APP)) == {} and "Vary" not in ask(d, APP).headers
    r = preflight(d, APP)
    assert r.status_code == 204 and said(r) == {}


def test_two_origin_headers_are_not_allowed(make_daemon):
    d = make_daemon(CORS_ORIGINS="*")
    r = requests.get(d.url() + "/health", headers={"Origin": f"{APP}, {OTHER}"}, timeout=10)
    assert r.status_code == 200 and r.headers["Access-Control-Allow-Origin"] == "*"
    with socket.create_connection(("127.0.0.1", d.ports["rdp-server-manager"]), 10) as s:
        s.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\nOrigin: a\r\nOrigin: b\r\nConnection: close\r\n\r\n")
        text = b""
        while part := s.recv(4096):
            text += part
    assert b"200 OK" in text and b"Access-Control-Allow" not in text
