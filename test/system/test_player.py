"""The player page in Chromium: it shows exactly what was painted, at the times at which it was painted. The recordings are painted by the
test, and a small server has the part of the API that the player uses (lib/player_rig.py)."""
import re

import painted
import player_rig
import pytest
from player_rig import SESSION, TOKEN
from proc import until
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

pytestmark = pytest.mark.one_shape("the player page")
RED, GREEN, BLUE = (200, 30, 40), (20, 160, 60), (30, 60, 220)


@pytest.fixture(scope="module")
def browser():
    b = player_rig.Browser()
    yield b
    b.end()


@pytest.fixture
def serve(browser):
    """serve(recording, …): a server with these recordings. Afterwards the page must not have violated its policy."""
    made = []

    def start(*recordings, **more):
        made.append(player_rig.Server(recordings, **more))
        return made[-1]
    yield start
    browser.driver.get("about:blank")
    faults = [line for line in browser.console() if "Failed to load resource" not in line]
    for server in made:
        server.end()
    assert not faults, faults


def varied(seconds=22, **more):
    """Noise several times a second, with a still time, and another size of the desktop at the end"""
    r = painted.Recording(**more)
    t = 0
    while t < seconds * 1000:
        r.noise(t)
        t += r.random.choice((40, 250, 700, 1300))
    r.noise(t + 4000)
    r.resize(t + 4500, 400, 150)
    r.noise(t + 5200)
    r.close()
    return r


def shows(browser, recording, ms):
    browser.seek(ms)
    assert browser.picture() == recording.at(ms), f"another picture at {ms} ms"


def times_of(recording, n, seed=7):
    recording.random.seed(seed)
    return [recording.random.randint(0, recording.duration) for _ in range(n)]


@pytest.mark.parametrize("zstd", (True, False))
def test_every_moment_has_the_pixels_that_were_painted(browser, serve, zstd):
    recording = varied()
    server = serve(recording, zstd=zstd)
    browser.open(server.page(recording)).ready()
    assert browser.picture() == recording.at(0)
    exact = [m[0] for m in recording.moments]
    for ms in (*times_of(recording, 25), *exact[::9], *[t - 1 for t in exact[1::11]], recording.duration, 0):
        shows(browser, recording, ms)
    assert set(server.encodings) == {"zstd" if zstd else "identity"}


def test_playing_passes_every_moment_and_ends(browser, serve):
    recording = varied(8)
    server = serve(recording)
    browser.open(server.page(recording)).ready()
    browser.run("window.passed = []; p.addEventListener('time', () => passed.push(p.position)); p.set({ speed: 4 }); p.play();")
    browser.until("the end", "p.ended")
    assert browser.picture() == recording.at(recording.duration)
    passed = browser.js("passed")
    assert passed == sorted(passed) and passed[-1] == recording.duration and len(passed) > 20
    assert root_label(browser, ".play") == "Play again"
    browser.js("p.toggle()")  # again from the start
    browser.until("the second time", "p.playing && p.position < 5000")
    browser.js("p.pause()")


def test_the_end_comes_when_its_picture_is_shown(browser, serve):
    recording = varied(12)
    server = serve(recording)
    browser.open(server.page(recording)).ready()
    last = len(recording.chunks) - 1
    server.faults.append(lambda path: (429, {"Retry-After": "2"}, False) if f"/chunks/{last}/" in path and server.faults.clear() is None else None)
    browser.run("p.set({ speed: 16, skipIdle: true }); p.seek(a[0]); p.play()", recording.chunks[-1].t0 - 1000)
    browser.until("the end", "p.ended")
    assert not server.faults and browser.picture() == recording.at(recording.duration)


def root_label(browser, selector):
    return browser.js("root.querySelector(a[0]).getAttribute('aria-label')", selector)


def test_each_speed_is_offered_and_counts(browser, serve):
    recording = varied(4)
    server = serve(recording)
    browser.open(server.page(recording)).ready()
    assert browser.js("[...root.querySelector('.speed').options].map((o) => o.text)") == ["0.5×", "1×", "2×", "4×", "8×", "16×"]
    # position over time, in the page's own time
    ratio = """(async () => { p.set({ speed: a[0] }); p.seek(0); p.play(); const frame = () => new Promise(requestAnimationFrame);
        await frame(); await frame(); const from = [await frame(), p.position]; let to;
        do to = [await frame(), p.position]; while (to[1] - from[1] < 1500); p.pause(); return (to[1] - from[1]) / (to[0] - from[0]); })()"""
    for speed in (0.5, 2, 16):
        assert abs(browser.js(ratio, speed) / speed - 1) < 0.35


