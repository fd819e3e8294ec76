"""/docs and /redoc: served with DEBUG=true only; the page loads nothing from other hosts."""
import html.parser
import pathlib

from lucid import ROOT

PAGES = ("/docs", "/redoc", "/docs/")


class Page(html.parser.HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.stack, self.links, self.ids, self.loads = [], [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.tags.append(tag)
        if tag not in ("meta", "link", "br"):
            self.stack.append(tag)
        self.ids += [attrs["id"]] if "id" in attrs else []
        self.links += [attrs["href"]] if tag == "a" else []
        self.loads += [attrs[k] for k in ("src", "href") if k in attrs and tag != "a"]
        assert "style" not in attrs and not [a for a in attrs if a.startswith("on")]

    def handle_endtag(self, tag):
        assert self.stack.pop() == tag


def test_docs_need_debug(daemon):
    for path in (*PAGES, "/docs/style.css"):
        r = daemon.api(None).call("GET", path, expect=404)
        assert r.json()["error"]["code"] == "LUCID_ERR_0006"


def test_docs_page_is_complete(make_daemon):
    d = make_daemon(DEBUG="true", LOG_LEVEL="INFO", SERVICE_DESCRIPTION="<script>alert(1)</script> & \"so\"")
    nobody = d.api(None)
    for path in PAGES:
        r = nobody.call("GET", path, expect=200)
        head = r.headers
        assert head["Content-Type"] == "text/html; charset=utf-8" and head["X-Content-Type-Options"] == "nosniff"
        policy = head["Content-Security-Policy"]
        assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy and "unsafe" not in policy and "script-src" not in policy
        assert head["Referrer-Policy"] == "no-referrer" and head["X-Frame-Options"] == "DENY"
        page = Page(r.text)
        assert page.stack == [] and "script" not in page.tags and "iframe" not in page.tags
        assert page.loads == ["data:,", "/docs/style.css"]
        assert "&lt;script&gt;" in r.text and "<script" not in r.text
    # the page has every operation and schema of the description, and every link has a target
    doc = nobody.get("/openapi.json")
    for methods in doc["paths"].values():
        for op in methods.values():
            assert f"op-{op['operationId']}" in page.ids
    assert {f"schema-{name}" for name in doc["components"]["schemas"]} <= set(page.ids)
    assert len(page.ids) == len(set(page.ids))
    assert {link for link in page.links if link.startswith("#")} <= {f"#{i}" for i in page.ids}
    assert {link for link in page.links if not link.startswith("#")} == {"/openapi.json"}
    r = nobody.call("GET", "/docs/style.css", expect=200)
    assert r.headers["Content-Type"].startswith("text/css") and "http" not in r.text and "@import" not in r.text
    assert r.content == pathlib.Path(ROOT, "web/docs/style.css").read_bytes()
    # a client with a current copy is told so
    tag = r.headers["ETag"]
    for known, status in ((tag, 304), (f'"other", W/{tag}', 304), ("*", 304), ('"other"', 200)):
        again = nobody.call("GET", "/docs/style.css", headers={"If-None-Match": known}, expect=status)
        assert again.headers["ETag"] == tag and again.headers["Cache-Control"] == "no-cache" and (again.content == b"") == (status == 304)
    assert nobody.call("HEAD", "/docs", expect=200).content == b""
    nobody.call("POST", "/docs", expect=405)
