"""Limits of sessions: announced in events and on the desktop, applied by the supervisor, over restarts, and told as the reason of the end."""
import os
import re
import subprocess
import time

import pytest

from events import Events
from lucid import AGENT, SERVERS, SESSIONS, XRDP
from proc import until
from test_sessions_life import ended, session_of

LIST = "/api/v1/sessions"
BLUE, PAPER = "#3366cc", "#fcfcfc"
KINDS = ("xorg", "xvnc")
PATIENCE = 3


class Limited:
    """A declared session with limits, in use."""

    def __init__(self, d, users, login, kind, limits=None, **desktop):
        self.d = d
        self.user, = users(1, d)
        self.user.paint(BLUE)
        self.server = d.admin.create_server("limited", desktop={"session": kind, "profile": "paint", **desktop})
        self.sid = self.server["server_id"]
        declared = d.api("admin", SESSIONS).post(LIST, {"server_id": self.sid, "user_id": self.user.name, "limits": limits}, expect=201)
        self.path = f"{LIST}/{declared['session_id']}"
        self.client = login(d, self.server, self.user, size=(800, 600))
        self.client.wait_colour(BLUE)
        self.session = session_of(d, self.server, "active")
        assert self.session["session_id"] == declared["session_id"]

    def desktop(self):
        return self.d.api("admin", AGENT).get(f"{XRDP}/instances/{self.sid}/desktops")["desktops"][0]

    def wait_limits(self, *expected):
        until("the limits of the desktop", lambda: tuple(self.desktop()["limits"][x] for x in ("idle_timeout", "max_duration", "disconnected_timeout")) == expected)

    def wait_message(self):
        until("a message in the client's picture", lambda: self.client.picture().share(PAPER, 4) > 0.05, 20 * PATIENCE, 0.2)
        if os.environ.get("PICTURE"):
            self.client.save(f"{os.environ['PICTURE']}-{time.time():.0f}.png")

    def move_mouse(self, x):
        subprocess.run(["xdotool", "mousemove", str(x), "450"], env={**os.environ, "DISPLAY": self.client.display}, check=True, timeout=20)

    def expired(self, reason):
        over = ended(self.d, self.session, "expired")
        assert over["status_reason"] == reason and over["stopped_at"] and over["ended_by"] is None
        assert not self.d.api("admin", AGENT).get(f"{XRDP}/instances/{self.sid}/desktops")["desktops"]


def announced(events, session, limit, action, at_most):
    event = events.next()
    assert event["topic"] == "session.expiring" and event["session_id"] == session["session_id"] and event["user_id"] == session["user_id"]
    data = event["data"]
    assert (data["limit"], data["action"], data["server_id"]) == (limit, action, session["server_id"])
    assert 0 < data["seconds"] <= at_most
    return data


@pytest.mark.shapes
@pytest.mark.parametrize("kind", KINDS)
def test_longest_duration_ends_the_session(daemon, users, login, kind):
    with Events(daemon, "session.expiring") as events:
        s = Limited(daemon, users, login, kind, {"max_duration": 40})
        s.wait_limits(0, 40, 3600)
        announced(events, s.session, "max_duration", "end", 20)
        s.wait_message()
        assert s.desktop()["status"] == "active"
        until("the client's end", lambda: not s.client.connected, 60 * PATIENCE)
        s.expired("max_duration")


@pytest.mark.parametrize("kind", KINDS)
def test_session_without_input_ends_unless_there_is_some_after_the_announcement(daemon, users, login, kind):
    with Events(daemon, "session.expiring") as events:
        s = Limited(daemon, users, login, kind, {"idle_timeout": 30})
        announced(events, s.session, "idle", "end", 15)
        s.wait_message()
        s.move_mouse(300)
        began = time.time()
        announced(events, s.session, "idle", "end", 15)  # of the next approach
        assert time.time() - began >= 12 and s.client.connected
        until("the client's end", lambda: not s.client.connected, 60 * PATIENCE)
        assert time.time() - began >= 27
        s.expired("idle_timeout")


@pytest.mark.shapes
@pytest.mark.parametrize("kind", KINDS)
def test_session_without_a_client_ends(make_daemon, users, login, kind):
    d = make_daemon(SESSION_TIMEOUT="20")
    with Events(d, "session.expiring") as events:
        s = Limited(d, users, login, kind)
        s.wait_limits(0, 0, 20)
        s.client.close()
        announced(events, s.session, "disconnected", "end", 10)
        s.expired("disconnected_timeout")


@pytest.mark.parametrize("kind", KINDS)
def test_idle_limit_of_the_server_disconnects_after_an_announcement(daemon, users, login, kind):
    with Events(daemon, "session.expiring") as events:
        s = Limited(daemon, users, login, kind, {"idle_timeout": 3600}, idle_timeout=30)
        announced(events, s.session, "idle", "disconnect", 15)
        s.wait_message()
        until("the client's end", lambda: not s.client.connected, 60 * PATIENCE)
        left = session_of(daemon, s.server, "disconnected")
        assert left["session_id"] == s.session["session_id"]


