"""kill -9 of each process at the worst moment: no desktop is lost, nothing runs twice, and every acknowledged write is kept."""
import random
import signal
import threading
import time

import pytest
import requests

import proc
from lucid import SERVERS, XRDP, Answer
from proc import until

COLOURS = ["#3366cc", "#cc6633", "#33cc66", "#cc33cc", "#66cccc", "#cccc33"]


def again(d):
    """It answers and is ready."""
    until("readiness", d.ready, 30)


STAY = ("Xorg", "xrdp-chansrv", *proc.DAEMONS)


def identity(d, server_id):
    """All processes of a server that must be the same afterwards; the commands of a desktop's script come and go."""
    pids = d.admin.instance(server_id)["pids"]
    people = [p for p in proc.marked(user_ids={a.uid for a in d.accounts}) if proc.exe(p).rsplit("/", 1)[-1] in STAY]
    assert people and all(pids.values())
    return {p: proc.start_time(p) for p in [*pids.values(), *people]}, pids


def daemons_of(server_id):
    """The xrdp and sesman processes of a server, by name, without the children that serve one connection."""
    found = {name: [] for name in proc.DAEMONS}
    for p in proc.marked(server_ids=[server_id]):
        name = proc.exe(p).rsplit("/", 1)[-1]
        if name in found and proc.exe(int(proc.status(p).get("PPid", 0))).rsplit("/", 1)[-1] != name:
            found[name].append(p)
    return found


def painted(user, client, colours):
    """The desktop is painted in a new colour: it lives, and its client sees it."""
    colour = colours.pop(0)
    user.paint(colour)
    client.wait_colour(colour)


@pytest.fixture
def scene(daemon, users, login):
    user, = users(1, daemon)
    colours = list(COLOURS)
    user.paint(colours[-1])
    server = daemon.admin.create_server("stage")
    client = login(daemon, server, user)
    client.wait_colour(colours.pop())
    return daemon, server, user, client, colours


def kill_server(d):
    old = d.server_pid()
    d.kill(old)
    until("a new server", lambda: d.server_pid() not in (None, old))


def kill_supervisor(d):
    server = d.server_pid()
    d.kill(d.supervisor)
    until("the server process to exit", lambda: not proc.alive(server))
    d.spawn()


def kill_both(d):
    server = d.server_pid()
    d.kill(d.supervisor)
    proc.kill_one(server)
    d.spawn()


@pytest.mark.parametrize("strike", [kill_server, pytest.param(kill_supervisor, marks=pytest.mark.shapes), kill_both])
def test_desktops_survive_kills_of_server_and_supervisor(scene, strike):
    d, server, user, client, colours = scene
    sid = server["server_id"]
    before, pids = identity(d, sid)
    desktop, = d.admin.desktops(sid)
    for _ in range(2):
        strike(d)
        again(d)
        painted(user, client, colours)
        until("the instance to be known again", lambda: d.admin.call("GET", f"{XRDP}/instances/{sid}").status_code == 200)
        after, now = identity(d, sid)
        assert now == pids
        assert after == before
        assert all(len(v) == 1 for v in daemons_of(sid).values()), daemons_of(sid)
        same, = d.admin.desktops(sid)
        assert (same["display"], same["username"], same["status"]) == (desktop["display"], user.name, "active")
        assert d.admin.server(sid)["status"] == "running"
    connection = until("the connection", lambda: [c for c in d.admin.connections(sid) if c["display"]])[0]
    assert connection["username"] == user.name and connection["display"] == desktop["display"]
    # the cgroup of the desktop is known again: the desktop can be ended
    assert d.admin.delete(f"{XRDP}/instances/{sid}/desktops/{desktop['display']}")["ended"]["display"] == desktop["display"]
    assert not proc.marked(user_ids={user.uid})


def test_key_generation_ends_with_the_supervisor(daemon):
    def generators():
        return [p for p in proc.marked(daemon.dir) if proc.cmdline(p).startswith("xrdp-keygen")]
    daemon.admin.create_server("takes spare keys")  # others are generated for the next server
    running, = until("a generator", generators, 20, 0.005)
    proc.kill_one(running, signal.SIGSTOP)
    assert proc.alive(running), "it ended before it was stopped"
    daemon.kill(daemon.supervisor)
    until("the end of the generator", lambda: not proc.alive(running))
    daemon.spawn()
    again(daemon)


