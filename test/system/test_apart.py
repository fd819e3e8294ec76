"""Roles in separate processes, connected by REST: everything works as in one process, and an unreachable process is reported by the
others."""
import os
import pwd
import signal

import pytest
import requests

import proc
from lucid import AGENT, BIN, MANAGER, MONITOR, ROLES, SERVERS, SESSIONS, URLS, XRDP, Api, token_for
from proc import until

pytestmark = pytest.mark.one_shape("processes that it makes itself")

BLUE = "#3366cc"
KEYS = {"MASTER_KEY": "a master key for tests alone, of more than 32 bytes"}


def point(d, role, to):
    d.settings[URLS[role]] = to if isinstance(to, str) else to.url(role)


@pytest.fixture
def apart(make_daemon):
    """apart([MANAGER], [AGENT], …): a process for each list, each with the URLs of all other roles."""
    def make(*groups, start=True, **settings):
        made = [make_daemon(start=False, roles=roles, **{"HEALTH_CHECK_INTERVAL": "2", **KEYS, **settings}) for roles in groups]
        for d in made:
            d.ids = made[0].ids
            for other in made:
                for role in other.roles:
                    if other is not d:
                        point(d, role, other)
        for d in reversed(made) if start else ():  # the agent first: the others call it when they end
            d.start()
        return made
    return make


def error(r):
    return r.json()["error"]


def no_power(pid):
    s = proc.status(pid)
    assert all(int(u) != 0 for u in s["Uid"].split()) and all(int(g) != 0 for g in s["Gid"].split())
    assert "0" not in s["Groups"].split() and s["NoNewPrivs"] == "1"
    for which in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(s[which], 16) == 0, f"{which} {s[which]}"


def test_limits_that_changed_while_the_agent_was_dead_reach_it(apart):
    manager, agent = apart([MANAGER], [AGENT])
    server = manager.admin.create_server("limited")
    path, wanted = f"{SERVERS}/{server['server_id']}", {"idle_timeout": 7200, "disconnected_timeout": 600, "kill_disconnected": True}
    agent.kill(agent.supervisor)
    changed = manager.admin.call("PATCH", path, {"desktop": wanted}, expect=200).json()
    assert changed["pending_restart"] is False
    agent.start()
    api = agent.api("admin", AGENT)
    pids = api.instance(server["server_id"])["pids"]
    until("the limits", lambda: api.instance(server["server_id"])["desktop_limits"] == wanted, 30)
    assert api.instance(server["server_id"])["pids"] == pids


def test_a_desktop_over_two_processes(apart, users, login):
    manager, agent = apart([MANAGER], [AGENT])
    user, = users(1, manager, agent)
    user.paint(BLUE)
    # without the agent's role there is no supervisor: the process has dropped its privileges itself
    no_power(manager.process.pid)
    assert not proc.children(manager.process.pid)
    assert proc.uids(agent.supervisor)[0] == 0
    no_power(agent.server_pid())

    admin = manager.admin
    server = admin.create_server("apart", restart_policy="always")
    sid = server["server_id"]
    manager.ids.add(sid)
    assert server["status"] == "running" and server["isolation"] == "private"
    login(manager, server, user).wait_colour(BLUE)
    # the agent reports it, at its own port and through the manager's
    for base in (manager.admin, agent.api("admin", AGENT)):
        instance = base.instance(sid)
        assert instance["status"] == "running" and instance["port"] == server["port"]
        assert [x["username"] for x in base.desktops(sid)] == [user.name]
    status = admin.get(f"{SERVERS}/{sid}/status")
    assert status["pids"] == instance["pids"] and status["agent"] == "available"
    assert status["sessions"]["active"] == 1
    file = admin.call("GET", f"{SERVERS}/{sid}/rdp-file", expect=200)
    assert f":{server['port']}" in file.text and file.headers["Content-Type"].startswith("application/x-rdp")
    assert any(user.name in line for line in admin.get(f"{SERVERS}/{sid}/logs?lines=200")["lines"])
    assert str(server["port"]) in admin.get(f"{SERVERS}/{sid}/config")["xrdp_ini"]
    # a server in use is reported, and nothing ends
    refused = admin.call("DELETE", f"{SERVERS}/{sid}", expect=409)
    assert user.name in refused.text
    admin.call("DELETE", f"{SERVERS}/{sid}?force=true", expect=204)
    assert not proc.marked(user_ids={user.uid}) and not proc.marked(server_ids=[sid])
    assert agent.api("admin", AGENT).get(XRDP + "/instances")["instances"] == []


