"""The host's own xrdp: its files, changed and rolled back, and its service. In a mount namespace of the test
(test/lib/own_host.py): the machine's files are never changed."""
import hashlib
import os
import shutil
import socket
import ssl

import pytest
import rdp
from lucid import XRDP, free_ports
from own_host import OwnHost
from proc import alive, kill_one, listening, until
from test_certificates import Faults

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


def test_change_is_validated_and_rolled_back(on_host, host):
    admin, first = on_host.admin, host.text()
    doc = admin.get(CONFIG)
    # what was read can be sent back unchanged
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
    # a change that is based on an older file is refused
    assert admin.call("PUT", CONFIG, {"sections": {}, "version": doc["version"]}).status_code == 412
    assert admin.call("PUT", CONFIG, {"sections": {}}, headers={"If-Match": f'"{doc["version"]}"'}).status_code == 412
    back = admin.post(f"{CONFIG}/rollback", {"backup": done["backup"]})
    assert host.text() == first and host.text(back["backup"]) == now
    assert admin.get(f"{CONFIG}/backups")["backups"][0]["name"] == back["backup"]
    assert admin.call("POST", f"{CONFIG}/rollback", {"backup": "xrdp.ini"}).status_code == 404
    assert admin.call("POST", f"{CONFIG}/rollback", {"backup": "../xrdp.ini.20260101-000000-000"}).status_code == 422


def test_invalid_settings_are_refused_by_name(on_host, host):
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


def test_large_file_is_refused_and_not_truncated(on_host, host):
    admin = on_host.admin
    large = host.text() + "; a comment of somebody's\n" * 20000 + "[Last]\nkey=kept\n"
    with open(os.path.join(host.etc, "xrdp.ini"), "w", encoding="utf-8") as f:
        f.write(large)
    r = admin.call("GET", CONFIG, expect=422)
    assert "larger than 256 KiB" in r.text
    admin.call("PUT", CONFIG, {"sections": {"Globals": {"max_bpp": 24}}}, expect=422)
    assert host.text() == large


def test_other_config_path(make_daemon, host):
    daemon = make_daemon(XRDP_CONFIG_PATH=host.etc)
    assert daemon.admin.get(CONFIG)["sections"]["Globals"]["port"] == host.port
    os.unlink(f"{host.etc}/xrdp.ini")
    r = daemon.admin.call("GET", CONFIG)
    assert r.status_code == 503 and r.json()["error"]["code"] == "LUCID_ERR_2104"


def test_service(on_host, host, users, login):
    """Started, used, reloaded, restarted and stopped; a server of the program and its desktop are not affected."""
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
    assert started == {"action": "start", "status": "running", "message": "done", "warnings": []}
    state = admin.get(SERVICE)
    assert state["status"] == "running" and state["pid"] == host.pid() and listening(host.port)
    assert admin.post(f"{SERVICE}/start")["message"] == "the host's xrdp is already running"
    sesman = host.pid("xrdp-sesman")
    admin.post(f"{SERVICE}/reload")
    assert host.pid("xrdp-sesman") == sesman and host.pid() != state["pid"] and admin.get(SERVICE)["status"] == "running"
    admin.post(f"{SERVICE}/restart")
    assert host.pid("xrdp-sesman") != sesman and admin.get(SERVICE)["status"] == "running"
    # after a kill it is failed, and a start recovers it
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


def test_failed_change_is_rolled_back_automatically(on_host, host):
    admin = on_host.admin
    admin.post(f"{SERVICE}/start")
    sesman = host.pid("xrdp-sesman")
    port = free_ports(1)
    done = admin.call("PUT", f"{CONFIG}?apply=true", {"sections": {"Globals": {"port": port}}}, expect=200).json()
    assert done["applied"] is True and listening(port) and not listening(host.port)
    # a port in use: xrdp cannot start, and the previous file is restored
    text = host.text()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        r = admin.call("PUT", f"{CONFIG}?apply=true", {"sections": {"Globals": {"port": taken.getsockname()[1]}}})
    assert r.status_code == 502 and r.json()["error"]["code"] == "LUCID_ERR_2101" and "previous file was restored" in r.json()["error"]["message"]
    assert host.text() == text and listening(port) and admin.get(SERVICE)["status"] == "running"
    # sesman reads it again; nothing is restarted
    other = free_ports(1)
    done = admin.call("PUT", f"{CONFIG}?file=sesman&apply=true", {"sections": {"Globals": {"ListenPort": other}}}, expect=200).json()
    assert done["applied"] is True and listening(other) and host.pid("xrdp-sesman") == sesman
    first = admin.get(f"{CONFIG}/backups")["backups"][-1]["name"]
    back = admin.post(f"{CONFIG}/rollback?apply=true", {"backup": first})
    assert back["applied"] is True and listening(host.port) and not listening(port)
    admin.post(f"{SERVICE}/stop")
    written = admin.call("PUT", f"{CONFIG}?apply=true", {"sections": {"Globals": {"max_bpp": 16}}}, expect=200).json()
    assert written["applied"] is False and "is not running" in written["message"]


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


def named(cert, key):
    """A change to these files of /etc/xrdp; None: not in the change."""
    return {"sections": {"Globals": {k: f"/etc/xrdp/{v}" for k, v in (("certificate", cert), ("key_file", key)) if v}}}


