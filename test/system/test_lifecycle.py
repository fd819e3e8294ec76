"""Stop and start: signals, init duties, restart policies, and a rebooted host. (For kill -9, and that SIGTERM keeps desktops, see
test_crash.py.)"""
import json
import os
import signal
import threading
import time

import pytest
import requests

import proc
from lucid import BIN, SERVERS, XRDP, Answer
from proc import until

BLUE, RED, GREEN = "#3366cc", "#cc6633", "#33cc66"
IN_OWN_PIDS = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]


def pids_of(d, sid):
    return d.admin.instance(sid)["pids"]


def running(d, sid):
    return until("running", lambda: d.admin.server(sid)["status"] == "running", 20)


# --- signals

def test_first_servers_start_at_the_same_time(make_daemon):
    """What all servers share is created once, however many need it first."""
    for _ in range(3):
        d = make_daemon()
        made = []
        threads = [threading.Thread(target=lambda n=n: made.append(d.admin.create_server(f"first {n}"))) for n in range(4)]
        for t in threads:
            t.start()
        for t in threads:
            t.join(60)
        assert [s["status"] for s in made] == ["running"] * 4, [s["status_reason"] for s in made]


def test_second_signal_exits_at_once(daemon):
    """The first signal waits for requests in flight; the second does not."""
    server = daemon.admin.create_server("stays")
    pids = pids_of(daemon, server["server_id"])
    reader = daemon.server_pid()
    os.kill(reader, signal.SIGSTOP)  # it cannot finish
    daemon.process.send_signal(signal.SIGTERM)
    time.sleep(0.5)
    assert daemon.process.poll() is None
    daemon.process.send_signal(signal.SIGTERM)
    assert daemon.process.wait(5) != 0
    until("the server to be gone", lambda: not proc.alive(reader), 5)
    assert all(proc.alive(p) for p in pids.values())
    daemon.start()
    assert pids_of(daemon, server["server_id"]) == pids


def test_call_in_flight_is_answered(make_daemon, users, login):
    """SIGTERM during ?wait: the request is answered, and the exit code is 0."""
    d = make_daemon()
    account, = users(1, d)
    account.paint(BLUE)
    server = d.admin.create_server("waits")
    sid = server["server_id"]
    login(d, server, account).wait_colour(BLUE)
    for pid in proc.marked(user_ids={account.uid}):
        proc.kill_one(pid, signal.SIGSTOP)  # it ends late, because it cannot handle TERM
    answers = []

    def stop():
        answers.append(d.admin.call("POST", f"{SERVERS}/{sid}/stop?wait=true&force=true", timeout=30))
    waiting = threading.Thread(target=stop)
    waiting.start()
    until("it to be stopping", lambda: d.admin.server(sid)["status"] == "stopping", 5, 0.01)
    d.process.send_signal(signal.SIGTERM)
    waiting.join(30)
    assert answers and answers[0].status_code in (200, 503), answers and answers[0].text
    assert d.process.wait(30) == 0
    d.start()
    if answers[0].status_code == 503:  # it may not have started: then the server is unchanged
        d.admin.post(f"{SERVERS}/{sid}/stop?wait=true&force=true")
    until("stopped", lambda: d.admin.server(sid)["status"] == "stopped", 20)
    assert not proc.marked(server_ids=[sid])


def test_stop_servers(make_daemon):
    d = make_daemon(STOP_SERVERS_ON_EXIT="true")
    server = d.admin.create_server("goes")
    d.ids.add(server["server_id"])
    d.stop(expect=0)
    assert not proc.marked(server_ids=[server["server_id"]]) and not proc.listening(server["port"])
    d.start()
    # a server that starts with its host
    running(d, server["server_id"])


# --- init

def zombies(parent):
    return [p for p in proc.children(parent) if proc.status(p).get("State", "?")[0] == "Z"]


ORPHANS = """
for n in 1 2 3 4 5; do ( setsid sh -c 'sleep 1' & ) ; done
echo done >"$HOME/.job.orphans"
"""


def test_as_pid_1(make_daemon, users, login):
    d = make_daemon(start=False)
    d.wrap = IN_OWN_PIDS
    d.start()
    init, = [p for p in proc.children(d.process.pid) if proc.exe(p) == BIN]
    assert proc.status(init)["NSpid"].split()[-1] == "1"
    user, = users(1, d)
    user.paint(BLUE)
    server = d.admin.create_server("inside")
    sid = server["server_id"]
    client = login(d, server, user)
    client.wait_colour(BLUE)
    # orphans become its children and are reaped
    user.job(ORPHANS)
    until("the orphans", lambda: os.path.exists(os.path.join(user.home, ".job.orphans")), 10)
    proc.kill_one(next(p for p in proc.children(init) if proc.exe(p) == BIN and proc.uids(p)[0] != 0))
    until("readiness", d.ready, 10)
    user.paint(RED)
    client.wait_colour(RED)
    assert d.admin.server(sid)["status"] == "running"
    until("no zombie", lambda: not zombies(init), 10)
    # as init of a container it ends everything; its exit code is 0
    os.kill(init, signal.SIGTERM)
    assert d.process.wait(30) == 0, d.log()[-2000:]
    assert not proc.marked(user_ids={user.uid}) and not proc.marked(server_ids=[sid])
    assert not proc.cgroups_with([sid])
    d.wrap = []
    d.start()
    running(d, sid)


# --- restart policies

