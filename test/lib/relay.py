"""A TCP relay that imitates a bad link: it can drop the data of one direction, freeze, delay, or reset connections."""
import collections
import contextlib
import selectors
import socket
import struct
import threading
import time

CHUNK = 65536
HELD_MAX = 4 << 20  # of one direction of one connection; then reading stops
LINGER_0 = struct.pack("ii", 1, 0)  # close() sends a reset


class Way:
    """One direction of one connection: data that was read and must be written."""

    def __init__(self, source, sink, kind):
        self.source, self.sink, self.kind = source, sink, kind
        self.held = collections.deque()  # (due time, bytes)
        self.size, self.ended = 0, False


class Relay:
    """Relay(port) listens on a port of its own, .port, and forwards to 127.0.0.1:port; with a seat (hosts.Host) it listens on the same port of
    that host's address. Use as a context."""

    def __init__(self, target, seat=None):
        self.target = target
        with seat.inside() if seat else contextlib.nullcontext():
            self.listener = socket.create_server((seat.address, target) if seat else ("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.lost = set()  # "to", "from": data to the target, or from it, is read and dropped
        self.frozen = False  # connections are accepted, but nothing is forwarded
        self.delay_s = 0.0
        self.accepted = 0
        self.lock = threading.Lock()
        self.pairs = {}  # client → (server, the two directions)
        self.stopping = False
        self.listener.setblocking(False)
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    # --- faults
    def cut(self, *ways):
        self.lost |= set(ways or ("to", "from"))

    def freeze(self):
        self.frozen = True

    def slow(self, delay_s):
        self.delay_s = delay_s

    def heal(self):
        self.lost, self.frozen, self.delay_s = set(), False, 0.0

    def reset(self):
        """Resets every connection at both ends."""
        with self.lock:
            pairs = list(self.pairs)
        for client in pairs:
            self._drop(client, reset=True)

    # --- forwarding
    def _drop(self, client, reset=False):
        with self.lock:
            found = self.pairs.pop(client, None)
        if not found:
            return
        for s in (client, found[0]):
            with contextlib.suppress(OSError):
                if reset:
                    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_0)
                s.close()

    def _accept(self):
        with contextlib.suppress(OSError):
            client, _ = self.listener.accept()
            self.accepted += 1
            try:
                server = socket.create_connection(("127.0.0.1", self.target), timeout=2)
            except OSError:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_0)
                client.close()
                return
            for s in (client, server):
                s.setblocking(False)
                s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self.lock:
                self.pairs[client] = (server, (Way(client, server, "to"), Way(server, client, "from")))

    def _read(self, way, now):
        try:
            data = way.source.recv(CHUNK)
        except BlockingIOError:
            return
        if not data:
            way.ended = True
        elif way.kind not in self.lost:
            way.held.append((now + self.delay_s, data))
            way.size += len(data)

    def _write(self, way, now):
        while way.held and way.held[0][0] <= now and not self.frozen:
            when, data = way.held.popleft()
            try:
                n = way.sink.send(data)
            except BlockingIOError:
                n = 0
            way.size -= n
            if n < len(data):
                way.held.appendleft((when, data[n:]))
                return

    def _turn(self, ready):
        now = time.monotonic()
        with self.lock:
            pairs = list(self.pairs.items())
        for client, (_, ways) in pairs:
            try:
                for way in ways:
                    if way.source in ready and not way.ended and way.size < HELD_MAX:
                        self._read(way, now)
                    self._write(way, now)
                if any(w.ended and not w.held for w in ways) and not self.frozen and not self.lost:
                    self._drop(client)
            except (OSError, ValueError):
                self._drop(client, reset=True)

    def _run(self):
        while not self.stopping:
            with selectors.DefaultSelector() as wait:
                wait.register(self.listener, selectors.EVENT_READ)
                with self.lock:
                    pairs = list(self.pairs.items())
                late = False
                for _, (_, ways) in pairs:
                    for way in ways:
                        late = late or bool(way.held)
                        with contextlib.suppress(ValueError, KeyError, OSError):
                            if not way.ended and way.size < HELD_MAX:
                                wait.register(way.source, selectors.EVENT_READ)
                ready = {key.fileobj for key, _ in wait.select(0.005 if late else 0.05)}
            if self.listener in ready:
                self._accept()
            self._turn(ready)

    def end(self):
        self.stopping = True
        self.thread.join(5)
        self.listener.close()
        for client in list(self.pairs):
            self._drop(client)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()
