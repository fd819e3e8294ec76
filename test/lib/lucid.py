"""The program under test: started in directories and on ports of its own, called over HTTP, and checked at its end: anything that it leaves
behind is a failure."""
import base64
import collections
import contextlib
import fcntl
import hashlib
import hmac
import json
import os
import random
import re
import shutil
import signal
import subprocess
import tempfile
import time

import requests

import proc
from proc import until

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BIN = os.path.abspath(os.environ.get("LUCID_BIN", os.path.join(ROOT, "build/test/lucid-rdp")))
ROWS = json.loads(subprocess.run([BIN, "reference", "roles"], capture_output=True, check=True, timeout=60).stdout)  # all roles, from the program's own table
ROLES = tuple(row["name"] for row in ROWS)
MANAGER, AGENT, SESSIONS, MONITOR = "rdp-server-manager", "xrdp-integration", "rdp-session-controller", "rdp-resource-monitor"
PORT_OPTIONS = {row["name"]: row["port_option"] for row in ROWS}
URLS = {row["name"]: row["url_option"] for row in ROWS}
SECRET = "a secret for tests alone, of more than 32 bytes"
SANITIZER = re.compile(r"(AddressSanitizer|LeakSanitizer|ThreadSanitizer|UndefinedBehaviorSanitizer|runtime error:).*")
SERVERS = "/api/v1/rdp/servers"
XRDP = "/api/v1/xrdp"

# The command of every desktop of the tests. It paints the root window repeatedly in the colour in its user's file, so that a new
# colour shows whether desktop and connection work. It also runs the script ~/.job once, with the desktop's own output as
# descriptor 7.
PAINT = """#!/bin/sh
n=${DISPLAY#*:}; n=${n%.*}
while :; do
    file=$HOME/.colour; [ -f "$HOME/.colour-$n" ] && file=$HOME/.colour-$n
    xsetroot -solid "$(cat "$file")"
    if [ -f "$HOME/.job" ]; then mv "$HOME/.job" "$HOME/.job.$n"; sh "$HOME/.job.$n" 7>&1 >"$HOME/.job.out" 2>&1 & fi
    sleep 0.3
done
"""


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def sign(claims, secret=SECRET, header=None, digest=hashlib.sha256):
    """A token signed by the test, valid or not. `claims` may be JSON text."""
    head = b64(json.dumps(header or {"alg": "HS256", "typ": "JWT"}).encode())
    text = claims if isinstance(claims, str) else json.dumps(claims)
    signed = f"{head}.{b64(text.encode())}"
    return f"{signed}.{b64(hmac.new(secret.encode(), signed.encode(), digest).digest())}"


def token_for(sub, *roles, ttl=3600, **more):
    now = int(time.time())
    return sign({"sub": sub, "roles": list(roles or ("user",)), "iat": now, "exp": now + ttl, **more})


def acting(token, text, secret=SECRET):
    """The headers with which a role that has this token calls for a user (src/bus/acting.h)."""
    seal = b64(hmac.new(secret.encode(), f"seal {token} {text}".encode(), hashlib.sha256).digest())
    return {"X-Lucid-For": text, "X-Lucid-Seal": seal}


def of_store(checks):
    """The readiness check of the store, whichever store it is."""
    return checks.get("mongodb") or checks["store"]


PORTS_LOW, PORTS_HIGH, PORTS_BLOCK = 15000, 32000, 32
LOCKS = "/run/lock/lucid-rdp-test-ports"
PORTS_KEPT = 24
# The ports that were assigned last: {first: locks of their blocks, as open files}, because a port may not be listened on yet or at the
# moment. A daemon gives its own back when it ends.
given = collections.OrderedDict()