def test_manager_sees_changes_on_the_agents_host(apart):
    """The manager sees changes on the agent's host by its events, or by polling every HEALTH_CHECK_INTERVAL."""
    manager, agent = apart([MANAGER], [AGENT])
    admin = manager.admin
    server = admin.create_server("seen", restart_policy="never")
    kept = admin.create_server("kept", restart_policy="never")
    sid = server["server_id"]
    proc.kill_one(admin.instance(sid)["pids"]["sesman"])
    failed = until("failed", lambda: (lambda s: s if s["status"] == "failed" else None)(admin.server(sid)), 10)
    assert failed["status_reason"] == "sesman_exited"
    # the agent alone restarts xrdp; the manager's responses show the new process, and the server stays running
    old = admin.instance(kept["server_id"])["pids"]
    proc.kill_one(old["xrdp"])
    until("a new xrdp", lambda: admin.get(f"{SERVERS}/{kept['server_id']}/status")["pids"]["xrdp"] not in (None, old["xrdp"]))
    # an instance that was stopped without the manager is started again, because its server must run
    agent.api("admin", AGENT).delete(f"{XRDP}/instances/{kept['server_id']}?force=true")
    again = until("it to run again", lambda: (lambda r: r.json()["pids"]["xrdp"] if r.status_code == 200 else None)(
        admin.call("GET", f"{XRDP}/instances/{kept['server_id']}")), 15)
    assert proc.alive(again)
    until("running", lambda: admin.server(kept["server_id"])["status"] == "running", 10)


def test_forwarded_responses_are_unchanged(apart):
    """The response of another role is forwarded unchanged: status, headers, errors with that role's codes, request id."""
    manager, agent, rest = apart([MANAGER], [AGENT], [SESSIONS, MONITOR])
    for base in (rest.api("admin", SESSIONS), rest.api("admin", MONITOR), agent.api("admin", AGENT)):
        r = base.call("POST", SERVERS, {"name": "through " + base.base[-5:], "auto_start": False}, headers={"X-Request-ID": "through-1"}, expect=201)
        sid = r.json()["server_id"]
        assert r.headers["Location"] == f"{SERVERS}/{sid}" and r.headers["X-Request-ID"] == "through-1"
        own = manager.admin.call("GET", f"{SERVERS}/{sid}", expect=200)
        r = base.call("GET", f"{SERVERS}/{sid}", expect=200)
        assert r.headers["ETag"] == own.headers["ETag"] and r.json() == own.json()
        assert base.call("GET", f"{SERVERS}/{sid}", headers={"If-None-Match": own.headers["ETag"]}).status_code == 304
        assert error(base.call("PATCH", f"{SERVERS}/{sid}", {"name": "x"}, headers={"If-Match": '"77"'}, expect=412))["code"] == "LUCID_ERR_0014"
        changed = base.call("PATCH", f"{SERVERS}/{sid}", {"description": "two\nlines"}, headers={"If-Match": own.headers["ETag"]}, expect=200)
        assert changed.headers["ETag"] != own.headers["ETag"] and changed.json()["description"] == "two\nlines"
        e = error(base.call("GET", SERVERS + "/6f9619ff-8b86-4011-b42d-00c04fc964ff", headers={"X-Request-ID": "through-2"}, expect=404))
        assert e["code"] == "LUCID_ERR_2001" and e["request_id"] == "through-2"
        e = error(base.call("POST", SERVERS, {"name": "", "display": {"width": 1}, "nonsense": 1}, expect=422))
        assert {d["field"] for d in e["details"]} >= {"name", "display.width", "nonsense"}
        assert base.get(SERVERS + "?q=through&limit=1")["pagination"]["limit"] == 1
        assert base.call("GET", f"{SERVERS}/{sid}/rdp-file", expect=200).headers["Content-Type"].startswith("application/x-rdp")
        assert base.get(XRDP + "/info")["cores"] >= 1
        assert error(base.call("GET", f"{XRDP}/instances/{sid}", expect=404))["code"] == "LUCID_ERR_2103"
        base.call("DELETE", f"{SERVERS}/{sid}", expect=204)
    # the caller's identity is kept: objects of others are hidden, and the agent is for admins
    mine = rest.api("somebody", SESSIONS).create_server("mine", wait=False, auto_start=False)
    assert mine["user_id"] == "somebody"
    rest.api("another", SESSIONS).call("GET", f"{SERVERS}/{mine['server_id']}", expect=404)
    assert error(rest.api("somebody", MONITOR).call("GET", XRDP + "/instances", expect=403))["code"] == "LUCID_ERR_0003"
    limited = Api(rest.url(SESSIONS), token_for("somebody", can_create_sessions=False))
    assert limited.server(mine["server_id"])["name"] == "mine"
    rest.api(None, SESSIONS).call("GET", SERVERS, expect=401)


