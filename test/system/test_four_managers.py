"""Four server-managers on one store while they are killed and the store freezes and dies: every acknowledged write is kept, whichever manager
is asked; no port or name is assigned twice, nothing runs twice, and all is well soon after the last fault."""
import random
import re
import threading
import time
import uuid

import pytest
import requests

from faults import HEALED_S, nobody_knows
from lucid import SERVERS, XRDP
from proc import until
from test_crash import daemons_of
from test_managers import AGENT, apart, beside, mongo, starts  # noqa: F401  (fixtures)

pytestmark = pytest.mark.one_shape("processes that it makes itself")

PATIENCE_S = 40  # timeout of a client, longer than any deadline
AGAIN = (409, 429, 503, 504)


class Client(threading.Thread):
    """Creates and deletes, each time through another manager, and asks others until the outcome is known."""

    def __init__(self, managers, n, seed, running):
        super().__init__()
        self.managers, self.n, self.running, self.keep = managers, n, running, 2 if running else 5
        self.rng = random.Random(f"{seed} {n}")
        self.halt = threading.Event()
        self.there, self.gone, self.shared, self.unsure, self.wrong = {}, {}, {}, set(), []
        self.slowest = 0.0

    def run(self):
        n = 0
        while not self.halt.is_set():
            n += 1
            try:
                self.step(n)
            except Exception as e:  # every exception is reported at the end
                self.wrong.append(repr(e))
                return

    def step(self, n):
        if n in range(7, 77, 7):  # a name that all of them try to use at about this time
            name = f"shared {n}"
            sid = self.create(name, run=False)
            if sid:
                self.shared[name] = sid
        elif len(self.there) < self.keep and self.rng.random() < 0.7:
            name = f"c{self.n} {n}"
            sid = self.create(name, self.running)
            if sid:
                self.there[sid] = name
        elif self.there:
            sid = self.rng.choice(sorted(self.there))
            self.delete(sid, self.there.pop(sid))

    def ask(self, *args, **more):
        """The response of one of the managers, or None when the connection was lost."""
        began = time.monotonic()
        try:
            return self.rng.choice(self.managers).admin.call(*args, timeout=PATIENCE_S, **more)
        except requests.ConnectionError:
            time.sleep(0.02)
            return None
        finally:
            self.slowest = max(self.slowest, time.monotonic() - began)

    def create(self, name, run):
        key = str(uuid.uuid4())
        while True:
            r = self.ask("POST", SERVERS, {"name": name, "auto_start": run}, headers={"Idempotency-Key": key})
            if r is not None and r.status_code == 201:
                return r.json()["server_id"]
            if r is not None and (nobody_knows(r) or (r.status_code == 409 and "already has a server with this name" in r.text)):
                self.unsure.add(name)
                return None
            if r is not None and r.status_code not in AGAIN:
                raise AssertionError(f"create {name}: {r.status_code} {r.text[:300]}")
            time.sleep(0.05)

    def delete(self, sid, name):
        tries = 0
        while True:
            tries += 1
            r = self.ask("DELETE", f"{SERVERS}/{sid}?force=true")
            if r is not None and (r.status_code == 204 or (r.status_code == 404 and tries > 1)):
                self.gone[sid] = name
                return
            if r is not None and r.status_code not in AGAIN:
                raise AssertionError(f"delete {sid}, {tries}. try: {r.status_code} {r.text[:300]}")
            time.sleep(0.05)


def kill_one(rng, managers, mongo):  # noqa: F811
    d = rng.choice(managers)
    d.kill(d.process.pid)
    d.spawn()


def leave_one_dead(rng, managers, mongo):  # noqa: F811
    """Long enough for the others to finish what it had begun."""
    d = rng.choice(managers)
    d.kill(d.process.pid)
    time.sleep(6)
    d.spawn()


def freeze_the_store(rng, managers, mongo):  # noqa: F811
    mongo.freeze()
    time.sleep(3)
    mongo.thaw()


def restart_the_store(rng, managers, mongo):  # noqa: F811
    mongo.restart()


