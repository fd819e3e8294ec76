"""Sessions on RDP hosts outside this installation: a real xrdp as the host, hosts that may not or cannot be tried, and where the password is."""
import concurrent.futures
import contextlib
import json
import os
import socket
import sqlite3
import threading
import time

import pytest

import shapes
from events import Events
from lucid import AGENT, MANAGER, MONITOR, SESSIONS, URLS
from proc import until
from test_apart import apart  # noqa: F401  (a fixture)
from test_managers import mongo  # noqa: F401  (a fixture)
from test_reload import Settings
from test_sessions_life import BLUE, LIST, listed

HERE = {"RDP_TARGETS_ALLOWED": "127.0.0.1/32", "NODE_PUBLIC_HOST": "127.0.0.1"}
X224_ANSWER = bytes([3, 0, 0, 19, 14, 0xD0, 0, 0, 0x12, 0x34, 0, 2, 0x1F, 8, 0, 2, 0, 0, 0])  # of a server that wants NLA
FIRST, SECOND = "Tr0ub4dor&3 first", "c0rrect-horse-second"


def declare(api, port, expect=201, host="127.0.0.1", headers=None, **config):
    return api.call("POST", LIST, {"name": "office", "rdp_config": {"host": host, "port": port, **config}}, headers=headers, expect=expect).json()


@contextlib.contextmanager
def listening(answer=None):
    """The port of a server that accepts connections and sends the answer, or nothing."""
    with socket.create_server(("127.0.0.1", 0)) as s:
        def serve():
            with contextlib.suppress(OSError):
                while True:
                    peer, _ = s.accept()
                    peer.sendall(answer)
                    peer.close()
        if answer:
            threading.Thread(target=serve, daemon=True).start()
        yield s.getsockname()[1]
        s.shutdown(socket.SHUT_RDWR)


@pytest.mark.shapes
def test_real_xrdp_is_a_foreign_host(make_daemon, users, login):
    d = make_daemon(**HERE)
    user, = users(1, d)
    user.paint(BLUE)
    mine = d.api(user.name, SESSIONS)
    server = d.api(user.name).create_server("host of others")
    session = declare(mine, server["port"], username=user.name, password=FIRST)
    path = f"{LIST}/{session['session_id']}"
    assert session["rdp_config"] == {"host": "127.0.0.1", "port": server["port"], "username": user.name, "domain": None, "has_password": True}
    assert session["server_id"] is None and session["node"] is None and session["status"] == "created"
    to = mine.get(path + "/connection")
    assert (to["host"], to["port"], to["username"], to["server_id"]) == ("127.0.0.1", server["port"], user.name, None)
    file = mine.call("GET", path + "/rdp-file", expect=200)
    assert "office.rdp" in file.headers["Content-Disposition"] and FIRST not in file.text
    login(d, server, user, file=file.content).wait_colour(BLUE)
    # the desktop is that of another session, because nothing tells through which address it was opened
    found, = until("the session of the desktop", lambda: listed(d, query="?status=active"))
    assert found["session_id"] != session["session_id"] and found["server_id"] == server["server_id"]
    assert mine.get(path)["status"] == "created"
    summary = mine.get(LIST + "/summary")
    assert summary["live"] == 2 and {s["server_id"] for s in summary["by_server"]} == {None, server["server_id"]}
    assert mine.get(path + "/statistics")["connections"] == 0 and listed(d, query=f"?server_id={server['server_id']}") == [found]
    d.api("ben", SESSIONS).call("GET", path, expect=404)

    # changed: the document as it was read, another password, another account
    assert mine.call("PUT", path, mine.get(path), expect=200).json()["version"] == session["version"]
    changed = mine.call("PATCH", path, {"rdp_config": {"password": SECOND}}, expect=200).json()
    assert changed["version"] == session["version"] + 1 and changed["rdp_config"]["has_password"]
    changed = mine.call("PATCH", path, {"rdp_config": {"username": "CORP\\anna", "password": None}}, expect=200).json()
    assert changed["rdp_config"]["username"] == "CORP\\anna" and not changed["rdp_config"]["has_password"]
    mine.call("PATCH", path, {"rdp_config": {"username": "anna", "domain": "CORP"}}, expect=200)
    assert "username:s:CORP\\anna\r\n" in mine.call("GET", path + "/rdp-file", expect=200).text
    details = mine.call("PATCH", path, {"rdp_config": {"port": 1}}, expect=422).json()["error"]["details"]
    assert [x["field"] for x in details] == ["rdp_config.port"]

    # nothing reaches its desktop from here
    for tail, body in (("/message", {"text": "hello"}), ("/terminate?mode=disconnect", {})):
        assert "foreign RDP host" in mine.call("POST", path + tail, body, expect=409).json()["error"]["message"]
    told = d.api("admin", SESSIONS).call("POST", LIST + "/broadcast?status=created", {"text": "hello"}, expect=200).json()["results"]
    assert [(r["session_id"], r["server_id"], r["outcome"]) for r in told] == [(session["session_id"], None, "no_desktop")]

    # ended
    dry = mine.call("POST", LIST + "/terminate?status=created&dry_run=true", {}, expect=200).json()
    assert [(r["session_id"], r["server_id"], r["outcome"]) for r in dry["results"]] == [(session["session_id"], None, "would_end")]
    over = mine.call("POST", path + "/terminate", {"reason": "no longer needed"}, expect=200).json()
    assert over["status"] == "terminated" and over["ended"] is None and d.admin.desktops(server["server_id"])
    mine.call("GET", path + "/connection", expect=409)
    timeline = ["created", "updated", "updated", "updated", "terminated"]  # stored a little after the changes themselves
    until("the timeline", lambda: [e["event"] for e in mine.get(path + "/timeline")["events"]] == timeline)
    mine.call("DELETE", path, expect=204)
    mine.call("GET", path, expect=404)


