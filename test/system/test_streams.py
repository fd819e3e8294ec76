"""Streamed responses: a server's whole log, from the supervisor that opens it, through agent and manager, to a client at any port. It arrives
whole or visibly truncated, no process holds more than a little of it, and a client that disconnects is noticed."""
import contextlib
import hashlib
import http.client
import os
import socket
import threading
import time

import pytest
import requests

import figures
from lucid import ROLES, SERVERS, XRDP
from proc import until

LARGE = 192 << 20
GROWTH_KIB = 8192  # of a process, while LARGE passes through it: socket buffers and a few pieces


@pytest.fixture
def large(daemon):
    """A server whose xrdp has logged a lot; stopped, because logs of running ones are rotated earlier."""
    server = daemon.admin.create_server("talks")
    daemon.admin.post(f"{SERVERS}/{server['server_id']}/stop?wait=true")
    path = os.path.join(daemon.settings["LOG_DIR"], "xrdp/servers", server["server_id"], "xrdp.log")
    with open(path, "ab") as f:
        for n in range(LARGE >> 20):
            line = b"line %8d of what is there to be long" % n
            f.write((line.ljust(63, b".") + b"\n") * (1 << 14))
    return daemon, server["server_id"], path


def digest_of(path, n):
    h = hashlib.sha256()
    with open(path, "rb") as f:
        while n > 0:
            part = f.read(min(n, 1 << 20))
            assert part
            h.update(part)
            n -= len(part)
    return h.hexdigest()


def download(api, where, path, **more):
    return api.http.get(api.base + where + path, headers={"Authorization": f"Bearer {api.token}"}, stream=True, timeout=30, **more)


def take(parts, n):
    """Reads about n more bytes; returns how many."""
    got = 0
    while got < n:
        got += len(next(parts))
    return got


def pids_of(d):
    return {d.pid_of(role) for role in ROLES} | ({d.supervisor} if d.supervisor else set())


class Watched:
    """The maximum memory of each process meanwhile, above that at the start."""

    def __init__(self, d):
        self.before = {pid: figures.memory_kib(pid) for pid in pids_of(d)}
        self.most = dict(self.before)
        self.done = threading.Event()
        self.thread = threading.Thread(target=self._look)

    def _look(self):
        while not self.done.wait(0.05):
            for pid in self.most:
                self.most[pid] = max(self.most[pid], figures.memory_kib(pid) or 0)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.done.set()
        self.thread.join(5)
        print("grew, in KiB:", self.growth())

    def growth(self):
        return {pid: self.most[pid] - before for pid, before in self.before.items()}


@pytest.mark.shapes
def test_whole_log_through_every_port(large):
    d, sid, path = large
    ways = [(role, f"{SERVERS}/{sid}/log-file") for role in ROLES] + [(ROLES[1], f"{XRDP}/instances/{sid}/log-file?source=xrdp")]
    download(d.admin, ways[0][1], "").close()  # start-up cost
    with Watched(d) as w:
        for role, where in ways:
            n, h = 0, hashlib.sha256()
            with download(d.api("admin", role), where, "") as r:
                assert r.status_code == 200 and r.headers["Content-Type"] == "text/plain; charset=utf-8"
                for part in r.iter_content(1 << 20):
                    n += len(part)
                    h.update(part)
            assert n >= LARGE and h.hexdigest() == digest_of(path, n)
    assert max(w.growth().values()) < GROWTH_KIB


@pytest.mark.shapes
def test_slow_and_disconnecting_readers(large):
    d, sid, path = large
    log = os.path.realpath(path)

    def open_files():
        opened = 0
        for pid in pids_of(d):
            for fd in os.listdir(f"/proc/{pid}/fd"):
                with contextlib.suppress(OSError):
                    opened += os.readlink(f"/proc/{pid}/fd/{fd}") == log
        return opened
    with Watched(d) as w:
        readers = [download(d.api("admin", ROLES[2]), f"{SERVERS}/{sid}/log-file", "") for _ in range(4)]
        parts = [r.iter_content(1 << 20) for r in readers]
        for p in parts:
            take(p, 1 << 20)
        time.sleep(1.5)  # stop reading
        assert open_files() == 4
        # others are served as before
        assert d.api("admin", ROLES[2]).server(sid)["status"] == "stopped"
        take(parts[0], 8 << 20)
        for r in readers:
            r.close()
        until("their files closed", lambda: open_files() == 0, 5)
    assert max(w.growth().values()) < GROWTH_KIB


