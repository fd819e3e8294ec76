"""Certificates and keys that cannot work: each is refused with its file and its fault, a running server keeps the one it has, and
everything recovers when the cause is gone."""
import hashlib
import json
import os
import socket
import ssl
import struct
import subprocess

import pytest

from lucid import SERVERS
from proc import until
from test_events import Stream

pytestmark = pytest.mark.one_shape("the agent's own certificate")
BLUE, GREEN = "#3366cc", "#33aa44"


def openssl(*args):
    subprocess.run(["openssl", *map(str, args)], check=True, capture_output=True)


def make_pair(folder, name, start=None, end=None, days=30):
    cert, key = folder / f"{name}.pem", folder / f"{name}.key"
    if start:
        when = ["-not_before", start, "-not_after", end]
        openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", key)
        openssl("req", "-new", "-key", key, "-subj", f"/CN={name}", "-out", folder / "csr")
        conf = folder / "ca.conf"
        conf.write_text(f"[ca]\ndefault_ca=d\n[d]\ndatabase={folder}/index\nnew_certs_dir={folder}\nserial={folder}/serial\ndefault_md=sha256\n"
                        "policy=p\n[p]\ncommonName=supplied\n")
        (folder / "index").write_text("")
        (folder / "serial").write_text("01\n")
        openssl("ca", "-config", conf, "-batch", "-selfsign", "-keyfile", key, "-in", folder / "csr", "-out", cert, "-startdate", when[1],
                "-enddate", when[3], "-notext")
    else:
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out", cert, "-days", days,
                "-subj", f"/CN={name}")
    return cert, key


def shown(port):
    """SHA-256 of the certificate that an RDP client sees; None between two listeners."""
    try:
        return fingerprint_at(port)
    except ConnectionError:
        return None


def fingerprint_at(port):
    with socket.create_connection(("127.0.0.1", port), 10) as s:
        s.sendall(bytes.fromhex("030000130ee000000000000100080001000000"))
        got = b""
        while len(got) < 19:
            part = s.recv(19 - len(got))
            assert part, got
            got += part
        assert struct.unpack("<I", got[15:19])[0] == 1, "TLS was agreed on"
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        with context.wrap_socket(s) as t:
            return hashlib.sha256(t.getpeercert(True)).hexdigest()