def test_idle_time_is_skipped(browser, serve):
    recording = painted.Recording()
    recording.fill(0, 0, 0, 320, 200, BLUE)
    for t in range(0, 3 * 60000, 500):  # a clock that blinks is not activity
        recording.fill(t + 500, 280, 5, 30, 12, RED if t % 1000 else GREEN)
    recording.noise(3600_000)  # an hour later
    recording.noise(3600_200)
    recording.close()
    server = serve(recording)
    browser.open(server.page(recording)).ready()
    browser.run("window.skips = []; p.addEventListener('skip', (e) => skips.push(e.detail.ms)); p.set({ speed: 4, skipIdle: true }); p.play();")
    browser.until("the end of an hour", "p.ended", 40)
    assert browser.picture() == recording.at(recording.duration)
    assert sum(browser.js("skips")) > 3540_000 and "without activity" in browser.js("root.querySelector('.notice').textContent")


def test_a_running_recording_is_followed(browser, serve):
    recording = painted.Recording(chunk_ms=6000)
    recording.state = "recording"
    recording.fill(0, 0, 0, 320, 200, BLUE)
    server = serve(recording)
    browser.open(server.page(recording)).ready()
    assert browser.js("p.following && root.querySelector('.live').getAttribute('aria-pressed')") == "true"
    begun = browser.js("performance.now()")
    for i in range(8):  # more than two chunks, as time passes in the page
        t = int(browser.js("performance.now()") - begun) + 1000
        recording.fill(t, 10 * i, 5 * i, 60, 40, (10 * i, 200 - 10 * i, 99))
        until("the new picture", lambda: browser.picture() == recording.at(recording.duration))
    assert len(recording.chunks) > 1
    asked = [path for path, _ in server.seen if "from=" in path]
    assert asked, "a growing chunk is read from where the player has it"
    # paused: the picture stays, and the position does too
    browser.js("p.pause()")
    before, at = browser.picture(), browser.js("p.position")
    recording.noise(max(int(at), recording.duration) + 900)
    browser.js("new Promise((r) => setTimeout(r, 900))")
    assert browser.picture() == before and browser.js("p.position") == at
    browser.js("p.follow()")
    until("the newest picture", lambda: browser.picture() == recording.at(recording.duration))
    # the recording ends
    recording.noise(recording.duration + 400)
    recording.close()
    recording.state = "complete"
    browser.until("the end", "!p.following && !p.timetable.running")
    until("the last picture", lambda: browser.picture() == recording.at(recording.duration))
    assert browser.js("root.querySelector('.live').hidden")


def test_the_keyboard_reaches_everything(browser, serve):
    recording = painted.Recording()
    for t in range(0, 120_000, 400):
        recording.noise(t, 1)
    recording.close()
    server = serve(recording)
    browser.open(server.page(recording)).ready()
    body = browser.driver.find_element("tag name", "body")

    def press(keys, then):
        body.send_keys(keys)
        return browser.until(f"the effect of {keys!r}", then)
    press(" ", "p.playing")
    press(" ", "!p.playing")
    press("k", "p.playing")
    press("k", "!p.playing")
    press(Keys.HOME, "p.position === 0")
    press(Keys.ARROW_RIGHT, "p.position === 5000")
    press(Keys.SHIFT + Keys.ARROW_RIGHT + Keys.SHIFT, "p.position === 35000")
    press("l", "p.position === 45000")
    press("j", "p.position === 35000")
    press(Keys.ARROW_LEFT, "p.position === 30000")
    press(Keys.END, f"p.position === {recording.duration}")
    press("5", f"p.position === {recording.duration / 2}")
    browser.seek(11_300)
    press(".", "p.position === 11600")
    press(",", "p.position === 11200")
    browser.seek(10_400)  # the first picture of a chunk
    press(",", "p.position < 10400 && !p.buffering")
    assert browser.picture() == recording.at(10_000)
    press("+", "p.speed === 2")
    press("-", "p.speed === 1")
    press("i", "p.skipIdle && root.querySelector('.skip').getAttribute('aria-pressed') === 'true'")
    press("i", "!p.skipIdle")
    press("?", "!root.querySelector('.help').hidden")
    press("?", "root.querySelector('.help').hidden")
    # with Tab to each control, in their order; Space presses the button that has the focus, once
    browser.js("root.querySelector('.bar').focus()")
    names = []
    for _ in range(6):
        names.append(browser.js("root.activeElement?.className"))
        ActionChains(browser.driver).send_keys(Keys.TAB).perform()
    assert names == ["bar", "play", "speed", "skip", "keys", "full"]
    browser.js("root.querySelector('.play').focus()")
    ActionChains(browser.driver).send_keys(" ").perform()
    browser.until("playing", "p.playing")
    browser.js("p.pause()")


