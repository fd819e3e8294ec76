"""The host's own xrdp: its files, changed and rolled back, and its service. In a mount namespace of the test's own
(test/lib/own_host.py): the machine's own are never touched."""
import hashlib
import os
import socket
import ssl

import pytest
import rdp
from lucid import XRDP, free_ports
from own_host import OwnHost
from proc import alive, kill_one, listening, until

CONFIG, SERVICE = f"{XRDP}/config", f"{XRDP}/service"


@pytest.fixture
def host():
    h = OwnHost()
    yield h
    h.end()


@pytest.fixture
def on_host(make_daemon, host):
    d = make_daemon(start=False, XRDP_LOG_PATH=host.log)
    d.wrap = host.wrap()
    return d.start()


def fields(answer):
    return [d["field"] for d in answer.json()["error"]["details"]]


def test_read(on_host, host):
    admin = on_host.admin
    doc = admin.get(CONFIG)
    assert doc["file"] == "xrdp" and list(doc["sections"])[:4] == ["Globals", "Logging", "LoggingPerLogger", "Channels"]
    values = doc["sections"]["Globals"]
    assert values["port"] == host.port and values["fork"] is True and values["security_layer"] == "negotiate"
    assert list(values)[:3] == ["ini_version", "fork", "port"]  # the file's order
    one = admin.get(f"{CONFIG}/globals")
    assert one["section"] == "Globals" and one["values"] == values
    sesman = admin.get(f"{CONFIG}?file=sesman")["sections"]
    assert sesman["Globals"]["ListenPort"] == host.sesman_port and sesman["Xorg"]["param"][1] == "-config"
    assert admin.call("GET", f"{CONFIG}/Nothing").status_code == 404
    assert admin.call("GET", f"{CONFIG}?file=passwd").status_code == 422
    assert on_host.api("anna").call("GET", CONFIG).status_code == 403
    r = admin.call("GET", CONFIG)
    assert admin.call("GET", CONFIG, headers={"If-None-Match": r.headers["ETag"]}).status_code == 304


def test_change_validate_and_back(on_host, host):
    admin, first = on_host.admin, host.text()
    doc = admin.get(CONFIG)
    # what was read can be sent back, and changes nothing
    same = admin.call("PUT", CONFIG, doc, expect=200).json()
    assert same["changed"] == [] and same["backup"] is None and host.text() == first
    change = {"sections": {"Globals": {"max_bpp": 24, "ls_title": "Grüße aus dem Haus", "new_cursors": False}}}
    assert admin.post(f"{CONFIG}/validate", change)["valid"] is True
    assert admin.post(f"{CONFIG}/validate", {})["valid"] is True and host.text() == first
    done = admin.call("PUT", CONFIG, change, expect=200).json()
    assert done["changed"] == ["Globals.max_bpp", "Globals.ls_title", "Globals.new_cursors"] and done["applied"] is False
    now = host.text()
    assert "\nmax_bpp=24\n" in now and "\nls_title=Grüße aus dem Haus\n" in now and "; fastpath - can be" in now
    assert [line for line in first.split("\n") if line.startswith(";")] == [line for line in now.split("\n") if line.startswith(";")]
    assert host.text(done["backup"]) == first
    assert os.stat(f"{host.etc}/xrdp.ini").st_mode & 0o777 == 0o644
    backups = admin.get(f"{CONFIG}/backups")["backups"]
    assert [b["name"] for b in backups] == [done["backup"]] and backups[0]["size_bytes"] == len(first.encode())
    # a change that builds on an older file is refused
    assert admin.call("PUT", CONFIG, {"sections": {}, "version": doc["version"]}).status_code == 412
    assert admin.call("PUT", CONFIG, {"sections": {}}, headers={"If-Match": f'"{doc["version"]}"'}).status_code == 412
    back = admin.post(f"{CONFIG}/rollback", {"backup": done["backup"]})
    assert host.text() == first and host.text(back["backup"]) == now
    assert admin.get(f"{CONFIG}/backups")["backups"][0]["name"] == back["backup"]
    assert admin.call("POST", f"{CONFIG}/rollback", {"backup": "xrdp.ini"}).status_code == 404
    assert admin.call("POST", f"{CONFIG}/rollback", {"backup": "../xrdp.ini.20260101-000000-000"}).status_code == 422


