"""kill -9 of the agent in the middle of a terminate: the answer is honest, and every session soon says what really became of its desktop."""
import os
import signal
import threading

import pytest
import requests

import proc
import shapes
from lucid import SESSIONS
from proc import until
from test_crash import again, kill_server
from test_sessions_life import BLUE, LIST, listed

HOLD = "desktop.end always\n"  # every end stands still after its first SIGTERM
INFRASTRUCTURE = ("Xorg", "Xvnc", "Xtigervnc", "xrdp-chansrv", "xrdp-sesman", "xrdp-sesexec", "lucid-rdp")


class Terminate(threading.Thread):
    """POST /sessions/{id}/terminate; `said` is the response, or None if the connection was lost."""

    def __init__(self, d, session):
        super().__init__()
        self.said = None
        self.api, self.path = d.api("admin", SESSIONS), f"{LIST}/{session['session_id']}/terminate"
        self.start()

    def run(self):
        try:
            self.said = self.api.call("POST", self.path, {})
        except requests.ConnectionError:
            pass


def program_of(user):
    """The processes of the desktop's own program, without those of xrdp and the X server."""
    return [p for p in proc.marked(user_ids={user.uid}) if proc.exe(p).rsplit("/", 1)[-1] not in INFRASTRUCTURE]


def x_server_of(user):
    return [p for p in proc.marked(user_ids={user.uid}) if proc.exe(p).rsplit("/", 1)[-1] == "Xorg"]


def read_session(d, session):
    return d.api("admin", SESSIONS).get(f"{LIST}/{session['session_id']}")


def live_displays(d, sid):
    return sorted((x["username"], x["display"]) for x in d.admin.desktops(sid))


@pytest.fixture
def pair(make_daemon, users, login, tmp_path):
    """Two desktops on one server: one ends at the first SIGTERM, the program of the other one is stopped and cannot."""
    faults = tmp_path / "faults"
    faults.write_text("")
    os.chmod(tmp_path, 0o755)
    d = make_daemon(LUCID_FAULTS=str(faults))
    people = users(2, d)
    server = d.admin.create_server("cut")
    for user in people:
        user.paint(BLUE)
        login(d, server, user).wait_colour(BLUE)
    both = until("both sessions", lambda: (lambda s: s if len(s) == 2 else None)(listed(d, query="?status=active")))
    sessions = [next(s for s in both if s["user_id"] == user.name) for user in people]
    stopped = program_of(people[1])
    assert stopped
    for p in stopped:
        os.kill(p, signal.SIGSTOP)
    yield d, server["server_id"], people, sessions, faults
    for p in stopped:
        if proc.alive(p):
            os.kill(p, signal.SIGCONT)


def truth_is_told(d, sid, sessions):
    """Exactly the sessions whose desktop lives are listed as live."""
    live = live_displays(d, sid)
    for s in sessions:
        now = read_session(d, s)
        if (now["stopped_at"] is None) != ((s["username"], s["display"]) in live):
            return False
    return sorted((s["username"], s["display"]) for s in listed(d) if not s["stopped_at"]) == live


def answers(d, asked):
    """The responses. Only the process that was killed may give none, which is the one that was asked if there is but one."""
    for t in asked:
        t.join(60)
        assert not t.is_alive() and (t.said is None) == (shapes.SHAPE == "one"), t.said and t.said.text
    return [t.said for t in asked if t.said is not None]


def kill_and_wait(d):
    """Kills the supervisor; the server process beside it exits, and nothing is started."""
    server = d.server_pid()
    d.kill(d.supervisor)
    until("the server process to exit", lambda: not proc.alive(server))


def held_in_the_middle(d, people, sessions, faults):
    """Terminates both, and returns when the first signals have had their effect."""
    faults.write_text(HOLD)
    asked = [Terminate(d, s) for s in sessions]
    until("the desktop that obeys to lose its X server", lambda: not x_server_of(people[0]))
    assert all(t.is_alive() for t in asked), [t.said and t.said.text for t in asked]
    assert program_of(people[1]) and x_server_of(people[1])
    return asked


@pytest.mark.shapes
def test_supervisor_killed_in_the_middle_of_a_terminate(pair):
    d, sid, people, sessions, faults = pair
    asked = held_in_the_middle(d, people, sessions, faults)
    kill_and_wait(d)
    for said in answers(d, asked):
        error = said.json()["error"]
        assert said.status_code == 503 and error["code"] == "LUCID_ERR_0010" and "uncertain" in error["message"], error
    d.spawn()
    again(d)
    until("the truth", lambda: truth_is_told(d, sid, sessions))
    # what is left of a desktop without its X server ends by itself; the other desktop, which has not obeyed, lives and is listed
    until("the end of the first one", lambda: read_session(d, sessions[0])["status"] == "terminated")
    assert not proc.marked(user_ids={people[0].uid})
    assert live_displays(d, sid) == [(people[1].name, sessions[1]["display"])] and truth_is_told(d, sid, sessions)
    faults.write_text("")
    over = d.api("admin", SESSIONS).call("POST", f"{LIST}/{sessions[1]['session_id']}/terminate", {}, expect=200).json()
    assert over["ended"]["display"] == sessions[1]["display"] and not proc.marked(user_ids={people[1].uid})
    assert live_displays(d, sid) == [] and truth_is_told(d, sid, sessions)


@pytest.mark.shapes
def test_server_process_of_the_agent_killed_in_the_middle_of_a_terminate(pair):
    """Its supervisor goes on with the ends; the request is repeated to the new process, or its outcome is uncertain."""
    d, sid, people, sessions, faults = pair
    asked = held_in_the_middle(d, people, sessions, faults)
    kill_server(d)
    faults.write_text("")
    for said in answers(d, asked):
        if said.status_code == 503:
            assert said.json()["error"]["code"] == "LUCID_ERR_0010" and "uncertain" in said.json()["error"]["message"]
        else:
            assert said.status_code in (200, 409), said.text
    again(d)
    for s in sessions:
        until("the end of both", lambda s=s: read_session(d, s)["status"] == "terminated")
    assert live_displays(d, sid) == [] and truth_is_told(d, sid, sessions)
    assert not proc.marked(user_ids={user.uid for user in people})


@pytest.mark.shapes
def test_agent_killed_before_it_ends_anything(pair):
    """Its supervisor is stopped, so that the kill comes before the first signal."""
    d, sid, people, sessions, _ = pair
    os.kill(d.supervisor, signal.SIGSTOP)
    asked = [Terminate(d, s) for s in sessions]
    asked[0].join(0.5)
    assert all(t.is_alive() for t in asked)
    kill_and_wait(d)
    for said in answers(d, asked):
        assert said.status_code == 503 and "nothing was ended" in said.json()["error"]["message"], said.text
    d.spawn()
    again(d)
    until("the truth", lambda: truth_is_told(d, sid, sessions))
    assert len(live_displays(d, sid)) == 2 and all(program_of(u) for u in people)
    until("both to be active", lambda: all(read_session(d, s)["status"] == "active" for s in sessions))