@pytest.mark.shapes
def test_host_that_may_not_or_cannot_be_tried_is_refused(make_daemon):
    d = make_daemon(**HERE)
    anna = d.api("anna", SESSIONS)
    with listening(b"SSH-2.0-x\r\n") as ssh, listening() as silent:
        for host in ("127.0.0.2", "169.254.169.254", "10.0.0.1", "::1", "::ffff:169.254.169.254", "[::ffff:127.0.0.2]", "0.0.0.0"):
            error = declare(anna, ssh, 403, host)["error"]
            assert error["code"] == "LUCID_ERR_0003" and "RDP_TARGETS_ALLOWED" in error["message"] and str(ssh) in error["message"], host
        for host in ("2130706433", "0177.0.0.1", "127.1", "127.0.0.1/32", "a b", "-"):
            error = declare(anna, ssh, 422, host)["error"]
            assert error["code"] == "LUCID_ERR_0005" and [x["field"] for x in error["details"]] == ["rdp_config.host"], host
        assert declare(anna, ssh, 422, "0x7f000001")["error"]["code"] == "LUCID_ERR_2203"  # a name, which does not resolve
        error = declare(anna, ssh, 422, "nowhere.invalid")["error"]
        assert error["code"] == "LUCID_ERR_2203" and "nowhere.invalid" in error["message"] and "resolve" in error["message"]
        error = declare(anna, ssh, 422)["error"]
        assert error["code"] == "LUCID_ERR_2203" and f"127.0.0.1:{ssh}" in error["message"] and "not an RDP server" in error["message"]
        with concurrent.futures.ThreadPoolExecutor(1) as pool:  # while a host is silent, others are served
            answer = pool.submit(declare, d.api("anna", SESSIONS), silent, 422)
            while not answer.done():
                anna.get(LIST)
                time.sleep(0.1)
        assert f"127.0.0.1:{silent}" in answer.result()["error"]["message"]
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        error = declare(anna, port, 422, password=FIRST)["error"]
    assert error["code"] == "LUCID_ERR_2203" and f"127.0.0.1:{port} refused" in error["message"]
    server = d.api("anna").create_server("one", auto_start=False, wait=False)
    for body in ({}, {"server_id": server["server_id"], "rdp_config": {"host": "127.0.0.1"}}):
        error = anna.call("POST", LIST, body, expect=422).json()["error"]
        assert "exactly one of server_id" in error["details"][0]["message"]
    assert listed(d) == []


def test_no_host_is_allowed_by_default(daemon):
    with listening() as port:
        assert "RDP_TARGETS_ALLOWED" in declare(daemon.api("anna"), port, 403)["error"]["message"]


