"""Recordings: what the recorder costs beside ffmpeg on the same display, in one run."""
import contextlib
import glob
import os
import random
import re
import statistics
import subprocess
import tempfile
import threading
import time

from measure import ROOT, SECONDS, proc, row, sh

os.environ.setdefault("LUCID_BIN", os.path.join(ROOT, "build/release/lucid-rdp"))
from recorder import Recorder, Recording  # noqa: E402
from x_display import Client, Display  # noqa: E402

SIZE = (1920, 1080)
FONT = ("-fa", "DejaVu Sans Mono", "-fs", "10")
LENGTH = max(SECONDS, 5) * 2  # of one workload


def cpu(pid):
    """Processor seconds of all threads, exactly."""
    found = 0
    for task in glob.glob(f"/proc/{pid}/task/*/schedstat"):
        with contextlib.suppress(OSError), open(task, encoding="ascii") as f:
            found += int(f.read().split()[0])
    return found / 1e9


def peak_mib(pid):
    return int(re.search(r"VmHWM:\s+(\d+)", proc.read(f"/proc/{pid}/status")).group(1)) / 1024


# --- workloads: each is a context during which something happens on the display

class Work:
    def __init__(self, display, kind, material):
        self.display, self.kind, self.material = display, kind, material
        self.over, self.processes, self.thread = threading.Event(), [], None

    def xterm(self, geometry, script):
        self.processes.append(self.display.spawn("xterm", *FONT, "-geometry", geometry, "-e", "perl", "-e", "$| = 1; " + script))

    def __enter__(self):
        self.display.client.fill(0x305070, 0, 0, *SIZE)
        text = f"open F, '<', '{self.material}/text' or die; "
        if self.kind == "typing":
            self.xterm("120x40+100+100", text + "while (read F, $c, 1) { print $c; select undef, undef, undef, 0.125 }")
        elif self.kind == "scrolling":
            self.xterm("150x60+50+50", text + "while (<F>) { print; select undef, undef, undef, 0.05 }")
        else:
            self.xterm("100x40+50+50", text + "for (1 .. 39) { print scalar <F> } sleep 1000")
        if self.kind == "dragging":
            self.xterm("80x24+500+100", text + "for (1 .. 23) { print scalar <F> } sleep 1000")
        time.sleep(2)
        if self.kind in ("dragging", "video", "photographs"):
            self.thread = threading.Thread(target=getattr(self, self.kind), daemon=True)
            self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        if self.thread:
            self.thread.join()
        for p in self.processes:
            p.kill()
            p.wait()

    def at(self, rate, do):
        start, k = time.perf_counter(), 0
        while not self.over.wait(max(0, start + k / rate - time.perf_counter())):
            do(k)
            k += 1

    def dragging(self):
        """40 moves a second of the second window."""
        window = int(sh("xdotool", "search", "--class", "xterm", env=self.display.env).split()[-1])
        client = Client(self.display)
        self.at(40, lambda k: client.move(window, 100 + abs(k * 9 % 2000 - 1000), 100 + abs(k * 5 % 1000 - 500)))
        client.close()

    def video(self):
        with open(f"{self.material}/video", "rb") as f:
            data = f.read()
        one = 640 * 360 * 4
        client = Client(self.display)
        self.at(25, lambda k: client.put(700, 400, 640, 360, data[k * one % len(data):][:one]))
        client.close()

    def photographs(self):
        """A page of six photographs, another one every two seconds."""
        with open(f"{self.material}/photographs", "rb") as f:
            data = f.read()
        one, client = 400 * 300 * 4, Client(self.display)

        def page(k):
            for n in range(6):
                at = (k * 6 + n) * one % len(data)
                client.put(300 + n % 3 * 430, 200 + n // 3 * 330, 400, 300, data[at:at + one])
        self.at(0.5, page)
        client.close()


def make_material(folder):
    """Text, a video with grain, photographs."""
    lines = [line for f in sorted(glob.glob(f"{ROOT}/src/*/*.c"))[:60] for line in open(f, encoding="utf-8")]
    with open(f"{folder}/text", "w", encoding="utf-8") as f:
        f.writelines(lines)
    for name, size, n in (("video", "640x360", 75), ("photographs", "400x300", 36)):
        rate = 25 if name == "video" else 0.7
        sh("ffmpeg", "-v", "error", "-f", "lavfi", "-i", f"mandelbrot=s={size}:rate={rate}:start_scale=1.6:end_scale=0.01", "-vf", "noise=alls=6:allf=t",
           "-frames:v", str(n), "-f", "rawvideo", "-pix_fmt", "bgr0", f"{folder}/{name}")


# --- recorders

class Ours:
    name = "the recorder"

    def __init__(self, display, **config):
        self.recording = Recording()
        self.r = Recorder(self.recording, display, **config)
        self.r.wait("recording")
        self.pid = self.r.p.pid

    def idle(self):
        while self.r.receive(0):
            pass

    def bytes(self):
        return self.recording.bytes()

    def stop(self):
        self.idle()
        self.r.stop()
        self.r.kill()
        return self.recording.bytes()


class Ffmpeg:
    def __init__(self, display, *codec):
        self.dir = tempfile.TemporaryDirectory(prefix="lrdp-bench-")
        self.file = f"{self.dir.name}/out.mkv"
        self.p = subprocess.Popen(["ffmpeg", "-v", "error", "-nostdin", "-f", "x11grab", "-framerate", "30", "-video_size", f"{SIZE[0]}x{SIZE[1]}",
                                   "-i", display.name, *codec, "-flush_packets", "1", self.file], env=display.env)
        self.pid = self.p.pid
        proc.until("the first bytes of ffmpeg", lambda: os.path.exists(self.file) and os.path.getsize(self.file))

    def idle(self):
        pass

    def bytes(self):
        return os.path.getsize(self.file)

    def stop(self):
        self.p.terminate()
        self.p.wait()
        return self.bytes()


def ultrafast(display):
    return Ffmpeg(display, "-c:v", "libx264", "-preset", "ultrafast", "-crf", "23", "-pix_fmt", "yuv420p")


def lossless(display):
    return Ffmpeg(display, "-c:v", "libx264rgb", "-preset", "ultrafast", "-crf", "0")


def take(display, kind, material, begin):
    """(processor share, bytes a minute, peak MiB, share of the X server) while the workload runs."""
    with Work(display, kind, material):
        recorder = begin(display) if begin else None
        time.sleep(1)
        before, x_before, start = cpu(recorder.pid) if recorder else 0, cpu(display.x.pid), time.perf_counter()
        written = recorder.bytes() if recorder else 0
        time.sleep(LENGTH)
        took = time.perf_counter() - start
        x_share = (cpu(display.x.pid) - x_before) / took
        if not recorder:
            return 0, 0, 0, x_share
        share, memory = (cpu(recorder.pid) - before) / took, peak_mib(recorder.pid)
        return share, (recorder.stop() - written) / took * 60, memory, x_share


WANTED = {"still": "< 0.1 %", "scrolling": "≤ 9 %, ≤ 1/4 of ultrafast; bytes ≤ 1/3"}


def workloads(material):
    display = Display("xvfb", SIZE)
    try:
        for kind in ("still", "typing", "scrolling", "dragging", "video", "photographs"):
            alone = take(display, kind, material, None)[3]
            ours, fast, exact = (take(display, kind, material, begin) for begin in (Ours, ultrafast, lossless))

            def say(t):
                return f"{t[0]:.2%} of a core, {t[1] / 1e6:.2f} MB/min, {t[2]:.0f} MiB, X {t[3] - alone:+.1%}"
            row(f"recording 1080p30: {kind}", say(ours), f"x264 ultrafast: {say(fast)}; x264rgb lossless: {say(exact)}", WANTED.get(kind, ""))
    finally:
        display.close()


def latency():
    """From a drawing request to the time of the record that has it, on a screen that is still otherwise."""
    display, rng, drawn = Display("xvfb", SIZE), random.Random(1), []
    try:
        ours = Ours(display)
        for k in range(150):
            time.sleep(rng.uniform(0.05, 0.2))
            drawn.append(time.monotonic())
            display.client.fill(k + 1, 0, 0, 64, 64)
            display.client.sync()
        time.sleep(0.5)
        ours.stop()
        seen, start = {}, ours.recording.start_us / 1e6
        for chunk in ours.recording.read():
            for t, what, _ in chunk.records():
                if what == "frame":
                    seen.setdefault(int.from_bytes(chunk.picture[:3], "little"), start + t / 1000)
        late = sorted((seen[k + 1] - at) * 1e3 for k, at in enumerate(drawn) if k + 1 in seen)
        row("from drawing to capture", f"median {statistics.median(late):.1f} ms, p99 {late[int(len(late) * 0.99)]:.1f} ms", f"{len(late)} of {len(drawn)} changes seen", "p99 < 40 ms")
    finally:
        display.close()


def large(material):
    display = Display("xvfb", (3840, 2160))
    try:
        with open(f"{material}/photographs", "rb") as f:
            data = f.read()
        one = 400 * 300 * 4
        ours = Ours(display)
        for k in range(60):
            display.client.put(k % 10 * 380, k // 10 * 350, 400, 300, data[k * one % len(data):][:one])
        display.client.sync()
        time.sleep(3)
        row("memory at 4K, full of photographs", f"{peak_mib(ours.pid):.0f} MiB", "", "≤ 90 MiB")
        ours.stop()
    finally:
        display.close()


def ten(material):
    """Ten desktops while somebody types on each."""
    displays, ours = [Display("xvfb", (1280, 800)) for _ in range(10)], []
    try:
        with contextlib.ExitStack() as works:
            for d in displays:
                works.enter_context(Work(d, "typing", material))
            ours += [Ours(d) for d in displays]
            time.sleep(1)
            before, start = sum(cpu(o.pid) for o in ours), time.perf_counter()
            time.sleep(LENGTH)
            share = (sum(cpu(o.pid) for o in ours) - before) / (time.perf_counter() - start)
            row("ten desktops recorded while typing", f"{share:.1%} of a core together", "", "< 15 %")
    finally:
        for o in ours:
            o.stop()
        for d in displays:
            d.close()


def recording():
    with tempfile.TemporaryDirectory(prefix="lrdp-bench-") as material:
        os.chmod(material, 0o755)
        make_material(material)
        workloads(material)
        latency()
        large(material)
        ten(material)


RECORDING = (recording,)
