"""The player page as the program serves it: public files with a strict policy, at any prefix, and nothing from elsewhere."""
import os
import re

import player_rig
import pytest
from lucid import ROOT

FILES = sorted(os.listdir(f"{ROOT}/web/player"))
TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript"}


def test_the_page_and_its_files_are_public_and_load_nothing_from_elsewhere(daemon):
    nobody = daemon.api(None)
    for path in ("/player", "/player/"):
        r = nobody.call("GET", path, expect=302, allow_redirects=False)
        assert r.headers["Location"] == "/player/index.html" and r.content == b""
    for name in FILES:
        r = nobody.call("GET", f"/player/{name}", expect=200)
        with open(f"{ROOT}/web/player/{name}", "rb") as f:
            assert r.content == f.read()
        assert r.headers["Content-Type"] == TYPES[name.rsplit(".", 1)[1]] + "; charset=utf-8" and r.headers["X-Content-Type-Options"] == "nosniff"
        assert r.headers["Cache-Control"] == "no-cache" and r.headers["Referrer-Policy"] == "no-referrer"
        assert nobody.call("GET", f"/player/{name}", headers={"If-None-Match": r.headers["ETag"]}, expect=304).content == b""
        text = r.text.replace("http://www.w3.org/2000/svg", "")
        assert "http:" not in text and "https:" not in text and "@import" not in text and ".innerHTML" not in text and "eval(" not in text
        for target in re.findall(r'(?:from|import) "([^"]+)"', text) if name.endswith(".js") else re.findall(r'(?:src|href)="([^"]+)"', text):
            assert target == "data:," or target.startswith(("./", "…")) and target[2:] in FILES or target in FILES or "…" in target
    policy = nobody.call("GET", "/player/index.html", expect=200).headers["Content-Security-Policy"]
    assert policy == player_rig.policy() and "unsafe" not in policy and "*" not in policy
    assert {"default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'"} <= set(policy.split("; "))
    assert nobody.call("GET", "/player/other.js", expect=404).json()["error"]["code"] == "LUCID_ERR_0006"
    nobody.call("POST", "/player/index.html", expect=405)


def test_the_redirect_has_the_public_prefix(make_daemon):
    d = make_daemon(PUBLIC_URL="https://rdp.example/desktops")
    assert d.api(None).call("GET", "/player", expect=302, allow_redirects=False).headers["Location"] == "/desktops/player/index.html"


@pytest.mark.one_shape("the player page")
def test_the_page_works_in_a_browser_with_the_policy_of_the_program(daemon):
    browser = player_rig.Browser()
    try:
        browser.open(f"{daemon.url()}/player#session=none", token="wrong")
        browser.until("the refusal", "document.getElementById('refusal').textContent.includes('not valid')")
        assert browser.driver.current_url == f"{daemon.url()}/player/index.html#session=none"
        browser.open(f"{daemon.url()}/player", token=daemon.admin.token)
        browser.until("the list", "document.getElementById('state').textContent === 'There are no sessions.'")
        assert not [line for line in browser.console() if "401" not in line]
    finally:
        browser.end()
