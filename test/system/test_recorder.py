"""lucid-rdp-recorder on real X servers. The test takes the place of the supervisor. What was recorded is read by the Python reader, which knows
the format only from its description, and compared bit by bit with pictures of the screen."""
import ctypes
import os
import random
import signal
import socket
import subprocess
import time

import pytest

import proc
from lucid import BIN
from proc import until
from recorder import UID, Recorder, Recording
from x_display import Display

pytestmark = pytest.mark.one_shape("the process of a recording")
SIZE = (640, 480)


@pytest.fixture
def rig():
    """rig(kind, **config): a display, a recording of it and its recorder, all of which are gone afterwards."""
    made = []

    def make(kind="xvfb", size=SIZE, depth=24, **config):
        display = Display(kind, size, depth)
        made.append(display)
        recording = Recording()
        r = Recorder(recording, display, **config)
        made.append(r)
        r.wait("recording")
        return display, recording, r
    yield make
    for thing in reversed(made):
        thing.kill() if isinstance(thing, Recorder) else thing.close()


def scribble(client, rng, n=25):
    """Small and large changes: filled areas, and pixels that do not compress."""
    for _ in range(n):
        w, h = rng.choice(((3, 5), (17, 200), (300, 9), (200, 150)))
        x, y = rng.randrange(-20, SIZE[0]), rng.randrange(-20, SIZE[1])
        client.fill(rng.randrange(1 << 24), x, y, w, h)
        if rng.random() < 0.3:
            client.put(rng.randrange(0, 300), rng.randrange(0, 300), 40, 30, rng.randbytes(40 * 30 * 4))
    client.sync()


def assert_recorded(display, recording, r):
    """Waits until all that is on the screen is recorded, stops, and compares."""
    r.settle()
    want = display.client.picture()
    ended = r.stop()
    assert recording.picture() == want
    assert all(c.complete for c in recording.read()) and ended["chunks"] == len(recording.chunks())


@pytest.mark.parametrize("kind,config", [("xvfb", {}), ("xvnc", {"cipher": "chacha20-poly1305"}), ("xvfb", {"codec": "none", "cipher": "aes-256-gcm"}),
                                         ("xvfb", {"codec": "zstd", "level": 1, "cipher": "none"})], ids=str)
def test_the_recording_equals_the_screen(rig, kind, config):
    display, recording, r = rig(kind, **config)
    rng = random.Random(5)
    for _ in range(8):
        scribble(display.client, rng)
    assert_recorded(display, recording, r)


def test_pictures_are_recorded_in_order_and_at_their_times(rig):
    display, recording, r = rig()
    frames = r.wait("figures")["recording"]["items"]
    painted = []
    for colour in (0xFF0000, 0x00FF00, 0x0000FF, 0x123456):
        before = time.monotonic()
        display.client.fill(colour, 0, 0, *SIZE)
        display.client.sync()
        frames = r.wait("figures", lambda f, n=frames: f["recording"]["items"] > n)["recording"]["items"]
        painted.append((colour, before, time.monotonic()))
    r.stop()
    seen, start = [], recording.start_us / 1e6
    for chunk in recording.read():
        for t, kind, _ in chunk.records():
            if kind == "frame":
                seen.append((int.from_bytes(chunk.picture[:3], "little"), start + t / 1000))
    for colour, before, after in painted:
        at = [t for c, t in seen if c == colour]
        assert len(at) == 1 and before - 0.002 <= at[0] <= after, (hex(colour), before, at, after)


def animate(r, client, seconds, rect=(64, 64, 256, 192)):
    x, y, w, h = rect
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        client.put(x, y, w, h, random.randbytes(w * h * 4))
        client.sync()
        r.receive(0)


def assert_paced(recording, interval_ms):
    """A single interval may be shorter, because the X server answers now sooner and now later."""
    times = [t for t, kind, _ in recording.records() if kind == "frame"]
    assert len(times) > 4 and times[-1] - times[0] >= (len(times) - 2) * interval_ms, times


def worst(a, b):
    return max(abs(p - q) for p, q in zip(a[2], b[2]))


def test_medium_is_exact_once_the_screen_is_calm(rig):
    display, recording, r = rig(quality="medium")
    rng = random.Random(6)
    scribble(display.client, rng)
    animate(r, display.client, 3)
    assert_recorded(display, recording, r)


