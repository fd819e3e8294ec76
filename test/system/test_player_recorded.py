"""The whole way: a real desktop is recorded by the program, and the player page shows its pixels in Chromium."""
import os
import struct

import player_rig
import pytest
from lucid import SESSIONS
from proc import until
from test_sessions_life import LIST, session_of

pytestmark = pytest.mark.one_shape("the player page")
BLUE, GREEN, RED = "#3366cc", "#33aa44", "#cc3322"
SIZE = (800, 600)


@pytest.fixture
def browser():
    b = player_rig.Browser()
    yield b
    b.end()


def share(picture, colour):
    """The share of the pixels of (width, height, RGBA) that have this colour"""
    want, pixels = bytes.fromhex(colour[1:]) + b"\xff", picture[2]
    return sum(p[0] == want for p in struct.iter_unpack("4s", pixels)) / (len(pixels) // 4)


def test_a_real_desktop_is_seen_live_and_later_bit_by_bit(make_daemon, users, login, browser):
    d = make_daemon(MASTER_KEY="0123456789abcdef" * 2, STORAGE_HIGH_WATER_MB="2", STORAGE_LOW_WATER_MB="1")
    user, = users(1, d)
    user.paint(BLUE)
    api = d.api("anna", SESSIONS)
    server = d.api("anna").create_server("seen", desktop={"session": "xorg", "profile": "paint"})
    client = login(d, server, user, size=SIZE)
    client.wait_colour(BLUE)
    session = session_of(d, server, "active")["session_id"]
    begun = api.call("POST", f"{LIST}/{session}/recording/start", {"chunk_seconds": 5}, expect=201).json()
    page = f"{d.url(SESSIONS)}/player#session={session}"

    # live
    browser.open(page, token=api.token).ready()
    assert browser.js("p.following")
    until("blue in the player", lambda: share(browser.picture(), BLUE) > 0.9)
    for colour in (GREEN, RED, GREEN):
        user.paint(colour)
        client.wait_colour(colour)
        until(f"{colour} in the player", lambda colour=colour: share(browser.picture(), colour) > 0.9)

    # text on the screen, and a picture of it that its own X server makes
    shot = os.path.join(user.home, "shot")
    user.job(f"xterm -geometry 70x24+15+20 -e 'ls -l /usr/bin | head -20; sleep 100' & sleep 4; import -window root -depth 8 rgba:{shot}~ && mv {shot}~ {shot}; sleep 2; kill $!")
    until("the picture of the desktop", lambda: os.path.exists(shot), 40)
    with open(shot, "rb") as f:
        taken = (*SIZE, f.read())
    assert 0.1 < share(taken, GREEN) < 0.9
    until("the same picture in the player", lambda: browser.picture() == taken)
    at = browser.js("p.position")
    browser.run("window.ends = 0; p.addEventListener('change', () => ends += p.ended);")
    until("green again", lambda: share(browser.picture(), GREEN) > 0.9, 40)
    api.call("POST", f"{LIST}/{session}/recording/stop", expect=200)
    browser.until("the end", "!p.timetable.running && !p.following && ends > 0")

    # afterwards, in another browser tab without what the first one had loaded
    browser.driver.get("about:blank")
    browser.open(page).ready()
    assert browser.js("[p.timetable.state, p.timetable.recording]") == ["complete", begun["recording_id"]]

    def shows_it(ms):
        browser.seek(ms)
        return browser.picture() == taken
    # the live view may have waited for data, so that its position was a little later than its picture
    assert any(shows_it(at - back) for back in range(0, 4000, 250))
    browser.seek(0)
    assert share(browser.picture(), BLUE) > 0.9
    browser.run("p.set({ speed: 16, skipIdle: true }); p.play();")
    browser.until("the end", "p.ended")
    assert share(browser.picture(), GREEN) > 0.9
    browser.until("the thumbnails", "!root.querySelector('.strip canvas:not(.made)')")

    # another user gets nothing, the page included
    browser.run("document.getElementById('forget').click()")
    browser.driver.get("about:blank")
    browser.open(page, token=d.api("boris", SESSIONS).token)
    browser.until("a refusal", "document.getElementById('state').textContent !== '' && !e")
    assert not [line for line in browser.console() if "Failed to load resource" not in line]
