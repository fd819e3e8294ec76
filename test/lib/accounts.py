"""Linux accounts for one run: created when first needed, removed at its end."""
import contextlib
import ctypes
import grp
import os
import pwd
import secrets
import shutil
import subprocess
import time

import proc


class Account:
    def __init__(self, name):
        self.name, self.password = name, secrets.token_urlsafe(12)
        _run("useradd", "-m", "-s", "/bin/bash", name)
        subprocess.run(["chpasswd"], input=f"{name}:{self.password}\n", text=True, check=True, capture_output=True)
        entry = pwd.getpwnam(name)
        self.uid, self.gid, self.home = entry.pw_uid, entry.pw_gid, entry.pw_dir
        for path in proc.x_leftovers({self.uid}):  # left by an earlier account with the same uid
            os.unlink(path)

    def write(self, name, text):
        """Writes a file in the account's home atomically."""
        path = os.path.join(self.home, name)
        with open(path + "~", "w", encoding="ascii") as f:
            f.write(text)
        os.chown(path + "~", self.uid, self.gid)
        os.rename(path + "~", path)

    def paint(self, colour, display=None):
        """Sets the colour ("#3366cc") of its desktops, or of the one on that display."""
        self.write(".colour" if display is None else f".colour-{display}", colour)

    def job(self, script):
        """Makes a desktop of the account run this shell script."""
        self.write(".job", script)

    def remove(self):
        for pid in proc.marked(user_ids={self.uid}):
            proc.kill_one(pid)
        _run("userdel", "-r", "-f", self.name)


class NamedAccount(Account):
    """An account whose name useradd may refuse, as directory services have them; `groups` are names of further groups. It is written to
    the host's files under the lock that useradd takes too."""

    def __init__(self, name, groups=()):  # pylint: disable=super-init-not-called
        self.name, self.password = name, secrets.token_urlsafe(12)
        secret = subprocess.run(["openssl", "passwd", "-6", "-stdin"], input=self.password, text=True, check=True, capture_output=True).stdout.strip()
        self.home = "/home/lrdpn" + secrets.token_hex(4)
        with _files_locked():
            number = max(e.pw_uid for e in pwd.getpwall() if e.pw_uid < 60000) + 1
            number = max(number, max(g.gr_gid for g in grp.getgrall() if g.gr_gid < 60000) + 1, 2000)
            self.uid = self.gid = number
            self.groups = {g: number + 1 + i for i, g in enumerate(groups)}
            _append("/etc/passwd", f"{name}:x:{number}:{number}::{self.home}:/bin/bash\n")
            _append("/etc/shadow", f"{name}:{secret}:19000:0:99999:7:::\n")
            _append("/etc/group", f"{name}:x:{number}:\n" + "".join(f"{g}:x:{gid}:{name}\n" for g, gid in self.groups.items()))
        os.mkdir(self.home, 0o700)
        os.chown(self.home, self.uid, self.gid)

    def remove(self):
        for pid in proc.marked(user_ids={self.uid}):
            proc.kill_one(pid)
        with _files_locked():
            for path, names in (("/etc/passwd", {self.name}), ("/etc/shadow", {self.name}), ("/etc/group", {self.name, *self.groups})):
                with open(path, encoding="utf-8") as f:
                    lines = f.readlines()
                _replace(path, "".join(line for line in lines if line.split(":", 1)[0] not in names))
        shutil.rmtree(self.home, ignore_errors=True)


@contextlib.contextmanager
def _files_locked():
    libc = ctypes.CDLL(None)
    if libc.lckpwdf() != 0:
        raise AssertionError("another process keeps the account files locked")
    try:
        yield
    finally:
        libc.ulckpwdf()


def _append(path, text):
    with open(path, encoding="utf-8") as f:
        _replace(path, f.read() + text)


def _replace(path, text):
    """Writes atomically, because other processes read these files meanwhile."""
    was = os.stat(path)
    with open(path + ".lrdp", "w", encoding="utf-8") as f:
        os.fchmod(f.fileno(), was.st_mode)
        os.fchown(f.fileno(), was.st_uid, was.st_gid)
        f.write(text)
    os.rename(path + ".lrdp", path)


def _run(*args):
    """Retries: useradd and related programs lock the files that they write, and another one may be running."""
    for attempt in range(20):
        r = subprocess.run(args, capture_output=True, text=True, check=False)
        if r.returncode == 0 or r.returncode == 6:
            return
        time.sleep(0.2)
    raise AssertionError(f"{args}: {r.returncode}: {r.stderr}")


class Pool:
    def __init__(self):
        self.prefix = "lrdp" + secrets.token_hex(2)
        self.made = []

    def get(self, n):
        while len(self.made) < n:
            self.made.append(Account(f"{self.prefix}{len(self.made)}"))
        for account in self.made[:n]:
            for name in os.listdir(account.home):
                if name.startswith((".colour", ".job")):
                    os.unlink(os.path.join(account.home, name))
            account.paint("#000000")
        return self.made[:n]

    def remove(self):
        for account in self.made:
            account.remove()
