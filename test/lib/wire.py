"""Many raw connections at once, valid and invalid, from a seeded generator; responses are parsed strictly by HTTP. The number of connections
and the time are bounded; the driver is one thread and consumes its plans lazily."""
import dataclasses
import random
import re
import selectors
import socket
import struct
import time

STATUS_LINE = re.compile(rb"HTTP/1\.1 ([1-5][0-9][0-9]) [ -~]*\Z")
LENGTH = re.compile(rb"\r\nContent-Length: ([0-9]+)\r\n")
# bytes that parsers may interpret differently, inserted at wrong places
SPLICES = (b"\r\n", b"\n", b"\r", b"\0", b"\r\n\r\n", b" ", b"\t", b":", b"%00", b"%zz", b"../", b"?", b"#", b"\xff\xfe", b"HTTP/1.1", b"HTTP/0.9", b"HTTP/2.0",
           b"Transfer-Encoding: chunked\r\n", b"Content-Length: 0\r\n", b"Content-Length: 99999999999999999999\r\n", b"Content-Length: -1\r\n",
           b"Content-Length: 5000\r\n", b"Expect: 100-continue\r\n", b"Connection: close\r\n", b"Connection: upgrade\r\nUpgrade: h2c\r\n", b" folded\r\n", b"X: " + b"y" * 5000 + b"\r\n",
           b"X: y\r\n" * 80, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"\x03\x00\x00\x13\x0e\xe0", b"[" * 200, b"{\"a\":" * 100, b"\\u0000", b"1e999")


@dataclasses.dataclass
class Plan:
    """What one connection sends, in which pieces, and how it ends: read, half (shut down sending, then read), close or reset."""
    pieces: list
    end: str
    linger_s: float = 0.4  # how long to wait for a response after everything was sent


def mutate(rng, data, times):
    for _ in range(times):
        at = rng.randrange(len(data) + 1)
        what = rng.randrange(7)
        if what == 0 and at < len(data):
            data = data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1:]
        elif what == 1:
            data = data[:at] + rng.randbytes(rng.randrange(1, 9)) + data[at:]
        elif what == 2:
            data = data[:at] + data[at + rng.randrange(1, 40):]
        elif what == 3:
            data = data[:at] + data[at:at + rng.randrange(1, 60)] * rng.randrange(2, 5) + data[at:]
        elif what == 4:
            data = data[:at] + rng.choice(SPLICES) + data[at:]
        elif what == 5:
            line = data.find(b"\r\n", at)  # at the start of a line it is a header line of its own
            data = data[:line + 2] + rng.choice(SPLICES) + data[line + 2:] if line >= 0 else data[:at]
        else:
            data = data[:at]
    return data


def cut(rng, data):
    """Random pieces, usually few."""
    n = rng.choice((1, 1, 1, 2, 2, 3, 5, 9))
    marks = sorted(rng.randrange(len(data) + 1) for _ in range(n - 1))
    return [p for p in (data[a:b] for a, b in zip([0, *marks], [*marks, len(data)])) if p]


def mutated(seed, requests, count):
    """`count` connections with valid requests, most of which are mutated somewhere, some pipelined, ended in every way."""
    rng = random.Random(seed)
    for _ in range(count):
        data = b"".join(rng.choice(requests) for _ in range(rng.choice((1, 1, 1, 2, 3))))
        data = mutate(rng, data, rng.choice((0, 1, 1, 1, 2, 3, 8)))
        yield Plan(cut(rng, data), rng.choice(("read", "half", "half", "close", "reset")), 0.05)


def resets(seed, requests, count):
    """Valid requests, reset before they are sent, within the head, within the body, before the response, or within it."""
    rng = random.Random(seed)
    for _ in range(count):
        data = b"".join(rng.choice(requests) for _ in range(rng.choice((1, 1, 2, 4))))
        if rng.random() < 0.6:
            data = data[:rng.randrange(len(data) + 1)]
        yield Plan(cut(rng, data), "reset", 0)


