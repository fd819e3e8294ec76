"""Messages to the person on a desktop, seen by a stock RDP client, on Xorg and on Xvnc, without a window manager."""
import concurrent.futures
import os
import shutil
import signal
import subprocess
import time

import pytest

import proc
from lucid import SERVERS, XRDP
from proc import until

BLUE, GREEN = "#3366cc", "#33aa44"
PAPER, AMBER = "#fcfcfc", "#c27000"  # of a window, and of the heading of a warning
SIZE = (800, 600)
PATIENCE = 3
KINDS = ("xorg", "xvnc")


class Desk:
    """A blue desktop of an account, with its client."""

    def __init__(self, d, user, login, kind, args=()):
        self.d, self.user = d, user
        user.paint(BLUE)
        self.server = d.admin.create_server("talk", desktop={"session": kind, "profile": "paint"})
        self.sid = self.server["server_id"]
        self.client = login(d, self.server, user, size=SIZE, args=args)
        self.client.wait_colour(BLUE)
        self.display = until("the desktop", lambda: d.admin.desktops(self.sid))[0]["display"]
        self.path = f"{XRDP}/instances/{self.sid}/desktops/{self.display}"
        until("its X server", self.x_server)

    def say(self, text, expect=200, **more):
        return self.d.admin.call("POST", f"{self.path}/message", {"text": text, **more}, expect=expect).json()

    def windows(self):
        """The processes of messages on this desktop."""
        return [p for p in proc.pids() if proc.exe(p).endswith("/lucid-rdp-notice") and self.user.uid in proc.uids(p)]

    def x_server(self):
        found = [p for p in proc.pids() if f":{self.display}" in proc.cmdline(p).split() and proc.exe(p).rsplit("/", 1)[-1] in ("Xorg", "Xtigervnc")
                 and self.user.uid in proc.uids(p)]
        return found[0] if found else None

    def paper(self):
        return self.client.picture().share(PAPER, 4)

    def wait_window(self):
        until("a message in the client's picture", lambda: self.paper() > 0.05, 20 * PATIENCE, 0.2)

    def wait_none(self):
        until("no message in the client's picture", lambda: self.paper() < 0.001, 20 * PATIENCE, 0.2)
        until("the end of its process", lambda: not self.windows())
        self.client.wait_colour(BLUE, share=0.98)

    def press(self, *args):
        subprocess.run(["xdotool", *args], env={**os.environ, "DISPLAY": self.client.display}, check=True, timeout=20)


@pytest.fixture
def desk(make_daemon, users, login):
    def make(kind="xorg", args=(), **settings):
        d = make_daemon(**settings)
        user, = users(1, d)
        return Desk(d, user, login, kind, args)
    return make


def ink(client):
    """The dark pixels of the picture, by their number."""
    return sum(n for v, n in client.picture().count.items() if all((v >> s & 255) < 90 for s in (16, 8, 0)))


@pytest.mark.parametrize("kind", KINDS)
def test_message_is_seen_on_the_desktop(desk, kind):
    k = desk(kind)
    assert k.paper() < 0.001 and ink(k.client) == 0
    shown = k.say("Grüße, ß, 日本: der Rechner wird um 18:00 neu gestartet.", level="warning")
    assert shown["display"] == k.display and shown["missing_characters"] == 0 and shown["shown_at"] < shown["closes_at"]
    k.wait_window()
    until("the colour of a warning", lambda: k.client.picture().share(AMBER, 20) > 0.002, 10, 0.2)
    assert ink(k.client) > 200
    if os.environ.get("PICTURE"):
        k.client.save(f"{os.environ['PICTURE']}-{kind}.png")

    # as the user, in the namespace and control group of the desktop, with nothing of the supervisor
    window, = k.windows()
    assert set(proc.uids(window)) == {k.user.uid}
    assert os.stat(f"/proc/{window}/ns/mnt").st_ino == os.stat(f"/proc/{k.x_server()}/ns/mnt").st_ino
    assert proc.read(f"/proc/{window}/cgroup") == proc.read(f"/proc/{k.x_server()}/cgroup")
    assert "CapEff:\t0000000000000000" in proc.read(f"/proc/{window}/status") and "NoNewPrivs:\t1" in proc.read(f"/proc/{window}/status")
    assert proc.cmdline(window).strip() == "lucid-rdp-notice" and proc.read(f"/proc/{window}/comm") == "lucid-rdp-notic\n"
    assert set(os.listdir(f"/proc/{window}/fd")) == {"0", "1", "2", "4"}

    # a click on it closes it; a click beside it does not
    time.sleep(1)  # clicks in the first moment are ignored
    k.press("mousemove", "400", "500", "click", "1")
    time.sleep(1)
    assert k.windows() == [window]
    k.press("mousemove", "400", "120", "click", "1")
    k.wait_none()