def place(host, name, data):
    """A file of the host that xrdp can read; None: a directory."""
    path = f"{host.etc}/{name}"
    if data is None:
        os.mkdir(path)
        return
    with open(path, "wb") as f:
        f.write(data)
    shutil.chown(path, group="xrdp")
    os.chmod(path, 0o640)


def test_invalid_pair_is_refused(on_host, host, tmp_path):
    admin, first = on_host.admin, host.text()

    def refused(change, field, *said):
        error = admin.call("PUT", CONFIG, change, params={"apply": "true"}, expect=422).json()["error"]
        detail, = error["details"]
        assert error["code"] == "LUCID_ERR_2102" and detail["field"] == f"sections.Globals.{field}", (change, detail)
        assert all(part in detail["message"] for part in said), (change, detail)
        checked = admin.post(f"{CONFIG}/validate", change)
        assert checked["valid"] is False and checked["errors"] == [detail] and checked["warnings"] == []
    for n, (word, said, cert, key) in enumerate(Faults(tmp_path).rows):
        place(host, f"{n}.pem", cert)
        place(host, f"{n}.key", key)
        of_key = word.startswith("key")
        refused(named(f"{n}.pem", f"{n}.key"), "key_file" if of_key else "certificate", said, f"/etc/xrdp/{n}.{'key' if of_key else 'pem'}: ")
    host.make_pair("new.pem", "new.key")
    refused(named("new.pem", "none.key"), "key_file", "/etc/xrdp/none.key: ", "No such file")
    os.chmod(f"{host.etc}/new.key", 0o600)  # readable by root only: this program can read it, but xrdp cannot
    refused(named("new.pem", "new.key"), "key_file", "Permission denied", "chgrp xrdp")
    # xrdp uses its own cert.pem instead of a path that is not absolute
    r = admin.call("PUT", CONFIG, {"sections": {"Globals": {"certificate": "new.pem", "key_file": "new.key"}}}, expect=422)
    assert fields(r) == ["sections.Globals.certificate", "sections.Globals.key_file"] and "absolute" in r.text
    assert host.text() == first and admin.get(f"{CONFIG}/backups")["backups"] == []
    os.chmod(f"{host.etc}/new.key", 0o640)
    assert admin.call("PUT", CONFIG, named("new.pem", "new.key"), expect=200).json()["warnings"] == []
    # only one of the two is named, and the other does not match: the fault is with the named one
    host.make_pair("newer.pem", "newer.key")
    first = host.text()
    refused(named("newer.pem", None), "certificate", "/etc/xrdp/new.key: the key does not match the certificate")
    refused(named(None, "newer.key"), "key_file", "/etc/xrdp/newer.key: the key does not match the certificate")
    assert host.text() == first
    admin.call("PUT", CONFIG, named("newer.pem", "newer.key"), expect=200)


def test_existing_invalid_pair_is_a_warning(on_host, host):
    admin = on_host.admin
    host.make_pair("new.pem", "new.key")
    admin.call("PUT", CONFIG, named("new.pem", "new.key"), expect=200)
    os.chmod(f"{host.etc}/new.key", 0o600)

    def warned(answer):
        warning, = answer["warnings"]
        return warning["field"] == "sections.Globals.key_file" and "/etc/xrdp/new.key: the key cannot be read" in warning["message"]
    done = admin.call("PUT", CONFIG, {"sections": {"Globals": {"max_bpp": 24}}}, expect=200).json()
    assert done["changed"] == ["Globals.max_bpp"] and warned(done)
    whole = admin.get(CONFIG)  # sent back with one change: the pair in it is unchanged
    whole["sections"]["Globals"]["max_bpp"] = 16
    del whole["version"]
    done = admin.call("PUT", CONFIG, whole, expect=200).json()
    assert done["changed"] == ["Globals.max_bpp"] and warned(done)
    assert any("/etc/xrdp/new.key: the key cannot be read" in line for line in on_host.log().splitlines())
    checked = admin.post(f"{CONFIG}/validate", {})
    assert checked["valid"] is True and warned(checked)
    for action in ("start", "reload", "restart"):
        answer = admin.post(f"{SERVICE}/{action}")
        assert answer["status"] == "running" and warned(answer)
    assert admin.post(f"{SERVICE}/stop")["warnings"] == []
    # to another pair, and back to a version that names it
    host.make_pair("newer.pem", "newer.key")
    done = admin.call("PUT", CONFIG, named("newer.pem", "newer.key"), expect=200).json()
    assert done["warnings"] == []
    assert warned(admin.post(f"{CONFIG}/rollback", {"backup": done["backup"]}))
    # no client gets a certificate
    assert admin.call("PUT", CONFIG, {"sections": {"Globals": {"security_layer": "rdp"}}}, expect=200).json()["warnings"] == []
    assert admin.call("PUT", f"{CONFIG}?file=sesman", {"sections": {"Sessions": {"MaxSessions": 7}}}, expect=200).json()["warnings"] == []


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
    assert lines("from=2020-01-01T23:00:00Z") == ["later", "and more of it"] and lines("from=2021-01-01T00:00:00Z") == []
    assert lines("since=2020-01-01T23:00:00Z") == ["later", "and more of it"]  # its previous name
    assert admin.call("GET", f"{XRDP}/logs?since=2020-01-01T23:00:00Z&from=2020-01-01T23:00:00Z").status_code == 422
    assert lines("level=error") == ["later", "and more of it"]
    assert admin.call("GET", f"{XRDP}/logs?source=passwd").status_code == 422
    assert admin.call("GET", f"{XRDP}/logs?from=yesterday").status_code == 422
