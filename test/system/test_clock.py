"""The wall clock is set while sessions with limits run: forward by an hour, then back by a day. Only the program under test sees that clock."""
import glob
import os
import re
import time

import pytest

from lucid import SERVERS, SESSIONS, Api, token_for
from proc import until
from test_limits import seconds

pytestmark = pytest.mark.one_shape("the clock of its processes")

LIST = "/api/v1/sessions"
BLUE = "#3366cc"
LIMIT = 100
ANNOUNCED = 60  # seconds before an end
LATE = 30  # seconds: each end is announced first, and the machine may be busy
HOUR, DAY = 3600, 86400


class Clock:
    """The wall clock of a daemon, as an offset to the machine's. libfaketime reads the file at each call; the monotonic clocks are real."""

    def __init__(self, d):
        found = glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")
        assert found, "libfaketime is missing; run deploy/scripts/install-packages test"
        self.path = os.path.join(d.dir, "clock")
        d.settings.update({"LD_PRELOAD": found[0], "FAKETIME_TIMESTAMP_FILE": self.path, "FAKETIME_NO_CACHE": "1",
                           "FAKETIME_DONT_FAKE_MONOTONIC": "1", "NO_FAKE_STAT": "1"})
        self.set(0)

    def set(self, offset):
        with open(self.path + ".new", "w", encoding="ascii") as f:
            f.write(f"{offset:+d}\n")
        os.replace(self.path + ".new", self.path)
        self.offset = offset


def lasting(name, *roles):
    """A token that is valid whatever the clock of the daemon says."""
    return token_for(name, *roles, ttl=3 * DAY, iat=int(time.time()) - 3 * DAY)


@pytest.fixture
def clocked(make_daemon):
    """A daemon and its clock."""
    d = make_daemon(start=False, SESSION_TIMEOUT=str(LIMIT), HEALTH_CHECK_INTERVAL="1")
    clock = Clock(d)
    d.api = lambda token="admin", role=SESSIONS: Api(d.url(role), token and lasting(token, *(["admin"] if token == "admin" else [])))
    d.start()
    yield d, clock
    clock.set(0)


class Watched:
    """One session, and what became of it by the clock of the test."""

    def __init__(self, d, session):
        self.d, self.path, self.began, self.over = d, f"{LIST}/{session['session_id']}", time.monotonic(), None

    def now(self):
        return self.d.api().get(self.path)

    def ends(self, status, reason, at_least):
        """Waits for its end, not before the limit."""
        session = until(f"the end of {self.path} as {status}", lambda: (lambda s: s if s["status"] == status else None)(self.now()), 4 * LIMIT)
        assert session["status_reason"] == reason, session
        assert time.monotonic() - self.began >= at_least
        return session


def declare(d, server, user="admin", **more):
    return d.api(user).post(LIST, {"server_id": server["server_id"], **more}, expect=201)


def test_limits_are_kept_while_the_clock_is_set(clocked, users, login):
    d, clock = clocked
    oldest, idle, gone, kept = users(4, d)
    server = d.admin.create_server("clocked", desktop={"profile": "paint"})
    began = time.monotonic()
    long = Watched(d, declare(d, server, user_id=oldest.name, limits={"max_duration": LIMIT}))
    still = Watched(d, declare(d, server, user_id=idle.name, limits={"idle_timeout": LIMIT}))
    clients = {}
    for user in (oldest, idle, gone, kept):
        user.paint(BLUE)
        clients[user.name] = login(d, server, user)
    for client in clients.values():
        client.wait_colour(BLUE)
    sessions = {s["user_id"]: s for s in until("four sessions", lambda: (lambda all: all if len(all) == 4 else None)(
        d.api().get(LIST + "?status=active")["sessions"]))}
    left, stays = Watched(d, sessions[gone.name]), Watched(d, sessions[kept.name])
    unused = Watched(d, declare(d, server, user_id=kept.name, name="never used"))
    clients[gone.name].close()
    until("a session without a client", lambda: left.now()["status"] == "disconnected")
    left.began = time.monotonic()
    live = {w.path: w.now()["status"] for w in (long, still, left, stays, unused)}
    assert sorted(live.values()) == ["active", "active", "active", "created", "disconnected"]

    for offset in (HOUR, -DAY):
        clock.set(offset)
        stamp = seconds(declare(d, server, user_id=oldest.name, name=f"after {offset}")["created_at"])
        assert abs(stamp - time.time() - offset) < 60, "the program does not see the clock"
        until("several comparisons", lambda: time.sleep(4) is None)
        assert {w.path: w.now()["status"] for w in (long, still, left, stays, unused)} == live
        assert "expires in" not in d.log() or time.monotonic() - began >= LIMIT - ANNOUNCED
    assert len(d.admin.desktops(server["server_id"])) == 4
    d.kill(d.server_pid())  # the next one reads everything from the store
    until("the program again", d.ready, 20)

    assert left.ends("expired", "disconnected_timeout", LIMIT - 1)
    assert unused.ends("expired", "never_used", LIMIT - 1)
    assert long.ends("expired", "max_duration", LIMIT - 1)
    assert still.ends("expired", "idle_timeout", LIMIT - 1)
    for words in ("it has lasted", "no client was connected", "no input"):
        found = [int(n) for n in re.findall(rf"{words} for (\d+) s", d.log())]
        assert len(found) == 1 and LIMIT <= found[0] < LIMIT + LATE, (words, found)

    # what is left is listed as it is
    after = d.api().get(LIST + "?limit=100")["sessions"]
    assert [s["session_id"] for s in after if s["status"] == "active"] == [sessions[kept.name]["session_id"]]
    assert len(after) == 7 and not [s for s in after if s["status"] in ("disconnected", "orphaned")]
    desktop, = d.admin.desktops(server["server_id"])
    assert desktop["username"] == kept.name and desktop["status"] == "active" and desktop["disconnected_at"] is None
    passed = (time.monotonic() - stays.began) * 1000
    statistics = d.api().get(stays.path + "/statistics")
    assert passed / 2 < statistics["connected_ms"] < passed + 20000, (statistics, passed)
    assert d.admin.get(f"{SERVERS}/{server['server_id']}")["status"] == "running"
    # the order of a timeline is that in which things happened
    for w, last in ((left, "expired"), (long, "expired")):
        events = [e["event"] for e in d.api().get(w.path + "/timeline")["events"]]
        assert events[-1] == last and events[0] in ("created", "found") and "started" in events[:3], events
    assert clients[kept.name].connected
    kept.paint("#cc3333")
    clients[kept.name].wait_colour("#cc3333")