def test_each_role_alone(apart):
    made = apart(*([role] for role in ROLES))
    for d in made:
        role, = d.roles
        nobody, admin = d.api(None, role), d.api("admin", role)
        health = nobody.get("/health")
        assert health["roles"] == [role] and health["service"] == role
        ready = until("all to be there", lambda: (lambda r: r if not r["degraded"] else None)(nobody.get("/health/ready")), 10)
        assert ready["ready"] is True
        assert set(ROLES) - {role} <= set(ready["checks"])
        assert nobody.call("GET", "/metrics", expect=200).text.startswith("#")
        assert error(nobody.call("GET", "/nowhere", expect=404))["code"] == "LUCID_ERR_0006"
        assert error(admin.call("DELETE", SERVERS, expect=405))["code"] == "LUCID_ERR_0007"
        for other in set(d.ports) - {role}:
            assert not proc.listening(d.ports[other])
        assert admin.get(SERVERS)["servers"] == [] and admin.get(XRDP + "/info")["cores"] >= 1
        if role != AGENT:
            no_power(d.process.pid)
        else:
            no_power(d.server_pid())


def checked(d, role):
    return d.api(None, d.roles[0]).get("/health/ready")["checks"][role]


def test_manager_recovers_after_the_agent_was_killed(apart):
    manager, agent = apart([MANAGER], [AGENT])
    admin = manager.admin
    server = admin.create_server("waits")
    sid, pids = server["server_id"], admin.instance(server["server_id"])["pids"]
    reader = agent.server_pid()
    agent.kill(agent.supervisor)
    until("the server process to exit", lambda: not proc.alive(reader))
    for method, path in (("GET", XRDP + "/instances"), ("GET", f"{SERVERS}/{sid}/logs"), ("POST", f"{SERVERS}/{sid}/stop?wait=true")):
        r = admin.call(method, path, expect=503, timeout=15)
        e = error(r)
        assert e["code"] == "LUCID_ERR_0010" and len(e["message"]) > 20 and int(r.headers["Retry-After"]) >= 1, e
    assert admin.server(sid)["name"] == "waits"
    assert admin.get(f"{SERVERS}/{sid}/status")["agent"] == "away"
    until("unhealthy", lambda: checked(manager, AGENT)["status"] == "unhealthy", 10)
    ready = manager.api(None).get("/health/ready")
    assert ready["ready"] is True and ready["degraded"] is True and ready["checks"][AGENT]["message"]
    # a server created now is accepted, and runs once the agent is back
    later = admin.create_server("later", wait=False)
    agent.start()
    until("healthy", lambda: checked(manager, AGENT)["status"] == "healthy", 10)
    assert admin.instance(sid)["pids"] == pids
    until("the one that was running", lambda: admin.server(sid)["status"] == "running", 15)
    until("the one made meanwhile", lambda: admin.server(later["server_id"])["status"] == "running", 20)


def test_frozen_agent_is_reported_by_the_deadline(apart):
    """It accepts connections and does not answer: every call ends by its deadline."""
    manager, agent = apart([MANAGER], [AGENT], REQUEST_TIMEOUT="3")
    admin = manager.admin
    server = admin.create_server("cold")
    frozen = agent.server_pid()
    os.kill(frozen, signal.SIGSTOP)
    try:
        for path in (XRDP + "/info", f"{SERVERS}/{server['server_id']}/status"):
            r = admin.call("GET", path, expect=(200, 503, 504), timeout=60)
            if r.status_code == 200:
                assert r.json()["agent"] == "away"
            else:
                assert error(r)["code"] in ("LUCID_ERR_0010", "LUCID_ERR_0012") and error(r)["message"]
        r = manager.api(None).call("GET", "/health/ready", timeout=8, expect=200).json()
        assert r["degraded"] is True and r["checks"][AGENT]["status"] == "unhealthy"
        # operations without the agent are not affected
        assert admin.server(server["server_id"])["status"] == "running"
    finally:
        os.kill(frozen, signal.SIGCONT)
    until("healthy", lambda: checked(manager, AGENT)["status"] == "healthy", 15)
    assert admin.get(f"{SERVERS}/{server['server_id']}/status")["agent"] == "available"