@pytest.mark.shapes
def test_connections_survive_the_death_of_xrdp(scene, login):
    """xrdp listens again at once; live connections survive."""
    d, server, user, client, colours = scene
    sid = server["server_id"]
    old = d.admin.instance(sid)["pids"]
    proc.kill_one(old["xrdp"])
    new = until("a new xrdp", lambda: (lambda p: p if p["xrdp"] not in (None, old["xrdp"]) else None)(d.admin.instance(sid)["pids"]))
    assert new["sesman"] == old["sesman"]
    painted(user, client, colours)
    until("it to listen", lambda: proc.listening(server["port"]))
    # a client that connects now gets the same desktop
    desktop, = d.admin.desktops(sid)
    user.paint(colours[0])
    login(d, server, user).wait_colour(colours[0])
    same, = d.admin.desktops(sid)
    assert same["display"] == desktop["display"]
    assert until("running", lambda: d.admin.server(sid)["status"] == "running")
    assert d.admin.instance(sid)["restarts"] >= 1 and d.admin.instance(sid)["last_exit"]


def test_desktops_survive_the_death_of_sesman(scene):
    """Its desktops continue as orphans and can be ended; a new sesman serves new logins."""
    d, server, user, client, colours = scene
    sid = server["server_id"]
    old = d.admin.instance(sid)["pids"]
    desktop, = d.admin.desktops(sid)
    proc.kill_one(old["sesman"])
    until("a new sesman", lambda: d.admin.instance(sid)["pids"]["sesman"] not in (None, old["sesman"]))
    painted(user, client, colours)
    orphan = until("an orphan", lambda: [x for x in d.admin.desktops(sid) if x["status"] == "orphaned"])[0]
    assert orphan["display"] == desktop["display"] and orphan["username"] == user.name
    assert until("its count", lambda: d.admin.get(f"{SERVERS}/{sid}/status")["sessions"]["orphaned"] == 1)
    assert d.admin.delete(f"{XRDP}/instances/{sid}/desktops/{orphan['display']}")["ended"]["display"] == orphan["display"]
    assert not proc.marked(user_ids={user.uid}) and not proc.x_leftovers({user.uid})


class Load(threading.Thread):
    """Creates and deletes servers, and records the responses. With `running` the servers are started too."""

    def __init__(self, d, n, running=False):
        super().__init__()
        self.d, self.n, self.halt = d, n, threading.Event()
        self.running, self.keep = running, 3 if running else 6
        self.there, self.gone, self.unsure, self.faults = set(), set(), set(), []
        self.made = 0

    def run(self):
        rng = random.Random(self.n)
        while not self.halt.is_set():
            try:
                self.step(rng)
            except requests.RequestException:
                time.sleep(0.02)
            except Answer as e:
                self.faults.append(str(e))

    def step(self, rng):
        api = self.d.admin
        if len(self.there) < self.keep and rng.random() < 0.7:
            self.made += 1
            r = api.call("POST", SERVERS, {"name": f"load {self.n} {self.made}", "auto_start": self.running}, timeout=10)
            if r.status_code == 201:
                self.there.add(r.json()["server_id"])
            elif r.status_code < 500 and r.status_code != 409:
                raise Answer(f"create: {r.status_code} {r.text}")
        elif self.there:
            sid = rng.choice(sorted(self.there))
            self.there.discard(sid)
            self.unsure.add(sid)
            r = api.call("DELETE", f"{SERVERS}/{sid}", timeout=10)
            if r.status_code == 204 or (r.status_code == 404 and sid in self.unsure):
                self.unsure.discard(sid)
                self.gone.add(sid)
            elif r.status_code < 500:
                raise Answer(f"delete: {r.status_code} {r.text}")


@pytest.mark.shapes
def test_interrupted_start_is_repeated(daemon):
    """The supervisor is killed at every stage of a start: the start is repeated, and does not count as a failure."""
    for n in range(10):
        sid = daemon.admin.create_server(f"cut {n}", wait=False)["server_id"]
        daemon.ids.add(sid)
        time.sleep(0.01 * n)
        (kill_supervisor, kill_both)[n % 2](daemon)
        again(daemon)
        status = until("an end", lambda s=sid: (lambda x: x if x["status"] in ("running", "failed") else None)(daemon.admin.server(s)), 20)
        assert (status["status"], status["status_reason"]) == ("running", None)
        assert all(len(v) == 1 for v in daemons_of(sid).values()), daemons_of(sid)
        daemon.admin.delete(f"{SERVERS}/{sid}?force=true", expect=204)


