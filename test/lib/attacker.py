"""The attacker's side of an attack, run as the attacker's account: reads a JSON list of steps from stdin, executes them in turn, and writes a
line of JSON for each to stdout. It serves the sockets that it holds until it is ended; each connection and its data are a line too.

It needs no other file (`python3 -c`), because an account need not be able to read the directory of the tests. It reaches paths of any
length through their directory."""
import ctypes
import errno
import json
import os
import resource
import select
import socket
import sys

RETRY_S = 0.02  # how often a name that another process holds is tried again
CHUNK = bytes(1 << 16)
XCLIENT_HELLO = b"l\0\x0b\0\0\0\0\0\0\0\0\0"  # the first bytes of an X11 client without a cookie
CLONE_NEWNS, CLONE_NEWUSER = 0x00020000, 0x10000000
SHM_RDONLY = 0o10000
SESSION_KEYRING, KEYCTL_SEARCH, KEYCTL_READ = -3, 10, 11
libc = ctypes.CDLL(None, use_errno=True)
libc.shmat.restype = ctypes.c_void_p


def say(**line):
    print(json.dumps(line), flush=True)


def in_folder(path, what):
    """Calls what(name) with the file's directory as the working directory, because the path of a Unix socket must be short."""
    home = os.open("/", os.O_RDONLY)
    try:
        os.chdir(os.path.dirname(path))
        return what(os.path.basename(path))
    finally:
        os.fchdir(home)
        os.close(home)


def seen(fd):
    """The identity of the opened file: in each desktop, the same path leads to another file."""
    st = os.fstat(fd)
    return {"file": f"{st.st_dev}:{st.st_ino}"}


def opened(path, flags):
    fd = os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if flags & os.O_ACCMODE == os.O_RDONLY and not flags & os.O_DIRECTORY:
            os.read(fd, 1)
        return seen(fd)
    finally:
        os.close(fd)


def connected(path):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    s.settimeout(5)

    def connect(name):
        try:
            s.connect(name)
        except OSError as e:
            if e.errno != errno.EPROTOTYPE:
                raise
            with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as packets:
                packets.connect(name)
    if path.startswith("@"):
        s.connect("\0" + path[1:])
    else:
        in_folder(path, connect)
    return s


def do_connect(path):
    with connected(path):
        st = os.stat(path)
        return {"file": f"{st.st_dev}:{st.st_ino}"}


def do_xclient(path):
    """Opens a window on another user's desktop."""
    with connected(path) as s:
        s.sendall(XCLIENT_HELLO)
        answer = s.recv(8)
        if answer[:1] != b"\1":
            raise PermissionError(errno.EACCES, "the X server refuses")
    return {}


def do_make(path):
    """Creates a file in that directory."""
    name = os.path.join(path, f".attack-{os.getpid()}")
    fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    os.unlink(name)
    os.close(fd)
    fd = os.open(path, os.O_PATH)
    try:
        return seen(fd)
    finally:
        os.close(fd)


def do_signal(pid):
    os.kill(pid, 0)
    return {}


def do_memory(pid):
    os.close(os.open(f"/proc/{pid}/mem", os.O_RDWR))
    return {}


def do_screen(owner):
    """Maps the shared memory that the X server of this account draws its picture in."""
    with open("/proc/sysvipc/shm", encoding="ascii") as f:
        names, *rows = [line.split() for line in f]
    ids = [int(row[names.index("shmid")]) for row in rows if int(row[names.index("cuid")]) == owner]
    mapped = [n for n in ids for how in (SHM_RDONLY, 0) if libc.shmat(n, None, how) not in (None, ctypes.c_void_p(-1).value)]
    if not mapped:
        raise PermissionError(errno.EACCES, f"{len(ids)} segments refuse")
    return {"mapped": mapped}


def system_call(name, *args):
    """A system call that has no function in the C library."""
    number = {"x86_64": {"add_key": 248, "keyctl": 250}, "aarch64": {"add_key": 217, "keyctl": 219}}[os.uname().machine][name]
    result = libc.syscall(number, *args)
    if result < 0:
        raise OSError(ctypes.get_errno(), name)
    return result


def do_add_key(name):
    """Adds a key to the session keyring."""
    system_call("add_key", b"user", name.encode(), b"secret", 6, SESSION_KEYRING)
    return {}


def do_find_key(name):
    """Reads a key of the session keyring."""
    key = system_call("keyctl", KEYCTL_SEARCH, SESSION_KEYRING, b"user", name.encode(), 0)
    secret = ctypes.create_string_buffer(16)
    system_call("keyctl", KEYCTL_READ, key, secret, len(secret))
    return {"secret": secret.value.decode()}


def do_link(path, target):
    """Replaces what is at the path by a symbolic link."""
    def replace(name):
        if os.path.lexists(name):
            os.unlink(name)
        os.symlink(target, name)
    in_folder(path, replace)
    return {}


def do_folder(path):
    os.mkdir(path, 0o700)
    return {}


def do_unmount(under):
    """Unmounts what is mounted over these directories, as root of a user namespace."""
    ids = os.getuid(), os.getgid()
    if libc.unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    for name, text in (("setgroups", "deny"), ("uid_map", f"0 {ids[0]} 1"), ("gid_map", f"0 {ids[1]} 1")):
        with open(f"/proc/self/{name}", "w", encoding="ascii") as f:
            f.write(text)
    gone = []
    with open("/proc/self/mountinfo", encoding="utf-8") as f:
        points = [line.split()[4] for line in f]
    for point in reversed(points):
        if point.startswith(tuple(under)) and libc.umount2(point.encode(), 2) == 0:
            gone.append(point)
    if not gone:
        raise PermissionError(errno.EPERM, "no mount goes away")
    return {"unmounted": gone}


