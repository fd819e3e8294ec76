"""A server that the program uses, in a directory of its own; tests can start, kill, freeze and restart it."""
import os
import shutil
import signal
import subprocess
import tempfile

import proc
from proc import until


class Backend:
    """Use as a context, or start() and end(). Subclasses say how it is run (argv) and whether it answers (answers)."""

    name, patience_s = "the server", 30

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="lrdp-backend-")
        self.log_path = os.path.join(self.dir, "log")
        self.process = None

    def spawn(self):
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(self.argv(), cwd=self.dir, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)

    def up(self):
        if self.process.poll() is not None:
            raise AssertionError(f"{self.name} exited with {self.process.returncode}: {(proc.read(self.log_path) or '')[-2000:]}")
        return self.answers()

    def start(self):
        self.spawn()
        until(f"{self.name} to answer", self.up, self.patience_s)
        return self

    def kill(self):
        """Kills it at once, like a crash."""
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)

    def freeze(self):
        """Stops it: it keeps its connections, the kernel accepts new ones, and it never answers."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self):
        self.process.send_signal(signal.SIGCONT)

    def restart(self):
        self.kill()
        return self.start()

    def end(self):
        self.kill()
        shutil.rmtree(self.dir, ignore_errors=True)

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.end()
