"""The player page in Chromium, with recordings that a test paints (painted.py). The server has the page's files and the part of the API that
the page uses; it can be told to fail."""
import base64
import http.server
import json
import os
import re
import shutil
import socket
import tempfile
import threading
import urllib.parse

import proc
import zstandard
from lucid import ROOT
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service

SESSION = "sess-0123456789abcdef"
TOKEN = "token-of-the-test"
TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}


def policy():
    """The Content-Security-Policy that the program sends with the page."""
    with open(f"{ROOT}/src/api/assets/assets.c", encoding="utf-8") as f:
        text = re.search(r"#define PLAYER_POLICY\s+\\\n((?:\s*\".*\n)+)", f.read())[1]
    return "".join(re.findall(r'"([^"]*)"', text))


class Server(http.server.ThreadingHTTPServer):
    """recordings: painted.Recording, the newest first. `zstd`: whether complete chunks are sent as stored. `faults`: functions of the path
    that return None, or (status, headers, whether the body is cut short), tried in order for each request below /api/."""
    daemon_threads = True

    def __init__(self, recordings=(), zstd=True, pages=None):
        super().__init__(("127.0.0.1", 0), Handler)
        self.recordings, self.zstd, self.pages = list(recordings), zstd, pages or {}
        self.faults, self.seen, self.encodings = [], [], []
        self.lock = threading.Lock()
        self.compressed = {}
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"

    def page(self, recording=None):
        return f"{self.url}/player/index.html#session={SESSION}" + (f"&recording={recording.id}" if recording else "")

    def handle_error(self, request, client_address):
        pass  # the browser closes connections at will

    def as_stored(self, recording, chunk):
        key = (recording.id, chunk.seq)
        if key not in self.compressed:
            with self.lock:
                self.compressed[key] = zstandard.ZstdCompressor(level=1).compress(bytes(chunk.data))
        return self.compressed[key]

    def end(self):
        self.shutdown()
        self.server_close()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):  # pylint: disable=arguments-differ
        pass

    def reply(self, status, body=b"", cut=False, **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", len(body))
        self.end_headers()
        self.wfile.write(body[:len(body) // 2] if cut else body)
        if cut:
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True

    def document(self, status, doc):
        self.reply(status, json.dumps(doc).encode(), Content_Type="application/json")

    def do_GET(self):  # pylint: disable=invalid-name
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        self.server.seen.append((self.path, dict(self.headers)))
        if not url.path.startswith("/api/"):
            self.file(url.path)
            return
        if self.headers["Authorization"] != f"Bearer {TOKEN}":
            self.document(401, {"error": {"code": "LUCID_ERR_0002", "message": "the token is not valid"}})
            return
        fault = next((f for f in (fault(self.path) for fault in self.server.faults) if f), None)
        if fault and not fault[2]:
            self.reply(fault[0], json.dumps({"error": {"message": "the server is told to fail"}}).encode(), **fault[1])
            return
        self.api(url.path.removeprefix("/api/v1/"), query, bool(fault))

    def file(self, path):
        if path in self.server.pages:
            self.reply(200, self.server.pages[path].encode(), Content_Type=TYPES[os.path.splitext(path)[1]], Content_Security_Policy=policy())
            return
        file = f"{ROOT}/web{path}"
        if not re.fullmatch(r"/player/[a-z]+\.(html|css|js)", path) or not os.path.exists(file):
            self.reply(404)
            return
        more = {"Content_Security_Policy": policy()} if path.endswith(".html") else {}
        with open(file, "rb") as f:
            self.reply(200, f.read(), Content_Type=f"{TYPES[os.path.splitext(path)[1]]}; charset=utf-8", X_Content_Type_Options="nosniff", **more)

    def api(self, path, query, cut):
        server = self.server
        if path == "sessions":
            self.document(200, {"sessions": [{"session_id": SESSION, "user_id": "anna", "username": "anna", "status": "active", "created_at": "2026-11-30T14:00:00.000Z"}]})
            return
        wanted = [r for r in server.recordings if query.get("recording", r.id) == r.id]
        data = re.fullmatch(rf"sessions/{SESSION}/chunks/(\d+)/data", path)
        if path == f"sessions/{SESSION}/recordings":
            self.document(200, {"recordings": [{"recording_id": r.id, "state": r.state, "started_at": r.started_at, "duration_ms": r.duration,
                                                "bytes": sum(len(c.data) for c in r.chunks)} for r in server.recordings]})
        elif path == f"sessions/{SESSION}/chunks" and wanted:
            self.index(wanted[0], int(query.get("after", -1)))
        elif data and wanted and int(data[1]) < len(wanted[0].chunks):
            self.data(wanted[0], wanted[0].chunks[int(data[1])], int(query.get("from", 0)), cut)
        else:
            self.document(404, {"error": {"message": "there is no such chunk or recording"}})

    def index(self, r, after):
        chunks = [c.entry() for c in r.chunks if c.seq > after][:100]
        self.document(200, {"recording_id": r.id, "state": r.state, "started_at": r.started_at, "duration_ms": r.duration, "chunks": chunks,
                            "more": bool(chunks) and chunks[-1]["seq"] + 1 < len(r.chunks)})

    def data(self, r, chunk, start, cut):
        headers = {"Content_Type": "application/octet-stream", "X_Chunk_Closed": "true" if chunk.closed else "false"}
        zstd = self.server.zstd and chunk.closed and not start and "zstd" in self.headers.get("Accept-Encoding", "")
        self.server.encodings.append("zstd" if zstd else "identity")
        if zstd:
            self.reply(200, self.server.as_stored(r, chunk), cut, Content_Encoding="zstd", **headers)
        else:
            self.reply(200, bytes(chunk.data[start:]), cut, **headers)


class Browser:
    """Chromium without a window. `p`: JavaScript for the player element, its playback and its shadow root."""

    P = "const e = document.querySelector('lucid-player'), p = e?.playback, root = e?.shadowRoot; "

    def __init__(self, width=1280, height=900, dark=False, touch=False):
        self.profile = tempfile.mkdtemp(prefix="lrdp-chromium-")
        options = Options()
        options.binary_location = shutil.which("chromium")
        for flag in ("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-dev-shm-usage", "--hide-scrollbars",
                     f"--user-data-dir={self.profile}", f"--window-size={width},{height}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self.driver = webdriver.Chrome(service=Service(shutil.which("chromedriver")), options=options)
        self.driver.set_script_timeout(40 * proc.PATIENCE)
        self.cdp("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=touch)
        self.cdp("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])

    def cdp(self, command, **parameters):
        return self.driver.execute_cdp_cmd(command, parameters)

    def js(self, script, *arguments):
        """The value of an expression; of a promise, what it resolves to."""
        return self.run(f"return ({script})", *arguments)

    def run(self, script, *arguments):
        """Statements; the value is what they return."""
        done = self.driver.execute_async_script(self.P + f"const a = arguments, done = a[a.length - 1]; Promise.resolve().then(async () => {{ {script} }})"
                                                ".then((v) => done({ v }), (x) => done({ x: String(x?.stack ?? x) }));", *arguments)
        assert "x" not in done, done["x"]
        return done["v"]

    def open(self, url, token=TOKEN):
        """Opens a page of the player and enters the token if it asks for one."""
        self.driver.get("about:blank")
        self.driver.get(url)
        if token and not self.driver.find_element("id", "access").get_attribute("hidden"):
            self.driver.find_element("id", "token").send_keys(token)
            self.driver.find_element("css selector", "#access button").click()
        return self

    def until(self, what, script, timeout=20):
        return proc.until(what, lambda: self.js(script), timeout)

    def ready(self):
        self.until("the first picture", "Boolean(p && root.querySelector('.screen').width !== 300 && !p.buffering && p.timetable.chunks.length)")
        return self

    def seek(self, ms):
        """Shows this time, and waits for the picture."""
        self.js("p.seek(a[0])", ms)
        self.until(f"the picture at {ms} ms", "!p.buffering && new Promise((r) => requestAnimationFrame(() => requestAnimationFrame(() => r(!p.buffering))))")

    def picture(self):
        """(width, height, RGBA pixels) of the canvas"""
        width, height, text = self.js("""(() => {
            const c = root.querySelector('.screen'), d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
            let s = ''; for (let i = 0; i < d.length; i += 8192) s += String.fromCharCode(...d.subarray(i, i + 8192));
            return [c.width, c.height, btoa(s)]; })()""")
        return width, height, base64.b64decode(text)

    def console(self):
        return [line["message"] for line in self.driver.get_log("browser") if line["level"] == "SEVERE"]

    def screenshot(self, path):
        self.driver.save_screenshot(path)

    def end(self):
        self.driver.quit()
        shutil.rmtree(self.profile, ignore_errors=True)
