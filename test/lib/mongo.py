"""A MongoDB-compatible server in a directory and on a port of its own: killed, frozen and restarted as a test wants it. A real mongod
where there is one on the PATH, else FerretDB, which test/lib/ferretdb makes. TEST_MONGODB_URL names one that runs already: it is
used as it is, and not killed."""
import os
import shutil
import signal
import socket
import subprocess
import tempfile

import pymongo

import proc
from lucid import ROOT, free_ports
from proc import until

GIVEN = os.environ.get("TEST_MONGODB_URL")


def command(port, folder):
    mongod = shutil.which("mongod")
    if mongod:
        return [mongod, "--dbpath", folder, "--port", str(port), "--bind_ip", "127.0.0.1"]
    made = subprocess.run([os.path.join(ROOT, "test/lib/ferretdb")], stdout=subprocess.PIPE, text=True, check=True, timeout=900).stdout.strip()
    return [made, f"127.0.0.1:{port}", folder]


class MongoServer:
    """Use as a context, or start() and end(). What is in it outlives kill() and restart()."""

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="lrdp-mongo-")
        self.port = free_ports(1)
        self.log_path = os.path.join(self.dir, "log")
        self.data = os.path.join(self.dir, "data")
        os.mkdir(self.data)
        self.command = None if GIVEN else command(self.port, self.data)
        self.process = None

    def url(self, database="test", port=None):
        """What the program is given; a relay's port where it stands between."""
        if GIVEN and not port:
            base, _, options = GIVEN.partition("?")
            scheme, _, rest = base.partition("://")
            return f"{scheme}://{rest.split('/')[0]}/{database}{'?' + options if options else ''}"
        return f"mongodb://127.0.0.1:{port or self.port}/{database}"

    def database(self, name="test"):
        """The database itself, by a client of the test's own."""
        return pymongo.MongoClient(self.url(name), serverSelectionTimeoutMS=5000)[name]

    def spawn(self):
        if GIVEN:
            return
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(self.command, cwd=self.dir, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)

    def up(self):
        if self.process and self.process.poll() is not None:
            raise AssertionError(f"the database left with {self.process.returncode}: {(proc.read(self.log_path) or '')[-2000:]}")
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1):
                pass
            with pymongo.MongoClient(self.url(), serverSelectionTimeoutMS=500, socketTimeoutMS=2000) as client:
                return client.admin.command("ping")["ok"] == 1
        except (OSError, pymongo.errors.PyMongoError):
            return False

    def start(self):
        self.spawn()
        if not GIVEN:
            until("the database to answer", self.up, 30)
        return self

    def kill(self):
        """As a crash would: at once, whatever it was doing."""
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)

    def freeze(self):
        """It keeps its connections and takes new ones, and never answers."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self):
        self.process.send_signal(signal.SIGCONT)

    def restart(self):
        self.kill()
        return self.start()

    def end(self):
        self.kill()
        shutil.rmtree(self.dir, ignore_errors=True)

    __enter__ = start

    def __exit__(self, *_):
        self.end()
