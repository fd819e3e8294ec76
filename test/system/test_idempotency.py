"""Idempotency-Key: the first response again, never a second server."""
import glob
import json
import sqlite3
import threading
import time
import uuid

import pytest

import lucid
from lucid import SERVERS
from proc import until

IDLE = {"auto_start": False}


def create(api, key, body, query="", **more):
    return api.call("POST", SERVERS + query, body, headers={"Idempotency-Key": key}, **more)


def told(answer):
    """The parts of a response that must be the same."""
    return answer.status_code, answer.content, answer.headers.get("Location"), answer.headers.get("ETag"), answer.headers["Content-Type"]


def names(api):
    return sorted(s["name"] for s in api.list_servers())


def keys_file(daemon):
    return glob.glob(f"{daemon.dir}/data/store/lucid.db")[0]


@pytest.mark.shapes
def test_repeat_gets_the_first_response(daemon):
    ann, key = daemon.api("ann"), str(uuid.uuid4())
    first = create(ann, key, {"name": "one", "description": "ä \"x\"", **IDLE}, expect=201)
    assert first.headers["ETag"] == '"1"' and "Idempotency-Replayed" not in first.headers
    ann.call("PATCH", first.headers["Location"], {"description": "changed"}, expect=200)
    second = create(ann, key, {"name": "one", "description": "ä \"x\"", **IDLE})
    assert told(second) == told(first) and second.headers["Idempotency-Replayed"] == "true"
    # white space, the order of members and the query do not make it another request
    third = create(ann, key, '{ "auto_start" : false, "description": "\\u00e4 \\"x\\"",\n "name": "one" }', "?wait=running")
    assert told(third) == told(first)
    assert names(ann) == ["one"]
    # also when the server has been deleted since: the stored response is returned
    ann.delete(first.headers["Location"], expect=204)
    assert told(create(ann, key, {"name": "one", "description": "ä \"x\"", **IDLE})) == told(first)
    assert names(ann) == []


@pytest.mark.shapes
def test_key_belongs_to_body_caller_and_operation(daemon):
    ann, bob, key = daemon.api("ann"), daemon.api("bob"), "k"
    create(ann, key, {"name": "one", **IDLE}, expect=201)
    other = create(ann, key, {"name": "two", **IDLE}, expect=409)
    assert other.json()["error"]["code"] == "LUCID_ERR_0011" and "Retry-After" not in other.headers
    assert create(bob, key, {"name": "two", **IDLE}, expect=201).json()["user_id"] == "bob"
    assert names(daemon.admin) == ["one", "two"]
    # the key has no effect where nothing is created
    assert ann.get(SERVERS, headers={"Idempotency-Key": key})["servers"][0]["name"] == "one"


@pytest.mark.parametrize("key", ["", "x" * 129, "a\tb", "ü"])
def test_invalid_keys_are_refused(daemon, key):
    r = daemon.api("ann").call("POST", SERVERS, {"name": "one", **IDLE}, headers={"Idempotency-Key": key.encode()})
    assert r.status_code == 400 and r.json()["error"]["code"] == "LUCID_ERR_0013", r.text
    assert names(daemon.admin) == []


def test_valid_keys_are_accepted(daemon):
    ann = daemon.api("ann")
    for n, key in enumerate(("x" * 128, "~", "a b:c/d", '"quoted"')):
        first = create(ann, key, {"name": f"s{n}", **IDLE}, expect=201)
        assert told(create(ann, key, {"name": f"s{n}", **IDLE})) == told(first)
    long = daemon.api("n" * 128)
    first = create(long, "x" * 128, {"name": "s", **IDLE}, expect=201)
    assert told(create(long, "x" * 128, {"name": "s", **IDLE})) == told(first)


@pytest.mark.shapes
def test_refused_creation_releases_the_key(daemon):
    ann, key = daemon.api("ann"), "once"
    create(ann, key, {"name": "one", "port": 80, **IDLE}, expect=422)
    create(ann, key, {"name": "one", **IDLE}, expect=201)
    create(ann, "more", {"name": "one", **IDLE}, expect=409)
    create(ann, "more", {"name": "two", **IDLE}, expect=201)


