"""How soon a change on the host is known to those who follow the event stream."""
import os
import pwd
import select
import signal
import time

from measure import daemon, lucid, row
from apart import streams
from usage import scaled
import accounts
import logins as load
import proc

STREAMS, PEOPLE = 100, 10
OTHERS = 10  # accounts with disconnected desktops on many servers, so that there are 200 sessions


def desktops(d, made, others, each):
    """Each of the accounts logs in to so many servers, one after another, and leaves; the desktops stay."""
    api, screen, live = d.api("admin", lucid.SESSIONS), load.Screen(), 0
    for n in range(each):
        clients = [screen.client(made[(i * each + n) % len(made)]["port"], account) for i, account in enumerate(others)]
        live += len(others)
        proc.until("their desktops", lambda: api.get("/api/v1/sessions/summary")["by_status"]["active"] >= len(others), 120)
        for client in clients:
            client.kill()
            client.wait()
        proc.until("them to be disconnected", lambda: api.get("/api/v1/sessions/summary")["by_status"]["disconnected"] == live, 60)
    screen.close()


def told(held, topics, since, seconds=20):
    """Milliseconds until each stream has an event of one of the topics."""
    poll, found, text = select.epoll(), [], {s.fileno(): b"" for s in held}
    by_number = {s.fileno(): s for s in held}
    for fd in text:
        poll.register(fd, select.EPOLLIN)
    while len(found) < len(held):
        if time.perf_counter() - since > seconds:
            raise AssertionError(f"{len(held) - len(found)} streams have no event of {topics}")
        for fd, _ in poll.poll(1):
            text[fd] += by_number[fd].recv(65536)
            if any(topic in text[fd] for topic in topics):
                found.append((time.perf_counter() - since) * 1e3)
                poll.unregister(fd)
    poll.close()
    return found


def follow():
    """Clients are killed, then all processes of their people, beside many running servers; the time until `session.disconnected` and `session.terminated` are on all
    streams."""
    servers = scaled(50)
    each = scaled(19)
    d = daemon(range_size=servers + 5, MAX_CONCURRENT_SERVERS=str(servers), MAX_CONCURRENT_SESSIONS="1000", MAX_SESSIONS_PER_USER="100")
    pool = accounts.Pool()
    screens, clients = [], []
    try:
        d.accounts = pool.get(PEOPLE + OTHERS)
        people, others = d.accounts[:PEOPLE], d.accounts[PEOPLE:]
        made = [d.admin.create_server(f"fleet {i}") for i in range(servers)]
        desktops(d, made, others, each)
        for i, account in enumerate(people):
            screens.append(load.Screen())
            clients.append(screens[-1].client(made[i % servers]["port"], account))
        proc.until("all to be active", lambda: len(d.api("admin", lucid.SESSIONS).get("/api/v1/sessions?status=active")["sessions"]) == PEOPLE, 120)
        time.sleep(5)
        held, took = [s for s in streams(d, 2 * STREAMS)][1::2], {"disconnected": [], "terminated": []}
        for client, account in zip(clients, people):
            start = time.perf_counter()
            client.kill()
            took["disconnected"] += told(held, (b"event: session.disconnected",), start)
            client.wait()
            its = [p for p in proc.pids() if pwd.getpwnam(account.name).pw_uid in proc.uids(p)]
            start = time.perf_counter()
            for pid in its:
                os.kill(pid, signal.SIGKILL)
            took["terminated"] += told(held, (b"event: session.terminated", b"event: session.failed"), start)  # failed: it was killed soon after its start
        for what, times in took.items():
            times.sort()
            row(f"a {'client' if what == 'disconnected' else 'desktop'} that ends until {STREAMS} event streams have session.{what}",
                f"p99 {times[len(times) * 99 // 100]:.0f} ms (median {times[len(times) // 2]:.0f})", f"{servers} servers, {PEOPLE + OTHERS * each} sessions", "< 300 ms")
    finally:
        for client in clients:
            client.kill()
            client.wait()
        for screen in screens:
            screen.close()
        d.end(check=False)
        pool.remove()


FOLLOW = (follow,)