@pytest.mark.shapes
def test_truncated_response_is_visible(large):
    """The process that reads the file dies in the middle: the response is visibly truncated, with the reason."""
    d, sid, _ = large
    r = download(d.api("admin", ROLES[2]), f"{SERVERS}/{sid}/log-file", "")
    parts = r.iter_content(1 << 20)
    got = take(parts, 1 << 20)
    old = d.server_pid()
    d.kill(old)
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        for part in parts:
            got += len(part)
    assert got < LARGE
    until("all roles to be ready again", lambda: d.server_pid() != old and d.ready(), 15)
    with download(d.api("admin", ROLES[2]), f"{SERVERS}/{sid}/log-file", "") as r:
        assert sum(len(part) for part in r.iter_content(1 << 20)) >= LARGE


def test_file_that_changes_meanwhile(large):
    """It has as many bytes as at the start; if the file is truncated, as by rotation, the response is too."""
    d, sid, path = large
    with download(d.admin, f"{SERVERS}/{sid}/log-file", "") as r:
        parts = r.iter_content(1 << 20)
        got = take(parts, 1 << 20)
        with open(path, "ab") as f:
            f.write(b"later\n" * (1 << 18))
        got += sum(len(part) for part in parts)
        assert LARGE <= got < LARGE + (1 << 20)
    with download(d.admin, f"{SERVERS}/{sid}/log-file", "") as r:
        parts = r.iter_content(1 << 20)
        take(parts, 1 << 20)
        os.truncate(path, 32 << 20)
        with pytest.raises(requests.exceptions.ChunkedEncodingError):
            take(parts, LARGE)


@pytest.mark.shapes
def test_access_and_missing_logs(daemon, users):
    a, b = users(2, daemon)
    mine, theirs = daemon.api(a.name), daemon.api(b.name)
    server = mine.create_server("mine")
    where = f"{SERVERS}/{server['server_id']}/log-file"
    assert "xrdp" in mine.call("GET", where, expect=200).text
    assert "sesman" in mine.call("GET", where + "?source=sesman", expect=200).text.lower()
    assert theirs.call("GET", where, expect=404).json()["error"]["code"] == "LUCID_ERR_2001"
    mine.call("GET", f"{XRDP}/instances/{server['server_id']}/log-file", expect=403)
    error = mine.call("GET", where + "?source=../../etc/passwd", expect=422).json()["error"]
    assert error["details"][0]["field"] == "source"
    head = mine.call("HEAD", where, expect=200)
    assert not head.content and head.headers["Content-Type"].startswith("text/plain")
    never = mine.create_server("never ran", wait=False, auto_start=False)
    r = mine.call("GET", f"{SERVERS}/{never['server_id']}/log-file", expect=404).json()["error"]
    assert r["code"] == "LUCID_ERR_2103" and "never ran" in r["message"]
    # a symbolic link in place of the file is not followed
    path = os.path.join(daemon.settings["LOG_DIR"], "xrdp/servers", server["server_id"], "sesman.log")
    os.rename(path, path + ".kept")
    os.symlink("/etc/shadow", path)
    assert mine.call("GET", where + "?source=sesman", expect=404).json()["error"]["code"] == "LUCID_ERR_2103"
    os.rename(path + ".kept", path)


def test_http_1_0_and_1_1_clients(daemon):
    """An HTTP/1.0 response ends with the connection, an HTTP/1.1 one is chunked, and the connection can be used again."""
    server = daemon.admin.create_server("old")
    where = f"{SERVERS}/{server['server_id']}/log-file"
    host = ("127.0.0.1", daemon.ports[ROLES[0]])
    token = f"Authorization: Bearer {daemon.admin.token}\r\n"
    with socket.create_connection(host, timeout=10) as s:
        s.sendall(f"GET {where} HTTP/1.0\r\nHost: localhost\r\n{token}\r\n".encode())
        text = b"".join(iter(lambda: s.recv(65536), b""))
    head, _, body = text.partition(b"\r\n\r\n")
    assert b"200" in head.split(b"\r\n")[0] and b"Transfer-Encoding" not in head and b"xrdp" in body
    conn = http.client.HTTPConnection(*host, timeout=10)
    for _ in range(3):
        conn.request("GET", where, headers=dict([token.strip().split(": ", 1)]))
        r = conn.getresponse()
        assert r.status == 200 and r.getheader("Transfer-Encoding") == "chunked" and b"xrdp" in r.read()
        assert conn.sock, "the connection was not kept"
    conn.close()
