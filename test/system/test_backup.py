"""Backup and restore: during writes, with only the rights that each part needs, and nothing is replaced without a rehearsal."""
import json
import os
import sqlite3
import stat
import threading

import pytest
import requests

from lucid import SERVERS
from proc import until

pytestmark = pytest.mark.one_shape("the embedded store's file")


WIDE = {"PORT_RANGE_START": "33000", "PORT_RANGE_END": "60000", "MAX_SERVERS_PER_USER": "100000"}  # no program on this host listens on them


def define(d, n, prefix="server"):
    return [d.admin.create_server(f"{prefix} {i}", wait=False, auto_start=False)["server_id"] for i in range(n)]


def store_file(d):
    return f"{d.dir}/data/store/lucid.db"


def backup(d, *more):
    out = d.run("backup", *more, timeout=60)
    assert out.returncode == 0, out.stderr
    assert "contains no keys" in out.stderr
    return out.stdout.strip()


def names(d):
    return {s["server_id"] for s in d.admin.list_servers()}


def test_backup_during_writes_is_a_consistent_snapshot(make_daemon):
    d = make_daemon(**WIDE)
    before = set(define(d, 30))
    done, written = threading.Event(), []

    def write():
        api = d.api("admin")
        while not done.is_set():
            written.append(api.create_server(f"w {len(written)}", wait=False, auto_start=False)["server_id"])
    writer = threading.Thread(target=write)
    writer.start()
    try:
        until("writes", lambda: len(written) > 20)
        start = len(written)
        path = backup(d)
        assert len(written) > start, "writers waited for the backup"
    finally:
        done.set()
        writer.join()
    st = os.stat(path)
    assert stat.S_IMODE(st.st_mode) == 0o600 and st.st_uid == 0
    assert os.path.dirname(path) == f"{d.dir}/data/backups"
    # the manifest matches, and every server in the backup has its port and its name
    manifest = json.load(open(path[:-3] + ".json", encoding="utf-8"))
    db = sqlite3.connect(f"file:{path}?immutable=1", uri=True)
    assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    servers = {r[0] for r in db.execute("SELECT id FROM rdp_servers")}
    assert before <= servers and len(servers) >= 30 + start
    assert manifest["counts"]["rdp_servers"] == len(servers)
    for table in ("rdp_ports", "rdp_names"):
        assert {r[0] for r in db.execute(f"SELECT f_server_id FROM {table}")} == servers
    db.close()
    # the folder of the store has no files of root, and the backup contains no key
    assert all(os.stat(f"{d.dir}/data/store/{f}").st_uid != 0 for f in os.listdir(f"{d.dir}/data/store"))
    assert d.settings["JWT_SECRET"].encode() not in open(path, "rb").read()
    assert set(os.listdir(f"{d.dir}/data/backups")) == {os.path.basename(path), os.path.basename(path)[:-3] + ".json"}


def test_restore_brings_back_the_backup(make_daemon):
    d = make_daemon()
    kept = set(define(d, 5))
    path = backup(d, "--to", f"{d.dir}/elsewhere")
    later = set(define(d, 3, "later"))
    # while the program runs, the backup is rehearsed but not restored
    out = d.run("restore", path)
    assert out.returncode == 0 and "rdp_servers 5" in out.stdout and "nothing was replaced" in out.stdout
    out = d.run("restore", path, "--yes")
    assert out.returncode == 1 and "in use by another process" in out.stderr
    assert names(d) == kept | later
    d.stop()
    out = d.run("restore", path, "--yes")
    assert out.returncode == 0, out.stderr
    aside = [f for f in os.listdir(f"{d.dir}/data/store") if ".replaced-" in f]
    assert len(aside) == 1 and not any("rehearsal" in f for f in os.listdir(f"{d.dir}/data/store"))
    db = sqlite3.connect(f"file:{d.dir}/data/store/{aside[0]}?immutable=1", uri=True)
    assert {r[0] for r in db.execute("SELECT id FROM rdp_servers")} == kept | later
    db.close()
    d.start()
    assert names(d) == kept
    define(d, 1, "and goes on")


def test_restore_onto_an_empty_host(make_daemon):
    a = make_daemon()
    kept = set(define(a, 4))
    path = backup(a)
    b = make_daemon(start=False)
    out = b.run("restore", path, "--yes")
    assert out.returncode == 0 and "there was no store before" in out.stdout, out.stderr
    b.start()
    assert names(b) == kept