def test_twenty_kills_under_load(make_daemon, users, login):
    seed = random.randrange(1 << 30)
    print("seed", seed)
    rng = random.Random(seed)
    d = make_daemon(range_size=80, MAX_CONCURRENT_SERVERS="100")
    user, = users(1, d)
    user.paint("#3366cc")
    stage = d.admin.create_server("stage")
    client = login(d, stage, user)
    client.wait_colour("#3366cc")
    before, pids = identity(d, stage["server_id"])
    desktop, = d.admin.desktops(stage["server_id"])
    load = [Load(d, n, running=n == 0) for n in range(4)]
    for worker in load:
        worker.start()
    try:
        for n in range(20):
            time.sleep(rng.uniform(0.05, 0.5))
            strike = rng.choice([kill_server, kill_supervisor, kill_both])
            until("the server's process", d.server_pid)
            strike(d)
            again(d)
    finally:
        for worker in load:
            worker.halt.set()
        for worker in load:
            worker.join(30)
    again(d)
    assert not [f for w in load for f in w.faults]
    there, gone, unsure = (set().union(*(getattr(w, kind) for w in load)) for kind in ("there", "gone", "unsure"))
    print(f"{len(there) + len(gone)} creates and {len(gone)} deletes acknowledged, {len(unsure)} deletes not answered")
    assert len(there | gone) > 20, "the load did nothing"
    stored = {s["server_id"]: s for s in d.admin.list_servers()}
    assert not there - set(stored), "acknowledged creates that are not there"
    assert not gone & set(stored), "acknowledged deletes that came back"

    # ports: one for each server, all different, and every other port can be assigned again
    ports = [s["port"] for s in stored.values()]
    assert len(set(ports)) == len(ports)

    def ports_agree():
        rows = d.admin.get("/api/v1/rdp/ports?limit=100")["ports"]
        return {r["port"]: r["server_id"] for r in rows if r["status"] in ("allocated", "reserved")} == \
            {s["port"]: sid for sid, s in stored.items()}
    until("ports and servers to agree", ports_agree, 30, 0.5)

    # processes: one set for each server that must run, and none for others
    odd = []

    def all_settled():
        stored.clear()
        stored.update((s["server_id"], s) for s in d.admin.list_servers())
        odd[:] = [(sid, s["status"], s["status_reason"]) for sid, s in stored.items()
                  if s["status"] != ("running" if s["auto_start"] else "stopped")
                  and not (sid in unsure and s["status"] == "stopped")]  # a delete that got as far as that
        return not odd
    try:
        until("every server to have its wanted state", all_settled, 30, 0.5)
    except AssertionError as e:
        raise AssertionError(f"{e}; {odd}") from None
    running = {sid for sid, s in stored.items() if s["status"] == "running"}
    assert {i["server_id"] for i in d.admin.get(XRDP + "/instances")["instances"]} == running
    for sid in running:
        assert all(len(v) == 1 for v in daemons_of(sid).values()), daemons_of(sid)
    assert not [c for c in proc.cgroups_with(gone)]
    assert not proc.marked(server_ids=gone)
    # the desktop is the same, with the same processes
    assert d.admin.instance(stage["server_id"])["pids"] == pids
    for pid in pids.values():
        assert proc.start_time(pid) == before[pid]
    user.paint("#cc6633")
    client.wait_colour("#cc6633")
    same, = d.admin.desktops(stage["server_id"])
    assert same["display"] == desktop["display"]
    for sid in stored:
        if sid != stage["server_id"]:
            d.admin.delete(f"{SERVERS}/{sid}?force=true", expect=204)
    assert set(s["server_id"] for s in d.admin.list_servers()) == {stage["server_id"]}


def test_sigterm_leaves_desktops(scene):
    """An orderly stop ends no desktop either, and the next start adopts them."""
    d, server, user, client, colours = scene
    sid = server["server_id"]
    _, pids = identity(d, sid)
    d.stop(expect=0)
    painted(user, client, colours)
    d.start()
    assert d.admin.instance(sid)["pids"] == pids
    painted(user, client, colours)
    assert [x["username"] for x in d.admin.desktops(sid)] == [user.name]


def test_stop_servers_on_exit(scene):
    d, server, user, client, _ = scene
    d.stop(expect=0)
    d.args = ["--stop-servers"]
    d.start()
    assert d.admin.desktops(server["server_id"])
    d.stop(expect=0)
    assert not proc.marked(user_ids={user.uid}) and not proc.marked(server_ids=[server["server_id"]])
    assert not proc.cgroups_with([server["server_id"]])
    d.args = []
    d.start()
