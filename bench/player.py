"""The player page in Chromium: how long a seek takes, how much work playing is, and how old the live view is. First with painted recordings
from a small server (test/lib/player_rig.py), so that the rows are about the page and the browser; then with a real desktop and the program."""
import copy
import random
import statistics
import struct
import threading
import time

from measure import daemon, lucid, row
import accounts
import painted
import player_rig
import proc
import rdp

WIDTH, HEIGHT, CHUNK_MS = 1920, 1080, 30_000
RATE, SIDE = 10, (320, 240)  # frames a second, size of what changes
ASK = """const took = []; for (const ms of a[0]) { const start = performance.now(); p.seek(ms);
    do await new Promise(requestAnimationFrame); while (p.buffering);
    if (p.error || p.position !== ms) throw p.error ?? new Error(`at ${p.position} instead of ${ms}`); took.push(performance.now() - start); } return took;"""


def busy_chunk():
    """The records of 30 s in which a part of a 1080p desktop changes ten times a second: 89 MB"""
    r = painted.Recording(WIDTH, HEIGHT, CHUNK_MS)
    r.frame(0, [])
    x, y, lines = 100, 100, [r.random.randbytes(4 * SIDE[0]) for _ in range(16)]
    data, chunk = bytearray(r.chunks[0].data), r.chunks[0]
    for i in range(1, CHUNK_MS // 1000 * RATE):
        data += struct.pack("<IHBB", i * 1000 // RATE, 1, 0, painted.FRAME) + struct.pack("<HHHH", x + 4 * (i % 300), y, *SIDE)
        data += b"".join(lines[(i + line) % 16] for line in range(SIDE[1]))
    chunk.data, chunk.last, chunk.frames, chunk.closed = data, CHUNK_MS - 100, CHUNK_MS // 1000 * RATE, True
    return chunk


def half_an_hour(chunk):
    """60 chunks with the same content"""
    r = painted.Recording(WIDTH, HEIGHT, CHUNK_MS)
    for i in range(60):
        one = painted.Chunk(i, i * CHUNK_MS, WIDTH, HEIGHT)
        one.data, one.last, one.frames, one.closed, one.levels = chunk.data, chunk.last, chunk.frames, True, bytearray([7] * 30)
        r.chunks.append(one)
    r.duration = 60 * CHUNK_MS
    return r


def seeks_and_work(browser):
    recording = half_an_hour(busy_chunk())
    server = player_rig.Server([recording])
    try:
        stored = server.as_stored(recording, recording.chunks[0])
        server.compressed.update({(recording.id, c.seq): stored for c in recording.chunks})
        browser.open(server.page(recording)).ready()
        browser.until("the thumbnails", "!root.querySelector('.strip canvas:not(.made)')", 60)
        dice = random.Random(3)
        places = [dice.randint(0, recording.duration) for _ in range(60)]
        took = sorted(browser.run(ASK, places))
        size = len(recording.chunks[0].data)
        row(f"player: seek in 30 minutes of 1080p, chunks of {size / 1e6:.0f} MB raw", f"{statistics.median(took):.0f} ms median, {took[56]:.0f} ms p95, {took[-1]:.0f} ms worst", "", "< 300 ms")
        browser.run("p.seek(0)")
        browser.until("the start", "!p.buffering")
        work = browser.run("""const before = performance.now(); let frames = 0; p.addEventListener('painted', () => frames++); p.set({ speed: 16 }); p.play();
            while (p.position < 240000) await new Promise(requestAnimationFrame); p.pause(); return [performance.now() - before, frames];""")
        row("player: 240 s at 16×", f"{work[0] / 1000:.1f} s, {work[1]} pictures painted", f"{240_000 / work[0]:.1f}× of 16×", "")
    finally:
        server.end()


def live(browser):
    """A recorder that writes once a second; the age of a change when the canvas shows it."""
    recording, done = painted.Recording(640, 400, 20_000), threading.Event()
    recording.state = "recording"
    recording.fill(0, 0, 0, 640, 400, (0, 0, 0))
    painting = painted.Recording(640, 400, 20_000)
    painting.fill(0, 0, 0, 640, 400, (0, 0, 0))
    server, begun, painted_at = player_rig.Server([recording]), time.time(), {}

    def flush():
        """What was painted becomes visible to the server."""
        recording.chunks = [copy.copy(c) for c in painting.chunks]
        for c in recording.chunks:
            c.data = bytes(c.data)
        recording.duration = int((time.time() - begun) * 1000)

    def paint():
        i, flushed = 0, time.time()
        while not done.wait(0.1):
            i += 1
            painted_at[i] = time.time()
            painting.fill(int((time.time() - begun) * 1000), 0, 0, 8, 8, (i % 256, i // 256, 77))
            if time.time() - flushed >= 1:
                flush()
                flushed = time.time()
    painter = threading.Thread(target=paint)
    painter.start()
    try:
        browser.open(server.page(recording)).ready()
        seen = browser.run("""const c = root.querySelector('.screen').getContext('2d', { willReadFrequently: true }), seen = []; let last = 0; const end = performance.now() + 20000;
            while (performance.now() < end) { await new Promise(requestAnimationFrame); const d = c.getImageData(0, 0, 1, 1).data, i = d[0] + 256 * d[1];
            if (d[2] === 77 && i !== last) { last = i; seen.push([i, Date.now()]); } } return seen;""")
    finally:
        done.set()
        painter.join()
        server.end()
    ages = sorted(at / 1000 - painted_at[i] for i, at in seen[10:])
    row("player: age of the live view", f"{statistics.median(ages):.2f} s median, {ages[-1]:.2f} s worst", f"{len(ages)} pictures", "≤ 2 s")


CHANGES = """for i in $(seq 1 40); do xsetroot -solid "#$(printf %02x $i)004d"; date +%s.%N >>$HOME/times; sleep 0.9; done"""
SCROLL = """xterm -geometry 200x70+10+10 -e 'for i in $(seq 1000); do ls -l /usr/bin | tail -n +$((i * 2)) | head -2; sleep 0.1; done'"""
WATCH = """const c = root.querySelector('.screen').getContext('2d', { willReadFrequently: true }), seen = {}, end = performance.now() + 45000;
    while (performance.now() < end) { await new Promise(requestAnimationFrame); const d = c.getImageData(1900, 1060, 1, 1).data;
    if (d[1] === 0 && d[2] === 77) seen[d[0]] ??= Date.now() / 1000; } return seen;"""


def real(browser):
    """A 1080p desktop, recorded by the program: the age of its colours in the live view, and seeks in 100 s of scrolling."""
    d, pool, client = daemon(MASTER_KEY="0123456789abcdef" * 2, RATE_LIMIT_ENABLED="true"), accounts.Pool(), None
    try:
        user, = d.accounts = pool.get(1)
        api, server = d.api("anna", lucid.SESSIONS), d.api("anna").create_server("seen", desktop={"session": "xorg", "profile": "paint"})
        client = rdp.Client(server["port"], user.name, user.password, size=(WIDTH, HEIGHT))
        d.clients.append(client)
        client.wait_colour("#000000")
        session = proc.until("the session", lambda: api.get("/api/v1/sessions?status=active")["sessions"])[0]["session_id"]
        path = f"/api/v1/sessions/{session}/recording"
        api.post(f"{path}/start", {"chunk_seconds": 30})
        browser.open(f"{d.url(lucid.SESSIONS)}/player#session={session}", token=api.token).ready()
        user.job(CHANGES)
        seen = browser.run(WATCH)
        with open(f"{user.home}/times", encoding="ascii") as f:
            ages = sorted(seen[str(i)] - float(at) for i, at in enumerate(f, 1) if str(i) in seen)
        row("player: age of the live view of a real desktop", f"{statistics.median(ages):.2f} s median, {ages[-1]:.2f} s worst", f"{len(ages)} changes", "≤ 2 s")
        browser.driver.get("about:blank")
        user.job(SCROLL)
        time.sleep(105)
        api.post(f"{path}/stop")
        browser.open(f"{d.url(lucid.SESSIONS)}/player#session={session}").ready()
        browser.until("the thumbnails", "!root.querySelector('.strip canvas:not(.made)')", 60)
        end, chunks = browser.js("[p.timetable.duration, p.timetable.chunks.filter((c) => c.t0 > 50000).map((c) => Math.round(c.raw / 1e6))]")
        dice = random.Random(3)
        took = sorted(browser.run(ASK, [dice.randint(int(end) - 100_000, int(end)) for _ in range(60)]))
        row(f"player: seek in scrolling 1080p from the program, {len(chunks)} chunks of {max(chunks)} MB raw at most",
            f"{statistics.median(took):.0f} ms median, {took[56]:.0f} ms p95, {took[-1]:.0f} ms worst", "", "< 300 ms")
    finally:
        d.end(check=False)
        pool.remove()


def player():
    browser = player_rig.Browser(1400, 1000)
    try:
        seeks_and_work(browser)
        live(browser)
        real(browser)
    finally:
        browser.end()


PLAYER = (player,)