def test_message_is_seen_in_16_bit_colours(desk):
    k = desk("xvnc", args=("/bpp:16",))
    assert "-depth 16" in proc.cmdline(k.x_server())
    k.say("Grüße", level="warning")
    k.wait_window()
    until("the colour of a warning", lambda: k.client.picture().share(AMBER, 20) > 0.002, 10, 0.2)


@pytest.mark.parametrize("key", ("Escape", "Return"))
def test_key_closes_a_message(desk, key):
    k = desk()
    k.say("Press a key")
    k.wait_window()
    time.sleep(1)
    k.press("mousemove", "400", "120")
    k.press("key", "a")
    time.sleep(1)
    assert k.windows()
    k.press("key", key)
    k.wait_none()


@pytest.fixture
def short(tmp_path):
    """Settings with which messages close after 4 s."""
    faults = tmp_path / "faults"
    faults.write_text("message.shown delay 4000\n")
    os.chmod(tmp_path, 0o755)
    return {"LUCID_FAULTS": str(faults)}


@pytest.mark.parametrize("kind", KINDS)
def test_message_closes_by_itself(desk, short, kind):
    k = desk(kind, **short)
    k.say("Only for a moment")
    k.wait_window()
    k.wait_none()


def test_stopped_window_ends_too(desk, short):
    """Its user may stop the process, which then cannot end by itself."""
    k = desk(**short)
    k.say("Only for a moment")
    window, = k.windows()
    os.kill(window, signal.SIGSTOP)
    until("the end of its process", lambda: not proc.alive(window), 20 * PATIENCE)
    k.wait_none()


def test_message_stays_above_other_windows(desk):
    """A window that is opened later, and covers the screen, is below the message; a newer message is above an older one."""
    k = desk()
    k.say("first", level="critical")
    k.wait_window()
    k.user.job("xterm -geometry 200x100+0+0 -bg '#33aa44' -fg '#33aa44' &")
    until("the xterm", lambda: k.client.picture().share(GREEN) > 0.5, 20 * PATIENCE, 0.2)
    k.wait_window()
    before = k.client.picture().share("#bf1f1f", 20)
    assert before > 0.002
    k.say("second, which is newer", level="warning")
    until("the newer window", lambda: k.client.picture().share(AMBER, 20) > 0.002, 10, 0.2)
    assert k.client.picture().share("#bf1f1f", 20) > 0.002  # the heading of the older one
    assert len(k.windows()) == 2


def test_message_is_seen_beside_a_program_that_raises_itself(desk):
    k = desk()
    k.user.job(f"xterm -T rogue -geometry 200x100+0+0 -bg '{GREEN}' -fg '{GREEN}' & while sleep 0.05; do xdotool search --name rogue windowraise %@; done")
    until("the xterm", lambda: k.client.picture().share(GREEN) > 0.5, 20 * PATIENCE, 0.2)
    k.say("who is on top?")
    k.wait_window()
    time.sleep(6)
    k.wait_window()


def test_message_is_above_a_fullscreen_window_and_leaves_it_the_keyboard(desk):
    k = desk()
    typed = os.path.join(k.user.home, "typed")
    k.user.job(f"openbox & sleep 1; xterm -fullscreen -bg '{GREEN}' -fg black -cr '{GREEN}' -e sh -c 'read x; echo $x >{typed}; sleep 600' &")
    until("the xterm", lambda: k.client.picture().share(GREEN) > 0.9, 30 * PATIENCE, 0.2)
    k.press("mousemove", "400", "500", "click", "1")
    k.say("above a window manager")
    k.wait_window()
    k.press("mousemove", "400", "120")
    time.sleep(1)
    k.press("type", "hello")
    k.press("key", "Return")
    until("the input of the xterm", lambda: proc.read(typed) == "hello\n", 10 * PATIENCE)
    assert k.windows() and k.paper() > 0.05
    if os.environ.get("PICTURE"):
        k.client.save(f"{os.environ['PICTURE']}-openbox.png")


