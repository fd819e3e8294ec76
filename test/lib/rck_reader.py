#!/usr/bin/env python3
"""Reads recordings, written from docs/recording-format.md alone: rck_reader.py DIR MASTER_KEY_FILE prints a line of JSON for each record.

It needs cryptography, and zstandard or lz4 for chunks with that codec. Each frame is painted; its line has the SHA-256 of the whole picture,
with the fourth byte of each pixel as stored. Anything that contradicts the format raises an AssertionError or InvalidTag.
"""
import hashlib
import io
import json
import os
import struct
import sys
import uuid

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDF


def hkdf(key, info, n=32, salt=None):
    return HKDF(hashes.SHA256(), n, salt, info).derive(key)


def sha(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def signed(path, context):
    """The document of a signed text."""
    text = open(path, "rb").read()
    body, tail = text[:-145], text[-145:]
    assert tail.startswith(b',"signature":"') and tail.endswith(b'"}\n')
    doc = json.loads(text)
    key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(doc["public_key"]))
    key.verify(bytes.fromhex(doc["signature"]), context + b"\0" + body)
    return doc


def merkle(leaves):
    if len(leaves) < 2:
        return leaves[0] if leaves else sha()
    half = 1 << (len(leaves) - 1).bit_length() - 1
    return sha(b"\1", merkle(leaves[:half]), merkle(leaves[half:]))


def inflate(codec, data, ended):
    if codec == 0:
        return data
    if codec == 2:
        import zstandard
        d = zstandard.ZstdDecompressor(max_window_size=1 << 23).decompressobj()
        out = d.decompress(data)
        assert not d.unused_data
        return out
    import lz4.block
    out, at = b"", 0
    while at + 8 <= len(data):
        raw, packed = struct.unpack_from("<II", data, at)
        at += 8 + packed
        if not raw:
            break
        out += lz4.block.decompress(data[at - packed:at], uncompressed_size=raw, dict=out[-65536:])
    assert not ended or (raw == 0 and at == len(data))
    return out


class Chunk:
    def __init__(self, data, key):
        self.header, at, plain, number = data[:96], 96, b"", 0
        magic, version, self.codec, cipher, flags, rec_id, self.seq, self.width, self.height, self.t0, salt, self.prev, rest = \
            struct.unpack("<4sBBBB16sIHHQ16s32sQ", self.header)
        assert (magic, version, flags, rest) == (b"RCK1", 1, 0, 0)
        self.id, self.complete, self.frames, self.last, self.activity = uuid.UUID(bytes=rec_id), False, 0, 0, bytearray(60)
        chunk_key = hkdf(key, b"rck1 chunk" + rec_id + struct.pack("<I", self.seq), salt=salt) if cipher else b""
        while at + 20 <= len(data) and not self.complete:
            segment = data[at:at + 20]
            length, n, first, last, frames, kind, bits = struct.unpack("<IIIIHBB", segment)
            if at + 20 + length + 16 > len(data) or kind not in (1, 2, 3):
                break  # torn, or still growing
            body, aad = data[at + 20:at + 36 + length], self.header + segment
            assert n == number and first <= last < 60000 and length <= 1 << 20
            if cipher:
                nonce = struct.pack("<IQ", n, 0)
                plain += (AESGCM if cipher == 1 else ChaCha20Poly1305)(chunk_key).decrypt(nonce, body, aad)
            else:
                assert body[-16:] == sha(aad, body[:-16])[:16]
                plain += body[:-16]
            at, number, self.frames, self.last, self.complete = at + 36 + length, number + 1, self.frames + frames, last, kind == 2
            self.activity[last // 1000] = bits >> 4
        assert not self.complete or at == len(data)
        self.plain = inflate(self.codec, plain, self.complete)

    def records(self):
        """(time in ms since the recording's start, kind, what it has); frames are painted into self.picture."""
        f, screen = io.BytesIO(self.plain), bytearray(self.width * self.height * 4)
        self.picture = screen
        while head := f.read(8):
            t, n, key, kind = struct.unpack("<IHBB", head)
            if kind == 1:
                for _ in range(n):
                    x, y, w, h = struct.unpack("<HHHH", f.read(8))
                    assert x + w <= self.width and y + h <= self.height
                    for row in range(y, y + h):
                        at = (row * self.width + x) * 4
                        screen[at:at + w * 4] = f.read(w * 4)
                facts = {"rects": n, "key": key, "picture": sha(screen).hex()}
            elif kind == 2:
                x, y, w, h = struct.unpack("<HHHH", f.read(8))
                facts = {"hot": [x, y], "size": [w, h], "image": sha(f.read(w * h * 4)).hex()}
            elif kind == 3:
                facts = {"at": struct.unpack("<HH", f.read(4))}
            else:
                assert kind == 4
                facts = {"from": struct.unpack("<Q", f.read(8))[0], "reason": n}
            yield self.t0 + t, {1: "frame", 2: "cursor_image", 3: "cursor_pos", 4: "gap"}[kind], facts


def recording(directory, master):
    """Yields the chunks, after checking manifest, index, chain and seal."""
    manifest = signed(f"{directory}/manifest.json", b"rck1 manifest")
    rec_id, key = uuid.UUID(manifest["recording"]["recording_id"]), None
    if manifest["key"]:
        kek_id, w = manifest["key"]["kek_id"], bytes.fromhex(manifest["key"]["wrapped"])
        assert kek_id == hkdf(master, b"rck1 kek id", 8).hex()
        key = AESGCM(hkdf(master, b"rck1 kek")).decrypt(w[:12], w[12:], rec_id.bytes + kek_id.encode() + b"rck1 dek")
    index = open(f"{directory}/index", "rb").read()
    entries, head = [index[i:i + 128] for i in range(0, len(index), 128)], bytes(32)
    for seq, entry in enumerate(entries):
        data = open(f"{directory}/{seq:08}.rck", "rb").read()
        n, flags, _, w, t0, duration, frames, size, raw, h, activity, digest, prev = struct.unpack("<IBBHQIIIIH30s32s32s", entry)
        assert (n, size, digest, prev) == (seq, len(data), sha(data), head)
        head = digest
        if len(data) < 96:
            continue  # torn before its header was written
        c = Chunk(data, key)
        assert (c.id, c.seq, c.width, c.height, c.t0, c.prev, c.complete) == (rec_id, seq, w, h, t0, prev, not flags & 1)
        assert (c.frames, c.last) == (frames, duration) and raw in (0, len(c.plain))
        assert all(c.activity[i] == activity[i // 2] >> i % 2 * 4 & 15 for i in range(60))
        yield c
    if os.path.exists(f"{directory}/seal.json"):
        seal = signed(f"{directory}/seal.json", b"rck1 seal")
        assert seal["recording"] == manifest["recording"] and seal["chunks"] == len(entries) and seal["head"] == head.hex()
        assert seal["merkle_root"] == merkle([sha(b"\0", e) for e in entries]).hex()


if __name__ == "__main__":
    for chunk in recording(sys.argv[1], open(sys.argv[2], "rb").read().rstrip(b"\r\n")):
        for when, what, found in chunk.records():
            print(json.dumps({"chunk": chunk.seq, "t": when, "kind": what, **found}))