def test_refused_by_name(on_host, host):
    admin, first = on_host.admin, host.text()
    r = admin.call("PUT", CONFIG, {"sections": {"Globals": {"no_such_key": "x", "max_bpp": 999, "certificate": "/etc/shadow",
                                                            "ls_title": "a\nfork=false"}}})
    assert r.status_code == 422 and r.json()["error"]["code"] == "LUCID_ERR_2102"
    assert {"sections.Globals.no_such_key", "sections.Globals.max_bpp", "sections.Globals.certificate",
            "sections.Globals.ls_title"} <= set(fields(r))
    checked = admin.post(f"{CONFIG}/validate", {"sections": {"Globals": {"no_such_key": "x"}}})
    assert checked["valid"] is False and "no_such_key" in checked["errors"][0]["field"]
    assert admin.call("PUT", CONFIG, {"sections": {"Globals": {"port": 1}}, "file": "sesman"},
                      params={"file": "xrdp"}).status_code == 422
    assert host.text() == first and admin.get(f"{CONFIG}/backups")["backups"] == []


def test_config_path_of_its_own(make_daemon, host):
    daemon = make_daemon(XRDP_CONFIG_PATH=host.etc)
    assert daemon.admin.get(CONFIG)["sections"]["Globals"]["port"] == host.port
    os.unlink(f"{host.etc}/xrdp.ini")
    r = daemon.admin.call("GET", CONFIG)
    assert r.status_code == 503 and r.json()["error"]["code"] == "LUCID_ERR_2104"


def test_service(on_host, host, users, login):
    """Started, used, reloaded, restarted and stopped; a server of ours and its desktop never notice."""
    admin = on_host.admin
    user, = users(1, on_host)
    assert admin.get(SERVICE)["status"] == "stopped"
    server = admin.create_server("beside")
    on_host.ids.add(server["server_id"])
    client = login(on_host, server, user)
    user.paint("#3366cc")
    client.wait_colour("#3366cc")
    before = admin.instance(server["server_id"])["pids"]
    assert admin.call("POST", f"{SERVICE}/reload").status_code == 409
    started = admin.post(f"{SERVICE}/start")
    assert started == {"action": "start", "status": "running", "message": "done"}
    state = admin.get(SERVICE)
    assert state["status"] == "running" and state["pid"] == host.pid() and listening(host.port)
    assert admin.post(f"{SERVICE}/start")["message"] == "it runs already"
    sesman = host.pid("xrdp-sesman")
    admin.post(f"{SERVICE}/reload")
    assert host.pid("xrdp-sesman") == sesman and host.pid() != state["pid"] and admin.get(SERVICE)["status"] == "running"
    admin.post(f"{SERVICE}/restart")
    assert host.pid("xrdp-sesman") != sesman and admin.get(SERVICE)["status"] == "running"
    # killed without a word: failed, and a start mends it
    kill_one(host.pid())
    until("the state", lambda: admin.get(SERVICE)["status"] == "failed")
    assert admin.post(f"{SERVICE}/start")["status"] == "running"
    old = host.pid()
    assert admin.post(f"{SERVICE}/stop")["status"] == "stopped"
    assert not alive(old) and not listening(host.port) and host.pid() is None
    assert admin.instance(server["server_id"])["pids"] == before
    user.paint("#cc6633")
    client.wait_colour("#cc6633")
    rdp_client = rdp.Client(server["port"], user.name, user.password)
    on_host.clients.append(rdp_client)
    rdp_client.wait_colour("#cc6633")  # and logins still work


def test_apply_and_roll_back_by_itself(on_host, host):
    admin = on_host.admin
    admin.post(f"{SERVICE}/start")
    sesman = host.pid("xrdp-sesman")
    port = free_ports(1)
    done = admin.call("PUT", f"{CONFIG}?apply=true", {"sections": {"Globals": {"port": port}}}, expect=200).json()
    assert done["applied"] is True and listening(port) and not listening(host.port)
    # a port that somebody has: xrdp cannot come up, and the file before comes back with it
    text = host.text()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        r = admin.call("PUT", f"{CONFIG}?apply=true", {"sections": {"Globals": {"port": taken.getsockname()[1]}}})
    assert r.status_code == 502 and r.json()["error"]["code"] == "LUCID_ERR_2101" and "previous file is back" in r.json()["error"]["message"]
    assert host.text() == text and listening(port) and admin.get(SERVICE)["status"] == "running"
    # sesman: read again, nothing restarted
    other = free_ports(1, 18000, 19999)
    done = admin.call("PUT", f"{CONFIG}?file=sesman&apply=true", {"sections": {"Globals": {"ListenPort": other}}}, expect=200).json()
    assert done["applied"] is True and listening(other) and host.pid("xrdp-sesman") == sesman
    first = admin.get(f"{CONFIG}/backups")["backups"][-1]["name"]
    back = admin.post(f"{CONFIG}/rollback?apply=true", {"backup": first})
    assert back["applied"] is True and listening(host.port) and not listening(port)
    admin.post(f"{SERVICE}/stop")
    written = admin.call("PUT", f"{CONFIG}?apply=true", {"sections": {"Globals": {"max_bpp": 16}}}, expect=200).json()
    assert written["applied"] is False and "does not run" in written["message"]


