"""lucid-rdp-recorder as the supervisor starts it: an account of its own, and a control socket as its only input. The test is the supervisor."""
import array
import base64
import json
import os
import secrets
import select
import signal
import socket
import subprocess
import tempfile
import time
import uuid

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

import proc
import rck_reader

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PROGRAM = os.path.join(os.path.dirname(os.path.abspath(os.environ.get("LUCID_BIN", os.path.join(ROOT, "build/test/lucid-rdp")))), "lucid-rdp-recorder")
UID = 65533


class Recording:
    """A directory that belongs to the recorder's account, with id and key."""

    def __init__(self):
        self.top = tempfile.TemporaryDirectory(prefix="lrdp-rec-")
        os.chmod(self.top.name, 0o711)
        self.id = str(uuid.uuid4())
        self.key = secrets.token_bytes(32)
        self.dir = os.path.join(self.top.name, self.id)
        os.mkdir(self.dir, 0o700)
        os.chown(self.dir, UID, UID)
        self.start_us = time.monotonic_ns() // 1000

    def manifest(self, master):
        """Writes the signed manifest, as the controller does, so that the recording can be verified with this MASTER_KEY."""
        kek_id = rck_reader.hkdf(master, b"rck1 kek id", 8).hex()
        nonce = secrets.token_bytes(12)
        wrapped = nonce + AESGCM(rck_reader.hkdf(master, b"rck1 kek")).encrypt(nonce, self.key, uuid.UUID(self.id).bytes + kek_id.encode() + b"rck1 dek")
        signer = Ed25519PrivateKey.from_private_bytes(rck_reader.hkdf(master, b"rck1 seal"))
        public = signer.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw).hex()
        body = json.dumps({"format": "rck1", "recording": {"recording_id": self.id}, "key": {"kek_id": kek_id, "wrapped": wrapped.hex()},
                           "public_key": public}, separators=(",", ":"))[:-1].encode()
        with open(os.path.join(self.dir, "manifest.json"), "wb") as f:
            f.write(body + b',"signature":"' + signer.sign(b"rck1 manifest\0" + body).hex().encode() + b'"}\n')

    def chunks(self):
        return sorted(f for f in os.listdir(self.dir) if f.endswith(".rck"))

    def bytes(self):
        return sum(os.path.getsize(os.path.join(self.dir, f)) for f in self.chunks())

    def read(self):
        """All chunks, read by the reader that knows the format only from its description."""
        for name in self.chunks():
            with open(os.path.join(self.dir, name), "rb") as f:
                yield rck_reader.Chunk(f.read(), self.key)

    def records(self):
        """(ms since the start, kind, facts) of all chunks."""
        return [r for c in self.read() for r in c.records()]

    def picture(self):
        """(width, height, BGRX bytes) after the last frame."""
        last = list(self.read())[-1]
        for _ in last.records():
            pass
        return last.width, last.height, bytes(last.picture)


class Recorder:
    def __init__(self, recording, display=None, uid=UID, program=PROGRAM, args=("lucid-rdp-recorder",), **config):
        self.recording, self.seen = recording, []
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.control = ours
        self.log = tempfile.TemporaryFile()

        def prepare():
            os.dup2(theirs.fileno(), 3)
        self.p = subprocess.Popen(list(args), executable=program, env={}, cwd="/", stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=self.log,
                                  pass_fds=(3,), preexec_fn=prepare, user=uid, group=uid, extra_groups=[], start_new_session=True)
        theirs.close()
        if display:
            self.start(display, **config)

    def send(self, name, body=None, fds=()):
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        self.control.sendmsg([json.dumps({name: {} if body is None else body}).encode()], rights)

    def start(self, display, **config):
        r = self.recording
        directory, x = os.open(r.dir, os.O_RDONLY | os.O_DIRECTORY), display.connect()
        body = {"recording_id": r.id, "key": base64.b64encode(r.key).decode(), "cookie": display.cookie.hex(), "start_us": r.start_us,
                "codec": "zstd", "level": 0, "quality": "high", "frame_rate": 30, "chunk_seconds": 30, "max_mb_per_min": 0, **config}
        self.send("start", body, [x.fileno(), directory])
        x.close()
        os.close(directory)

    def reconnect(self, display):
        with display.connect() as x:
            self.send("display", {"cookie": display.cookie.hex()}, [x.fileno()])

    def receive(self, timeout):
        """The next message as (name, body); None after the timeout or the end."""
        if not select.select([self.control], [], [], timeout)[0]:
            return None
        data = self.control.recv(65536)
        if not data:
            return None
        (name, body), = json.loads(data).items()
        self.seen.append((name, body))
        return name, body

    def wait(self, name, check=lambda body: True, timeout=20):
        """The body of the next message of that name for which check holds."""
        end = time.monotonic() + timeout * proc.PATIENCE
        while time.monotonic() < end:
            got = self.receive(max(0, end - time.monotonic()))
            if got and got[0] == name and check(got[1]):
                return got[1]
            if got is None and self.p.poll() is not None:
                break
        raise AssertionError(f"no message {name}: exit code {self.p.poll()}, messages {self.seen[-5:]}, log {self.text()}")

    def text(self):
        self.log.seek(0)
        return self.log.read().decode("utf-8", "replace")

    def settle(self, timeout=20):
        """Until two reports in a row count the same frames: all that is on the screen has been recorded."""
        frames = None
        while True:
            now = self.wait("figures", timeout=timeout)["recording"]["items"]
            if now == frames:
                return
            frames = now

    def stop(self):
        self.send("stop")
        ended = self.wait("ended")
        assert self.p.wait(20 * proc.PATIENCE) == 0, self.text()
        return ended

    def kill(self):
        if self.p.poll() is None:
            os.kill(self.p.pid, signal.SIGKILL)
        self.p.wait()
        self.control.close()
        self.log.close()
