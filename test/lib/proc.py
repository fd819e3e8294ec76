"""Reads /proc, the mount table and the control groups; only kill_one changes anything."""
import os
import signal
import socket
import time

DAEMONS = ("lucid-rdpd", "lucid-sesman")  # an instance's xrdp and sesman: copies under other names, so that killing by name does not end them


PATIENCE = float(os.environ.get("TEST_PATIENCE", "3"))  # factor for timeouts: a busy machine is slower than an idle one


def until(what, check, timeout=20.0, every=0.05):
    """Waits until check() is true and returns its value; fails with `what` and the last value. The timeout is for an idle machine; it detects
    a hang, it does not measure speed."""
    timeout *= PATIENCE
    end = time.monotonic() + timeout
    while True:
        value = check()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"waited {timeout:.0f} s for {what}; last: {value!r}")
        time.sleep(every)


def read(path, binary=False):
    """The file's content, or None if the file or the process is gone."""
    try:
        with open(path, "rb") as f:
            data = f.read()
    except OSError:
        return None
    return data if binary else data.decode("utf-8", "replace")


def pids():
    return [int(p) for p in os.listdir("/proc") if p.isdigit()]


def status(pid):
    text = read(f"/proc/{pid}/status")
    return dict((k, v.strip()) for k, v in (line.split(":", 1) for line in text.splitlines() if ":" in line)) if text else {}


def alive(pid):
    """Whether it runs; a zombie does not."""
    return bool(pid) and status(pid).get("State", "Z")[0] not in "ZX"


def exe(pid):
    try:
        return os.readlink(f"/proc/{pid}/exe").removesuffix(" (deleted)")
    except OSError:
        return ""


def uids(pid):
    return [int(u) for u in status(pid).get("Uid", "").split()]


def children(pid):
    return [p for p in pids() if status(p).get("PPid") == str(pid)]


def cmdline(pid):
    return (read(f"/proc/{pid}/cmdline") or "").replace("\0", " ").strip()


def describe(pid):
    s = status(pid)
    return f"{pid} {s.get('Name')} ({cmdline(pid)[:100]}) uid {s.get('Uid', '').split()[:1]} state {s.get('State')}"


def start_time(pid):
    """Ticks since boot: together with the pid, a unique name of a process."""
    text = read(f"/proc/{pid}/stat")
    return int(text.rsplit(")", 1)[1].split()[19]) if text else None


def cpu_ticks(pid):
    text = read(f"/proc/{pid}/stat")
    fields = text.rsplit(")", 1)[1].split() if text else None
    return int(fields[11]) + int(fields[12]) if fields else 0


PEOPLE = range(1000, 60000)  # uids of accounts


def marked(mark=None, server_ids=(), user_ids=()):
    """Processes that belong to a run: by its directory in their environment or mounts, its servers in their control group, or its
    accounts as their user. A new namespace copies all current mounts, including directories of other runs. So a process whose environment
    names the directory of another run does not belong to this one, and processes of a user's account are found by the account only."""
    found = []
    me = os.getpid()
    for pid in pids():
        if pid == me or not alive(pid):
            continue
        environ = read(f"/proc/{pid}/environ", binary=True) or b""
        mounts = read(f"/proc/{pid}/mountinfo") or ""
        groups = read(f"/proc/{pid}/cgroup") or ""
        uid = uids(pid)[:1]
        if mark and (mark.encode() in environ or (mark in mounts and b"/lrdp-" not in environ and uid and uid[0] not in PEOPLE)):
            found.append(pid)
        elif any(s in groups for s in server_ids) or any(u in user_ids for u in uid):
            found.append(pid)
    return found


def kill_one(pid, sig=signal.SIGKILL):
    try:
        os.kill(pid, sig)
    except ProcessLookupError:
        pass


def mounts_with(mark):
    return [line.split()[1] for line in (read("/proc/mounts") or "").splitlines() if mark in line]


def cgroups_with(ids):
    found = []
    if not ids:
        return found
    for root, dirs, _ in os.walk("/sys/fs/cgroup"):
        found += [os.path.join(root, d) for d in dirs if any(i in d for i in ids)]
    return found


def x_leftovers(user_ids):
    """X sockets and locks that belong to these accounts."""
    found = []
    for folder in ("/tmp", "/tmp/.X11-unix"):
        for name in os.listdir(folder) if os.path.isdir(folder) else []:
            path = os.path.join(folder, name)
            if name.startswith((".X", "X")) and ("-lock" in name or folder.endswith("unix")):
                try:
                    if os.lstat(path).st_uid in user_ids:
                        found.append(path)
                except FileNotFoundError:
                    pass
    return found


def all_listening():
    """The TCP ports on which any process listens, on any address."""
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in (read(table) or "").splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A":
                found.add(int(fields[1].rsplit(":", 1)[1], 16))
    return found


def listening(port):
    return port in all_listening()


def can_bind(port, host=""):
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind((host, port))
        except OSError:
            return False
    return True