@pytest.mark.shapes
def test_changed_limits_apply_to_the_running_session(daemon, users, login):
    s = Limited(daemon, users, login, "xorg", {"max_duration": 86400})
    s.wait_limits(0, 86400, 3600)
    owner = daemon.api(s.user.name, SESSIONS)
    owner.call("PATCH", s.path, {"limits": {"max_duration": None, "idle_timeout": 900}}, expect=200)
    s.wait_limits(900, 0, 3600)
    with Events(daemon, "session.expiring") as events:
        owner.call("PATCH", s.path, {"limits": {"max_duration": 2}}, expect=200)
        announced(events, s.session, "max_duration", "end", 1)
    s.expired("max_duration")


def change_server(d, server, **limits):
    changed = d.admin.call("PATCH", f"{SERVERS}/{server['server_id']}", {"desktop": limits}, expect=200).json()
    assert changed["pending_restart"] is False
    assert {name: changed["desktop"][name] for name in limits} == limits


@pytest.mark.shapes
@pytest.mark.parametrize("kind", KINDS)
def test_changed_limits_of_the_server_apply_to_its_running_desktops(daemon, users, login, kind):
    s = Limited(daemon, users, login, kind, idle_timeout=86400)
    agent = daemon.api("admin", AGENT)
    pids = agent.instance(s.sid)["pids"]
    with Events(daemon, "session.expiring") as events:
        change_server(daemon, s.server, idle_timeout=4)
        announced(events, s.session, "idle", "disconnect", 2)
    until("the client's end", lambda: not s.client.connected, 60 * PATIENCE)
    assert session_of(daemon, s.server, "disconnected")["session_id"] == s.session["session_id"]
    change_server(daemon, s.server, idle_timeout=0, disconnected_timeout=86400)
    time.sleep(3)
    assert s.desktop()["status"] == "disconnected"
    change_server(daemon, s.server, kill_disconnected=True)
    s.expired("disconnected_timeout")
    assert agent.instance(s.sid)["pids"] == pids  # nothing was restarted
    assert daemon.admin.server(s.sid)["pending_restart"] is False


def test_client_that_returns_takes_the_announcement_back(make_daemon, users, login):
    d = make_daemon(SESSION_TIMEOUT="40")
    with Events(d, "session.expiring") as events:
        s = Limited(d, users, login, "xvnc")
        s.wait_limits(0, 0, 40)
        s.client.close()
        announced(events, s.session, "disconnected", "end", 20)
        login(d, s.server, s.user).wait_colour(BLUE)
        assert session_of(d, s.server, "active")["session_id"] == s.session["session_id"]
        time.sleep(25)
        assert session_of(d, s.server, "active")["session_id"] == s.session["session_id"]


@pytest.mark.one_shape("the supervisor's measurements")
def test_duration_counts_on_after_both_processes_were_killed(daemon, users, login):
    s = Limited(daemon, users, login, "xorg", {"max_duration": 90})
    s.wait_limits(0, 90, 3600)
    time.sleep(30)
    daemon.kill(daemon.supervisor)
    daemon.start()
    assert s.desktop()["limits"]["max_duration"] == 90
    daemon.kill(daemon.server_pid())
    until("an announcement", lambda: "the limit max_duration of desktop" in daemon.log(), 90)
    daemon.kill(daemon.supervisor)
    daemon.start()
    until("the client's end", lambda: not s.client.connected, 100 * PATIENCE)
    s.expired("max_duration")
    found = re.findall(r"it has lasted for (\d+) s", daemon.log())
    assert len(found) == 1 and 90 <= int(found[0]) < 120, found  # from zero, it would be 120 s or more
    assert daemon.log().count("the limit max_duration of desktop") == 1  # announced once


def test_limits_of_another_desktop_are_refused(daemon, users, login):
    s = Limited(daemon, users, login, "xvnc")
    desktop = s.desktop()
    path = f"{XRDP}/instances/{s.sid}/desktops/{desktop['display']}/limits"
    agent = daemon.api("admin", AGENT)
    s.wait_limits(0, 0, 3600)
    for body, expected in (({"started_at": "2026-01-01T00:00:00Z", "max_duration": 1}, 404), ({"max_duration": 1}, 422),
                           ({"started_at": desktop["started_at"], "max_duration": -1}, 422)):
        agent.call("PUT", path, body, expect=expected)
    agent.call("PUT", f"{XRDP}/instances/{s.sid}/desktops/9/limits", {"started_at": desktop["started_at"]}, expect=404)
    daemon.api(s.user.name, AGENT).call("PUT", path, {"started_at": desktop["started_at"]}, expect=403)
    s.wait_limits(0, 0, 3600)
    # the controller puts right what somebody else has set
    agent.call("PUT", path, {"started_at": desktop["started_at"], "idle_timeout": 7200}, expect=200)
    s.wait_limits(7200, 0, 0)
    daemon.api("admin", SESSIONS).call("PATCH", s.path, {"limits": {"max_duration": 86400}}, expect=200)
    s.wait_limits(0, 86400, 3600)
