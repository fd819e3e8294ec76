"""Linux accounts for the length of a run: made when first asked for, removed at its end."""
import os
import pwd
import secrets
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
        for path in proc.x_leftovers({self.uid}):  # of an earlier account with the same number
            os.unlink(path)

    def write(self, name, text):
        """A file in the account's home, there all at once."""
        path = os.path.join(self.home, name)
        with open(path + "~", "w", encoding="ascii") as f:
            f.write(text)
        os.chown(path + "~", self.uid, self.gid)
        os.rename(path + "~", path)

    def paint(self, colour, display=None):
        """The colour ("#3366cc") of its desktops, or of the one on that display."""
        self.write(".colour" if display is None else f".colour-{display}", colour)

    def job(self, script):
        """A desktop of it runs this shell script."""
        self.write(".job", script)

    def remove(self):
        for pid in proc.marked(user_ids={self.uid}):
            proc.kill_one(pid)
        _run("userdel", "-r", "-f", self.name)


def _run(*args):
    """useradd and its like lock the files they write; another of them may be at it."""
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
