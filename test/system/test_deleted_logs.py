"""Logs of deleted servers: kept for LOG_RETENTION_DAYS, listed and read by admins only, then removed."""
import os
import stat
import uuid

import pytest
from lucid import SERVERS, XRDP
from proc import until

DELETED = f"{XRDP}/logs/deleted"


def listed(d):
    return {row["server_id"]: row for row in d.admin.get(DELETED)["logs"]}


def lived_and_went(d, name):
    server = d.api("anna").create_server(name)
    sid = server["server_id"]
    lines = d.admin.get(f"{SERVERS}/{sid}/logs")["lines"]
    assert lines
    d.admin.delete(f"{SERVERS}/{sid}?force=true")
    return sid, lines


def test_logs_outlive_their_server(daemon):
    sid, lines = lived_and_went(daemon, "gone soon")
    row = listed(daemon)[sid]
    assert (row["name"], row["user_id"]) == ("gone soon", "anna") and row["size_bytes"] > 0 and row["deleted_at"].endswith("Z"), row
    kept = daemon.admin.get(f"{DELETED}/{sid}")["lines"]
    assert set(lines) <= set(kept)
    assert len(daemon.admin.get(f"{DELETED}/{sid}?lines=1")["lines"]) == 1
    # of a running server, of a stopped one, and of one without logs
    other = daemon.admin.create_server("stays")
    r = daemon.admin.call("GET", f"{DELETED}/{other['server_id']}")
    assert r.status_code == 404 and "logs/deleted" in r.json()["error"]["message"], r.text
    daemon.admin.post(f"{SERVERS}/{other['server_id']}/stop?wait=true")
    daemon.admin.delete(f"{SERVERS}/{other['server_id']}")
    assert listed(daemon)[other["server_id"]]["name"] == "stays"
    assert daemon.admin.call("GET", f"{DELETED}/{uuid.uuid4()}").status_code == 404
    assert daemon.admin.call("GET", f"{DELETED}/..%2F..").status_code in (400, 404, 422)
    # only admins have access, over the API and on disk
    for api, status in ((daemon.api("anna"), 403), (daemon.api(None), 401)):
        assert api.call("GET", DELETED).status_code == status and api.call("GET", f"{DELETED}/{sid}").status_code == status


@pytest.mark.one_shape("the directories of a process")
def test_logs_of_deleted_servers_expire(make_daemon):
    d = make_daemon(LOG_RETENTION_DAYS="2")
    old, _ = lived_and_went(d, "old")
    new, _ = lived_and_went(d, "new")
    folder = f"{d.settings['LOG_DIR']}/xrdp/deleted"
    assert stat.S_IMODE(os.stat(folder).st_mode) == 0o700 and os.stat(folder).st_uid == 0
    assert not os.path.exists(f"{d.settings['LOG_DIR']}/xrdp/servers/{old}")
    when = os.stat(f"{folder}/{old}").st_mtime
    os.utime(f"{folder}/{old}", (when - 3 * 86400, when - 3 * 86400))
    d.stop()
    d.start()
    until("the old logs to be gone", lambda: set(listed(d)) == {new}, 10)
    assert not os.path.exists(f"{folder}/{old}")
    # beyond the bound on servers, the next deletion removes the oldest ones
    for i in range(1000):
        made = f"{folder}/{uuid.UUID(int=i + 1)}"
        os.mkdir(made)
        os.utime(made, (when - 3600 + i, when - 3600 + i))
    last, _ = lived_and_went(d, "last")
    names = os.listdir(folder)
    assert len(names) == 1000 and last in names and new in names and str(uuid.UUID(int=1)) not in names


@pytest.mark.one_shape("the directories of a process")
def test_no_logs_are_kept_with_retention_zero(make_daemon):
    d = make_daemon(LOG_RETENTION_DAYS="0")
    sid, _ = lived_and_went(d, "at once")
    assert listed(d) == {} and not os.path.exists(f"{d.settings['LOG_DIR']}/xrdp/deleted/{sid}")
