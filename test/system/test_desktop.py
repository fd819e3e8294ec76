"""From nothing to a desktop, over HTTP and with a stock RDP client, and back to nothing."""
import os

import pytest

import lucid
import proc
from lucid import SERVERS, XRDP, token_for
from proc import until

BLUE, GREEN, RED = "#3366cc", "#33aa44", "#cc3322"


def named(rows, user):
    return [r for r in rows if r["username"] == user]


@pytest.mark.shapes
def test_a_desktop(daemon, users, login):
    user, = users(1, daemon)
    user.paint(BLUE)
    mine = daemon.api(user.name)
    server = mine.create_server("studio", desktop={"profile": "paint"})
    assert server["status"] == "running" and server["user_id"] == user.name
    assert daemon.range[0] <= server["port"] <= daemon.range[1]
    client = login(daemon, server, user)
    client.wait_colour(BLUE)
    if os.environ.get("PICTURE"):
        client.save(os.environ["PICTURE"])

    # the agent lists it
    admin, sid = daemon.admin, server["server_id"]
    connection = until("the connection with its user and display",
                       lambda: [c for c in named(admin.connections(sid), user.name) if c["display"]])[0]
    assert connection["client_address"] in ("127.0.0.1", "::ffff:127.0.0.1")
    assert connection["bytes_in"] > 0 and connection["bytes_out"] > 0 and connection["started_at"]
    assert proc.exe(connection["pid"]).endswith("/lucid-rdpd")
    desktop, = named(admin.desktops(sid), user.name)
    assert desktop["status"] == "active" and desktop["display"] == connection["display"]
    assert desktop["processes"] >= 2 and desktop["memory_bytes"] > 1 << 20
    assert desktop["connection_id"] == connection["id"]
    assert until("the count of sessions", lambda: mine.get(f"{SERVERS}/{sid}/status")["sessions"]["active"] == 1)
    before = connection["bytes_out"]
    user.paint(GREEN)
    client.wait_colour(GREEN)
    # connections are sampled once a second
    assert until("bytes of the new colour", lambda: admin.connections(sid)[0]["bytes_out"] > before)

    # a second server is a second desktop
    other = mine.create_server("annexe", desktop={"profile": "paint"})
    second = login(daemon, other, user)
    second.wait_colour(GREEN)
    there = until("the second desktop", lambda: named(admin.desktops(other["server_id"]), user.name))[0]
    assert there["display"] != desktop["display"]
    user.paint(RED, there["display"])
    second.wait_colour(RED)
    client.wait_colour(GREEN)
    assert len(admin.desktops(sid)) == 1 and len(admin.desktops(other["server_id"])) == 1

    # cutting the connection leaves the desktop; connecting again shows it
    cut = admin.delete(f"{XRDP}/instances/{sid}/connections/{connection['id']}")["cut"]
    assert cut["id"] == connection["id"]
    until("the client to disconnect", lambda: not client.connected)
    assert until("a desktop without a client",
                 lambda: [d for d in admin.desktops(sid) if d["status"] == "disconnected"])[0]["display"] == desktop["display"]
    again = login(daemon, server, user)
    again.wait_colour(GREEN)
    back, = admin.desktops(sid)
    assert back["display"] == desktop["display"]

    # a server with logged-in users is not stopped by accident
    refused = mine.call("DELETE", f"{SERVERS}/{sid}", expect=409).json()["error"]
    assert refused["code"] == "LUCID_ERR_0011" and user.name in str(refused["details"])
    mine.call("POST", f"{SERVERS}/{sid}/stop", expect=409)
    again.wait_colour(GREEN)

    # the desktop ends completely
    of_it = [p for p in proc.marked(user_ids={user.uid})
             if f"DISPLAY=:{desktop['display']}" in (proc.read(f"/proc/{p}/environ") or "")]
    assert of_it
    ended = admin.delete(f"{XRDP}/instances/{sid}/desktops/{desktop['display']}")
    assert ended["ended"]["display"] == desktop["display"] and ended["processes"] >= len(of_it)
    assert not [proc.describe(p) for p in of_it if proc.alive(p)]
    assert admin.desktops(sid) == []
    until("the client to disconnect", lambda: not again.connected)
    second.wait_colour(RED)

    # nothing is left of a deleted server
    pids = [p for p in mine.get(f"{SERVERS}/{sid}/status")["pids"].values()]
    assert all(proc.alive(p) for p in pids)
    mine.delete(f"{SERVERS}/{sid}", expect=204)
    assert nothing_of(daemon, sid, server["port"])
    assert not [p for p in pids if proc.alive(p)]
    mine.call("GET", f"{SERVERS}/{sid}", expect=404)
    # and with force, including its desktop
    mine.delete(f"{SERVERS}/{other['server_id']}?force=true", expect=204)
    assert nothing_of(daemon, other["server_id"], other["port"])
    assert not proc.marked(user_ids={user.uid}) and not proc.x_leftovers({user.uid})


def nothing_of(d, server_id, port):
    assert not [proc.describe(p) for p in proc.marked(server_ids=[server_id])]
    assert not proc.cgroups_with([server_id])
    assert not proc.mounts_with(server_id)
    assert not proc.listening(port)
    for folder in (d.settings["DATA_DIR"], d.settings["LOG_DIR"], d.settings["RUNTIME_DIR"]):
        for root, dirs, files in os.walk(folder):
            kept = root == os.path.join(d.settings["LOG_DIR"], "xrdp", "deleted")  # its logs, kept for LOG_RETENTION_DAYS
            assert kept or server_id not in dirs + files, f"{root}/{server_id}"
    return True


