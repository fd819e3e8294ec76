"""Many logins and drops: real xfreerdp clients of several accounts on several servers, some of which are killed in the middle of the login, and
what must be left of them."""
import os
import random
import subprocess
import tempfile
import threading
import time

import figures
import proc
from lucid import SERVERS, SESSIONS, XRDP
from proc import until

LIST = "/api/v1/sessions"
PEOPLE, PLACES = 4, 2


class Screen:
    """An X server without a screen that anybody looks at, for one client after the other."""

    def __init__(self):
        self.x = subprocess.Popen(["Xvfb", "-noreset", "-displayfd", "1", "-screen", "0", "400x300x24", "-nolisten", "tcp"], stdout=subprocess.PIPE,
                                  stderr=subprocess.DEVNULL, start_new_session=True)
        self.display = ":" + self.x.stdout.readline().decode().strip()
        assert self.display != ":", "Xvfb did not start"
        self.home = tempfile.TemporaryDirectory(prefix="lrdp-client-")

    def client(self, port, account):
        env = {"PATH": os.environ["PATH"], "HOME": self.home.name, "DISPLAY": self.display, "LANG": "C.UTF-8"}
        return subprocess.Popen(["xfreerdp", f"/v:127.0.0.1:{port}", f"/u:{account.name}", f"/p:{account.password}", "/cert:ignore", "/bpp:24", "/size:400x300",
                                 "/log-level:OFF"], env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)

    def close(self):
        self.x.kill()
        self.x.wait()
        self.x.stdout.close()
        self.home.cleanup()


class Logins(threading.Thread):
    """The logins of one account, on the servers in turn. Every second client is killed after a random time, which mostly falls into the login; the
    others are killed when their session is active."""

    def __init__(self, d, servers, account, n, seed):
        super().__init__()
        self.d, self.servers, self.account, self.n = d, servers, account, n
        self.rng = random.Random(seed)
        self.active, self.early, self.faults = 0, 0, []

    def run(self):
        screen = Screen()
        try:
            for i in range(self.n):
                self.one(screen, self.servers[i // 2 % len(self.servers)], i % 2)
        except Exception as e:  # reported by the thread that waits
            self.faults.append(f"{self.account.name}: {type(e).__name__}: {e}")
        finally:
            screen.close()

    def one(self, screen, server, early):
        client = screen.client(server["port"], self.account)
        try:
            if early:
                time.sleep(self.rng.uniform(0.05, 1.2))
                self.early += 1
            else:
                query = f"?status=active&server_id={server['server_id']}&user_id={self.account.name}"
                until(f"{self.account.name} to be active", lambda: self.d.api("admin", SESSIONS).get(LIST + query)["sessions"], 60, 0.1)
                self.active += 1
        finally:
            client.kill()
            client.wait()


def live(d):
    """Sessions that are listed as not ended, each page of them."""
    found, page = [], 1
    while True:
        answer = d.api("admin", SESSIONS).get(f"{LIST}?limit=100&page={page}")
        found += [s for s in answer["sessions"] if not s["stopped_at"]]
        if not answer["pagination"]["has_next"]:
            return found
        page += 1


def desktops(d, servers):
    return sorted((s["server_id"], x["username"], x["display"]) for s in servers for x in d.admin.desktops(s["server_id"]))


def zombies(*parents):
    return [proc.describe(p) for parent in parents for p in proc.children(parent) if proc.status(p).get("State", "").startswith("Z")]


def held(d):
    """Descriptors of the agent's supervisor and of its server process."""
    return [figures.descriptors(d.supervisor), figures.descriptors(d.server_pid())]


def connections(d, servers):
    return [c for s in servers for c in d.admin.get(f"{XRDP}/instances/{s['server_id']}/connections")["connections"]]


def end_all(d, servers):
    """Ends all sessions, and waits until nothing of them is left."""
    d.api("admin", SESSIONS).call("POST", f"{LIST}/terminate", {}, expect=200)
    until("all sessions to end", lambda: not live(d) and not desktops(d, servers))


def run(d, accounts, n, patience_s=120):
    """Performs n logins, checks what is left of them, and returns (seconds, number that became active, number dropped early)."""
    servers = [d.admin.create_server(f"logins {i}", desktop={"max_sessions": 50}) for i in range(PLACES)]
    d.ids.update(s["server_id"] for s in servers)
    first = Logins(d, servers, accounts[0], 4, 0)  # opens what the program opens once
    first.start()
    first.join()
    assert not first.faults, first.faults
    end_all(d, servers)
    before = held(d)
    seed = random.randrange(1 << 30)
    print("seed", seed)
    began = time.monotonic()
    work = [Logins(d, servers, a, n // len(accounts), seed + i) for i, a in enumerate(accounts)]
    for w in work:
        w.start()
    for w in work:
        w.join()
    took = time.monotonic() - began
    assert not [f for w in work for f in w.faults], [f for w in work for f in w.faults]

    # every login in progress has ended, and exactly the sessions with a desktop are listed as live, none of them as connected
    until("no connection to be left", lambda: not connections(d, servers), patience_s)

    def settled():
        listed = live(d)
        return sorted((s["server_id"], s["username"], s["display"]) for s in listed) == desktops(d, servers) and \
            {s["status"] for s in listed} <= {"disconnected"}
    until("exactly the living desktops to be listed", settled, patience_s)
    summary = d.api("admin", SESSIONS).get(LIST + "/summary")
    assert summary["live"] == len(live(d)) <= len(accounts) * PLACES, summary

    end_all(d, servers)
    assert d.api("admin", SESSIONS).get(LIST + "/summary")["live"] == 0
    uids = {a.uid for a in accounts}
    until("the processes of the accounts to end", lambda: not proc.marked(user_ids=uids), patience_s)
    until("the descriptors to be closed", lambda: all(now <= then + 1 for now, then in zip(held(d), before)), patience_s)
    daemons = [p for s in servers for p in d.admin.instance(s["server_id"])["pids"].values() if p]
    until("no zombies", lambda: not zombies(d.supervisor, d.server_pid(), *daemons), patience_s)
    for s in servers:
        assert d.admin.get(f"{SERVERS}/{s['server_id']}/status")["status"] == "running"
    return took, sum(w.active for w in work), sum(w.early for w in work)