def test_dragging_seeks(browser, serve):
    recording = varied(40)
    server = serve(recording)
    browser.open(server.page(recording)).ready()
    left, width, y = browser.js("(() => { const b = root.querySelector('.bar').getBoundingClientRect(); return [b.left, b.width, b.top + b.height / 2]; })()")

    def mouse(kind, part, buttons=1):
        browser.cdp("Input.dispatchMouseEvent", type=kind, x=left + part * width, y=y, button="left", buttons=buttons, clickCount=1)
    mouse("mousePressed", 0.1)
    for i in range(2, 15):
        mouse("mouseMoved", i / 20)
    assert browser.js("p.dragging")
    mouse("mouseReleased", 0.7, 0)
    browser.until("the picture", "!p.dragging && !p.buffering && p.position > 0")
    at = browser.js("p.position")
    assert abs(at / recording.duration - 0.7) < 0.01
    until("the picture of that time", lambda: browser.picture() == recording.at(at))
    assert browser.js("Number(root.querySelector('.bar').getAttribute('aria-valuenow'))") == int(at // 1000)
    mouse("mouseMoved", 0.3, 0)
    assert re.fullmatch(r"\d:\d\d · \d\d:\d\d:\d\d", browser.js("root.querySelector('.tip span').textContent"))


def test_the_time_of_day_is_that_of_the_recording(browser, serve):
    recording = varied(20)
    server = serve(recording)
    browser.cdp("Emulation.setTimezoneOverride", timezoneId="Asia/Kolkata")  # UTC+5:30
    try:
        browser.open(server.page(recording)).ready()
        browser.seek(9800)
        browser.until("the time", "root.querySelector('.day').textContent === '19:33:30'")
        assert browser.js("root.querySelector('.position').textContent").startswith("0:09 / ")
        assert "9 seconds of " in browser.js("root.querySelector('.bar').getAttribute('aria-valuetext')")
    finally:
        browser.cdp("Emulation.setTimezoneOverride", timezoneId="")


def test_thumbnails_and_activity_are_drawn_along_the_time_line(browser, serve):
    recording = painted.Recording(chunk_ms=20000)
    for t in range(0, 100_000, 1000):  # red, then green, then blue; each a third
        recording.fill(t, 0, 0, 320, 200, (RED, GREEN, BLUE)[t * 3 // 100_000])
    recording.close()
    server = serve(recording)
    browser.open(server.page(recording)).ready()
    browser.until("the thumbnails", "root.querySelectorAll('.strip canvas').length > 5 && !root.querySelector('.strip canvas:not(.made)')")
    colours = browser.js("[...root.querySelectorAll('.strip canvas')].map((c) => [...c.getContext('2d').getImageData(c.width / 2, c.height / 2, 1, 1).data].slice(0, 3))")
    near = [min((RED, GREEN, BLUE), key=lambda want, got=got: sum(abs(x - y) for x, y in zip(got, want))) for got in colours]
    assert near == sorted(near, key=(RED, GREEN, BLUE).index) and set(near) == {RED, GREEN, BLUE}
    bars = browser.js("[...p.timetable.activity(10)]")
    assert min(bars) > 0.5
    drawn = browser.js("(() => { const c = root.querySelector('.graph'); return [...c.getContext('2d').getImageData(0, 0, c.width, c.height).data].filter((v) => v).length; })()")
    assert drawn > 1000


def test_the_token_is_sent_as_a_header_and_kept_in_the_tab_only(browser, serve):
    recording = varied(3)
    server = serve(recording)
    browser.open(server.page(recording), token="wrong")
    browser.until("the refusal", "document.getElementById('refusal').textContent.includes('not valid') && !document.getElementById('access').hidden")
    browser.open(server.page(recording)).ready()
    assert browser.js("[localStorage.length, document.cookie, Object.values(sessionStorage)]") == [0, "", [TOKEN]]
    assert TOKEN not in browser.driver.current_url and not [path for path, _ in server.seen if TOKEN in path]
    assert [h for path, h in server.seen if path.startswith("/api/") and h.get("Authorization") == f"Bearer {TOKEN}"]
    assert not [h for path, h in server.seen if path.startswith("/player/") and "Authorization" in h or "Referer" in h and TOKEN in h["Referer"]]
    browser.driver.refresh()  # the tab still knows it
    browser.ready()
    browser.driver.find_element("id", "forget").click()
    browser.until("the form", "!document.getElementById('access').hidden && !e && sessionStorage.length === 0")


def test_a_token_that_expires_while_playing_is_asked_for_again(browser, serve):
    recording = varied(20)
    server = serve(recording)
    browser.open(server.page(recording)).ready()
    server.faults.append(lambda path: (401, {}, False))
    browser.js("p.seek(19000)")
    browser.until("the form", "!document.getElementById('access').hidden && document.getElementById('refusal').textContent")


def test_a_lost_connection_is_continued_and_an_overloaded_server_waited_for(browser, serve):
    recording = varied(20)
    for zstd in (False, True):
        server = serve(recording, zstd=zstd)
        browser.open(server.page(recording)).ready()
        failed = []

        def fault(path, failed=failed):
            if "/data" not in path or path in failed:
                return None
            failed.append(path)
            return (0, {}, True) if len(failed) % 3 == 0 else (429, {"Retry-After": "1"}, False) if len(failed) % 3 == 1 else (503, {}, False)
        server.faults.append(fault)
        for ms in (19000, 14000, 8000, recording.duration):
            shows(browser, recording, ms)
        assert len(failed) > 3


def test_a_failure_is_shown_and_can_be_tried_again(browser, serve):
    recording = varied(20)
    server = serve(recording)
    browser.open(server.page(recording)).ready()
    server.faults.append(lambda path: (404, {}, False) if "/chunks/2/" in path else None)
    browser.js("p.seek(12000)")
    browser.until("the message", "!root.querySelector('.problem').hidden")
    assert "told to fail" in browser.js("root.querySelector('.problem').textContent")
    shows(browser, recording, 2000)  # the rest can be played
    assert browser.js("root.querySelector('.problem').hidden")
    browser.js("p.seek(12000)")
    browser.until("the message", "!root.querySelector('.problem').hidden")
    server.faults.clear()
    browser.js("root.querySelector('.problem button').click()")
    until("the picture", lambda: browser.picture() == recording.at(12000))


def damage_rect(data):
    data[12:16] = b"\xff\xff\xff\xff"  # width and height


def damage_time(data):
    data[0:4] = b"\xff\xff\xff\xff"


def damage_kind(data):
    data[7] = 77


def damage_first(data):
    data[6] = 0  # no full picture


def damage_end(data):
    del data[-5:]


@pytest.mark.parametrize("damage", (damage_rect, damage_time, damage_kind, damage_first, damage_end))
def test_a_damaged_chunk_is_refused_and_the_others_are_played(browser, serve, damage):
    recording = varied(20)
    damage(recording.chunks[1].data)
    server = serve(recording)
    browser.open(server.page(recording)).ready()
    end = recording.chunks[1].t0 + recording.chunks[1].last
    browser.js("p.seek(a[0])", end)
    if damage is not damage_end:
        browser.until("the message", "root.querySelector('.problem').textContent.includes('damaged')")
    shows(browser, recording, recording.chunks[0].last)
    shows(browser, recording, recording.chunks[2].t0 + 500)


def test_cursor_and_gap(browser, serve):
    recording = painted.Recording()
    recording.fill(0, 0, 0, 320, 200, BLUE)
    recording.cursor_image(10, (1, 2), 4, 4, b"\x00\x00\x80\x80" * 16)  # half transparent red, premultiplied
    recording.cursor_at(20, 100, 50)
    recording.gap(3000, 1000)
    recording.noise(3000)
    recording.close()
    server = serve(recording)
    browser.open(server.page(recording)).ready()
    browser.seek(500)
    cursor = browser.js("""(() => { const c = root.querySelector('.cursor'), s = root.querySelector('.screen'), b = c.getBoundingClientRect(), o = s.getBoundingClientRect();
        const scale = o.width / s.width; return [c.hidden, Math.round((b.left - o.left) / scale), Math.round((b.top - o.top) / scale),
        [...c.getContext('2d').getImageData(0, 0, 1, 1).data]]; })()""")
    assert cursor[:3] == [False, 99, 48] and cursor[3] == [255, 0, 0, 128]
    shows(browser, recording, 3500)
    assert browser.js("p.gaps") == [{"from": 1000, "to": 3000}]
    browser.seek(5)
    assert browser.js("root.querySelector('.cursor').hidden")


def test_every_control_has_a_name_and_a_state(browser, serve):
    recording = varied(5)
    server = serve(recording)
    browser.open(server.page(recording)).ready()
    nodes = browser.cdp("Accessibility.getFullAXTree")["nodes"]

    def told(n):
        return {p["name"]: p["value"].get("value") for p in n.get("properties", [])}
    focusable = [(n["role"]["value"], n.get("name", {}).get("value"), told(n)) for n in nodes if not n["ignored"] and told(n).get("focusable")]
    focusable = [n for n in focusable if n[0] not in ("RootWebArea", "Iframe")]
    assert len(focusable) >= 8 and all(name for _, name, _ in focusable), focusable
    slider = [n for n in focusable if n[0] == "slider"]
    assert len(slider) == 1 and slider[0][1] == "Position in the recording" and slider[0][2]["valuemax"] == recording.duration // 1000
    assert {"Play", "Speed", "Skip idle", "Keyboard", "Full screen", "Session", "Recording"} <= {name for _, name, _ in focusable}


def test_another_page_takes_the_component_as_it_is(browser, serve):
    recording = varied(5)
    pages = {"/embed.html": "<!doctype html><meta charset=utf-8><link rel=icon href=data:,><script type=module src=embed.js></script><main></main>",
             "/embed.js": f"""import "/player/player.js";
                for (let i = 0; i < 2; i++) {{
                    const e = document.createElement("lucid-player");
                    e.request = (url, init) => fetch(url, {{ ...init, headers: {{ Authorization: "Bearer {TOKEN}" }} }});
                    document.querySelector("main").append(e);
                    e.open("{SESSION}");
                }}"""}
    server = serve(recording, pages=pages)
    browser.open(server.url + "/embed.html", token=None)
    browser.ready()
    shows(browser, recording, 3000)
    # taken away, it stops; the other one goes on
    browser.run("window.gone = e; e.remove()")
    browser.until("the end of the first", "gone.playback.timetable && !gone.isConnected && document.querySelectorAll('lucid-player').length === 1")
    browser.ready()
    shows(browser, recording, 1000)


def test_the_page_fits_a_phone(browser, serve):
    recording = varied(5)
    recording.state = "recording"
    server = serve(recording)
    browser.cdp("Emulation.setDeviceMetricsOverride", width=360, height=740, deviceScaleFactor=2, mobile=True)
    try:
        browser.open(server.page(recording)).ready()
        assert browser.js("document.documentElement.scrollWidth") <= 360
        outside = browser.js("[...root.querySelectorAll('button, select, .bar')].filter((x) => { const b = x.getBoundingClientRect(); return b.width && (b.left < 0 || b.right > 360); }).length")
        small = browser.js("[...root.querySelectorAll('button, select')].filter((x) => { const b = x.getBoundingClientRect(); return b.width && (b.width < 40 || b.height < 40); }).length")
        high = browser.js("root.querySelector('.row').offsetHeight")
        assert (outside, small) == (0, 0) and high < 80, "the controls are in one row"
    finally:
        browser.cdp("Emulation.setDeviceMetricsOverride", width=1280, height=900, deviceScaleFactor=1, mobile=False)


def test_the_index_of_a_long_recording_comes_in_pages(browser, serve):
    recording = painted.Recording(width=64, height=48)
    for i in range(250):
        recording.fill(i * 60_000, 0, 0, 64, 48, (i, 255 - i, 7))
    recording.close()
    server = serve(recording)
    browser.open(server.page(recording)).ready()
    assert browser.js("p.timetable.chunks.length") == 250
    for i in (249, 100, 3):
        shows(browser, recording, i * 60_000 + 5)
    assert browser.js("root.querySelector('.position').textContent").endswith("/ 4:09:00")
