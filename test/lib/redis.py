"""A real redis-server on a port of its own, which tests can also empty."""
import os
import socket
import urllib.parse

from backend import Backend
from lucid import free_ports


class RedisError(Exception):
    """An error reply of Redis."""


def encode(args):
    parts = [a if isinstance(a, bytes) else str(a).encode() for a in args]
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(p), p) for p in parts)


def decode(f):
    line = f.readline()
    if not line.endswith(b"\r\n"):
        raise ConnectionError("Redis closed the connection")
    kind, rest = line[:1], line[1:-2]
    if kind == b"-":
        return RedisError(rest.decode())
    if kind == b"+":
        return rest.decode()
    if kind == b":":
        return int(rest)
    if kind == b"$":
        return None if int(rest) < 0 else f.read(int(rest) + 2)[:-2].decode("utf-8", "replace")
    return None if int(rest) < 0 else [decode(f) for _ in range(int(rest))]


class RedisServer(Backend):
    """It stores nothing on disk: after restart() it is empty."""

    name, patience_s = "redis-server", 10

    def __init__(self, password=None, port=None):
        super().__init__()
        os.chmod(self.dir, 0o755)  # the program under test runs as another account
        self.port = port or free_ports(1)
        self.password = password
        self.socket_path = os.path.join(self.dir, "redis.sock")

    # --- its URL in a setting
    def url(self, db=None, password=None):
        """redis://; with another password than its own, to test a wrong one."""
        password = password if password is not None else self.password
        secret = f":{urllib.parse.quote(password, safe='')}@" if password else ""
        return f"redis://{secret}127.0.0.1:{self.port}{'' if db is None else f'/{db}'}"

    @property
    def unix_url(self):
        return f"unix:{self.socket_path}"

    # --- start and stop
    def argv(self):
        return ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--unixsocket", self.socket_path,
                "--unixsocketperm", "777", "--save", "", "--appendonly", "no", "--dir", self.dir, "--daemonize", "no",
                *(["--requirepass", self.password] if self.password else [])]

    def answers(self):
        try:
            return self.command("PING") == "PONG"
        except (OSError, RedisError):
            return False

    # --- commands
    def command(self, *args, timeout=5):
        """Runs one command on a new connection."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=timeout) as s, s.makefile("rb") as f:
            if self.password:
                s.sendall(encode(["AUTH", self.password]))
                answer = decode(f)
                if isinstance(answer, RedisError):
                    raise answer
            s.sendall(encode(args))
            answer = decode(f)
        if isinstance(answer, RedisError):
            raise answer
        return answer

    def flush(self):
        self.command("FLUSHALL")

    def flush_scripts(self):
        self.command("SCRIPT", "FLUSH")

    def keys(self, pattern="*"):
        return sorted(self.command("KEYS", pattern))

    def clients(self):
        """CLIENT LIST without the calling connection, as dicts."""
        rows = [dict(field.split("=", 1) for field in line.split()) for line in self.command("CLIENT", "LIST").splitlines()]
        return [r for r in rows if not r.get("cmd", "").startswith("client")]