class NameServer:
    """Answers queries for the names that it has; each answer of a name is given once, and the last one for good."""

    def __init__(self, **names):
        self.names = {name.replace("_", "-"): list(answers) for name, answers in names.items()}
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        with contextlib.suppress(OSError):
            while True:
                query, peer = self.socket.recvfrom(512)
                end = query.index(0, 12) + 5  # the name, its type and its class
                first = query[13:13 + query[12]].decode().lower()
                addresses = self.answer(first) if query[end - 4:end - 2] == b"\0\1" else []
                records = b"".join(b"\xc0\x0c\0\1\0\1\0\0\0\0\0\4" + socket.inet_aton(a) for a in addresses)
                self.socket.sendto(query[:2] + b"\x81\x80\0\1" + len(addresses).to_bytes(2, "big") + b"\0\0\0\0" + query[12:end] + records, peer)

    def answer(self, first):
        left = self.names.get(first, [[]])
        return left.pop(0) if len(left) > 1 else left[0]


@pytest.mark.one_shape("the name server of its own mount namespace")
def test_name_is_resolved_once_and_all_its_addresses_are_checked(make_daemon, tmp_path):
    """A name that resolves to another address a moment later gains nothing: the address that was checked is the one that is tried."""
    names = NameServer(good=[["127.0.0.1"]], mixed=[["127.0.0.1", "127.0.0.9"]], metadata=[["169.254.169.254"]], rebound=[["127.0.0.1"], ["127.0.0.9"]])
    resolv = tmp_path / "resolv.conf"
    resolv.write_text(f"nameserver 127.0.0.1:{names.port}\n")
    d = make_daemon(start=False, RDP_TARGETS_ALLOWED="127.0.0.1/32,*.win.example.org")
    d.wrap = ["unshare", "-m", "sh", "-c", f'mount --bind {resolv} /etc/resolv.conf && exec "$@"', "sh"]
    d.start()
    anna = d.api("anna")
    with listening(X224_ANSWER) as port, socket.create_server(("127.0.0.9", port)) as inside:
        inside.settimeout(0.2)
        assert declare(anna, port, host="good.win.example.org")["rdp_config"]["host"] == "good.win.example.org"
        for name in ("mixed", "metadata"):
            assert "RDP_TARGETS_ALLOWED" in declare(anna, port, 403, f"{name}.win.example.org")["error"]["message"], name
        assert declare(anna, port, 422, "unknown.win.example.org")["error"]["code"] == "LUCID_ERR_2203"
        declare(anna, port, host="rebound.win.example.org")
        declare(anna, port, 403, "rebound.win.example.org")
        with pytest.raises(TimeoutError):
            inside.accept()
    names.socket.close()


def files_with(folder, *words):
    for path, _, files in os.walk(folder):
        for name in (os.path.join(path, n) for n in files):
            if os.path.isfile(name):
                with open(name, "rb") as f:
                    text = f.read()
                for word in words:
                    if word.encode() in text:
                        yield name, word


@pytest.mark.shapes
def test_password_is_nowhere_in_the_clear(make_daemon):
    """Neither in a file of any process (store, backup, logs at level DEBUG) nor in an answer."""
    d = make_daemon(LOG_LEVEL="DEBUG", **HERE)
    anna, admin = d.api("anna", SESSIONS), d.api("admin", SESSIONS)
    server = d.api("anna").create_server("host of others")
    key = {"Idempotency-Key": "once"}
    with Events(d, "session.*") as events:
        session = declare(anna, server["port"], headers=key, username="anna", password=FIRST)
        assert declare(anna, server["port"], headers=key, username="anna", password=FIRST) == session
        path = f"{LIST}/{session['session_id']}"
        answers = [anna.call("PATCH", path, {"rdp_config": {"password": SECOND}}, expect=200),
                   anna.call("PATCH", path, {"rdp_config": {"password": SECOND + "\u0007"}}, expect=422),
                   anna.call("PATCH", path, {"rdp_config": {"password": SECOND * 20}}, expect=422),
                   declare_raw(anna, SECOND)]
        seen = [events.next(), events.next()]
    answers += [admin.call("GET", p, expect=200) for p in (LIST, path, path + "/timeline", path + "/connection", path + "/rdp-file", path + "/statistics",
                                                             LIST + "?format=csv", "/api/v1/audit", "/api/v1/audit?format=csv", "/metrics")]
    texts = [a.text for a in answers] + [str(e) for e in seen]
    assert [e["topic"] for e in seen] == ["session.created", "session.updated"] and "rdp_config" in seen[1]["data"]["fields"]
    for word in (FIRST, SECOND, "seal1."):
        assert not [t for t in texts if word in t], word
    if shapes.SHAPE == "one":
        out = d.run("backup", timeout=60)
        assert out.returncode == 0, out.stderr
        doctor = d.run("doctor", "--json")
        assert "1 stored for foreign RDP hosts" in doctor.stdout and FIRST not in doctor.stdout + doctor.stderr
        assert list(files_with(d.dir, "seal1.")), "the sealed password is in none of these files"
    assert list(files_with(d.dir, FIRST, SECOND)) == []


