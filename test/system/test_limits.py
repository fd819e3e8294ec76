"""Limits of desktops over restarts of the program: the count goes on from facts, not from zero."""
import datetime
import re
import time

import pytest

from lucid import SERVERS
from proc import until

BLUE = "#3366cc"
KINDS = ("xorg", "xvnc")
pytestmark = pytest.mark.one_shape("the supervisor's measurements")


def seconds(stamp):
    return datetime.datetime.fromisoformat(stamp.replace("Z", "+00:00")).timestamp()


def begin(d, users, login, kind, **desktop):
    user, = users(1, d)
    user.paint(BLUE)
    server = d.admin.create_server("limited", desktop={"session": kind, **desktop})
    client = login(d, server, user)
    client.wait_colour(BLUE)
    return user, server, client


def restart(d):
    d.kill(d.supervisor)
    d.start()


@pytest.mark.parametrize("kind", KINDS)
def test_disconnected_time_survives_a_restart(daemon, users, login, kind):
    _, server, client = begin(daemon, users, login, kind)

    def row():
        return daemon.admin.desktops(server["server_id"])[0]
    until("a desktop with a client", lambda: row()["status"] == "active" and row()["disconnected_at"] is None)
    restart(daemon)
    until("the same after a restart", lambda: row()["status"] == "active" and row()["disconnected_at"] is None)
    client.close()
    before = seconds(until("the time of the disconnection", lambda: row()["disconnected_at"]))
    assert abs(time.time() - before) < 60
    time.sleep(5)
    restart(daemon)
    assert abs(seconds(row()["disconnected_at"]) - before) < 1
    # a limit that this exceeds already ends the desktop, although no supervisor has seen all of the time
    daemon.admin.call("PATCH", f"{SERVERS}/{server['server_id']}", {"desktop": {"disconnected_timeout": 4}}, expect=200)
    until("the desktop's end", lambda: not daemon.admin.desktops(server["server_id"]), 30)
    found = re.findall(r"no client was connected for (\d+) s", daemon.log())
    assert len(found) == 1 and int(found[0]) >= 5, found


def test_idle_time_survives_a_restart(daemon, users, login):
    _, server, client = begin(daemon, users, login, "xvnc", idle_timeout=25)
    until("idle time", lambda: (daemon.admin.desktops(server["server_id"])[0]["idle_seconds"] or 0) >= 17, 60, 0.5)
    restart(daemon)
    until("the client's end", lambda: not client.connected, 90)
    found = re.findall(r"no input for (\d+) s", daemon.log())
    assert len(found) == 1 and 25 <= int(found[0]) < 25 + 17, found  # from zero, it would be 42 s or more


def test_idle_desktop_can_be_connected_again(daemon, users, login):
    """Its idle time exceeds the limit, but the new client has the whole limit to give input."""
    user, server, client = begin(daemon, users, login, "xvnc", idle_timeout=6)
    until("the client's end", lambda: not client.connected, 60)
    time.sleep(6)
    began = time.time()
    again = login(daemon, server, user)
    again.wait_colour(BLUE)
    until("its end", lambda: not again.connected, 60)
    assert time.time() - began >= 6


def change(d, server, **limits):
    """Changes limits of the running server, which needs no restart."""
    changed = d.admin.call("PATCH", f"{SERVERS}/{server['server_id']}", {"desktop": limits}, expect=200).json()
    assert changed["pending_restart"] is False and changed["status"] == "running"
    until("the agent to have them", lambda: limits.items() <= d.admin.instance(server["server_id"])["desktop_limits"].items())


def test_changed_limits_survive_a_restart(daemon, users, login):
    """The supervisor keeps them in the record of the instance: nobody needs to send them again."""
    _, server, _ = begin(daemon, users, login, "xvnc", idle_timeout=86400)
    change(daemon, server, idle_timeout=7200, disconnected_timeout=600, kill_disconnected=True)
    restart(daemon)
    assert daemon.admin.instance(server["server_id"])["desktop_limits"] == {
        "idle_timeout": 7200, "disconnected_timeout": 600, "kill_disconnected": True}
    time.sleep(2)
    assert daemon.log().count(f"limits of the desktops of server {server['server_id']}") == 1