def settled(managers, agent, seen):
    """Every manager reports the same about every server, none is in a transitional state, and those that must run do."""
    lists = [{s["server_id"]: s for s in d.admin.list_servers()} for d in managers]
    seen[:] = [[(s["name"], s["status"], s["status_reason"]) for s in of.values()] for of in lists]
    running = {sid for sid, s in lists[0].items() if s["auto_start"]}
    instances = agent.api("admin", AGENT).get(XRDP + "/instances")["instances"]
    return all(of == lists[0] for of in lists) and all(s["status"] == ("running" if s["auto_start"] else "stopped") for s in lists[0].values()) \
        and {i["server_id"] for i in instances if i["status"] == "running"} == running == {i["server_id"] for i in instances} and lists[0]


def ports(d):
    return {p["port"]: p["server_id"] for p in d.admin.get("/api/v1/rdp/ports?status=allocated&limit=100")["ports"]}


def test_managers_and_store_die(beside, mongo):  # noqa: F811
    seed = random.randrange(1 << 30)
    print("seed", seed)
    rng = random.Random(seed)
    *managers, agent = beside(ports=150, managers=4, STORE_TIMEOUT_MS="5000")
    clients = [Client(managers, n, seed, running=n < 2) for n in range(6)]
    faults = [kill_one] * 7 + [leave_one_dead, freeze_the_store, restart_the_store]
    rng.shuffle(faults)
    for c in clients:
        c.start()
    try:
        for harm in faults:
            time.sleep(rng.uniform(0.2, 1.5))
            harm(rng, managers, mongo)
        over = time.monotonic()
    finally:
        for c in clients:
            c.halt.set()
    until("the last requests to be answered", lambda: not any(c.is_alive() for c in clients), HEALED_S)
    assert not [w for c in clients for w in c.wrong]
    there, gone = ({sid: name for c in clients for sid, name in getattr(c, kind).items()} for kind in ("there", "gone"))
    agent.ids.update(there, gone)
    seen = []
    try:
        stored = until("all managers to be ready and to agree", lambda: all(d.ready() for d in managers) and settled(managers, agent, seen), HEALED_S, 0.2)
    except AssertionError as e:
        raise AssertionError(f"{e}; {seen}") from None
    print(f"well {time.monotonic() - over:.1f} s after the last of {len(faults)} faults; {len(there) + len(gone)} creates and {len(gone)} deletes "
          f"told, {sum(len(c.unsure) for c in clients)} refused or not known; the slowest request took {max(c.slowest for c in clients):.1f} s")
    agent.ids.update(stored)
    assert len(there) + len(gone) > 20, "the load did nothing"

    # every acknowledged write is there
    assert {sid: stored[sid]["name"] for sid in there if sid in stored} == there, "acknowledged creates that are not there"
    assert not set(gone) & set(stored), "acknowledged deletes that came back"
    shared = [item for c in clients for item in c.shared.items()]
    assert len({name for name, _ in shared}) == len(shared), "one name for two"
    assert all(stored[sid]["name"] == name for name, sid in shared)
    # nothing is assigned twice
    for what in ("name", "port"):
        assert len({s[what] for s in stored.values()}) == len(stored), what
    held, odd = {(s["port"], sid) for sid, s in stored.items()}, []

    def known():
        odd[:] = [set(ports(d).items()) ^ held for d in managers]
        return not any(odd)
    try:
        until("every manager to know who has which port", known, HEALED_S)
    except AssertionError as e:
        raise AssertionError(f"{e}; {odd}") from None
    # nothing was done twice
    asked = set(re.findall(r'"action":"xrdp.instances.start","object":"([0-9a-f-]{36})","outcome":"ok"', agent.log()))
    assert starts(agent) <= len(asked), (starts(agent), len(asked))
    for sid, s in stored.items():
        assert [len(v) for v in daemons_of(sid).values()] == ([1, 1] if s["auto_start"] else [0, 0]), sid
    assert all(i["restarts"] == 0 for i in agent.api("admin", AGENT).get(XRDP + "/instances")["instances"])