def test_xrdp_is_always_restarted(daemon, users, login):
    user, = users(1, daemon)
    user.paint(BLUE)
    server = daemon.admin.create_server("never", restart_policy="never")
    sid = server["server_id"]
    client = login(daemon, server, user)
    client.wait_colour(BLUE)
    old = pids_of(daemon, sid)
    proc.kill_one(old["xrdp"])
    new = until("a new xrdp", lambda: (lambda p: p if p["xrdp"] not in (None, old["xrdp"]) else None)(pids_of(daemon, sid)), 5)
    assert new["sesman"] == old["sesman"]
    until("it to listen", lambda: proc.listening(server["port"]), 5)
    user.paint(RED)
    client.wait_colour(RED)
    instance = daemon.admin.instance(sid)
    assert instance["status"] == "running" and instance["restarts"] == 1
    assert instance["last_exit"]["process"] == "xrdp" and instance["last_exit"]["signal"] == 9


@pytest.mark.shapes
@pytest.mark.parametrize("policy, sig, again", [("never", signal.SIGKILL, False), ("on-failure", signal.SIGKILL, True),
                                               ("on-failure", signal.SIGTERM, False), ("always", signal.SIGTERM, True)])
def test_restart_policy(daemon, policy, sig, again):
    """A sesman that is told to end exits with 0, which is no failure."""
    sid = daemon.admin.create_server(policy, restart_policy=policy)["server_id"]
    old = pids_of(daemon, sid)
    proc.kill_one(old["sesman"], sig)
    if again:
        until("a new sesman", lambda: pids_of(daemon, sid)["sesman"] not in (None, old["sesman"]), 10)
        running(daemon, sid)
        status = daemon.admin.get(f"{SERVERS}/{sid}/status")
        assert status["restarts"] == 1 and status["pids"]["xrdp"] == old["xrdp"] and status["last_exit"]["process"] == "xrdp-sesman"
    else:
        failed = until("failed", lambda: (lambda s: s if s["status"] == "failed" else None)(daemon.admin.server(sid)), 10)
        assert failed["status_reason"] == "sesman_exited"
        time.sleep(0.5)
        assert daemon.admin.instance(sid)["pids"]["sesman"] is None
        # starting the server brings it back
        daemon.admin.post(f"{SERVERS}/{sid}/start?wait=true")
        assert daemon.admin.server(sid)["status"] == "running" and all(pids_of(daemon, sid).values())


def test_back_off_and_limit(daemon):
    """An xrdp that dies repeatedly is restarted after growing delays; a healthy run resets them. Killed at once, at most five times."""
    sid = daemon.admin.create_server("dies", restart_policy="always")["server_id"]
    times, last = [], pids_of(daemon, sid)["sesman"]
    for _ in range(2):
        t0 = time.monotonic()
        proc.kill_one(last)
        last = until("the next sesman", lambda old=last: (lambda p: p if p not in (None, old) else None)(pids_of(daemon, sid)["sesman"]), 20)
        times.append(time.monotonic() - t0)
    assert times[0] > 1.5 and times[1] > 3, times  # 2 s, 4 s: never sooner
    assert daemon.admin.instance(sid)["restarts"] == 2
    # the count survives the supervisor; the test writes a count of used attempts into the record
    path = f"{daemon.settings['DATA_DIR']}/xrdp/servers/{sid}/instance.json"
    daemon.stop()
    change(path, lambda r: r["sesman"].update(failures=5))
    daemon.start()
    proc.kill_one(last)
    failed = until("failed", lambda: (lambda s: s if s["status"] == "failed" else None)(daemon.admin.server(sid)), 10)
    assert failed["status_reason"] == "sesman_exited"
    assert daemon.admin.instance(sid)["restarts"] == 2


def change(path, how):
    with open(path, encoding="utf-8") as f:
        record = json.load(f)
    how(record)
    with open(path, "w", encoding="utf-8") as f:
        json.dump(record, f)


# --- a new boot

def test_records_of_an_earlier_boot(daemon):
    """Records of an earlier boot name processes that no longer exist, even if others have their pids now. Servers that start with the host are
    started; the others are stopped."""
    admin = daemon.admin
    comes = admin.create_server("comes")
    stays = admin.create_server("stays", auto_start=False)
    admin.post(f"{SERVERS}/{stays['server_id']}/start?wait=true")
    ids = [comes["server_id"], stays["server_id"]]
    old = {i: pids_of(daemon, i) for i in ids}
    daemon.stop(expect=0)
    for sid in ids:
        change(f"{daemon.settings['DATA_DIR']}/xrdp/servers/{sid}/instance.json", lambda r: r.update(boot_id="0" * 8))
        for pid in proc.marked(server_ids=[sid]):
            proc.kill_one(pid)
        until("the end of it", lambda s=sid: not proc.marked(server_ids=[s]))
        for group in sorted(proc.cgroups_with([sid]), key=len, reverse=True):  # cgroups do not survive a boot either
            for folder, _, _ in sorted(os.walk(group), key=lambda w: -len(w[0])):
                os.rmdir(folder)
    daemon.start()
    running(daemon, ids[0])
    until("stopped", lambda: admin.server(ids[1])["status"] == "stopped")
    assert admin.server(ids[1])["status_reason"] == "host_restarted"
    assert not set(pids_of(daemon, ids[0]).values()) & set(old[ids[0]].values())
    assert admin.server(ids[0])["port"] == comes["port"]
    admin.call("GET", f"{XRDP}/instances/{ids[1]}", expect=404)
    with pytest.raises((Answer, requests.RequestException)):
        admin.instance(ids[1])
