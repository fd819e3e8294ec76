"""Behind a proxy: the client's address, and the URL that clients use."""
import json

import pytest
import requests

import lucid
from proc import until


def seen(d, path, **headers):
    """The client address in the log for a request with these headers."""
    mark = f"seen-{seen.n}"
    seen.n += 1
    d.admin.call("GET", path, headers={"X-Request-ID": mark, **headers})

    def line():
        found = [json.loads(x) for x in d.log().splitlines() if mark in x]
        return found[0]["client"] if found else None
    return until("its line of the log", line)


seen.n = 0


@pytest.mark.one_shape("the listeners of one process")
def test_client_address_comes_from_trusted_proxies(make_daemon):
    d = make_daemon(TRUSTED_PROXIES="127.0.0.1,10.0.0.0/8")
    for headers, client in (
            ({}, "127.0.0.1"), ({"X-Forwarded-For": "198.51.100.1, 192.0.2.9:4711"}, "192.0.2.9"), ({"X-Forwarded-For": "[2001:DB8::1]:80, 10.1.1.1:80"}, "2001:db8::1"),
            ({"Forwarded": 'for=198.51.100.1, for="[2001:db8::1]:80";proto=https, for=10.1.1.1'}, "2001:db8::1"), ({"X-Forwarded-For": "::ffff:192.0.2.9"}, "192.0.2.9"),
            ({"X-Forwarded-For": "192.0.2.9", "Forwarded": "for=192.0.2.8"}, "127.0.0.1"), ({"X-Forwarded-For": "192.0.2.9, unknown"}, "127.0.0.1")):
        assert seen(d, lucid.SERVERS, **headers) == client, headers


@pytest.mark.shapes
def test_links_have_the_path_that_a_proxy_puts_in_front(make_daemon):
    d = make_daemon(TRUSTED_PROXIES="127.0.0.1")
    head = {"X-Forwarded-Prefix": "/desktops", "X-Forwarded-Host": "rdp.example", "X-Forwarded-Proto": "https"}
    r = d.admin.call("POST", lucid.SERVERS, {"name": "a", "auto_start": False}, headers={**head, "Idempotency-Key": "k"}, expect=201)
    path = f"{lucid.SERVERS}/{r.json()['server_id']}"
    assert r.headers["Location"] == "/desktops" + path
    again = d.admin.call("POST", lucid.SERVERS, {"name": "a", "auto_start": False}, headers={"Idempotency-Key": "k"}, expect=201)
    assert again.headers["Location"] == path and again.headers["Idempotency-Replayed"] == "true"
    # through the port of another role the prefix is the same
    for role in lucid.ROLES:
        r = d.api("admin", role).call("POST", lucid.SERVERS, {"name": f"at {role}", "auto_start": False}, headers=head, expect=201)
        assert r.headers["Location"] == f"/desktops{lucid.SERVERS}/{r.json()['server_id']}", role
    servers = requests.get(d.url() + "/openapi.json", headers=head, timeout=10).json()["servers"]
    assert servers == [{"url": "https://rdp.example/desktops"}]
    assert requests.get(d.url() + "/openapi.json", timeout=10).json()["servers"] == [{"url": "/"}]


@pytest.mark.shapes
def test_public_url(make_daemon):
    d = make_daemon(PUBLIC_URL="https://rdp.example/desktops/", DEBUG="true")
    r = d.admin.call("POST", lucid.SERVERS, {"name": "a", "auto_start": False}, headers={"X-Forwarded-Prefix": "/evil"}, expect=201)
    assert r.headers["Location"] == f"/desktops{lucid.SERVERS}/{r.json()['server_id']}"
    # a proxy may keep the path in front
    assert d.admin.get(r.headers["Location"])["name"] == "a"
    d.admin.call("GET", "/desktop" + lucid.SERVERS, expect=404)
    assert requests.get(d.url() + "/openapi.json", timeout=10).json()["servers"] == [{"url": "https://rdp.example/desktops"}]
    page = requests.get(d.url() + "/desktops/docs", timeout=10).text
    assert 'href="/desktops/docs/style.css"' in page
    assert requests.get(d.url() + "/desktops/docs/style.css", timeout=10).headers["Content-Type"].startswith("text/css")


@pytest.mark.shapes
def test_rdp_file_has_a_safe_name(daemon):
    for name, want in (("desk 1", 'attachment; filename="desk 1.rdp"'), ("../../etc/x", 'attachment; filename="_._.._etc_x.rdp"'),
                       ('a"; filename="evil.exe', 'attachment; filename="a_; filename=_evil.exe.rdp"'), ("NUL", 'attachment; filename="_NUL.rdp"'),
                       ("Zoë", "attachment; filename=\"Zo_.rdp\"; filename*=UTF-8''Zo%C3%AB.rdp")):
        server = daemon.admin.create_server(name, wait=False, auto_start=False)
        for role in lucid.ROLES:
            r = daemon.api("admin", role).call("GET", f"{lucid.SERVERS}/{server['server_id']}/rdp-file", expect=200)
            assert r.headers["Content-Disposition"] == want and r.headers["Content-Type"] == "application/x-rdp", role
            assert r.content.startswith(b"full address:s:")


@pytest.mark.one_shape("settings alone")
@pytest.mark.parametrize("url", ["rdp.example", "ftp://rdp.example", "https://", "https://u@rdp.example", "https://rdp.example/a?b", "https://rdp.example/a/../b",
                                 "https://rdp.example//a", "https://rdp.example:x/a", "https://rdp.example/a#b"])
def test_invalid_public_url_is_refused(make_daemon, url):
    r = make_daemon(start=False, PUBLIC_URL=url).run("check-config")
    assert r.returncode != 0 and "PUBLIC_URL" in r.stdout + r.stderr