@pytest.mark.shapes
def test_concurrent_repeats_create_one_server(daemon):
    """Many at the same time: one runs, the others are told to retry, or get its response."""
    answers, go = [], threading.Barrier(12)

    def ask():
        api = daemon.api("ann")
        go.wait()
        answers.append(create(api, "race", {"name": "one"}, "?wait=running"))
    threads = [threading.Thread(target=ask) for _ in range(12)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    created = [a for a in answers if a.status_code == 201]
    waiting = [a for a in answers if a.status_code == 409]
    assert created and len(created) + len(waiting) == 12
    assert all(a.headers["Retry-After"] == "1" for a in waiting)
    assert len({told(a) for a in created}) == 1
    assert told(create(daemon.api("ann"), "race", {"name": "one"})) == told(created[0])
    assert names(daemon.admin) == ["one"]


@pytest.mark.shapes
def test_survives_a_restart(daemon):
    ann = daemon.api("ann")
    first = create(ann, "k", {"name": "one", **IDLE}, expect=201)
    daemon.stop()
    daemon.start()
    assert told(create(daemon.api("ann"), "k", {"name": "one", **IDLE})) == told(first)
    assert names(daemon.admin) == ["one"]


@pytest.mark.shapes
def test_kill_during_a_creation(daemon):
    """kill -9 during a creation: a retry gets the first response, or is told that the outcome is unknown; there is one server."""
    for n in range(4):
        body, got = {"name": f"s{n}"}, []
        pid = daemon.pid_of(lucid.ROLES[0])

        def ask():
            try:
                got.append(create(daemon.api("ann"), f"k{n}", body, "?wait=running"))
            except Exception as e:  # its connection ends with the server
                got.append(e)
        t = threading.Thread(target=ask)
        t.start()
        time.sleep(0.02 + 0.1 * n)
        daemon.kill(pid)
        t.join()
        until("the next server", lambda: daemon.pid_of(lucid.ROLES[0]) not in (None, pid) and daemon.ready())
        before = [x for x in names(daemon.admin) if x == f"s{n}"]
        again = create(daemon.api("ann"), f"k{n}", body)
        assert again.status_code in (201, 409), again.text
        if not isinstance(got[0], Exception):
            assert told(again) == told(got[0])
        if again.status_code == 201:
            assert before == [] or "Idempotency-Replayed" in again.headers
        else:
            assert "Idempotency-Key" in again.json()["error"]["message"]
        assert [x for x in names(daemon.admin) if x == f"s{n}"].count(f"s{n}") <= 1


@pytest.mark.one_shape("the embedded store's file")
def test_claim_without_a_response_is_refused(daemon):
    """A claim that a crash left without a response, after its time limit."""
    ann = daemon.api("ann")
    create(ann, "k", {"name": "one", **IDLE}, expect=201)
    daemon.stop()
    edit(daemon, state="claimed", until=1)
    daemon.start()
    r = create(daemon.api("ann"), "k", {"name": "one", **IDLE}, expect=409)
    assert "outcome is unknown" in r.json()["error"]["message"] and "Retry-After" not in r.headers
    assert names(daemon.admin) == ["one"]


@pytest.mark.one_shape("the embedded store's file")
def test_claim_of_the_previous_process_is_refused_at_once(daemon):
    """The previous process used the store alone and ran the operation itself, so no more can come of it: that is reported at once."""
    ann = daemon.api("ann")
    create(ann, "k", {"name": "one", **IDLE}, expect=201)
    daemon.stop()
    edit(daemon, state="claimed")
    daemon.start()
    r = create(daemon.api("ann"), "k", {"name": "one", **IDLE}, expect=409)
    assert "outcome is unknown" in r.json()["error"]["message"] and "Retry-After" not in r.headers
    # for a claim of an unknown process, its time limit is awaited
    daemon.stop()
    edit(daemon, process=None)
    daemon.start()
    r = create(daemon.api("ann"), "k", {"name": "one", **IDLE}, expect=409)
    assert "still in progress" in r.json()["error"]["message"] and r.headers["Retry-After"] == "1"
    assert names(daemon.admin) == ["one"]


@pytest.mark.one_shape("the embedded store's file")
def test_expiry(make_daemon):
    daemon = make_daemon(range_size=34)
    ann = daemon.api("ann")
    for n in range(20):
        create(ann, f"k{n}", {"name": f"s{n}", **IDLE}, expect=201)
    daemon.stop()
    with sqlite3.connect(keys_file(daemon)) as db:
        assert db.execute("select count(*) from idempotency_keys").fetchone()[0] == 20
    edit(daemon, expires_at=1)
    daemon.start()
    # expired keys that the sweep has not removed yet count as new
    for n in range(10):
        create(daemon.api("ann"), f"k{n}", {"name": f"another {n}", **IDLE}, expect=201)

    def left():
        with sqlite3.connect(keys_file(daemon)) as db:
            return db.execute("select count(*) from idempotency_keys").fetchone()[0]
    until("the sweep", lambda: left() == 10, 20)


def edit(daemon, **fields):
    with sqlite3.connect(keys_file(daemon)) as db:
        for row in db.execute("select id, doc from idempotency_keys").fetchall():
            doc = {**json.loads(row[1]), **fields}
            db.execute("update idempotency_keys set doc=? where id=?", (json.dumps(doc), row[0]))
            if "expires_at" in fields:
                db.execute("update idempotency_keys set f_expires_at=? where id=?", (fields["expires_at"], row[0]))


def test_secrets_are_not_stored(daemon):
    create(daemon.api("ann"), "k", {"name": "one", "description": "only a digest of what was asked", **IDLE}, expect=201)
    assert "digest of what" not in daemon.log() and lucid.SECRET not in daemon.log()
