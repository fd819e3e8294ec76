"""Recordings of a host, without the controller: the agent's operations xrdp.recordings.* on real desktops, and what happens when recorder,
server or supervisor die."""
import base64
import contextlib
import datetime
import hashlib
import os
import secrets
import signal
import subprocess
import time
import uuid

import pytest

import proc
from lucid import XRDP
from proc import until

BLUE, GREEN = "#3366cc", "#33aa44"
SIZE = (800, 600)
KINDS = ("xorg", "xvnc")
RECORDER = "lucid-rdp-recorder"
UID = 65533


class Recorded:
    """A desktop of an account, and its recording."""

    def __init__(self, d, user, login, kind="xorg", **server):
        self.d, self.user, self.kind = d, user, kind
        user.paint(BLUE)
        self.server = d.admin.create_server("seen", desktop={"session": kind, "profile": "paint"}, **server)
        self.sid = self.server["server_id"]
        self.client = login(d, self.server, user, size=SIZE)
        self.id, self.key = str(uuid.uuid4()), secrets.token_bytes(32)
        self.path = f"{XRDP}/recordings/{self.id}"

    def desktop(self):
        return until("the desktop", lambda: self.d.admin.desktops(self.sid))[0]

    def start(self, expect=201, **config):
        desktop = self.desktop()
        body = {"recording_id": self.id, "server_id": self.sid, "display": desktop["display"], "started_at": desktop["started_at"],
                "manifest": '{"format":"rck1"}\n', "key": base64.b64encode(self.key).decode(), "config": config}
        return self.d.admin.call("POST", f"{XRDP}/recordings", body, expect=expect).json()

    def stop(self):
        return self.d.admin.call("POST", f"{self.path}/stop", expect=200).json()

    def row(self):
        return next((r for r in self.d.admin.get(f"{XRDP}/recordings")["recordings"] if r["recording_id"] == self.id), None)

    def wait(self, state, patience=40):
        until(f"state {state}", lambda: (self.row() or {}).get("state") == state, patience, 0.2)

    def files(self):
        return self.d.admin.get(self.path)

    def dir(self):
        return f"{self.d.settings['DATA_DIR']}/recordings/{self.id}"

    def recorder(self):
        found = recorders(self.d)
        assert len(found) == 1, found
        return found[0]

    def repaint(self):
        self.user.paint(GREEN)
        self.client.wait_colour(GREEN)


def recorders(d):
    """Those of this daemon: with a directory of its recordings open."""
    def of_daemon(pid):
        try:
            return any(os.readlink(f"/proc/{pid}/fd/{fd}").startswith(d.dir) for fd in os.listdir(f"/proc/{pid}/fd"))
        except OSError:
            return False
    return [p for p in proc.pids() if proc.cmdline(p).strip("\0 ") == RECORDER and of_daemon(p)]


@pytest.fixture
def recorded(make_daemon, users, login):
    def make(kind="xorg", server=None, **settings):
        d = make_daemon(STORAGE_HIGH_WATER_MB=settings.pop("STORAGE_HIGH_WATER_MB", "2"), STORAGE_LOW_WATER_MB="1", **settings)
        user, = users(1, d)
        return Recorded(d, user, login, kind, **(server or {}))
    return make