def test_message_follows_a_new_size_of_the_desktop(desk, login):
    k = desk()
    k.say("It moves when the desktop gets smaller, and its text is wrapped again, so that all of it stays visible.")
    k.wait_window()
    k.client.close()
    until("a desktop without a client", lambda: k.d.admin.desktops(k.sid)[0]["status"] == "disconnected")
    k.client = login(k.d, k.server, k.user, size=(400, 300))
    k.wait_window()
    until("all of the window, beside the desktop's colour", lambda: k.client.picture().share(BLUE) > 0.1 and ink(k.client) > 400, 20 * PATIENCE, 0.2)
    if os.environ.get("PICTURE"):
        k.client.save(f"{os.environ['PICTURE']}-small.png")
    time.sleep(1)
    k.press("mousemove", "200", "60", "click", "1")
    k.wait_none()


@pytest.mark.parametrize("kind", KINDS)
def test_idle_time_is_that_of_input_not_of_messages_and_pictures(desk, kind):
    k = desk(kind)

    def idle():
        return k.d.admin.desktops(k.sid)[0]["idle_seconds"]

    def moved():
        """Input until it is seen: the answers of the X server are up to a second old."""
        k.press("mousemove_relative", "--", "1", "1")
        seconds = idle()
        return seconds is not None and seconds <= 1  # None: the X server of a new desktop was not asked yet
    k.press("mousemove", "300", "300")
    until("input", moved, every=0.5)
    until("idle time while the desktop is painted", lambda: idle() >= 4, 10 * PATIENCE)
    k.say("this is no input")
    k.wait_window()
    assert idle() >= 4
    k.user.paint(GREEN)
    until("a new picture", lambda: k.client.picture().share(GREEN) > 0.5, 20 * PATIENCE, 0.2)
    assert idle() >= 4
    until("input", moved, every=0.5)
    k.press("mousemove", "400", "120", "click", "1")  # closing the message is input
    until("the end of the message", lambda: not k.windows())
    until("idle time after it", lambda: idle() >= 3, 10 * PATIENCE)


def test_windows_and_rate_are_bounded(desk):
    k = desk()
    for n in range(6):
        k.say(f"message {n}")
    until("four windows", lambda: len(k.windows()) == 4)
    refused = k.say("one more", expect=429)["error"]
    assert refused["code"] == "LUCID_ERR_0004" and "retry in" in refused["message"]
    assert len(k.windows()) == 4


BAD = [("\x1b[31mred", "text"), ("bell\x07", "text"), ("c1 \x9b", "text"), ("\u202eright to left", "text"), ("", "text"),
       ("x" * 2001, "text")]


def test_bad_messages_are_refused(desk):
    k = desk()
    for text, field in BAD:
        error = k.say(text, expect=422)["error"]
        assert error["code"] == "LUCID_ERR_0005" and error["details"][0]["field"] == field, (text, error)
    assert k.say("nul\x00", expect=400)["error"]["code"] == "LUCID_ERR_0013"
    assert k.say(" \n\t\u3000 ", expect=422)["error"]["code"] == "LUCID_ERR_0005"
    assert k.say("level", level="loud", expect=422)["error"]["details"][0]["field"] == "level"
    assert k.say("x" * 100_000, expect=(413, 422))["error"]
    k.d.admin.call("POST", f"{k.path}/message", {}, expect=422)
    # a longest one, of the widest characters, and without a blank
    assert k.say("日" * 2000)["missing_characters"] == 0
    k.wait_window()
    assert k.say("first\nsecond\n\n" + "\n" * 1900 + "last")
    # not for users, and not for a display without a desktop
    k.d.api(k.user.name).call("POST", f"{k.path}/message", {"text": "me"}, expect=403)
    gone = k.d.admin.call("POST", f"{XRDP}/instances/{k.sid}/desktops/9/message", {"text": "x"}, expect=404).json()["error"]
    assert gone["code"] == "LUCID_ERR_2103"


