"""An RDP client whose picture can be examined: xfreerdp on an X server of its own."""
import collections
import os
import struct
import subprocess
import tempfile

from proc import until


class Picture:
    """A picture from xwd."""

    def __init__(self, xwd):
        head = struct.unpack(">25I", xwd[:100])
        size, self.width, self.height, self.stride = head[0], head[4], head[5], head[12]
        order, bits, ncolors = head[7], head[11], head[19]
        assert bits == 32, f"{bits} bits a pixel"
        pixels = xwd[size + 12 * ncolors:][:self.stride * self.height]
        values = struct.unpack((">" if order else "<") + f"{len(pixels) // 4}I", pixels)
        self.count = collections.Counter(v & 0xFFFFFF for v in values)
        self.total = self.width * self.height

    def share(self, colour, tolerance=14):
        """The fraction of the picture (0 to 1) with about this colour; the codec is lossy."""
        want = int(colour.lstrip("#"), 16)

        def near(v):
            return all(abs((v >> s & 255) - (want >> s & 255)) <= tolerance for s in (16, 8, 0))
        return sum(n for v, n in self.count.items() if near(v)) / self.total

    def top(self):
        return [(f"#{v:06x}", round(n / self.total, 3)) for v, n in self.count.most_common(4)]


class Client:
    """file: an .rdp file with address and user, which are then not taken from the arguments."""

    def __init__(self, port, user, password, size=(400, 300), args=(), host="127.0.0.1", wrap=(), file=None):
        self.server_says = None  # returns the server's logs, for the message of a failure
        self.dir = tempfile.TemporaryDirectory(prefix="lrdp-client-")
        # -noreset: without it, the X server resets when the last client disconnects (xwd is one, and pictures are taken from the start), and
        # refuses the xfreerdp that connects at that moment
        self.x = subprocess.Popen(["Xvfb", "-noreset", "-displayfd", "1", "-screen", "0", f"{size[0]}x{size[1]}x24", "-nolisten", "tcp"],
                                  stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True)
        self.display = ":" + self.x.stdout.readline().decode().strip()
        assert self.display != ":", "Xvfb did not start"
        self.log_path = os.path.join(self.dir.name, "log")
        env = {"PATH": os.environ["PATH"], "HOME": self.dir.name, "DISPLAY": self.display, "LANG": "C.UTF-8"}
        whom = [f"/v:{host}:{port}", f"/u:{user}"] if file is None else [os.path.join(self.dir.name, "given.rdp")]
        if file is not None:
            with open(whom[0], "wb") as f:
                f.write(file)
        with open(self.log_path, "wb") as log:
            self.rdp = subprocess.Popen([*wrap, "xfreerdp", *whom, f"/p:{password}", "/cert:ignore", "/bpp:24",
                                         f"/size:{size[0]}x{size[1]}", "-decorations", "/log-level:WARN", *args],
                                        env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)

    def picture(self):
        r = subprocess.run(["xwd", "-root", "-silent", "-display", self.display], capture_output=True, timeout=10, check=True)
        return Picture(r.stdout)

    def save(self, path):
        subprocess.run(["import", "-display", self.display, "-window", "root", path], check=True, timeout=20)

    def wait_colour(self, colour, timeout=40, share=0.9, unless=lambda: None):
        """Waits until the client shows a desktop of that colour; `unless` must return nothing meanwhile."""
        seen = []

        def shown():
            assert not (found := unless()), found
            picture = self.picture()
            seen[:] = picture.top()
            if self.rdp.poll() is not None and picture.share(colour) < share:
                raise AssertionError(f"the client exited with {self.rdp.returncode}: {self.log()}")
            return picture.share(colour) >= share
        try:
            until(f"{colour} on {self.display}", shown, timeout, 0.2)
        except AssertionError as e:
            says = self.server_says() if self.server_says else ""
            raise AssertionError(f"{e}; seen: {seen}; client: {self.log()}; server: {says}") from None

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as f:
            return f.read()[-1500:]

    @property
    def connected(self):
        return self.rdp.poll() is None

    def close(self):
        for p in (self.rdp, self.x):
            if p.poll() is None:
                p.terminate()
                try:
                    p.wait(5)
                except subprocess.TimeoutExpired:
                    p.kill()
                    p.wait(5)
        self.x.stdout.close()
        self.dir.cleanup()
