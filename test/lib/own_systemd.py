"""A host of the test whose first process is systemd (test/lib/own-systemd), with Debian's units of xrdp."""
import contextlib
import os
import shutil
import signal
import subprocess

import lucid
import proc
from own_host import OwnHost
from proc import until

UNITS = "/lib/systemd/system"


class OwnSystemd(OwnHost):
    def __init__(self, *seen):
        super().__init__()
        self.units, self.log_path = f"{self.dir}/units", f"{self.dir}/log.systemd"
        os.mkdir(self.units)
        os.mkdir(f"{self.dir}/top")
        for name in ("xrdp.service", "xrdp-sesman.service", "dbus.socket", "dbus.service"):
            shutil.copy(f"{UNITS}/{name}", self.units)
        for name in ("basic", "sysinit", "sockets", "shutdown", "network", "umount"):
            self.write_unit(f"{name}.target", "[Unit]\nDefaultDependencies=no")
        self.write_unit("own.target", "[Unit]\nDefaultDependencies=no\nRequires=dbus.service\nAfter=dbus.service")
        with open(self.log_path, "wb") as log:
            command = [os.path.join(lucid.ROOT, "test/lib/own-systemd"), self.dir, *seen, os.path.dirname(lucid.BIN)]
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        self.init = None
        until(f"systemd; log: {self.log_path}", self.up)

    def write_unit(self, name, text):
        with open(f"{self.units}/{name}", "w", encoding="ascii") as f:
            f.write(text + "\n")

    def up(self):
        if self.process.poll() is not None:
            raise AssertionError(f"systemd exited: {proc.read(self.log_path)}")
        found = [p for p in proc.children(self.process.pid) if proc.exe(p).endswith("/systemd")]
        self.init = found[0] if found else None
        return bool(found) and self.systemctl("is-active", "dbus.service") == "active"

    def own(self):
        """Its processes except those that were started beside it."""
        return [self.process.pid, self.init, *(p for p in proc.children(self.init) if "/system.slice/" in (proc.read(f"/proc/{p}/cgroup") or ""))]

    def wrap(self):
        return ["nsenter", f"--target={self.init}", "--mount", "--pid", "--cgroup", "--ipc", "--uts"]

    def inside(self, *command):
        r = subprocess.run([*self.wrap(), *command], capture_output=True, text=True, timeout=30, check=False)
        return r.stdout.strip()

    def systemctl(self, *words):
        return self.inside("systemctl", *words)

    def show(self, unit, name):
        return self.systemctl("show", "--value", f"--property={name}", unit)

    def end(self):
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGKILL)  # systemd is the first process of its PID namespace, so all others in it are killed too
        self.process.wait(10)
        until("its processes to end", lambda: not (self.init and proc.alive(self.init)))
        name = os.path.basename(self.dir)
        for folder, folders, _ in os.walk("/sys/fs/cgroup"):
            if name in folders:
                remove_group(os.path.join(folder, name))
        shutil.rmtree(self.dir, ignore_errors=True)


def remove_group(path):
    for folder, _, _ in sorted(os.walk(path), key=lambda w: -len(w[0])):
        until(f"{folder} to be empty", lambda folder=folder: remove(folder))


def remove(folder):
    with contextlib.suppress(OSError):
        os.rmdir(folder)
    return not os.path.exists(folder)


class DaemonInside(lucid.Daemon):
    """The program, started beside such a systemd; nsenter waits for it and exits with its exit code."""

    def __init__(self, **settings):
        super().__init__(**settings)
        self.host = OwnSystemd(self.dir)
        self.wrap = self.host.wrap()
        self.settings["XRDP_LOG_PATH"] = self.host.log

    @property
    def supervisor(self):
        return proc.children(self.process.pid)[0]

    def leaks(self):
        own = {f"process {proc.describe(p)}" for p in self.host.own()}
        return [leak for leak in super().leaks() if leak not in own]

    def stop(self, expect=0):
        if self.process and self.process.poll() is None:
            os.kill(self.supervisor, signal.SIGTERM)
            self.process.wait(30)
            assert expect is None or self.process.returncode == expect, f"exit code {self.process.returncode}: {self.log()[-3000:]}"