class Faults:
    """Files that cannot work: a word of the status, a part of the message, and which of the two files it names."""

    def __init__(self, folder):
        self.cert, self.key = make_pair(folder, "good")
        other = make_pair(folder, "other")
        old = make_pair(folder, "old", "20200101000000Z", "20210101000000Z")
        coming = make_pair(folder, "coming", "20400101000000Z", "20410101000000Z")
        text, key = self.cert.read_bytes(), self.key.read_bytes()
        der, der_key, locked = (folder / n for n in ("der", "der.key", "locked.key"))
        openssl("x509", "-in", self.cert, "-outform", "der", "-out", der)
        openssl("pkey", "-in", self.key, "-outform", "der", "-out", der_key)
        openssl("pkey", "-in", self.key, "-aes128", "-passout", "pass:x", "-out", locked)
        self.rows = [
            ("key_mismatch", "does not match the certificate", text, other[1].read_bytes()),
            ("key_encrypted", "is encrypted", text, locked.read_bytes()),
            ("certificate_damaged", "truncated", text[:len(text) // 2], key),
            ("key_damaged", "truncated", text, key[:len(key) // 2]),
            ("certificate_not_pem", "DER", der.read_bytes(), key),
            ("key_not_pem", "DER", text, der_key.read_bytes()),
            ("certificate_empty", "empty", b"", key),
            ("certificate_expired", "expired at 2021-01-01", old[0].read_bytes(), old[1].read_bytes()),
            ("certificate_not_yet_valid", "from 2040-01-01", coming[0].read_bytes(), coming[1].read_bytes()),
            ("certificate_unreadable", "cannot be read: Is a directory", None, key),
            ("key_unreadable", "cannot be read: Is a directory", text, None),
        ]


def put(path, data):
    """Replaces the file by rename, as a renewal tool does. None: by a directory."""
    if os.path.isdir(path):
        os.rmdir(path)
    if data is None:
        os.unlink(path)
        os.mkdir(path)
        return
    with open(f"{path}.new", "wb") as f:
        f.write(data)
    os.rename(f"{path}.new", path)


def readiness(d, check="certificate"):
    return d.api(None).get("/health/ready", expect=(200, 503))["checks"][check]


def doctor(d):
    out = d.run("doctor", "--json")
    return {c["name"]: c for c in json.loads(out.stdout)["checks"]}["certificates"]


def hangup(d):
    d.process.send_signal(1)


@pytest.fixture
def given(make_daemon, tmp_path):
    """A program with a certificate from its administrator."""
    tmp_path.chmod(0o755)
    faults = Faults(tmp_path)
    cert, key = tmp_path / "use.pem", tmp_path / "use.key"
    put(cert, faults.cert.read_bytes())
    put(key, faults.key.read_bytes())
    return make_daemon(XRDP_CERT_FILE=str(cert), XRDP_KEY_FILE=str(key)), faults, str(cert), str(key)


def test_each_fault_is_refused_at_the_start_and_heals(given):
    d, faults, cert, key = given
    for n, (word, text, cert_bytes, key_bytes) in enumerate(faults.rows):
        put(cert, cert_bytes)
        put(key, key_bytes)
        server = d.admin.create_server(f"fault{n}", restart_policy="never")
        assert (server["status"], server["status_reason"]) == ("failed", word)
        file = key if word.startswith("key_") else cert
        option = "XRDP_KEY_FILE" if word.startswith("key_") else "XRDP_CERT_FILE"
        status = d.admin.get(f"{SERVERS}/{server['server_id']}/status")
        said = status["last_exit"]["lines"][0]
        assert text in said and option in said and d.dir not in said and cert not in said, said
        assert any(file in line and text in line for line in d.log().splitlines()), "the log names the file"
        checked = until("readiness to report it", lambda: [c for c in [readiness(d)] if c["status"] == "unhealthy" and text in c["message"]
                                                        and option in c["message"]], 20)[0]
        assert cert not in checked["message"] and key not in checked["message"]
        found = doctor(d)
        assert found["state"] == "fail" and file in found["found"] and text in found["found"] and option in found["found"]
        d.admin.delete(f"{SERVERS}/{server['server_id']}?force=true", expect=204)
    waits = d.admin.create_server("waits")
    assert waits["status"] == "failed"
    put(cert, faults.cert.read_bytes())
    put(key, faults.key.read_bytes())
    until("readiness", lambda: readiness(d)["status"] == "healthy", 20)
    assert doctor(d)["state"] in ("ok", "warn")
    until("the server that waited to run by itself", lambda: d.admin.server(waits["server_id"])["status"] == "running", 30)
    fingerprint = d.admin.instance(waits["server_id"])["certificate_fingerprint"]
    assert shown(waits["port"]) == fingerprint


def test_running_server_keeps_its_certificate(given, users, login):
    """A restart or reload with files that cannot work is refused; the desktop, its connection and the listener are kept."""
    d, faults, cert, key = given
    user, = users(1, d)
    user.paint(BLUE)
    server = d.admin.create_server("serving")
    sid, path = server["server_id"], f"{SERVERS}/{server['server_id']}"
    client = login(d, server, user)
    client.wait_colour(BLUE)
    before = d.admin.instance(sid)
    for word, text, cert_bytes, key_bytes in faults.rows[:5] + faults.rows[7:9]:
        put(cert, cert_bytes)
        put(key, key_bytes)
        error = d.admin.call("POST", f"{path}/restart?wait=true", expect=500).json()["error"]
        assert text in error["message"] and "keeps running unchanged" in error["message"] and cert not in error["message"], error
        assert d.admin.server(sid)["status"] == "running" and d.admin.server(sid)["status_reason"] == word
        hangup(d)
        until("readiness to report it", lambda: text in readiness(d)["message"], 20)
        assert shown(server["port"]) == before["certificate_fingerprint"]
        assert d.admin.instance(sid)["pids"] == before["pids"]
    user.paint(GREEN)
    client.wait_colour(GREEN)
    # a valid one is applied by a reload, with a new listener
    events = Stream(d, query="?topics=xrdp.certificate.changed").head()
    new = make_pair(type(faults.cert)(os.path.dirname(cert)), "renewed")
    put(cert, new[0].read_bytes())
    put(key, new[1].read_bytes())
    hangup(d)
    until("the new certificate", lambda: d.admin.instance(sid)["certificate_fingerprint"] != before["certificate_fingerprint"], 20)
    after = until("a new listener", lambda: [i for i in [d.admin.instance(sid)] if i["pids"]["xrdp"] not in (None, before["pids"]["xrdp"])], 20)[0]
    until("clients to see the certificate", lambda: shown(server["port"]) == after["certificate_fingerprint"], 20)
    assert after["pids"]["sesman"] == before["pids"]["sesman"] and client.connected
    user.paint(BLUE)
    client.wait_colour(BLUE)
    event = events.wait_topic("xrdp.certificate.changed")
    events.close()
    assert sid in json.dumps(event) and event["data"]["fingerprint"] == after["certificate_fingerprint"]
    assert event["data"]["previous_fingerprint"] == before["certificate_fingerprint"]


def test_expired_generated_certificate_is_replaced(make_daemon, users, login):
    """A generated certificate that has expired under a running server, for example after a clock in 1970 was set: it is replaced, with an event
    and a new listener."""
    d = make_daemon()
    user, = users(1, d)
    user.paint(BLUE)
    server = d.admin.create_server("board")
    client = login(d, server, user)
    client.wait_colour(BLUE)
    sid = server["server_id"]
    before = d.admin.instance(sid)["certificate_fingerprint"]
    assert shown(server["port"]) == before
    d.stop()
    # the clock moves eleven years ahead, beyond its validity
    d.settings["LUCID_CLOCK_SHIFT_MS"] = str(11 * 365 * 86400000)
    d.spawn()
    until("the agent", lambda: answers(d), 20)
    until("another certificate", lambda: f"server {sid} has a new certificate" in d.log(), 30)
    # clients with a correct clock accept it
    until("clients to see the certificate", lambda: shown(server["port"]) not in (before, None), 20)
    assert client.connected
    user.paint(GREEN)
    client.wait_colour(GREEN)
    d.settings.pop("LUCID_CLOCK_SHIFT_MS")
    d.stop()
    # the clock moves back: it is not yet valid, so it is replaced again
    d.start()
    until("another one", lambda: d.log().count(f"server {sid} has a new certificate") == 2, 30)


def answers(d):
    try:
        return d.api(None).call("GET", "/health", timeout=3).status_code == 200
    except OSError:
        return False


def test_expired_listener_certificate_is_reported(make_daemon, tmp_path):
    """TLS_CERT_FILE: at the start readiness, doctor and the log report it; at a reload the previous one is kept."""
    cert, key = make_pair(tmp_path, "old", "20200101000000Z", "20210101000000Z")
    d = make_daemon(start=False, TLS_CERT_FILE=str(cert), TLS_KEY_FILE=str(key))
    d.spawn()

    def page():
        try:
            return d.api(None).http.get(f"https://127.0.0.1:{d.ports['rdp-server-manager']}/health/ready", verify=False, timeout=5).json()
        except OSError:
            return None
    checks = until("readiness", page, 20)["checks"]
    assert checks["tls"]["status"] == "unhealthy" and "expired at 2021-01-01" in checks["tls"]["message"]
    assert str(tmp_path) not in json.dumps(checks)
    assert f"TLS_CERT_FILE {cert}: the certificate expired at 2021-01-01" in d.log()
    found = doctor(d)
    assert found["state"] == "fail" and f"TLS_CERT_FILE {cert}: the certificate expired" in found["found"]
    good = make_pair(tmp_path, "good")
    coming = make_pair(tmp_path, "coming", "20400101000000Z", "20410101000000Z")
    put(str(cert), good[0].read_bytes())
    put(str(key), good[1].read_bytes())
    hangup(d)
    until("readiness to be healthy", lambda: page()["checks"]["tls"]["status"] == "healthy", 20)
    put(str(cert), coming[0].read_bytes())
    put(str(key), coming[1].read_bytes())
    hangup(d)
    until("the refusal", lambda: "not yet valid, only from 2040-01-01" in d.log() and "the previous settings stay in force" in d.log(), 20)
    assert page()["checks"]["tls"]["status"] == "healthy"
    d.stop()