def do_fill(path, most_bytes, most_files):
    """Writes bytes, then files, until a write fails or the maximum is reached."""
    size = files = 0
    why = {}
    name = os.path.join(os.path.expandvars(path), f".attack-{os.getpid()}")
    try:
        fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        while size < most_bytes:
            size += os.write(fd, CHUNK)
    except OSError as e:
        why["bytes_refused"] = errno.errorcode[e.errno]
    try:
        while files < most_files:
            os.close(os.open(f"{name}-{files}", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
            files += 1
    except OSError as e:
        why["files_refused"] = errno.errorcode[e.errno]
    return {"bytes": size, "files": files, **why}


def do_pour(fd, most_bytes):
    """Writes bytes to an open descriptor."""
    size = 0
    try:
        os.set_blocking(fd, False)
        while size < most_bytes:
            size += os.write(fd, CHUNK)
    except OSError as e:
        return {"bytes": size, "bytes_refused": errno.errorcode[e.errno]}
    return {"bytes": size}


def do_segments(most):
    """Creates shared memory segments until the system has no room for more."""
    made = 0
    while made < most and libc.shmget(0, 4096, 0o1600) >= 0:
        made += 1
    return {"made": made}


def do_claim(path, first, last):
    """Creates a file for each possible display."""
    made = 0
    for n in range(first, last + 1):
        try:
            os.close(os.open(path % n, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
            made += 1
        except FileExistsError:
            pass
    if not made:
        raise FileExistsError(errno.EEXIST, path)
    return {"files": made}


class Held:
    """A socket or port to which other processes may connect. If it is taken, binding is tried again; with `after`, not before some process has
    that argument."""

    def __init__(self, where, after=None):
        self.where, self.after, self.socket = where, after, None

    def take(self):
        kind, at = self.where.split(":", 1)
        if kind == "file":
            os.close(os.open(at, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644))
            self.socket = True
            return
        s = socket.socket({"tcp4": socket.AF_INET, "tcp6": socket.AF_INET6}.get(kind, socket.AF_UNIX), socket.SOCK_STREAM)
        try:
            if kind.startswith("tcp"):
                address, port = at.rsplit(":", 1)
                s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if kind == "tcp6":
                    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                s.bind((address, int(port)))
            elif kind == "abstract":
                s.bind("\0" + at)
            else:
                def bind(name):
                    s.bind(name)
                    os.chmod(name, 0o777)  # xrdp runs as another account
                in_folder(at, bind)
            s.listen(8)
        except OSError:
            s.close()
            raise
        s.setblocking(False)
        self.socket = s


def arguments():
    """The arguments of all processes."""
    found = set()
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as f:
                found.update(f.read().split(b"\0"))
        except OSError:
            pass
    return found


def hold(places):
    """Serves what is held and retries the rest, until this process is killed."""
    poll, peers, waiting, first = select.poll(), {}, list(places), True
    while True:
        there = arguments() if any(place.after for place in waiting) else ()
        for place in list(waiting):
            if place.after and place.after.encode() not in there:
                continue
            try:
                place.take()
            except OSError:
                continue
            waiting.remove(place)
            say(took=place.where)
            if place.socket is not True:
                poll.register(place.socket, select.POLLIN)
                peers[place.socket.fileno()] = (place, place.socket)
        if first:
            say(done=True)
            first = False
        for fd, _ in poll.poll(RETRY_S * 1000):
            place, s = peers[fd]
            if s is place.socket:
                try:
                    peer, _ = s.accept()
                except OSError:
                    continue
                say(heard=place.where, connected=True)
                poll.register(peer, select.POLLIN)
                peers[peer.fileno()] = (place, peer)
                continue
            try:
                data = s.recv(4096)
            except OSError:
                data = b""
            say(heard=place.where, bytes=len(data))
            if not data:
                poll.unregister(s)
                del peers[fd]
                s.close()


STEPS = {
    "read": lambda path: opened(path, os.O_RDONLY),
    "list": lambda path: opened(path, os.O_RDONLY | os.O_DIRECTORY),
    "write": lambda path: opened(path, os.O_WRONLY | os.O_APPEND),
    "make": do_make, "connect": do_connect, "xclient": do_xclient, "signal": do_signal, "memory": do_memory, "screen": do_screen,
    "add_key": do_add_key, "find_key": do_find_key, "link": do_link, "folder": do_folder, "unmount": do_unmount, "fill": do_fill,
    "pour": do_pour, "claim": do_claim, "segments": do_segments,
}


def main():
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    places = []
    say(pid=os.getpid(), uid=os.getuid())
    for n, step in enumerate(json.load(sys.stdin)):
        do = step.pop("do")
        if do == "hold":
            places.append(Held(**step))
            continue
        try:
            say(step=n, ok=True, **(STEPS[do](**step) or {}))
        except OSError as e:
            say(step=n, ok=False, error=errno.errorcode.get(e.errno, str(e)))
    if places:
        hold(places)
    say(done=True)


if __name__ == "__main__":
    main()
