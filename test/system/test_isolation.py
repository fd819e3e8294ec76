"""Isolation: no user sees another's desktop, and the load of one server does not affect its neighbours."""
import colorsys
import os
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

import proc
from lucid import XRDP
from proc import until

SIXTEEN = ["#%02x%02x%02x" % tuple(int(255 * c) for c in colorsys.hsv_to_rgb(i / 8, 1.0, 0.95 if i % 2 else 0.5)) for i in range(8)]
SIXTEEN += ["#%02x%02x%02x" % tuple(int(255 * c) for c in colorsys.hsv_to_rgb(i / 8, 0.45, 0.5 if i % 2 else 0.95)) for i in range(8)]


def live_pid(path, name):
    text = (proc.read(path) or "").strip()
    return int(text) if text.isdigit() and proc.exe(int(text)).endswith("/" + name) else None


@pytest.fixture
def host_xrdp(tmp_path):
    """The host's own xrdp and sesman on their usual ports, started if they do not run."""
    started = []
    os.makedirs("/run/xrdp/sockdir", exist_ok=True)
    for name, port in (("xrdp-sesman", 3350), ("xrdp", 3389)):
        if not live_pid(f"/run/xrdp/{name}.pid", name) and not proc.listening(port):
            with open(tmp_path / name, "wb") as log:
                p = subprocess.Popen([f"/usr/sbin/{name}", "-n"], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            started.append(p)
            until(f"the host's {name}", lambda port=port, p=p: proc.listening(port) or p.poll() is not None)
            assert p.poll() is None, f"the host's {name} does not start: {proc.read(tmp_path / name)}"
    yield started
    alive = [p.poll() is None for p in started]
    for p in reversed(started):
        p.terminate()
        p.wait(10)
    assert all(alive), "the host's xrdp died beside ours"


def test_colours_can_be_told_apart():
    rgb = [tuple(int(c[i:i + 2], 16) for i in (1, 3, 5)) for c in SIXTEEN]
    for i, a in enumerate(rgb):
        for b in rgb[:i]:
            assert max(abs(x - y) for x, y in zip(a, b)) > 40, (a, b)


def test_sixteen_at_once(make_daemon, users, login, host_xrdp):
    daemon = make_daemon()
    people = users(16, daemon)
    admin = daemon.admin
    servers = [admin.create_server(f"floor {n}", desktop={"max_sessions": 8}) for n in range(4)]
    for person, colour in zip(people, SIXTEEN):
        person.paint(colour)
    where = {p.name: servers[i % 4] for i, p in enumerate(people)}
    with ThreadPoolExecutor(16) as together:
        clients = list(together.map(lambda p: login(daemon, where[p.name], p), people))
    for client, colour in zip(clients, SIXTEEN):
        client.wait_colour(colour, timeout=120)

    # each has one desktop, of its own account, on its own server, with a unique display number
    displays = {}
    for n, server in enumerate(servers):
        desktops = admin.desktops(server["server_id"])
        assert sorted(d["username"] for d in desktops) == sorted(p.name for i, p in enumerate(people) if i % 4 == n)
        for d in desktops:
            assert d["display"] not in displays
            displays[d["display"]] = d["username"]
        connected = until("all connections with user and display", lambda s=server: [
            c for c in admin.connections(s["server_id"]) if c["username"] and c["display"]] if len(
                [c for c in admin.connections(s["server_id"]) if c["username"] and c["display"]]) == 4 else None)
        assert all(displays[c["display"]] == c["username"] for c in connected)
    # the display ranges of two servers do not overlap
    assert len(displays) == 16
    # and in reverse: a change of colour affects only the own desktop
    people[5].paint("#ffffff")
    clients[5].wait_colour("#ffffff")
    for i, (client, colour) in enumerate(zip(clients, SIXTEEN)):
        if i != 5:
            client.wait_colour(colour, timeout=5)
    stats = admin.get(XRDP + "/stats")
    assert len(stats["instances"]) == 4 and all(p.poll() is None for p in host_xrdp)


HOG = """
# cpu: two busy loops; memory: a process that wants 600 MiB; tasks: forks until it is refused
( while :; do :; done ) & echo $! >"$HOME/.job.cpu1"
( while :; do :; done ) & echo $! >"$HOME/.job.cpu2"
python3 -c '
import os, sys, time
got = 0
try:
    while got < 200:
        if os.fork() == 0:
            time.sleep(60); os._exit(0)
        got += 1
except OSError:
    pass
open(os.environ["HOME"] + "/.job.forks", "w").write(str(got))
'
python3 -c '
import os
b = []
for i in range(600):
    b.append(bytearray(os.urandom(1 << 20)))
    open(os.environ["HOME"] + "/.job.mib", "w").write(str(i + 1))
open(os.environ["HOME"] + "/.job.fat", "w").write("yes")
'
echo $? >"$HOME/.job.memory"
"""


def text_of(user, name):
    return (proc.read(os.path.join(user.home, name)) or "").strip()


def test_limits_hold_a_server(daemon, users, login):
    hog, neighbour = users(2, daemon)
    hog.paint("#aa2222")
    neighbour.paint("#2222aa")
    admin = daemon.admin
    limits = {"cpu_percent": 50, "memory_mb": 300, "tasks": 90}
    held = admin.create_server("held", limits=limits)
    free = admin.create_server("free")
    enforced = admin.instance(held["server_id"])["limits_enforced"]
    assert enforced == {"cpu_percent": True, "memory_mb": True, "tasks": True}, enforced
    assert not any(admin.instance(free["server_id"])["limits_enforced"].values())
    login(daemon, held, hog).wait_colour("#aa2222")
    beside = login(daemon, free, neighbour)
    beside.wait_colour("#2222aa")
    mains = {s["server_id"]: admin.instance(s["server_id"])["pids"] for s in (held, free)}

    hog.job(HOG)
    busy = [int(until("the busy loops", lambda n=n: text_of(hog, f".job.cpu{n}"))) for n in (1, 2)]
    forks = int(until("the forks to be refused", lambda: text_of(hog, ".job.forks"), 30))
    assert 10 < forks < limits["tasks"], forks
    # processor use of all processes of the server, over a while: half a core and not more, whatever else runs here
    ours = proc.marked(server_ids=[held["server_id"]])
    before, t0 = sum(map(proc.cpu_ticks, ours)), time.monotonic()
    time.sleep(4)
    used = (sum(map(proc.cpu_ticks, ours)) - before) / os.sysconf("SC_CLK_TCK") / (time.monotonic() - t0)
    assert used < 0.70, f"{used:.2f} of a core"
    assert all(proc.alive(p) for p in busy)

    # the process that needs 600 MiB of 300 never gets them
    def memory_spent():
        return text_of(hog, ".job.memory") or not proc.marked(user_ids={hog.uid})
    until("the end of the process that exceeds its memory limit", memory_spent, 60)
    assert not text_of(hog, ".job.fat") and int(text_of(hog, ".job.mib") or 0) < 300

    print(f"held to {used:.2f} of a core, {forks} forks, {text_of(hog, '.job.mib')} MiB")
    # the neighbour is not affected
    neighbour.paint("#22aa22")
    beside.wait_colour("#22aa22")
    assert admin.instance(free["server_id"])["pids"] == mains[free["server_id"]]
    assert admin.server(free["server_id"])["status"] == "running"
    assert [d["username"] for d in admin.desktops(free["server_id"])] == [neighbour.name]