def lock_ports(first, n):
    """The locks of the blocks with these ports, as open files; None while another worker, or another run on this machine, has one."""
    os.makedirs(LOCKS, exist_ok=True)
    files = []
    for block in range(first // PORTS_BLOCK, (first + n - 1) // PORTS_BLOCK + 1):
        files.append(open(f"{LOCKS}/{block * PORTS_BLOCK}", "w", encoding="ascii"))  # pylint: disable=consider-using-with
        try:
            fcntl.flock(files[-1], fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            for f in files:
                f.close()
            return None
    return files


def release_ports(first):
    for f in given.pop(first, ()):
        f.close()


def free_ports(n):
    """n adjacent ports that no process uses."""
    for _ in range(500):
        first = random.randrange(PORTS_LOW // PORTS_BLOCK + 1, (PORTS_HIGH - n) // PORTS_BLOCK) * PORTS_BLOCK
        locks = lock_ports(first, n)
        if not locks:
            continue
        taken = proc.all_listening()
        if all(p not in taken and proc.can_bind(p) for p in range(first, first + n)):
            given[first] = locks
            if len(given) > PORTS_KEPT:
                release_ports(next(iter(given)))
            return first
        for f in locks:
            f.close()
    raise AssertionError("no free ports")


class Answer(Exception):
    """Another status than the expected one."""


class Api:
    """One caller at one address."""

    def __init__(self, base, token=None):
        self.base, self.token = base, token
        self.http = requests.Session()
        self.http.trust_env = False

    def call(self, method, path, body=None, expect=None, headers=None, timeout=40, **more):
        head = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        head.update(headers or {})
        if body is not None:
            more["data"] = body if isinstance(body, (bytes, str)) else json.dumps(body)
            head.setdefault("Content-Type", "application/json")
        r = self.http.request(method, self.base + path, headers=head, timeout=timeout, **more)
        if expect is not None and r.status_code not in (expect if isinstance(expect, tuple) else (expect,)):
            raise Answer(f"{method} {path}: {r.status_code}, not {expect}: {r.text[:2000]}")
        return r

    def get(self, path, expect=200, **more):
        return self.call("GET", path, expect=expect, **more).json()

    def post(self, path, body=None, expect=None, **more):
        return self.call("POST", path, body, expect=expect or (200, 201, 202), **more).json()

    def delete(self, path, expect=(200, 204), **more):
        r = self.call("DELETE", path, expect=expect, **more)
        return r.json() if r.content else None

    # --- operations that tests use
    def create_server(self, name, wait=True, **fields):
        return self.post(SERVERS + ("?wait=running" if wait else ""), {"name": name, **fields}, expect=201)

    def server(self, server_id):
        return self.get(f"{SERVERS}/{server_id}")

    def instance(self, server_id):
        return self.get(f"{XRDP}/instances/{server_id}")

    def connections(self, server_id):
        return self.get(f"{XRDP}/instances/{server_id}/connections")["connections"]

    def desktops(self, server_id):
        return self.get(f"{XRDP}/instances/{server_id}/desktops")["desktops"]

    def list_servers(self):
        servers, page = [], 1
        while True:
            part = self.get(f"{SERVERS}?limit=100&page={page}&sort=created_at")
            servers += part["servers"]
            if not part["pagination"]["has_next"]:
                return servers
            page += 1


class Daemon:
    """lucid-rdp in directories of its own. Use as a context, or start() and end()."""

    def __init__(self, args=(), range_size=12, roles=ROLES, folder=None, first=None, **settings):
        self.dir = folder or tempfile.mkdtemp(prefix="lrdp-")
        os.makedirs(self.dir, exist_ok=True)
        os.chmod(self.dir, 0o755)  # the server and the desktops run as other accounts
        self.args = list(args)
        self.roles = tuple(roles)  # the roles that it runs, which are the only ones with listeners
        if self.roles != ROLES:
            settings.setdefault("ROLE", ",".join(self.roles))
        self.wrap = []  # a command that executes its arguments at its end
        self.first = first = first or free_ports(len(ROLES) + range_size)
        self.ports = dict(zip(ROLES, range(first, first + len(ROLES))))
        self.range = (first + len(ROLES), first + len(ROLES) + range_size - 1)
        paint = os.path.join(self.dir, "paint")
        with open(paint, "w", encoding="ascii") as f:
            f.write(PAINT)
        os.chmod(paint, 0o755)
        self.settings = {
            "ENVIRONMENT": "development", "BIND_ADDRESS": "127.0.0.1", "JWT_SECRET": SECRET,
            "DATA_DIR": f"{self.dir}/data", "LOG_DIR": f"{self.dir}/log", "RUNTIME_DIR": f"{self.dir}/run",
            "PORT_RANGE_START": str(self.range[0]), "PORT_RANGE_END": str(self.range[1]),
            "PROMETHEUS_ENABLED": "false", "RATE_LIMIT_ENABLED": "false", "LOG_FORMAT": "json", "LOG_TARGET": "stderr",
            "MAX_CPU_USAGE": "100", "MAX_MEMORY_USAGE": "100", "MAX_SERVERS_PER_USER": "1000",
            "DESKTOP_PROFILES": f"paint={paint}", "DESKTOP_DEFAULT": "paint", "NODE_NAME": "testnode",
            **{PORT_OPTIONS[role]: str(port) for role, port in self.ports.items()}, **settings,
        }
        self.log_path = os.path.join(self.dir, "stderr")
        self.process = None
        self.ids = set()  # of every server that was created
        self.accounts = []
        self.clients = []

    # --- starting it
    @property
    def env(self):
        keep = {k: os.environ[k] for k in ("PATH", "ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS") if k in os.environ}
        return {"HOME": "/root", "LANG": "C.UTF-8", **keep, **{k: v for k, v in self.settings.items() if v is not None}}

    def run(self, *args, timeout=20):
        """Runs a sub-command with the same settings."""
        return subprocess.run([BIN, *args], env=self.env, cwd=self.dir, capture_output=True, text=True, timeout=timeout, check=False)

    def spawn(self):
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen([*self.wrap, BIN, *self.args], env=self.env, cwd=self.dir, stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, start_new_session=True)

    def start(self):
        self.spawn()
        until(f"readiness; log: {self.log()[-3000:]}", self.ready, 20)
        return self

    def ready(self):
        if self.process.poll() is not None:
            raise AssertionError(f"the program exited with {self.process.returncode}: {self.log()[-3000:]}")
        try:
            return self.api(None, self.roles[0]).call("GET", "/health/ready", timeout=6).status_code == 200
        except requests.RequestException:
            return False

    def log(self):
        return proc.read(self.log_path) or ""

    def url(self, role=ROLES[0]):
        return f"http://127.0.0.1:{self.ports[role]}"

    def api(self, token="admin", role=ROLES[0]):
        """A caller: "admin" is an admin, any other name a user, None has no token."""
        if token is not None:
            token = token_for(token, "admin") if token == "admin" else token_for(token)
        return Api(self.url(role), token)

    @property
    def admin(self):
        return self.api("admin")

    # --- its processes
    @property
    def supervisor(self):
        return self.process.pid

    def server_pid(self):
        """The server process: a child of the supervisor that does not run as root, and runs the same program."""
        found = [p for p in proc.children(self.supervisor) if proc.exe(p) == BIN and (proc.uids(p) or [0])[0] != 0]
        return found[0] if found else None

    def beside(self, role):
        """The roles in the same process as this one."""
        assert role in self.roles
        return self.roles

    def pid_of(self, role):
        """The process that answers for a role."""
        assert role in self.roles
        return self.server_pid() if ROLES[1] in self.roles else self.process.pid

    def kill(self, pid):
        proc.kill_one(pid)
        if pid == self.supervisor:
            self.process.wait(10)

    # --- stopping it
    def stop(self, expect=0):
        """Sends SIGTERM and checks the exit code; does nothing if it has exited already."""
        if not self.process or self.process.poll() is not None:
            return
        self.process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(30)
        if self.process.poll() is None:
            raise AssertionError(f"the program did not exit within 30 s after SIGTERM: {self.log()[-3000:]}")
        if expect is not None:
            assert self.process.returncode == expect, f"exit code {self.process.returncode}: {self.log()[-3000:]}"

    def remove_servers(self):
        for server in self.admin.list_servers():
            self.ids.add(server["server_id"])
            # the agent may be restarting after a kill in the test: 503 means retry
            proc.until("the server to be deleted", lambda s=server: self.admin.call(
                "DELETE", f"{SERVERS}/{s['server_id']}?force=true", expect=(204, 404, 503)).status_code != 503, 20)

    def leaks(self):
        uids = {a.uid for a in self.accounts}
        found = [f"process {proc.describe(p)}" for p in proc.marked(self.dir, self.ids, uids)]
        found += [f"mount {m}" for m in proc.mounts_with(self.dir)]
        found += [f"control group {c}" for c in proc.cgroups_with(self.ids)]
        found += [f"X socket or lock {x}" for x in proc.x_leftovers(uids)]
        taken = proc.all_listening()
        found += [f"port {p}" for p in [*self.ports.values(), *range(self.range[0], self.range[1] + 1)] if p in taken]
        return found

    def end(self, check=True):
        """Ends everything: servers over the API, then the program. Anything left is a failure, and is removed."""
        fault = None
        try:
            for client in self.clients:
                client.close()
            if self.process and self.process.poll() is None and check and ROLES[0] in self.roles:
                self.remove_servers()
            self.stop(expect=0 if check else None)
            # a process that was told to exit may need a moment to be reaped
            with contextlib.suppress(AssertionError):
                until("no processes and files to be left", lambda: not self.leaks(), 5 if check else 0)
            left = self.leaks()
            reports = [m.group(0) for m in SANITIZER.finditer(self.log())]
            if left:
                fault = "left behind: " + "; ".join(left)
            if reports:
                fault = f"sanitizer: {reports[:5]}: {self.log()[-6000:]}"
        except Exception as e:  # clean up first, then report it
            fault = f"{type(e).__name__}: {e}"
        self.sweep()
        if check and fault:
            raise AssertionError(fault)

    def sweep(self):
        """Removes everything from the machine, however the test ended."""
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)
        for _ in range(3):
            for pid in proc.marked(self.dir, self.ids, {a.uid for a in self.accounts}):
                proc.kill_one(pid)
            time.sleep(0.05)
        for path in proc.x_leftovers({a.uid for a in self.accounts}):
            with contextlib.suppress(OSError):
                os.unlink(path)
        for path in sorted(proc.cgroups_with(self.ids), key=len, reverse=True):
            for folder, _, _ in sorted(os.walk(path), key=lambda w: -len(w[0])):
                with contextlib.suppress(OSError):
                    os.rmdir(folder)
        if not os.environ.get("KEEP"):
            shutil.rmtree(self.dir, ignore_errors=True)
        release_ports(self.first)
