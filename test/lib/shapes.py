"""The program in several shapes: one process, or a process for each role, with embedded stores, on MongoDB, or on MongoDB and Redis.
LUCID_SHAPE selects the shape of a run; tests use what all shapes have in common."""
import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import tempfile

import requests

import mongo
import proc
import redis
from lucid import AGENT, BIN, MANAGER, ROLES, URLS, Daemon, free_ports
from relay import Relay

KEYS = {"MASTER_KEY": "a master key for tests alone, of more than 32 bytes"}
# name: the servers that the shape needs; None: one process
KINDS = {"one": None, "split-embedded": (), "split": ("mongo",), "split-redis": ("mongo", "redis")}
SHAPE = os.environ.get("LUCID_SHAPE", "one")
OWN = ("DATA_DIR", "LOG_DIR", "RUNTIME_DIR")  # each process has its own; tests that read them get the agent's


class Servers:
    """The database servers of a run: each is started when first needed, and all end with the run."""

    def __init__(self):
        self.mongo = None

    def mongo_url(self):
        """The URL of a new database."""
        if not self.mongo:
            self.mongo = mongo.MongoServer().start()
        return self.mongo.url(f"lrdp_{secrets.token_hex(4)}")

    def end(self):
        if self.mongo:
            self.mongo.end()
            self.mongo = None


class Settings(dict):
    """Settings that are set apply to every process; those that are read are the manager's, and for directories the agent's."""

    def __init__(self, parts):
        super().__init__()
        self.parts = parts

    def __getitem__(self, name):
        return self.parts[AGENT if name in OWN else MANAGER].settings[name]

    def __setitem__(self, name, value):
        for d in self.parts.values():
            d.settings[name] = value

    def __contains__(self, name):
        return name in self.parts[MANAGER].settings


class Split(Daemon):
    """A process for each role, with the interface of one Daemon. Only the agent has a supervisor; a killed process of another role must be
    started again, as a service manager would do."""

    def __init__(self, servers, beside=(), args=(), range_size=12, **settings):  # pylint: disable=super-init-not-called
        self.dir = tempfile.mkdtemp(prefix="lrdp-")
        os.chmod(self.dir, 0o755)
        self.args, self.roles, self.wrap = list(args), ROLES, []
        self.redis = None
        shared = {"HEALTH_CHECK_INTERVAL": "1", **KEYS}
        if "mongo" in beside and "MONGODB_URL" not in settings:
            shared["MONGODB_URL"] = servers.mongo_url()
        if "redis" in beside and "REDIS_URL" not in settings:
            self.redis = redis.RedisServer()
            self.redis.start()
            shared["REDIS_URL"] = self.redis.url()
        first = free_ports(len(ROLES) + range_size)
        self.parts = {role: Daemon(args=args, range_size=range_size, roles=[role], folder=os.path.join(self.dir, role), first=first,
                                   **{**shared, **settings}) for role in ROLES}
        self.ports, self.range = self.parts[AGENT].ports, self.parts[AGENT].range
        for role, d in self.parts.items():
            d.settings.update({URLS[other]: e.url(other) for other, e in self.parts.items() if other != role and URLS[other] not in settings})
        self.settings = Settings(self.parts)
        self.ids, self.accounts, self.clients, self.relays = set(), [], [], []

    def between(self, asker, asked):
        """A relay between one role and another; the first must not run yet."""
        relay = Relay(self.ports[asked])
        self.relays.append(relay)
        self.parts[asker].settings[URLS[asked]] = f"http://127.0.0.1:{relay.port}"
        return relay

    # --- starting them
    @property
    def env(self):
        return self.parts[MANAGER].env

    def run(self, *args, timeout=20):
        return subprocess.run([BIN, *args], env=self.env, cwd=self.dir, capture_output=True, text=True, timeout=timeout, check=False)

    @property
    def process(self):
        return self.parts[AGENT].process

    @process.setter
    def process(self, value):
        assert value is None

    def spawn(self):
        for d in reversed(self.parts.values()):
            if not d.process or d.process.poll() is not None:
                d.args, d.wrap = self.args, self.wrap if d is self.parts[AGENT] else []  # only the agent runs in the changed view of the host
                d.spawn()

    def ready(self):
        """Whether each answers and reaches all others. A process that has exited is a failure."""
        for role, d in self.parts.items():
            if d.process.poll() is not None:
                raise AssertionError(f"{role} exited with {d.process.returncode}: {d.log()[-3000:]}")
        return all(self.finds_others(role) for role in ROLES) and self.has_node()

    def finds_others(self, role):
        with contextlib.suppress(requests.RequestException):
            r = self.api(None, role).call("GET", "/health/ready", timeout=6)
            return r.status_code == 200 and all(r.json()["checks"][other]["status"] == "healthy" for other in ROLES if other != role)
        return False

    def has_node(self):
        """The manager knows its node, which it learns of after its own readiness; without one it refuses new servers. Whoever changed
        the tokens does without."""
        with contextlib.suppress(requests.RequestException):
            r = self.admin.call("GET", "/api/v1/rdp/nodes", timeout=6)
            return r.status_code != 200 or any(n["status"] in ("ready", "draining") for n in r.json()["nodes"])
        return False

    def log(self):
        return "".join(d.log() for d in self.parts.values())

    @property
    def supervisor(self):
        return self.parts[AGENT].supervisor

    def server_pid(self):
        return self.parts[AGENT].server_pid()

    def beside(self, role):
        return self.parts[role].roles

    def pid_of(self, role):
        return self.parts[role].pid_of(role)

    def kill(self, pid):
        proc.kill_one(pid)
        for role, d in self.parts.items():
            if d.process.pid == pid:
                d.process.wait(10)
                if role != AGENT:
                    d.spawn()

    # --- stopping them
    def stop(self, expect=0):
        for d in self.parts.values():
            if d.process and d.process.poll() is None:
                d.process.send_signal(signal.SIGTERM)
        for d in self.parts.values():
            if d.process:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    d.process.wait(30)
                assert d.process.poll() is not None, f"SIGTERM did not end {d.roles} in 30 s: {d.log()[-3000:]}"
                assert expect is None or d.process.returncode == expect, f"{d.roles}: exit code {d.process.returncode}: {d.log()[-3000:]}"

    def sweep(self):
        for d in self.parts.values():
            d.ids, d.accounts = self.ids, self.accounts
            if d.process and d.process.poll() is None:
                d.process.kill()
                d.process.wait(10)
        self.parts[AGENT].sweep()
        for relay in self.relays:
            relay.end()
        if self.redis:
            self.redis.end()
        if not os.environ.get("KEEP"):
            shutil.rmtree(self.dir, ignore_errors=True)


def make(servers, shape=None, **settings):
    """A Daemon in the shape of this run. A test that names roles gets exactly these, in one process."""
    kind = KINDS[shape or SHAPE]
    if kind is None or "roles" in settings:
        return Daemon(**settings)
    return Split(servers, kind, **settings)
