"""An X server with a cookie (Xvfb or Xvnc), and a client of it that paints known pixels, takes pictures and cuts other clients off. It speaks
the protocol itself, so that it needs no library."""
import os
import secrets
import socket
import struct
import subprocess
import tempfile

import proc

COOKIE_NAME = b"MIT-MAGIC-COOKIE-1"
KINDS = {"xvfb": lambda w, h, depth: ["Xvfb", "-screen", "0", f"{w}x{h}x{depth}"],
         "xvnc": lambda w, h, depth: ["Xtigervnc", "-geometry", f"{w}x{h}", "-depth", str(depth), "-rfbport", "-1", "-SecurityTypes", "None"]}


def pad(data):
    return data + bytes(-len(data) % 4)


class Client:
    def __init__(self, display):
        self.s = display.connect()
        self.s.settimeout(30 * proc.PATIENCE)
        self.s.sendall(struct.pack("<BxHHHHxx", ord("l"), 11, 0, len(COOKIE_NAME), 16) + pad(COOKIE_NAME) + display.cookie)
        ok, words = struct.unpack("<BxxxxxH", self.read(8))
        setup = self.read(4 * words)
        assert ok == 1, setup
        self.base, self.mask = struct.unpack_from("<II", setup, 4)
        vendor, formats = struct.unpack_from("<H", setup, 16)[0], setup[21]
        root = 32 + vendor + -vendor % 4 + 8 * formats
        self.root, = struct.unpack_from("<I", setup, root)
        self.depth = setup[root + 38]
        self.gc = self.base
        self.ask(55, 0, struct.pack("<IIIII", self.gc, self.root, 1 << 2 | 1 << 15, 0, 1))  # over windows too

    def read(self, n):
        data = b""
        while len(data) < n:
            more = self.s.recv(n - len(data))
            assert more, "the X server closed the connection"
            data += more
        return data

    def ask(self, opcode, detail, body):
        assert len(body) % 4 == 0
        self.s.sendall(struct.pack("<BBH", opcode, detail, 1 + len(body) // 4) + body)

    def reply(self):
        while True:
            head = self.read(32)
            if head[0] == 1:
                return head + self.read(4 * struct.unpack_from("<I", head, 4)[0])
            assert head[0] != 0, f"X error {head[1]}, request {head[10]}"

    def sync(self):
        self.ask(43, 0, b"")
        self.reply()

    def fill(self, colour, x, y, w, h):
        self.ask(56, 0, struct.pack("<III", self.gc, 1 << 2, colour))
        self.ask(70, 0, struct.pack("<IIhhHH", self.root, self.gc, x, y, w, h))

    def put(self, x, y, w, h, bgrx):
        """Pixels of 32 bits, as many requests as are needed."""
        rows = max(1, 200000 // (4 * w))
        for first in range(0, h, rows):
            n = min(rows, h - first)
            self.ask(72, 2, struct.pack("<IIHHhhBBxx", self.root, self.gc, w, n, x, y + first, 0, self.depth) + bgrx[4 * w * first:4 * w * (first + n)])

    def size(self):
        self.ask(14, 0, struct.pack("<I", self.root))
        return struct.unpack_from("<HH", self.reply(), 16)

    def picture(self):
        """(width, height, BGRX bytes with the fourth byte 0) of the screen, without the cursor."""
        w, h = self.size()
        self.ask(73, 2, struct.pack("<IhhHHI", self.root, 0, 0, w, h, 0xFFFFFFFF))
        data = bytearray(self.reply()[32:32 + 4 * w * h])
        data[3::4] = bytes(w * h)
        return w, h, bytes(data)

    def warp(self, x, y):
        self.ask(41, 0, struct.pack("<IIhhHHhh", 0, self.root, 0, 0, 0, 0, x, y))

    def move(self, window, x, y):
        self.ask(12, 0, struct.pack("<IHxxii", window, 3, x, y))

    def kill_others(self, n=32):
        """XKillClient of all other clients; which numbers they have is tried."""
        step = self.mask + 1
        for k in range(1, n):
            if k * step != self.base:
                self.ask(113, 0, struct.pack("<I", k * step))
        self.ask(43, 0, b"")
        while self.read_any()[0] != 1:
            pass

    def read_any(self):
        head = self.read(32)
        return head + self.read(4 * struct.unpack_from("<I", head, 4)[0]) if head[0] == 1 else head

    def close(self):
        self.s.close()


class Display:
    def __init__(self, kind="xvfb", size=(640, 480), depth=24):
        self.dir = tempfile.TemporaryDirectory(prefix="lrdp-x-")
        self.cookie = secrets.token_bytes(16)
        self.authority = os.path.join(self.dir.name, "authority")
        with open(self.authority, "wb") as f:
            f.write(b"\xff\xff" + struct.pack(">HH", 0, 0) + b"".join(struct.pack(">H", len(d)) + d for d in (COOKIE_NAME, self.cookie)))
        self.x = subprocess.Popen([*KINDS[kind](*size, depth), "-displayfd", "1", "-auth", self.authority, "-noreset", "-nolisten", "tcp"],
                                  stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True)
        self.name = ":" + self.x.stdout.readline().decode().strip()
        assert self.name != ":", f"{kind} did not start"
        self.client = Client(self)

    def connect(self):
        s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        s.connect(f"/tmp/.X11-unix/X{self.name[1:]}")
        return s

    @property
    def env(self):
        return {"PATH": os.environ["PATH"], "HOME": self.dir.name, "DISPLAY": self.name, "XAUTHORITY": self.authority, "LANG": "C.UTF-8"}

    def run(self, *args):
        return subprocess.run(args, env=self.env, check=True, timeout=30 * proc.PATIENCE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def spawn(self, *args, **more):
        return subprocess.Popen(args, env=self.env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True, **more)

    def close(self):
        self.client.close()
        self.x.kill()
        self.x.wait()
        for path in (f"/tmp/.X{self.name[1:]}-lock", f"/tmp/.X11-unix/X{self.name[1:]}"):
            if os.path.exists(path):
                os.unlink(path)
        self.dir.cleanup()
