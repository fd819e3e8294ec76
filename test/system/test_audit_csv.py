"""GET /api/v1/audit?format=csv: every entry, on both stores, at the pace of the client."""
import csv
import io
import json
import os
import sqlite3
import time

import pytest

import mongo
import proc
from proc import until

AUDIT = "/api/v1/audit"
MANY = 200_000
COLUMNS = ["seq", "time", "actor", "action", "object", "outcome", "code", "reason", "client_address", "request_id", "count", "previous", "hash"]
#        actor in the log → in the file
ACTORS = {"anna": "anna", "=cmd|' /C calc'!A0": "'=cmd|' /C calc'!A0", "+49": "'+49", "-1+1": "'-1+1", "@SUM(A1)": "'@SUM(A1)", "\tx": "'\tx", "\rx": "'\rx",
          'say "hi", you': 'say "hi", you', "日本 Zoë 😀": "日本 Zoë 😀", "two\r\nlines": "two\r\nlines", "'quoted'": "'quoted'", "": "", "a=b": "a=b"}


def entry(seq):
    names = list(ACTORS)
    doc = {"seq": seq, "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(1780000000 + seq // 7)) + ".000Z", "actor": names[seq % len(names)],
           "action": "rdp.servers.create" if seq % 3 else "rdp.servers.delete", "object": f"object-{seq}", "outcome": "ok", "code": None, "from": "::1",
           "request_id": None, "prev": f"{seq - 1:064x}", "version": 1, "hash": f"{seq:064x}"}
    if seq % 5 == 0:
        doc |= {"outcome": "refused", "code": "LUCID_ERR_0003", "count": seq}
    return doc


FIELDS = ("time", "actor", "action", "object", "outcome")


def fill_embedded(d, first, n):
    d.stop()
    path = os.path.join(d.settings["DATA_DIR"], "store/lucid.db")
    owner = os.stat(path)
    with sqlite3.connect(path) as db:
        rows = ((f"{e['seq']:020d}", 1, *(e[f] for f in FIELDS), json.dumps(e, ensure_ascii=False)) for e in map(entry, range(first, first + n)))
        db.executemany(f"INSERT INTO audit_log(id, version, {', '.join('f_' + f for f in FIELDS)}, doc) VALUES (?,?,?,?,?,?,?,?)", rows)
    db.close()
    for end in ("", "-wal", "-shm"):
        if os.path.exists(path + end):
            os.chown(path + end, owner.st_uid, owner.st_gid)
    d.start()


def read_csv(d, **query):
    """The rows as dictionaries, without the program's own entries."""
    r = d.admin.call("GET", AUDIT, params={"format": "csv", **query}, expect=200, timeout=120)
    assert r.headers["Content-Type"] == "text/csv; charset=utf-8"
    rows = list(csv.reader(io.StringIO(r.content.decode("utf-8"), newline="")))
    assert rows[0] == COLUMNS and r.content.endswith(b"\r\n")
    return [dict(zip(COLUMNS, row)) for row in rows[1:] if row[4].startswith("object-")]


def expect_rows(rows, seqs):
    assert [int(r["seq"]) for r in rows] == seqs
    for r in rows:
        want = entry(int(r["seq"]))
        assert r["actor"] == ACTORS[want["actor"]] and r["action"] == want["action"] and r["time"] == want["time"], r
        assert r["client_address"] == "::1" and r["hash"] == want["hash"] and r["previous"] == want["prev"] and r["reason"] == "" and r["request_id"] == "", r
        assert r["count"] == str(want.get("count", "")) and r["code"] == (want["code"] or ""), r


def check_contents(d, first, n):
    newest = list(range(first + n - 1, first - 1, -1))
    expect_rows(read_csv(d), newest)
    expect_rows(read_csv(d, sort="time"), newest[::-1])
    expect_rows(read_csv(d, action="rdp.servers.delete", outcome="refused"), [s for s in newest if s % 3 == 0 and s % 5 == 0])
    since, until_ = entry(first + 70)["time"], entry(first + 140)["time"]
    expect_rows(read_csv(d, **{"from": since, "to": until_}), [s for s in newest if since <= entry(s)["time"] < until_])
    assert read_csv(d, actor="nobody-at-all") == []
    # as JSON nothing has changed
    page = d.admin.get(f"{AUDIT}?format=json&limit=5&action=rdp.servers.delete")
    assert len(page["entries"]) == 5 and page["pagination"]["total"] >= n // 3 and "client_address" in page["entries"][0]