@pytest.mark.shapes
def test_server_of_another_user_is_hidden(daemon, users):
    """Servers of other users are hidden; the agent is for admins."""
    a, b = users(2, daemon)
    server = daemon.api(a.name).create_server("private", wait=False, auto_start=False)
    path = f"{SERVERS}/{server['server_id']}"
    theirs = daemon.api(b.name)
    for method, where in (("GET", path), ("DELETE", path), ("POST", path + "/start"), ("GET", path + "/rdp-file"),
                          ("GET", path + "/status"), ("GET", path + "/logs")):
        assert theirs.call(method, where, expect=404).json()["error"]["code"] == "LUCID_ERR_2001"
    theirs.call("PATCH", path, {"name": "mine"}, expect=404)
    assert theirs.list_servers() == []
    for where in ("/instances", f"/instances/{server['server_id']}", "/stats", "/info", "/service", "/logs"):
        assert theirs.call("GET", XRDP + where, expect=403).json()["error"]["code"] == "LUCID_ERR_0003"
    theirs.call("GET", "/api/v1/rdp/ports", expect=403)
    theirs.call("GET", "/api/v1/rdp/nodes", expect=403)
    assert daemon.admin.server(server["server_id"])["user_id"] == a.name


@pytest.mark.shapes
def test_only_allowed_accounts(daemon, users, login):
    """security.allowed_users applies to PAM, not to the API."""
    a, b = users(2, daemon)
    a.paint(BLUE)
    b.paint(RED)
    server = daemon.admin.create_server("closed", user_id=a.name, security={"allowed_users": [a.name]})
    login(daemon, server, a).wait_colour(BLUE)
    stranger = login(daemon, server, b)
    until("the refusal in the log", lambda: any(b.name in line for line in
          daemon.admin.get(f"{SERVERS}/{server['server_id']}/logs")["lines"]), 30, 0.5)
    assert [d["username"] for d in daemon.admin.desktops(server["server_id"])] == [a.name]
    assert stranger.picture().share(RED) < 0.1 and not proc.marked(user_ids={b.uid})


@pytest.mark.shapes
def test_rdp_file_and_config(daemon):
    """What a user needs to connect, also from another role's port."""
    server = daemon.admin.create_server("files", display={"width": 1280, "height": 720})
    path = f"{SERVERS}/{server['server_id']}"
    for role in daemon.ports:
        api = daemon.api("admin", role)
        file = api.call("GET", path + "/rdp-file", expect=200)
        assert file.headers["Content-Type"].startswith("application/x-rdp")
        assert f":{server['port']}" in file.text and "desktopwidth:i:1280" in file.text
        assert api.get(path + "/connection")["port"] == server["port"]
    config = daemon.admin.get(path + "/config")
    assert f"port={server['port']}" in config["xrdp_ini"].replace(" ", "") or str(server["port"]) in config["xrdp_ini"]
    assert "[Sessions]" in config["sesman_ini"]
    idle = daemon.admin.create_server("idle", wait=False, auto_start=False)
    assert str(idle["port"]) in daemon.admin.get(f"{SERVERS}/{idle['server_id']}/config")["xrdp_ini"]


@pytest.mark.shapes
def test_every_role_answers(daemon):
    """Health, errors and forwarding on each of the four ports."""
    for role, _ in daemon.ports.items():
        nobody, admin = daemon.api(None, role), daemon.api("admin", role)
        health = nobody.get("/health")
        assert health["status"] == "healthy" and set(daemon.beside(role)) == set(health["roles"])
        assert nobody.get("/health/live")["alive"] is True
        ready = nobody.get("/health/ready")
        assert ready["ready"] is True and lucid.of_store(ready["checks"])["status"] == "healthy"
        assert nobody.call("GET", "/metrics", expect=200).text.startswith("#")
        assert nobody.call("GET", "/nowhere", expect=404).json()["error"]["code"] == "LUCID_ERR_0006"
        assert nobody.call("GET", SERVERS, expect=401).headers["WWW-Authenticate"].startswith("Bearer")
        assert admin.get(SERVERS)["servers"] == []
        assert admin.get(XRDP + "/info")["cores"] >= 1
        own = {"rdp-server-manager": SERVERS, "xrdp-integration": XRDP + "/instances/{server_id}"}  # each process describes its own operations
        assert {own[r] for r in daemon.beside(role) if r in own} <= set(nobody.get("/openapi.json")["paths"])
    assert daemon.admin.get("/servers")["servers"] == []
    daemon.api("admin", "xrdp-integration").call("GET", "/servers", expect=404)


def test_token_subcommand(daemon):
    r = daemon.run("token", "--user", "somebody", "--roles", "admin", "--ttl", "1h")
    assert r.returncode == 0 and r.stdout.strip().count(".") == 2, r.stderr
    api = daemon.api(None)
    api.token = r.stdout.strip()
    assert api.create_server("by token", wait=False, auto_start=False)["user_id"] == "somebody"
    api.token = token_for("nobody", ttl=-3600)
    api.call("GET", SERVERS, expect=401)