@pytest.mark.parametrize("kind", KINDS)
def test_desktop_is_recorded(recorded, kind):
    r = recorded(kind)
    r.client.wait_colour(BLUE)
    began = r.start()
    assert began["state"] == "recording" and (began["width"], began["height"]) == SIZE and began["zero_at"] <= began["first_picture_at"]
    pid = r.recorder()
    assert set(proc.uids(pid)) == {UID} and proc.read(f"/proc/{pid}/environ") in ("", None)
    status = proc.read(f"/proc/{pid}/status")
    assert "CapEff:\t0000000000000000" in status and "NoNewPrivs:\t1" in status and "Seccomp:\t2" in status
    r.repaint()
    until("figures", lambda: ((r.row()["figures"] or {}).get("storage") or {}).get("bytes_out", 0) > 0, 20, 0.2)
    assert {"recording", "compression", "encryption", "storage"} <= set(r.row()["figures"])
    ended = r.stop()
    assert ended["state"] == "complete" and ended["reason"] == "stopped" and ended["chunks"] >= 1 and r.row() is None
    assert not recorders(r.d)

    files = r.files()
    assert len(files["index"]) == len(files["chunks"]) == ended["chunks"] and not files["more"] and files["seal"] is None
    last = files["index"][-1]
    data = r.d.admin.call("GET", f"{r.path}/files/{last['seq']:08}.rck", expect=200)
    assert data.headers["Content-Type"] == "application/octet-stream" and len(data.content) == last["bytes"]
    assert hashlib.sha256(data.content).hexdigest() == last["hash"] == ended["head"] and data.content[:4] == b"RCK1"
    tail = r.d.admin.call("GET", f"{r.path}/files/{last['seq']:08}.rck?from=96", expect=200).content
    assert tail == data.content[96:]
    for secret in (r.key, base64.b64encode(r.key)):
        assert not any(secret in open(os.path.join(top, f), "rb").read() for top, _, names in os.walk(r.d.settings["DATA_DIR"]) for f in names
                       if os.path.isfile(os.path.join(top, f)))
    assert base64.b64encode(r.key).decode() not in r.d.log()

    r.d.admin.call("PUT", f"{r.path}/files/seal.json", {"text": "{}\n"}, expect=200)
    assert r.files()["seal"] == "{}\n"
    r.d.admin.call("PUT", f"{r.path}/files/{last['seq']:08}.rck", {"text": "{}\n"}, expect=404)
    r.d.admin.call("DELETE", r.path, expect=200)
    assert not os.path.exists(r.dir())
    r.d.admin.call("DELETE", r.path, expect=200)
    r.d.admin.call("GET", r.path, expect=404)


def test_recording_survives_the_server(recorded):
    r = recorded()
    r.client.wait_colour(BLUE)
    r.start()
    pid, server = r.recorder(), r.d.server_pid()
    r.d.kill(server)
    until("a new server", lambda: r.d.server_pid() not in (None, server) and r.d.ready(), 20, 0.2)
    assert r.recorder() == pid and r.row()["state"] == "recording"
    assert r.stop()["state"] == "complete"


def test_recording_is_continued_by_the_next_supervisor(recorded):
    r = recorded()
    r.client.wait_colour(BLUE)
    r.start()
    r.repaint()
    r.d.kill(r.d.supervisor)
    until("the end of the recorder", lambda: not recorders(r.d), 20, 0.1)
    r.d.start()
    r.wait("interrupted")
    r.start()
    r.user.paint(BLUE)
    r.client.wait_colour(BLUE)
    ended = r.stop()
    assert ended["state"] == "complete" and ended["chunks"] >= 2
    index = r.files()["index"]
    assert [e["seq"] for e in index] == list(range(len(index))) and not any(e["torn"] for e in index) and any(e["gap"] for e in index)
    assert all(b["prev_hash"] == a["hash"] for a, b in zip(index, index[1:]))


def test_killed_recorder_is_replaced_with_a_gap(recorded):
    r = recorded()
    r.client.wait_colour(BLUE)
    r.start()
    r.repaint()
    time.sleep(2)
    pid = r.recorder()
    os.kill(pid, signal.SIGKILL)
    until("another recorder", lambda: r.row()["restarts"] == 1 and r.row()["state"] == "recording" and r.recorder() != pid, 40, 0.2)
    r.user.paint(BLUE)
    r.client.wait_colour(BLUE)
    ended = r.stop()
    index = r.files()["index"]
    assert ended["state"] == "complete" and len(index) == ended["chunks"] >= 2
    assert index[0]["torn"] and index[0]["frames"] > 0 and any(e["gap"] for e in index[1:])


