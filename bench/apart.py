"""Measurements of roles apart from each other, and of what others do the same work with."""
import json
import os
import re
import resource
import select
import socket
import subprocess
import sys
import time

import requests

from measure import BENCH, LOAD_CPU, ROOT, SECONDS, cpu_seconds, daemon, lucid, pin, proc, pss_kib, row, sh, wrk

PEER_PYTHON = os.path.join(ROOT, "build/peer/bin/python")


def streams(d, count):
    """That many event streams of users, their heads read."""
    found = []
    for i in range(count):
        s = socket.create_connection(("127.0.0.1", d.ports[lucid.ROLES[0]]), 10)
        s.sendall(f"GET /events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {lucid.token_for('admin', 'admin') if i % 2 else lucid.token_for('ann')}\r\n\r\n".encode())
        found.append(s)
    for s in found:
        if b" 200 " not in s.recv(4096):
            raise AssertionError("a stream was refused")
    return found


def events():
    """One event to 1,000 streams: from the request that causes it until the last of them has it; and what a stream holds."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 4096), hard))
    d = daemon()
    try:
        ann = d.api("ann")
        ann.post(lucid.SERVERS, {"name": "warm", "auto_start": False})
        for s in streams(d, 20):
            s.close()
        before = pss_kib(d.server_pid())
        held = streams(d, 1000)
        each = (pss_kib(d.server_pid()) - before) * 1024 / len(held)
        pin(d.server_pid())
        took = []
        for i in range(9):
            poll = select.epoll()
            waiting = {s.fileno(): s for s in held}
            for fd in waiting:
                poll.register(fd, select.EPOLLIN)
            name = f"event {i}"
            start = time.perf_counter()
            ann.post(lucid.SERVERS, {"name": name, "auto_start": False})
            while waiting:
                for fd, _ in poll.poll(10):
                    if b"server.created" in waiting[fd].recv(65536):
                        poll.unregister(fd)
                        del waiting[fd]
            took.append((time.perf_counter() - start) * 1e3)
            poll.close()
            time.sleep(0.3)
            for s in held:  # what came besides
                s.setblocking(False)
                try:
                    s.recv(65536)
                except BlockingIOError:
                    pass
                s.setblocking(True)
        took.sort()
        row("a change until 1,000 event streams have it", f"{took[len(took) // 2]:.0f} ms (slowest of {len(took)}: {took[-1]:.0f})", f"{each / 1000:.1f} kB a stream", "≤ 50 ms, ≤ 20 kB")
        for s in held:
            s.close()
    finally:
        d.end(check=False)


APART = (events,)