def test_low_is_within_its_bound(rig):
    display, recording, r = rig(quality="low")
    scribble(display.client, random.Random(7))
    animate(r, display.client, 2)
    r.settle()
    want = display.client.picture()
    r.stop()
    got = recording.picture()
    assert got[:2] == want[:2] and 0 < worst(got, want) <= 15
    assert_paced(recording, 200)


def test_a_better_quality_records_the_screen_again(rig):
    display, recording, r = rig(quality="low")
    scribble(display.client, random.Random(8))
    r.settle()
    r.send("quality", "high")
    until_quality = r.wait("figures", lambda f: f["quality"] == "high", 90)
    assert until_quality
    assert_recorded(display, recording, r)


def test_the_frame_rate_is_an_upper_bound(rig):
    display, recording, r = rig(frame_rate=4)
    animate(r, display.client, 3, (0, 0, 32, 32))
    r.stop()
    assert_paced(recording, 250)


def test_the_cursor_is_recorded(rig):
    display, recording, r = rig()
    display.run("xsetroot", "-cursor_name", "left_ptr")
    display.run("xdotool", "mousemove", "123", "45", "mousemove_relative", "7", "5")
    display.client.fill(0xABCDEF, 600, 400, 10, 10)
    display.client.sync()
    r.settle()
    r.stop()
    records = recording.records()
    assert [f["at"] for _, kind, f in records if kind == "cursor_pos"][-1] == (130, 50)
    images = [f for _, kind, f in records if kind == "cursor_image"]
    assert len({f["image"] for f in images}) >= 2 and all(0 < f["size"][0] <= 256 for f in images)


def test_another_resolution_begins_a_chunk(rig):
    display, recording, r = rig("xvnc")
    rng = random.Random(9)
    for size in ((800, 600), (1280, 720), (640, 480)):
        scribble(display.client, rng)
        display.run("xrandr", "-s", f"{size[0]}x{size[1]}")
        r.wait("recording", lambda body, s=size: (body["width"], body["height"]) == s)
        scribble(display.client, rng)
    assert_recorded(display, recording, r)
    assert [(c.width, c.height) for c in recording.read()] == [(640, 480), (800, 600), (1280, 720), (640, 480)]


def test_a_recorder_that_is_cut_off_reconnects_with_a_gap(rig):
    display, recording, r = rig()
    rng = random.Random(10)
    for _ in range(5):
        scribble(display.client, rng)
        r.settle()
        display.client.kill_others()
        assert r.wait("lost")["reason"]
        scribble(display.client, rng)  # not seen
        r.reconnect(display)
        r.wait("recording")
    assert_recorded(display, recording, r)
    gaps = [(t, f["from"], f["reason"]) for t, kind, f in recording.records() if kind == "gap"]
    assert len(gaps) == 5 and all(reason == 1 and begin <= t for t, begin, reason in gaps), gaps


def test_a_display_that_refuses_can_be_given_again(rig):
    display, _, r = rig()
    r.stop()
    recording = Recording()
    again = Recorder(recording)
    try:
        cookie, display.cookie = display.cookie, bytes(16)
        again.start(display)
        assert again.wait("lost")["reason"]
        again.reconnect(display)
        assert again.wait("lost")["reason"]
        display.cookie = cookie
        again.reconnect(display)
        again.wait("recording")
        assert_recorded(display, recording, again)
    finally:
        again.kill()


def test_a_stopped_x_server_delays_only_pictures(rig):
    display, recording, r = rig()
    r.settle()
    display.client.fill(0x777777, 0, 0, 100, 100)
    display.client.sync()
    os.kill(display.x.pid, signal.SIGSTOP)
    try:
        display.client.fill(0x888888, 0, 0, 100, 100)
        for _ in range(2):  # signs of life go on
            r.wait("figures")
    finally:
        os.kill(display.x.pid, signal.SIGCONT)
    scribble(display.client, random.Random(11))
    assert_recorded(display, recording, r)


def test_a_pause_closes_the_chunk_and_is_a_gap(rig):
    display, recording, r = rig()
    r.settle()
    r.send("pause")
    r.wait("chunk")
    size = recording.bytes()
    scribble(display.client, random.Random(12))
    r.wait("figures", lambda f: f["state"] == "paused")
    r.wait("figures")
    assert recording.bytes() == size
    r.send("resume")
    r.wait("recording")
    assert_recorded(display, recording, r)
    assert [f["reason"] for _, kind, f in recording.records() if kind == "gap"] == [2]