@pytest.mark.one_shape("the embedded store")
def test_every_entry_of_a_long_log(make_daemon):
    d = make_daemon()
    first = 1000
    fill_embedded(d, first, MANY)
    check_contents(d, first, MANY)
    # bounded memory: it is never held as a whole
    before = int(proc.status(d.server_pid())["VmRSS"].split()[0])
    assert len(read_csv(d)) == MANY
    assert int(proc.status(d.server_pid())["VmRSS"].split()[0]) - before < 16 * 1024


@pytest.mark.one_shape("MongoDB")
def test_every_entry_in_mongodb(make_daemon):
    with mongo.MongoServer() as server:
        d = make_daemon(MONGODB_URL=server.url("lucid_csv"), JWT_SECRET="a secret for tests alone, of more than 32 bytes",
                        MASTER_KEY="a master key for tests alone, of more than 32 bytes")
        log = server.database("lucid_csv")["audit_log"]
        for begin in range(1000, 6000, 1000):
            log.insert_many([{"_id": f"{e['seq']:020d}", "version": 1, **{f: e[f] for f in FIELDS}, "json": json.dumps(e, ensure_ascii=False)}
                             for e in map(entry, range(begin, begin + 1000))])
        check_contents(d, 1000, 5000)
        d.stop()


@pytest.mark.one_shape("the embedded store")
def test_clients_that_leave_or_wait_cost_nothing(make_daemon):
    d = make_daemon()
    fill_embedded(d, 1000, 60_000)
    pid = d.server_pid()
    read_csv(d)
    fds, rss = len(os.listdir(f"/proc/{pid}/fd")), int(proc.status(pid)["VmRSS"].split()[0])
    for n in range(40):
        with d.admin.http.get(d.url() + AUDIT, params={"format": "csv"}, headers={"Authorization": f"Bearer {d.admin.token}"}, stream=True, timeout=20) as r:
            assert r.status_code == 200
            r.raw.read(1 + n * 3000)  # and the connection is closed
    slow = [d.admin.http.get(d.url() + AUDIT, params={"format": "csv"}, headers={"Authorization": f"Bearer {d.admin.token}"}, stream=True, timeout=20)
            for _ in range(20)]  # they read nothing for now
    for _ in range(20):  # entries are written meanwhile
        assert d.api("anna").call("GET", AUDIT).status_code == 403
    d.admin.create_server("meanwhile", wait=False, auto_start=False)
    assert int(proc.status(pid)["VmRSS"].split()[0]) - rss < 24 * 1024
    for r in slow[:3]:
        rows = list(csv.reader(io.StringIO(r.content.decode("utf-8"), newline="")))
        seqs = [int(row[0]) for row in rows[1:]]
        assert seqs == sorted(seqs, reverse=True) and len(set(seqs)) == len(seqs) >= 60_000
    for r in slow:
        r.close()
    # of 60 exports; kept connections of this test's client and a reader of the store may have been added
    until("no descriptor is left", lambda: len(os.listdir(f"/proc/{pid}/fd")) <= fds + 10)
    assert d.server_pid() == pid


@pytest.mark.shapes
def test_only_an_admin_reads_it(daemon):
    assert daemon.api("anna").call("GET", AUDIT + "?format=csv").status_code == 403
    assert daemon.api(None).call("GET", AUDIT + "?format=csv").status_code == 401
    assert daemon.admin.call("GET", AUDIT + "?format=xml").status_code == 422
    for role in daemon.ports:
        r = daemon.api("admin", role).call("GET", AUDIT + "?format=csv", expect=200)
        assert r.text.startswith(",".join(COLUMNS) + "\r\n") and r.headers["Content-Type"].startswith("text/csv")
    head = daemon.admin.call("HEAD", AUDIT + "?format=csv", expect=200)
    assert head.content == b"" and head.headers["Content-Type"].startswith("text/csv")