def test_certificates(on_host, host):
    admin = on_host.admin
    server = admin.create_server("with one")
    on_host.ids.add(server["server_id"])
    admin.post(f"{SERVICE}/start")
    made = admin.post(f"{XRDP}/certificates/self-signed?apply=true", {"common_name": "desk.example.org", "days": 30})
    assert made["applied"] is True and made["certificate"]["key_matches"] is True and made["certificate"]["days_left"] in (29, 30)
    seen = ssl.PEM_cert_to_DER_cert(rdp_certificate(host.port))
    assert hashlib.sha256(seen).hexdigest() == made["certificate"]["fingerprint"]
    path = admin.get(CONFIG)["sections"]["Globals"]["key_file"]
    mode = os.stat(path.replace("/etc/xrdp", host.etc))
    assert mode.st_mode & 0o777 == 0o640 and mode.st_uid == 0
    listed = {c["source"]: c for c in admin.get(f"{XRDP}/certificates")["certificates"]}
    assert listed["xrdp"]["subject"] == "CN=desk.example.org" and listed["xrdp"]["issuer"] == "CN=desk.example.org"
    assert listed["xrdp"]["fingerprint"] == made["certificate"]["fingerprint"] and listed["xrdp"]["error"] is None
    own = listed[server["server_id"]]
    assert own["fingerprint"] == admin.instance(server["server_id"])["certificate_fingerprint"] and own["key_matches"] is True
    new = admin.post(f"{XRDP}/certificates/self-signed", {"for": "instances"})["certificate"]
    admin.post(f"/api/v1/rdp/servers/{server['server_id']}/restart?wait=true")
    assert admin.instance(server["server_id"])["certificate_fingerprint"] == new["fingerprint"]
    with open(f"{host.etc}/{os.path.basename(path)}", "w", encoding="ascii") as f:
        f.write("no key\n")
    assert admin.get(f"{XRDP}/certificates")["certificates"][0]["key_matches"] is None
    admin.post(f"{SERVICE}/stop")


def rdp_certificate(port):
    """What an RDP client sees: the negotiation, then TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", port), 10) as s:
        s.sendall(bytes([3, 0, 0, 19, 14, 0xe0, 0, 0, 0, 0, 0, 1, 0, 8, 0, 1, 0, 0, 0]))
        assert len(s.recv(19)) == 19
        with context.wrap_socket(s) as tls:
            return ssl.DER_cert_to_PEM_cert(tls.getpeercert(True))


def test_logs(on_host, host):
    admin = on_host.admin
    with open(f"{host.log}/xrdp.log", "w", encoding="ascii") as f:
        f.write("[20200101-10:00:00] [INFO ] old\n[20200102-10:00:00] [ERROR] later\nand more of it\n")
    with open(f"{host.log}/sesman.log", "w", encoding="ascii") as f:
        f.write("[20200101-11:00:00] [INFO ] of sesman\n")

    def lines(query):
        return [line.split("] ")[-1] for line in admin.get(f"{XRDP}/logs?{query}")["lines"]]
    assert lines("") == ["old", "later", "and more of it"]
    assert lines("source=xrdp&lines=1") == ["and more of it"] and lines("source=sesman") == ["of sesman"]
    assert lines("since=2020-01-01T23:00:00Z") == ["later", "and more of it"] and lines("since=2021-01-01T00:00:00Z") == []
    assert lines("level=error") == ["later", "and more of it"]
    assert admin.call("GET", f"{XRDP}/logs?source=passwd").status_code == 422
    assert admin.call("GET", f"{XRDP}/logs?since=yesterday").status_code == 422