def test_a_still_screen_writes_nothing(rig):
    _, recording, r = rig(chunk_seconds=5)
    r.wait("chunk", timeout=30)
    size, frames = recording.bytes(), r.wait("figures")["recording"]["items"]
    assert r.wait("figures")["recording"]["items"] == frames  # a heartbeat
    assert recording.bytes() == size and len(recording.chunks()) == 1


def test_what_was_written_outlives_a_kill(rig):
    display, recording, r = rig()
    rng = random.Random(13)
    for _ in range(4):
        scribble(display.client, rng)
        r.wait("figures")
    end = time.monotonic() + rng.uniform(1.2, 2.5)
    while time.monotonic() < end:
        display.client.fill(rng.randrange(1 << 24), 10, 10, 50, 50)
        display.client.sync()
        r.receive(0)
    killed = time.monotonic()
    r.kill()
    chunks = list(recording.read())
    assert len(chunks) == 1 and not chunks[0].complete
    times = [t for t, kind, _ in chunks[0].records() if kind == "frame"]
    assert killed - (recording.start_us / 1e6 + times[-1] / 1000) < 1 + 1 * proc.PATIENCE, times[-3:]
    # nobody appends to a torn chunk: a recorder that is told to begin there refuses
    size = recording.bytes()
    again = Recorder(recording, display)
    assert again.wait("failed")["reason"] and again.p.wait(20) == 1
    again.kill()
    assert recording.bytes() == size


