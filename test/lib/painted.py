"""Recordings painted by tests: the record streams of docs/recording-format.md, and the picture that belongs to each moment."""
import random
import struct

FRAME, CURSOR_IMAGE, CURSOR_POS, GAP = 1, 2, 3, 4


class Chunk:
    def __init__(self, seq, t0, width, height):
        self.seq, self.t0, self.width, self.height = seq, t0, width, height
        self.data, self.last, self.frames, self.closed, self.torn = bytearray(), 0, 0, False, False
        self.levels = bytearray(60)

    def entry(self):
        seconds = self.last // 1000 + 1
        return {"seq": self.seq, "t0_ms": self.t0, "duration_ms": self.last, "bytes": len(self.data) // 4, "raw_bytes": len(self.data), "frames": self.frames,
                "width": self.width, "height": self.height, "closed": self.closed, "torn": self.torn, "gap": False,
                "activity": list(self.levels[:seconds])}


class Recording:
    """Paints on a picture of BGRX pixels. Times are in ms since the start; each call has a time that is not before the one before it."""

    def __init__(self, width=320, height=200, chunk_ms=5000, seed=1, recording_id="7d5a1c52-0000-4000-8000-000000000001", started_at="2026-11-30T14:03:20.250Z"):
        self.width, self.height, self.chunk_ms, self.id, self.started_at = width, height, chunk_ms, recording_id, started_at
        self.random = random.Random(seed)
        self.picture = bytearray(b"\x20\x18\x10\0" * (width * height))
        self.chunks, self.state, self.duration = [], "complete", 0
        self.moments = []  # (time, width, height, picture)

    # --- records

    def _chunk(self, t):
        """The chunk of a change at this time, and whether it is new."""
        last = self.chunks[-1] if self.chunks else None
        if last and not last.closed and t - last.t0 < self.chunk_ms and (last.width, last.height) == (self.width, self.height):
            return last, False
        self.close()
        self.chunks.append(Chunk(len(self.chunks), t, self.width, self.height))
        return self.chunks[-1], True

    def close(self):
        if self.chunks:
            self.chunks[-1].closed = True

    def _record(self, chunk, t, kind, n, key, body):
        chunk.data += struct.pack("<IHBB", t - chunk.t0, n, key, kind) + body
        chunk.last = t - chunk.t0
        self.duration = max(self.duration, t)

    def _rect(self, x, y, w, h):
        rows = (self.picture[4 * (row * self.width + x):4 * (row * self.width + x + w)] for row in range(y, y + h))
        return struct.pack("<HHHH", x, y, w, h) + b"".join(bytes(r) for r in rows)

    def frame(self, t, rects):
        """Records what the picture has in these rectangles; the first frame of a chunk has all of it."""
        chunk, new = self._chunk(t)
        area = sum(w * h for _, _, w, h in rects)
        if new:
            rects = [(0, 0, self.width, self.height)]
        self._record(chunk, t, FRAME, len(rects), int(new), b"".join(self._rect(*r) for r in rects))
        chunk.frames += 1
        level = max(1, min(15, (area * 1024 // (self.width * self.height)).bit_length()))
        chunk.levels[chunk.last // 1000] = max(level, chunk.levels[chunk.last // 1000])
        self.moments.append((t, self.width, self.height, bytes(self.picture)))

    # --- painting

    def fill(self, t, x, y, w, h, colour):
        """colour: (red, green, blue)"""
        row = bytes((colour[2], colour[1], colour[0], 0)) * w
        for line in range(y, y + h):
            at = 4 * (line * self.width + x)
            self.picture[at:at + 4 * w] = row
        self.frame(t, [(x, y, w, h)])

    def noise(self, t, n=3):
        """n rectangles with random pixels, some at the edges of the picture. They do not overlap: each is in a column of its own."""
        rects, column = [], self.width // n
        for i in range(n):
            w, h = self.random.randint(1, column), self.random.randint(1, self.height)
            x, y = i * column + self.random.choice((0, column - w)), self.random.choice((0, self.height - h, self.random.randint(0, self.height - h)))
            for line in range(y, y + h):
                at = 4 * (line * self.width + x)
                self.picture[at:at + 4 * w] = self.random.randbytes(4 * w)
            rects.append((x, y, w, h))
        self.frame(t, rects)

    def resize(self, t, width, height):
        self.width, self.height = width, height
        self.picture = bytearray(b"\x40\x30\x20\0" * (width * height))
        self.frame(t, [(0, 0, width, height)])

    def cursor_image(self, t, hot, width, height, bgra):
        self._record(self._chunk(t)[0], t, CURSOR_IMAGE, 1, 0, struct.pack("<HHHH", *hot, width, height) + bgra)

    def cursor_at(self, t, x, y):
        self._record(self._chunk(t)[0], t, CURSOR_POS, 0, 0, struct.pack("<HH", x, y))

    def gap(self, t, from_ms, reason=1):
        self._record(self._chunk(t)[0], t, GAP, reason, 0, struct.pack("<Q", from_ms))

    # --- what is expected

    def at(self, ms):
        """(width, height, RGBA pixels) at this time"""
        past = [m for m in self.moments if m[0] <= ms] or self.moments[:1]
        _, width, height, picture = past[-1]
        rgba = bytearray(picture)
        rgba[0::4], rgba[2::4], rgba[3::4] = picture[2::4], picture[0::4], b"\xff" * (width * height)
        return width, height, bytes(rgba)