def test_message_is_not_shown_on_another_desktop(desk):
    """The sender saw a desktop that had the display before."""
    k = desk()
    now = k.d.admin.desktops(k.sid)[0]
    for other in ({"started_at": "2026-01-31T10:00:00Z"}, {"username": "nobody-else"}, {"started_at": now["started_at"], "username": "nobody-else"}):
        error = k.say("for somebody else", expect=404, **other)["error"]
        assert error["code"] == "LUCID_ERR_2103" and "another" in error["message"], other
    assert k.say("x", started_at="yesterday", expect=422)["error"]["details"][0]["field"] == "started_at"
    time.sleep(1)
    assert not k.windows() and k.paper() < 0.001
    assert k.say("for this one", started_at=now["started_at"], username=k.user.name)["display"] == k.display
    k.wait_window()


@pytest.mark.parametrize("kind", KINDS)
def test_stopped_x_server_is_a_clear_error(desk, kind):
    k = desk(kind)
    x = k.x_server()
    os.kill(x, signal.SIGSTOP)
    try:
        error = k.say("hello", expect=504)["error"]
        assert error["code"] == "LUCID_ERR_0012" and f":{k.display}" in error["message"] and "X server does not answer" in error["message"]
        assert not k.windows()
        assert k.d.admin.get(f"{SERVERS}/{k.sid}/status")["status"] == "running"
    finally:
        os.kill(x, signal.SIGCONT)
    k.say("again")
    k.wait_window()


@pytest.fixture
def no_fonts():
    """no_fonts(account): programs of this account find no font."""
    made = []

    def reject(user):
        config = os.path.join(user.home, ".config")
        made.append(config)
        os.makedirs(os.path.join(config, "fontconfig"))
        with open(os.path.join(config, "fontconfig/fonts.conf"), "w", encoding="ascii") as f:
            f.write('<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "urn:fontconfig:fonts.dtd"><fontconfig><selectfont><rejectfont>'
                    '<glob>/*</glob></rejectfont></selectfont></fontconfig>')
        subprocess.run(["chown", "-R", f"{user.uid}:{user.gid}", config], check=True)
    yield reject
    for config in made:
        shutil.rmtree(config)


def test_text_without_a_font_is_a_clear_error(desk, no_fonts):
    k = desk()
    no_fonts(k.user)
    error = k.say("hello", expect=503)["error"]
    assert "no font" in error["message"] and not k.windows()


@pytest.mark.shapes
def test_message_ends_with_its_desktop(desk):
    k = desk()
    k.say("until the end")
    k.wait_window()
    window, = k.windows()
    k.d.admin.delete(k.path)
    assert not proc.alive(window)
    k.d.admin.call("POST", f"{k.path}/message", {"text": "too late"}, expect=404)


def test_desktop_that_ends_meanwhile_is_a_clear_error(desk):
    k = desk()
    x = k.x_server()
    os.kill(x, signal.SIGSTOP)
    with concurrent.futures.ThreadPoolExecutor() as threads:
        said = threads.submit(k.d.admin.call, "POST", f"{k.path}/message", {"text": "hello"})
        until("its process", k.windows)
        k.d.admin.delete(k.path)
        r = said.result()
    assert r.status_code == 409 and "desktop" in r.json()["error"]["message"], r.text
    assert not k.windows()


@pytest.mark.one_shape("its supervisor")
def test_message_outlives_the_supervisor_but_not_its_time(desk, short):
    k = desk(**short)
    k.say("a restart is no reason to hide this")
    window, = k.windows()
    k.d.kill(k.d.supervisor)
    assert proc.alive(window)
    until("the end of its time", lambda: not proc.alive(window), 4 * PATIENCE)
    k.d.start()
    k.client.wait_colour(BLUE, share=0.98)
    k.say("and it can be sent again")
    k.wait_window()


def test_messages_are_audited_without_their_text(desk):
    k = desk()
    k.say("a secret between us")
    k.say("\x07", expect=422)
    entries = until("the entry", lambda: [e for e in k.d.admin.get("/api/v1/audit?limit=100")["entries"] if e["action"] == "xrdp.instances.desktops.message"])
    assert all(e["object"].startswith(k.sid) for e in entries) and "secret" not in str(entries) + k.d.log()
