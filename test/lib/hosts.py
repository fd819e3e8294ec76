"""Hosts made of namespaces: each has its own address, host name, /tmp and /run; a router between them can drop packets. Nothing of this is
visible on the machine, and everything ends with the processes that hold the namespaces."""
import contextlib
import ctypes
import os
import secrets
import shutil
import subprocess
import tempfile
import threading

import proc
import rdp
from lucid import BIN, Api, Daemon
from proc import until

HOLD = 'ip link set lo up && echo ready && exec sleep infinity'
# the program keeps its path, also in a clone below a directory that each host has of its own
OWN = """set -e
hostname "$1"
for own in tmp run; do
    case $3 in
    /$own/*) mkdir -p "$2$3"
             mount --bind "$3" "$2$3" ;;
    esac
    mount --rbind "$2/$own" "/$own"
done
"""
CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


def _setns(fd):
    if _libc.setns(fd, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


class Holder:
    """A process that keeps namespaces alive. Its environment names the directory that it belongs to (proc.marked)."""

    def __init__(self, flags, script, folder, *args):
        self.process = subprocess.Popen(["unshare", *flags, "sh", "-c", script + HOLD, "sh", *args], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, start_new_session=True, env={**os.environ, "TEST_HOST": folder})
        line = self.process.stdout.readline()
        assert line == b"ready\n", f"no namespaces: {line!r}"

    @property
    def pid(self):
        return self.process.pid

    def enter(self, *which):
        return ["nsenter", "-t", str(self.pid), *which, "--"]

    def run(self, *args, expect=0):
        r = subprocess.run([*self.enter("-n"), *args], capture_output=True, text=True, timeout=20, check=False)
        assert expect is None or r.returncode == expect, f"{args}: {r.returncode}: {r.stderr}"
        return r

    @contextlib.contextmanager
    def inside(self):
        """Sockets that this thread creates meanwhile belong to the host."""
        home = os.open(f"/proc/self/task/{threading.get_native_id()}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            there = os.open(f"/proc/{self.pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
            try:
                _setns(there)
            finally:
                os.close(there)
            try:
                yield
            finally:
                _setns(home)
        finally:
            os.close(home)

    def end(self):
        self.process.kill()
        self.process.wait(10)
        self.process.stdout.close()


class HostApi(Api):
    """A caller on a host."""

    def __init__(self, seat, base, token=None):
        super().__init__(base, token)
        self.seat = seat

    def call(self, *args, **more):
        with self.seat.inside():
            return super().call(*args, **more)


class HostDaemon(Daemon):
    """lucid-rdp on a host, on all its addresses."""

    def __init__(self, host, **settings):
        settings = {"BIND_ADDRESS": "0.0.0.0", "NODE_NAME": host.name, **settings}
        super().__init__(folder=os.path.join(host.folder, "lrdp-" + secrets.token_hex(3)), **settings)
        self.host, self.seat = host, host
        self.wrap = ["nsenter", "-t", str(host.pid), "-m", "-n", "-u", f"--wd={self.dir}", "--"]

    def url(self, role=None):
        return f"http://{self.host.address}:{self.ports[role or self.roles[0]]}"

    def api(self, token="admin", role=None):
        found = super().api(token, role or self.roles[0])
        return HostApi(self.seat, found.base, found.token)


class Host(Holder):
    def __init__(self, net, name, number):
        self.net, self.name, self.address = net, name, f"10.77.{number}.2"
        self.folder = os.path.join(net.folder, name)
        for sub in ("tmp/.X11-unix", "run/xrdp", "run/lock", "run/user"):
            os.makedirs(os.path.join(self.folder, sub))
        for sub in ("tmp", "tmp/.X11-unix"):
            os.chmod(os.path.join(self.folder, sub), 0o1777)
        super().__init__(["--mount", "--net", "--uts", "--propagation", "private"], OWN, self.folder, name, self.folder, os.path.dirname(BIN))
        gate = f"10.77.{number}.1"
        net.router.run("ip", "link", "add", f"h{number}", "type", "veth", "peer", "name", "eth0", "netns", str(self.pid))
        net.router.run("ip", "addr", "add", f"{gate}/24", "dev", f"h{number}")
        net.router.run("ip", "link", "set", f"h{number}", "up")
        self.run("ip", "addr", "add", f"{self.address}/24", "dev", "eth0")
        self.run("ip", "link", "set", "eth0", "up")
        self.run("ip", "route", "add", "default", "via", gate)
        self.daemons = []

    def daemon(self, roles, start=True, **settings):
        d = HostDaemon(self, roles=list(roles), **settings)
        self.daemons.append(d)
        return d.start() if start else d

    def client(self, to, port, account, **more):
        """An RDP client on this host."""
        return rdp.Client(port, account.name, account.password, host=to.address, wrap=self.enter("-n"), **more)


class Net:
    """A router and the hosts around it. Use as a context."""

    def __init__(self):
        # not in /tmp, because every host has its own
        self.folder = tempfile.mkdtemp(prefix="lrdp-net-", dir="/var/tmp")
        os.chmod(self.folder, 0o755)
        self.router = Holder(["--net"], "echo 1 >/proc/sys/net/ipv4/ip_forward && ", self.folder)
        self.hosts = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()

    def host(self, name):
        host = Host(self, name, len(self.hosts) + 1)
        self.hosts.append(host)
        return host

    # --- faults of links; a direction is (from, to)
    def cut(self, a, b):
        """Packets from a to b are dropped; packets from b to a are not."""
        self.router.run("ip", "rule", "add", "from", a.address, "to", b.address, "blackhole")

    def heal(self, a, b):
        self.router.run("ip", "rule", "del", "from", a.address, "to", b.address, "blackhole")

    def apart(self, a, b):
        self.cut(a, b)
        self.cut(b, a)

    def together(self, a, b):
        self.heal(a, b)
        self.heal(b, a)

    def end(self):
        """Ends everything on the hosts, then the hosts. Anything that a daemon left behind is a failure."""
        faults = []
        for host in self.hosts:
            for d in host.daemons:
                try:
                    d.end()
                except AssertionError as e:
                    faults.append(f"{host.name}: {e}")
        for host in self.hosts:
            for pid in proc.marked(host.folder):
                if pid != host.pid:
                    proc.kill_one(pid)
            host.end()
        self.router.end()
        until("the hosts to be empty", lambda: not proc.marked(self.folder), 10)
        shutil.rmtree(self.folder, ignore_errors=True)
        assert not faults, "\n".join(faults)
