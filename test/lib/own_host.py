"""The host's own xrdp in a form that a test may change: in a mount namespace with a copy of /etc/xrdp and an empty /run/xrdp. The
machine's own files are never changed."""
import contextlib
import os
import shutil
import subprocess
import tempfile

from lucid import free_ports
from proc import alive, cmdline, kill_one


def put_lines(path, **values):
    """Sets keys of the first section, as an administrator would."""
    with open(path, encoding="utf-8") as f:
        lines = f.read().split("\n")
    for key, value in values.items():
        at = next(i for i, line in enumerate(lines) if line.startswith(f"{key}="))
        lines[at] = f"{key}={value}"
    with open(path, "w", encoding="utf-8") as f:
        f.write("\n".join(lines))


class OwnHost:
    """The host's xrdp as the daemon's namespace shows it."""

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="lrdp-etc-")
        os.chmod(self.dir, 0o755)
        self.etc, self.run, self.log = (os.path.join(self.dir, d) for d in ("etc", "run", "log"))
        # as installed: without backup files of earlier changes
        shutil.copytree("/etc/xrdp", self.etc, symlinks=True, ignore=shutil.ignore_patterns("*.ini.*", "lucid-*", "cert.pem", "key.pem"))
        self.make_pair()
        os.mkdir(self.run)
        os.mkdir(self.log)
        shutil.chown(self.log, "xrdp")
        self.port, self.sesman_port = free_ports(1), free_ports(1)
        put_lines(f"{self.etc}/xrdp.ini", port=self.port, LogFile=f"{self.log}/xrdp.log")
        put_lines(f"{self.etc}/sesman.ini", ListenPort=self.sesman_port, LogFile=f"{self.log}/sesman.log", X11DisplayOffset=900)

    def make_pair(self, cert="cert.pem", key="key.pem"):
        """A certificate and its key beside xrdp.ini that xrdp can read, because the machine's own may not be readable."""
        cert, key = f"{self.etc}/{cert}", f"{self.etc}/{key}"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-subj", "/CN=host",
                        "-keyout", key, "-out", cert], check=True, capture_output=True, timeout=30)
        shutil.chown(key, group="xrdp")
        os.chmod(key, 0o640)
        return cert, key

    def wrap(self):
        script = f'mount --bind {self.etc} /etc/xrdp && mount --bind {self.run} /run/xrdp && exec "$@"'
        return ["unshare", "-m", "sh", "-c", script, "sh"]

    def text(self, name="xrdp.ini"):
        with open(os.path.join(self.etc, name), encoding="utf-8") as f:
            return f.read()

    def pid(self, name="xrdp"):
        with contextlib.suppress(OSError, ValueError):
            with open(f"{self.run}/{name}.pid", encoding="ascii") as f:
                return int(f.read())
        return None

    def end(self):
        for name in ("xrdp", "xrdp-sesman"):
            pid = self.pid(name)
            if pid and alive(pid) and name in cmdline(pid):
                kill_one(pid)
        shutil.rmtree(self.dir, ignore_errors=True)