def answers(data):
    """The responses in the received data, as (status, body length); the last one may be truncated. Anything else raises. A response to HEAD
    has a length but no body, which is detected because no body of the program begins like a response."""
    found = []
    while data:
        end = data.find(b"\r\n\r\n")
        if end < 0:
            assert data.startswith(b"HTTP/1.1 "[:len(data)]), f"not an answer: {data[:200]!r}"
            break
        first = STATUS_LINE.match(data[:data.index(b"\r\n")])
        assert first, f"not a status line: {data[:200]!r}"
        status, head = int(first[1]), data[:end + 2]
        length = LENGTH.findall(head)
        assert len(length) == (0 if status in (100, 204, 304) else 1), f"lengths in {head!r}"
        found.append((status, int(length[0]) if length else 0))
        data = data[end + 4:]
        if not data.startswith(b"HTTP/1.1 "):
            data = data[found[-1][1]:]
    return found


class Wire:
    """One connection in progress."""

    def __init__(self, plan):
        self.plan, self.at, self.got, self.connected = plan, 0, [], False
        self.quiet_at = None  # when to stop waiting for more
        self.sock = socket.socket()
        self.sock.setblocking(False)

    def mask(self):
        done = self.connected and self.at >= len(self.plan.pieces)
        return selectors.EVENT_READ if done else selectors.EVENT_READ | selectors.EVENT_WRITE


class Driver:
    """Runs plans against one port, `at_once` of them at a time. `heard` counts statuses; refused() gets raw bytes."""

    def __init__(self, port, at_once=100, keep_answers=True):
        self.port, self.at_once, self.keep = port, at_once, keep_answers
        self.heard, self.lost, self.served = {}, 0, 0
        self.selector = selectors.DefaultSelector()

    def run(self, plans, limit_s):
        """Runs all of them; fails after limit_s, because then something hangs."""
        plans, open_now, end = iter(plans), set(), time.monotonic() + limit_s
        more = True
        while more or open_now:
            now = time.monotonic()
            if now > end:
                raise AssertionError(f"{len(open_now)} connections still open after {limit_s} s; heard {self.heard}")
            while more and len(open_now) < self.at_once:
                plan = next(plans, None)
                if plan is None:
                    more = False
                    break
                open_now.add(self.open(plan))
            ready = self.selector.select(0.05)
            for key, events in ready:
                if self.step(key.data, events, now):
                    self.finish(key.data)
                    open_now.discard(key.data)
            for w in [w for w in open_now if w.quiet_at is not None and w.quiet_at < now]:
                self.finish(w)
                open_now.discard(w)
        self.selector.close()
        return self

    def open(self, plan):
        w = Wire(plan)
        w.sock.connect_ex(("127.0.0.1", self.port))
        self.selector.register(w.sock, w.mask(), w)
        return w

    def step(self, w, events, now):
        """True: the connection has ended."""
        try:
            if events & selectors.EVENT_READ:
                part = w.sock.recv(65536)
                if not part:
                    return True
                w.got.append(part)
                if w.quiet_at is not None:
                    w.quiet_at = now + w.plan.linger_s
            if events & selectors.EVENT_WRITE:
                return self.write(w, now)
        except BlockingIOError:
            pass
        except OSError:  # reset or refused, which the server may do after an error
            self.lost += 1
            return True
        return False

    def write(self, w, now):
        w.connected = True
        if w.at < len(w.plan.pieces):
            piece = w.plan.pieces[w.at]
            sent = w.sock.send(piece)
            if sent < len(piece):
                w.plan.pieces[w.at] = piece[sent:]
                return False
            w.at += 1
        if w.at < len(w.plan.pieces):
            return False
        if w.plan.end in ("close", "reset"):
            return True
        if w.plan.end == "half":
            w.sock.shutdown(socket.SHUT_WR)
        w.quiet_at = now + (w.plan.linger_s if w.plan.end == "read" else 20)
        self.selector.modify(w.sock, w.mask(), w)
        return False

    def finish(self, w):
        self.selector.unregister(w.sock)
        if w.plan.end == "reset":
            w.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        w.sock.close()
        if self.keep:
            for status, _ in answers(b"".join(w.got)):
                self.heard[status] = self.heard.get(status, 0) + 1
                self.served += 1