def verify(recording, master, tmp_path):
    (tmp_path / "master").write_bytes(master)
    done = subprocess.run([BIN, "verify", recording.dir, "--master-key-file", tmp_path / "master", "--json"], capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout


@pytest.mark.parametrize("seed", range(6))
def test_a_recording_verifies_after_a_kill_at_any_moment(rig, tmp_path, seed):
    display, recording, r = rig(chunk_seconds=5)
    master, rng = b"m" * 40, random.Random(seed)
    recording.manifest(master)
    end = time.monotonic() + rng.uniform(0, 8)
    while time.monotonic() < end:
        scribble(display.client, rng, 3)
        r.receive(0)
    r.kill()
    code, found = verify(recording, master, tmp_path)
    assert code == 3, found  # right, but without a seal


def test_a_recorder_without_a_supervisor_closes_its_chunk(rig):
    display, recording, r = rig()
    scribble(display.client, random.Random(14))
    r.settle()
    r.control.close()
    assert r.p.wait(20 * proc.PATIENCE) == 0
    assert all(c.complete for c in recording.read()) and recording.picture() == display.client.picture()


def mount_small(directory, size):
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.mount(b"none", directory.encode(), b"tmpfs", 0, f"size={size},uid={UID},gid={UID},mode=700".encode()) == 0, os.strerror(ctypes.get_errno())


def test_a_full_disk_pauses_until_there_is_room(tmp_path):
    display, recording = Display(), Recording()
    mount_small(recording.dir, 300 << 10)
    ballast = os.path.join(recording.dir, "ballast")
    with open(ballast, "wb") as f:
        f.write(bytes(150 << 10))
    r = Recorder(recording, display)
    try:
        r.wait("recording")
        for _ in range(12):
            display.client.put(0, 0, 100, 100, random.randbytes(40000))
            display.client.sync()
            if any(name == "full" for name, _ in r.seen):
                break
            r.receive(1.2)
        full = next((body for name, body in r.seen if name == "full"), None) or r.wait("full")
        assert full["errno"] == 28
        r.wait("figures", lambda f: f["state"] == "full")  # it is alive
        os.unlink(ballast)
        r.send("resume")
        r.wait("recording")
        assert_recorded_after_full(display, recording, r)
    finally:
        r.kill()
        display.close()
        subprocess.run(["umount", recording.dir], check=True)


def assert_recorded_after_full(display, recording, r):
    r.settle()
    want = display.client.picture()
    r.stop()
    chunks = list(recording.read())
    assert len(chunks) == 2 and recording.picture() == want
    assert [f["reason"] for _, kind, f in chunks[1].records() if kind == "gap"] == [4]


def test_a_bound_on_megabytes_lowers_the_quality(rig):
    display, _, r = rig(max_mb_per_min=5)
    end = time.monotonic() + 60 * proc.PATIENCE
    quality = "high"
    while quality != "low":
        assert time.monotonic() < end, r.seen[-1]
        animate(r, display.client, 0.5, (0, 0, 256, 256))
        quality = [body["quality"] for name, body in r.seen if name == "figures"][-1:] or ["high"]
        quality = quality[0]
    r.stop()


def test_a_recorder_is_unprivileged(rig):
    _, recording, r = rig()
    pid = r.p.pid
    s = proc.status(pid)
    assert s["Uid"].split() == [str(UID)] * 4 and s["Gid"].split() == [str(UID)] * 4 and s["Groups"] == ""
    assert s["NoNewPrivs"] == "1" and s["Seccomp"] == "2" and int(s["CapEff"], 16) == 0 and int(s["CapPrm"], 16) == 0
    assert s["Threads"] == "1"
    stat = proc.read(f"/proc/{pid}/stat").rsplit(")", 1)[1].split()
    assert int(stat[16]) >= 10  # nice; the tests may have a higher one
    limits = proc.read(f"/proc/{pid}/limits")
    assert [line.split()[4:6] for line in limits.splitlines() if line.startswith("Max core")] == [["0", "0"]]
    assert [line.split()[3] for line in limits.splitlines() if line.startswith("Max address space")] == [str(512 << 20)]
    assert proc.cmdline(pid) == "lucid-rdp-recorder" and not proc.read(f"/proc/{pid}/environ")
    # its memory, which has the key, is root's alone: the same account cannot read it
    assert os.stat(f"/proc/{pid}/mem").st_uid == 0
    read = subprocess.run(["cat", f"/proc/{pid}/environ", f"/proc/{pid}/maps"], user=UID, group=UID, extra_groups=[], capture_output=True, check=False)
    assert read.returncode and not read.stdout
    held = [os.readlink(f"/proc/{pid}/fd/{n}") for n in os.listdir(f"/proc/{pid}/fd")]
    files = [f for f in held if f.startswith("/") and f != "/dev/null" and "(deleted)" not in f]
    assert files and all(f.startswith(recording.dir) for f in files), held
    r.stop()


def test_a_recorder_does_not_run_as_root():
    r = Recorder(Recording(), uid=0)
    try:
        assert "root" in r.wait("failed")["reason"] and r.p.wait(20) == 1
    finally:
        r.kill()


@pytest.mark.parametrize("name,value", [("recording_id", "x"), ("key", "AAAA"), ("cookie", "00"), ("codec", "gzip"), ("quality", "best"),
                                        ("frame_rate", 0), ("chunk_seconds", 4), ("start_us", -1), ("level", 99)])
def test_a_bad_start_is_refused(name, value):
    display, recording = Display(), Recording()
    r = Recorder(recording, display, **{name: value})
    try:
        assert name in r.wait("failed")["reason"] and r.p.wait(20) == 1
        assert not recording.chunks()
    finally:
        r.kill()
        display.close()


def test_the_directory_of_another_is_refused():
    display, recording = Display(), Recording()
    os.chown(recording.dir, 0, 0)
    r = Recorder(recording, display)
    try:
        assert "cannot be written" in r.wait("failed")["reason"] and r.p.wait(20) == 1
    finally:
        r.kill()
        display.close()


def test_the_sub_command_executes_the_recorder():
    display, recording = Display(), Recording()
    os.chmod(os.path.dirname(BIN), 0o755)
    r = Recorder(recording, program=BIN, args=["lucid-rdp", "recorder"])
    try:
        r.start(display)
        r.wait("recording")
        assert proc.exe(r.p.pid).endswith("/lucid-rdp-recorder")
        assert_recorded(display, recording, r)
    finally:
        r.kill()
        display.close()


def test_it_wants_a_control_socket():
    done = subprocess.run([os.path.join(os.path.dirname(BIN), "lucid-rdp-recorder")], capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 2 and "supervisor" in done.stderr
    a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    with a, b:
        done = subprocess.run(["sh", "-c", f"exec {os.path.dirname(BIN)}/lucid-rdp-recorder 3<&{b.fileno()}"], pass_fds=(b.fileno(),), capture_output=True,
                              text=True, timeout=20, check=False)
    assert done.returncode == 2