def test_url_ring_of_two_is_refused(make_daemon):
    """Two processes whose URLs for the manager point at each other."""
    a = make_daemon(start=False, roles=[SESSIONS], **KEYS)
    b = make_daemon(start=False, roles=[MONITOR], **KEYS)
    a.settings[URLS[MANAGER]] = b.url(MONITOR)
    b.settings[URLS[MANAGER]] = a.url(SESSIONS)
    a.start()
    b.start()
    for base in (a.api("admin", SESSIONS), b.api("admin", MONITOR)):
        r = base.call("GET", SERVERS, expect=503, timeout=5)
        assert error(r)["code"] == "LUCID_ERR_0010" and "URL" in error(r)["message"], r.text
    until("the fault in readiness", lambda: "URL" in checked(a, MANAGER)["message"], 5)
    assert checked(a, MANAGER)["status"] == "unhealthy"
    # also for a role without a URL
    r = a.api("admin", SESSIONS).call("GET", XRDP + "/info", expect=503, timeout=5)
    assert error(r)["code"] == "LUCID_ERR_0010" and AGENT in error(r)["message"], r.text


def test_different_secrets_are_reported(apart):
    manager, agent = apart([MANAGER], [AGENT], start=False)
    agent.settings["JWT_SECRET"] = "quite another secret, also of more than 32 bytes"
    agent.start()
    manager.start()
    r = manager.admin.call("GET", XRDP + "/instances", timeout=10)
    assert r.status_code == 503 and "JWT_SECRET" in error(r)["message"], r.text  # a 401 would blame the caller
    server = manager.admin.create_server("waits", wait=False)
    assert server["status"] in ("creating", "configuring", "starting")
    r = manager.admin.call("GET", f"{SERVERS}/{server['server_id']}/logs", timeout=10)
    assert r.status_code == 503 and "JWT_SECRET" in error(r)["message"], r.text
    assert manager.admin.server(server["server_id"])["status"] != "running"
    assert "JWT_SECRET" in manager.log()
    # once corrected, it works without a restart of the manager
    agent.stop()
    agent.settings["JWT_SECRET"] = manager.settings["JWT_SECRET"]
    agent.start()
    until("it to run", lambda: manager.admin.server(server["server_id"])["status"] == "running", 20)


@pytest.mark.parametrize("name", ["JWT_SECRET", "MASTER_KEY"])
def test_secrets_must_be_given(make_daemon, name):
    d = make_daemon(start=False, roles=[MANAGER], **KEYS)
    point(d, AGENT, "http://127.0.0.1:1")
    d.settings[name] = None
    r = d.run()
    assert r.returncode not in (0, None) and f"{name}" in r.stderr and "another process" in r.stderr, r.stderr
    # a start that is refused creates nothing
    assert not os.path.exists(d.settings["DATA_DIR"] + "/secrets")


def test_invalid_urls_of_roles_are_refused(make_daemon):
    for url in ("https://", "ftp://127.0.0.1:1", "unix:relative", "nonsense"):
        d = make_daemon(start=False, roles=[MANAGER], **KEYS)
        point(d, AGENT, url)
        r = d.run()
        assert r.returncode not in (0, None) and URLS[AGENT] in r.stderr, r.stderr


def test_run_user(make_daemon):
    """A process started as root switches to RUN_USER, which owns what it writes."""
    d = make_daemon(roles=[MANAGER], RUN_USER="nobody", **KEYS)
    uid = pwd.getpwnam("nobody").pw_uid
    assert set(proc.uids(d.process.pid)) == {uid} and proc.exe(d.process.pid) == BIN
    no_power(d.process.pid)
    assert os.stat(d.settings["DATA_DIR"]).st_uid == 0 and os.stat(d.settings["DATA_DIR"] + "/store").st_uid == uid
    sid = d.admin.create_server("kept", wait=False, auto_start=False)["server_id"]
    e = error(d.admin.call("GET", XRDP + "/instances", expect=503))
    assert "xrdp-integration" in e["message"]
    # no second signal is needed, and the store is intact afterwards
    d.stop(expect=0)
    d.start()
    assert d.admin.server(sid)["name"] == "kept"