@pytest.mark.parametrize("harm, word", [("flip", "digest"), ("cut", "digest"), ("page", "damaged"), ("other", "not a store of this program"), ("counts", "the manifest has")])
def test_a_bad_backup_replaces_nothing(make_daemon, harm, word):
    d = make_daemon(**WIDE)
    kept = set(define(d, 40))
    path = backup(d)
    d.stop()
    before = open(store_file(d), "rb").read()
    manifest = path[:-3] + ".json"
    data = bytearray(open(path, "rb").read())
    if harm == "flip":
        data[len(data) // 2] ^= 1
    elif harm == "cut":
        data = data[:len(data) // 2]
    elif harm == "page":
        for at in range(4096, len(data), 4096):
            data[at:at + 64] = b"\xff" * 64
    elif harm == "other":
        data[68:72] = b"ABCD"
    if harm == "counts":
        doc = json.load(open(manifest, encoding="utf-8"))
        doc["counts"]["rdp_servers"] += 1
        json.dump(doc, open(manifest, "w", encoding="utf-8"))
    elif harm in ("page", "other"):
        os.unlink(manifest)
    open(path, "wb").write(data)
    out = d.run("restore", path, "--yes")
    assert out.returncode == 1 and word in out.stderr, out.stderr
    assert open(store_file(d), "rb").read() == before
    assert not [f for f in os.listdir(f"{d.dir}/data/store") if "rehearsal" in f or "replaced" in f]
    d.start()
    assert names(d) == kept


def test_backups_are_kept_for_backup_keep_days(make_daemon):
    d = make_daemon(BACKUP_KEEP_DAYS="3")
    folder = f"{d.dir}/data/backups"
    first = backup(d)
    old = f"{folder}/lucid-20200101T000000.000Z"
    for end in (".db", ".json"):
        open(old + end, "w", encoding="ascii").close()
    open(f"{folder}/.lucid-20200101T000000.000Z.tmp", "w", encoding="ascii").close()
    open(f"{folder}/mine.db", "w", encoding="ascii").close()
    second = backup(d)
    assert {f for f in os.listdir(folder) if f.endswith(".db")} == {os.path.basename(first), os.path.basename(second), "mine.db"}
    assert not [f for f in os.listdir(folder) if f.startswith(".") or "2020" in f]


def test_failed_backup_gives_the_reason_and_leaves_no_files(make_daemon):
    d = make_daemon()
    d.stop()
    os.rename(store_file(d), store_file(d) + ".away")
    out = d.run("backup")
    assert out.returncode == 1 and "no backup was made" in out.stderr and "lucid.db" in out.stderr
    assert os.listdir(f"{d.dir}/data/backups") == []
    os.rename(store_file(d) + ".away", store_file(d))
    assert d.run("backup", "--to", "/proc/nowhere").returncode == 1
    assert d.run("restore").returncode == 2
    assert "not a regular file" in d.run("restore", f"{d.dir}/data/backups").stderr
    # the message names the given file, not the copy that is rehearsed
    other = os.path.join(d.dir, "other.db")
    with open(other, "w", encoding="ascii") as f:
        f.write("not a database")
    said = d.run("restore", other).stderr
    assert f"{other} is not a store" in said and "rehearsal" not in said, said


def test_damaged_store_is_reported_and_not_changed(make_daemon):
    """Every request is answered with 503, readiness says what to do, and doing that repairs it."""
    d = make_daemon(**WIDE)
    kept = set(define(d, 40))
    path = backup(d)
    d.stop()
    with open(store_file(d), "r+b") as f:
        for at in range(4096, os.path.getsize(store_file(d)), 4096):
            f.seek(at)
            f.write(b"\xff" * 256)
    before = open(store_file(d), "rb").read()
    d.spawn()

    def store_says():
        try:
            r = d.api(None).call("GET", "/health/ready", timeout=6)
        except requests.RequestException:
            return None
        return [r] if "damaged" in r.text else None
    r, = until("readiness to report it", store_says)
    assert r.status_code == 503 and "lucid-rdp restore FILE --yes" in r.text, r.text
    assert d.dir not in r.text and f"lucid-rdp restore {path} --yes" in d.log(), "anybody reads it: the path is in the log alone"
    assert d.admin.call("GET", "/health").status_code == 200
    for method, where, body in (("GET", SERVERS, None), ("POST", SERVERS, {"name": "x"}), ("GET", f"{SERVERS}/{next(iter(kept))}", None),
                                ("DELETE", f"{SERVERS}/{next(iter(kept))}", None)):
        r = d.admin.call(method, where, body)
        assert r.status_code == 503 and d.dir not in r.text, (method, where, r.text)
    assert d.process.poll() is None and d.log().count("damaged") == 1
    d.stop()
    assert open(store_file(d), "rb").read() == before
    assert d.run("restore", path, "--yes").returncode == 0
    d.start()
    assert names(d) == kept