def declare_raw(api, password):
    """A declaration that is not valid JSON."""
    return api.call("POST", LIST, '{"rdp_config": {"host": "127.0.0.1", "password": "' + password + '"', expect=400)


@pytest.mark.one_shape("doctor and the embedded store")
def test_another_master_key_is_noticed(make_daemon):
    d = make_daemon(MASTER_KEY="the first master key of more than 32 bytes", **HERE)
    server = d.api("anna").create_server("host of others")
    session = declare(d.api("anna"), server["port"], password=FIRST)

    def doctor():
        return next(line for line in d.run("doctor").stdout.splitlines() if " passwords " in line)
    assert "MASTER_KEY opens all of them" in doctor()
    d.settings["MASTER_KEY"] = "the second master key of more than 32 bytes"
    assert doctor().startswith("warn") and session["session_id"] in doctor() and "1 of 1" in doctor()
    d.stop()
    d.start()
    until("the log to report it", lambda: "1 stored passwords of foreign RDP hosts cannot be opened" in d.log(), 20)
    d.settings["MASTER_KEYS_OLD"] = "the first master key of more than 32 bytes"
    assert doctor().startswith("ok")


def key_id(d, session):
    """The id of the MASTER_KEY that has sealed its password."""
    with contextlib.closing(sqlite3.connect(f"file:{d.dir}/data/store/lucid.db?mode=ro", uri=True)) as db:
        text, = db.execute("SELECT doc FROM session_secrets WHERE id = ?", (session["session_id"],)).fetchone()
    return json.loads(text)["password"].split(".")[1]


@pytest.mark.one_shape("the configuration file of a process")
def test_sighup_seals_passwords_again_and_changes_the_targets(make_daemon):
    keys = ["the first master key of more than 32 bytes", "the second master key of more than 32 bytes"]
    s = Settings(make_daemon, {"MASTER_KEY": keys[0], "RDP_TARGETS_ALLOWED": "127.0.0.1/32"})
    with listening(X224_ANSWER) as port:
        session = declare(s.d.api("anna"), port, password=FIRST)
        before = key_id(s.d, session)
        s.reload({"MASTER_KEY": keys[1], "MASTER_KEYS_OLD": keys[0], "RDP_TARGETS_ALLOWED": "10.0.0.0/8"})
        until("it to be sealed again", lambda: key_id(s.d, session) != before)
        declare(s.d.api("anna"), port, 403)
    s.reload({"MASTER_KEY": keys[1]})
    assert "1 stored for foreign RDP hosts; MASTER_KEY opens all of them" in s.d.run("doctor", "--config", s.path).stdout


@pytest.mark.one_shape("processes that it makes itself")
def test_another_controller_goes_on_with_it(mongo, apart):  # noqa: F811
    made = apart([MANAGER, MONITOR], [SESSIONS], [SESSIONS], [AGENT], start=False, MONGODB_URL=mongo.url(), HEALTH_CHECK_INTERVAL="1", **HERE)
    manager, a, b, agent = made
    for d in (a, b):
        d.settings[URLS[SESSIONS]] = None  # neither forwards to the other one
    agent.settings["NODE_URL"] = agent.url(AGENT)
    for d in (agent, manager, a, b):
        d.start()
    until("the node", lambda: [n["status"] for n in manager.admin.get("/api/v1/rdp/nodes")["nodes"]] == ["ready"], 20)
    server = manager.api("anna").create_server("host of others")
    manager.ids.add(server["server_id"])
    session = declare(a.api("anna", SESSIONS), server["port"], username="anna", password=FIRST)
    path = f"{LIST}/{session['session_id']}"
    anna = b.api("anna", SESSIONS)
    assert anna.get(path) == session
    a.kill(a.process.pid)
    changed = anna.call("PATCH", path, {"rdp_config": {"password": SECOND}}, expect=200).json()
    assert changed["version"] == 2
    assert anna.call("POST", path + "/terminate", {}, expect=200).json()["status"] == "terminated"
    until("another process to follow the foreign hosts", lambda: "now follows the sessions on foreign RDP hosts" in b.log(), 20)
    a.start()
    assert a.api("anna", SESSIONS).get(path)["rdp_config"]["has_password"] is False
    answer = a.api("anna", SESSIONS).get(LIST)
    assert [s["status"] for s in answer["sessions"]] == ["terminated"] and answer["unreachable"] == []
