"""A MongoDB-compatible server: mongod if it is on the PATH, otherwise FerretDB, built by test/lib/ferretdb.
TEST_MONGODB_URL names a running server to use instead, which is not killed."""
import os
import shutil
import socket
import subprocess

import pymongo

from backend import Backend
from lucid import ROOT, free_ports

GIVEN = os.environ.get("TEST_MONGODB_URL")


def command(port, folder):
    mongod = shutil.which("mongod")
    if mongod:
        return [mongod, "--dbpath", folder, "--port", str(port), "--bind_ip", "127.0.0.1"]
    made = subprocess.run([os.path.join(ROOT, "test/lib/ferretdb")], stdout=subprocess.PIPE, text=True, check=True, timeout=900).stdout.strip()
    return [made, f"127.0.0.1:{port}", folder]


class MongoServer(Backend):
    """Its data survives kill() and restart()."""

    name = "the database"

    def __init__(self):
        super().__init__()
        self.port = free_ports(1)
        self.data = os.path.join(self.dir, "data")
        os.mkdir(self.data)
        self.command = None if GIVEN else command(self.port, self.data)

    def url(self, database="test", port=None):
        """The URL for the program; with the port of a relay, if there is one in front."""
        if GIVEN and not port:
            base, _, options = GIVEN.partition("?")
            scheme, _, rest = base.partition("://")
            return f"{scheme}://{rest.split('/')[0]}/{database}{'?' + options if options else ''}"
        return f"mongodb://127.0.0.1:{port or self.port}/{database}"

    def database(self, name="test"):
        """The database itself, through a client of the test."""
        return pymongo.MongoClient(self.url(name), serverSelectionTimeoutMS=5000)[name]

    def argv(self):
        return self.command

    def answers(self):
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1):
                pass
            with pymongo.MongoClient(self.url(), serverSelectionTimeoutMS=500, socketTimeoutMS=2000) as client:
                return client.admin.command("ping")["ok"] == 1
        except (OSError, pymongo.errors.PyMongoError):
            return False

    def start(self):
        return self if GIVEN else super().start()