def test_desktop_that_ends_completes_its_recording(recorded):
    r = recorded()
    r.client.wait_colour(BLUE)
    r.start()
    display = r.desktop()["display"]
    r.d.admin.call("DELETE", f"{XRDP}/instances/{r.sid}/desktops/{display}", expect=200)
    until("the end", lambda: r.row()["state"] in ("complete", "truncated"), 20, 0.2)
    assert r.row()["state"] == "complete" and r.row()["reason"] == "desktop_ended"
    assert r.stop()["chunks"] >= 1


# Cuts off all other clients of the desktop's X server, as any program of its user can. Which numbers they have is tried.
CUTTER = r"""exec python3 - <<'END'
import os, socket, struct, subprocess
n = os.environ["DISPLAY"].split(":")[1].split(".")[0]
cookie = bytes.fromhex(subprocess.run(["xauth", "list"], capture_output=True, text=True).stdout.split()[-1])
s = socket.socket(socket.AF_UNIX)
s.connect(f"/tmp/.X11-unix/X{n}")
s.sendall(struct.pack("<BxHHHHxx", ord("l"), 11, 0, 18, 16) + b"MIT-MAGIC-COOKIE-1\0\0" + cookie)
read = lambda n: s.recv(n, socket.MSG_WAITALL)
setup = read(4 * struct.unpack("<BxxxxxH", read(8))[1])
base, mask = struct.unpack_from("<II", setup, 4)
for k in range(1, 200):
    if k * (mask + 1) != base:
        s.sendall(struct.pack("<BBHI", 113, 0, 2, k * (mask + 1)))
s.sendall(struct.pack("<BBH", 43, 0, 1))
while read(32)[0] != 1:
    pass
END
"""


def test_recorder_that_is_cut_off_is_connected_again(recorded):
    r = recorded()
    r.client.wait_colour(BLUE)
    r.start()
    pid = r.recorder()
    for n in (1, 2):
        r.user.job(CUTTER)
        until("the loss", lambda: r.row()["lost"] >= n and r.row()["state"] == "recording", 40, 0.2)  # pylint: disable=cell-var-from-loop
    assert r.recorder() == pid
    r.user.paint(GREEN)
    time.sleep(2)
    ended = r.stop()
    assert ended["state"] == "complete" and any(e["gap"] for e in r.files()["index"])


def test_cutting_the_recorder_off_ends_the_session_if_wanted(recorded):
    r = recorded()
    r.client.wait_colour(BLUE)
    r.start(on_loss="terminate_session")
    r.user.job(CUTTER)
    until("the end of the desktop", lambda: not r.d.admin.desktops(r.sid), 40, 0.2)
    r.wait("complete")


def test_stopped_x_server_does_not_end_a_recording(recorded):
    r = recorded()
    r.client.wait_colour(BLUE)
    r.start()
    pid, display = r.recorder(), r.desktop()["display"]
    x, = [p for p in proc.pids() if f":{display}" in proc.cmdline(p).split() and proc.exe(p).endswith("/Xorg") and r.user.uid in proc.uids(p)]
    os.kill(x, signal.SIGSTOP)
    try:
        time.sleep(6)
        assert r.recorder() == pid and r.row()["state"] == "recording"
    finally:
        os.kill(x, signal.SIGCONT)
    r.repaint()
    assert r.stop()["state"] == "complete"


def test_session_begins_with_the_first_picture_of_its_recording(recorded):
    """The controller records every session of this server; the desktop's own program starts when there is a picture."""
    r = recorded(server={"recording": {"mode": "on", "on_failure": "refuse"}})
    r.client.wait_colour(BLUE)
    row, = r.d.admin.get(f"{XRDP}/recordings")["recordings"]
    assert row["state"] == "recording" and row["server_id"] == r.sid
    paint = [p for p in proc.pids() if r.user.uid in proc.uids(p) and any(word.endswith("/paint") for word in proc.cmdline(p).split())]
    ticks = int(proc.read(f"/proc/{paint[0]}/stat").rsplit(")", 1)[1].split()[19])
    began = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) + ticks / os.sysconf("SC_CLK_TCK")
    first = datetime.datetime.fromisoformat(row["first_picture_at"]).timestamp()
    assert first <= began + 0.02
    assert not [f for f in os.listdir(f"{r.d.settings['DATA_DIR']}/xrdp/servers/{r.sid}/etc") if f.startswith("recording-")]


def test_full_disk_refuses_new_recordings(recorded):
    r = recorded(STORAGE_HIGH_WATER_MB="100000000")
    r.client.wait_colour(BLUE)
    assert r.start(expect=507)["error"]["code"] == "LUCID_ERR_3007"
    assert not os.path.exists(r.dir())
    until("what is free to be known", lambda: r.d.admin.get(f"{XRDP}/recordings")["storage"]["full"], 10)


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 16 MiB."""
    where = tmp_path / "disk"
    where.mkdir()
    os.chmod(tmp_path, 0o755)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m,mode=0755", "tmpfs", where], check=True)
    yield str(where)
    subprocess.run(["umount", "-l", where], check=True)


def fill(disk):
    with contextlib.suppress(OSError), open(f"{disk}/filler", "wb") as f:
        while f.write(bytes(65536)):
            f.flush()


def test_full_disk_pauses_and_leaves_a_valid_recording(recorded, small_disk):
    r = recorded(SESSION_STORAGE_PATH=small_disk, STORAGE_HIGH_WATER_MB="4")
    r.client.wait_colour(BLUE)
    r.start()
    time.sleep(2)  # a segment is written each second
    fill(small_disk)
    r.wait("paused")
    assert r.row()["reason"] == "disk_full"
    r.repaint()  # the desktop goes on
    os.unlink(f"{small_disk}/filler")
    r.wait("recording")
    r.user.paint(BLUE)
    r.client.wait_colour(BLUE)
    time.sleep(1)
    ended = r.stop()
    index = r.files()["index"]
    assert ended["state"] == "complete" and len(index) == ended["chunks"] >= 2 and any(e["gap"] for e in index)
    assert all(b["prev_hash"] == a["hash"] for a, b in zip(index, index[1:]))
    for e in index:
        with open(f"{small_disk}/{r.id}/{e['seq']:08}.rck", "rb") as f:
            assert hashlib.sha256(f.read()).hexdigest() == e["hash"]


def test_full_disk_ends_the_session_if_wanted(recorded, small_disk):
    r = recorded(SESSION_STORAGE_PATH=small_disk, STORAGE_HIGH_WATER_MB="4")
    r.client.wait_colour(BLUE)
    r.start(on_full="terminate_session")
    fill(small_disk)
    until("the end of the desktop", lambda: not r.d.admin.desktops(r.sid), 20, 0.2)
    until("the end of the recording", lambda: r.row()["state"] in ("complete", "truncated"), 40, 0.2)


def test_session_waits_for_its_recording_at_most_three_seconds(recorded):
    r = recorded(server={"recording": {"mode": "on"}}, STORAGE_HIGH_WATER_MB="100000000")
    r.client.wait_colour(BLUE)  # on_failure: allow
    hold = f"{r.d.settings['DATA_DIR']}/xrdp/servers/{r.sid}/etc/recording-{r.desktop()['display']}"
    assert not os.path.exists(hold) or open(hold, encoding="ascii").read() == "allow\n"


def test_session_that_must_be_recorded_ends_without_a_recorder(recorded):
    r = recorded(server={"recording": {"mode": "on", "on_failure": "refuse"}}, STORAGE_HIGH_WATER_MB="100000000")
    until("the desktop", lambda: r.d.admin.desktops(r.sid), 30, 0.1)
    until("its end", lambda: not r.d.admin.desktops(r.sid), 40, 0.2)
    until("the reason in the log", lambda: any("must be recorded" in line for line in r.d.admin.get(f"/api/v1/rdp/servers/{r.sid}/logs?lines=100")["lines"]), 10)
