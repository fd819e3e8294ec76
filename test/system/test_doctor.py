"""doctor: a healthy host passes, each fault is found with advice, and nothing is left behind."""
import json
import os
import socket
import subprocess

import pytest

from lucid import BIN

pytestmark = pytest.mark.one_shape("a host without a running program")

CHECKS = ["configuration", "xrdp", "vulnerabilities", "sesman", "xorgxrdp", "pam", "desktops", "certificates", "user", "ports", "namespaces", "cgroups", "disk",
          "clock", "entropy", "descriptors", "store", "passwords", "recording"]


def ask(d, expect=0, **settings):
    keep = dict(d.settings)
    d.settings.update(settings)
    try:
        out = d.run("doctor", "--json")
    finally:
        d.settings = keep
    doc = json.loads(out.stdout)
    assert out.returncode == expect, out.stdout + out.stderr
    assert doc["healthy"] is (expect == 0)
    found = {c["name"]: c for c in doc["checks"]}
    assert all((c["state"] == "ok") == (c["advice"] == "") and c["found"] for c in found.values())
    return found


def groups():
    return {path for path, _, _ in os.walk("/sys/fs/cgroup") if "lucid-doctor" in path}


def recent(folder):
    """The xrdp of this machine, which may be an old one, reported as an up-to-date version."""
    path = folder / "recent"
    path.write_text('#!/bin/sh\n[ "$1" = --version ] && exec echo xrdp 0.10.6.1\nexec /usr/sbin/xrdp "$@"\n')
    path.chmod(0o755)
    return str(path)


def test_healthy_host_passes(make_daemon, tmp_path):
    d = make_daemon(start=False, XRDP_BINARY=recent(tmp_path))
    found = ask(d)
    assert list(found) == CHECKS
    assert "does not exist yet" in found["store"]["found"] and not os.path.exists(f"{d.dir}/data"), "it changes nothing"
    assert "paint" in found["desktops"]["found"]
    text = d.run("doctor")
    assert text.returncode == 0 and all(name in text.stdout for name in CHECKS)
    assert not [g for g in groups() if g.endswith(f"-{os.getpid()}")]
    # while the program runs and uses its ports itself
    d.start()
    found = ask(d)
    assert "the program runs" in found["ports"]["found"]
    assert found["store"]["state"] == "warn" and "lucid-rdp backup" in found["store"]["advice"]
    assert d.run("backup").returncode == 0
    assert ask(d)["store"]["state"] == "ok"
    d.stop()
    d.start()


def test_faults_are_found(make_daemon, tmp_path):
    d = make_daemon(start=False, XRDP_BINARY=recent(tmp_path))
    with socket.create_server(("0.0.0.0", d.ports["xrdp-integration"])):
        found = ask(d, 1)
        assert found["ports"]["state"] == "fail" and str(d.ports["xrdp-integration"]) in found["ports"]["found"]
    with socket.create_server(("0.0.0.0", d.range[0])):
        assert ask(d)["ports"]["state"] == "warn"
    assert ask(d, 1, RUN_USER="lrdp-nobody-has-this")["user"]["state"] == "fail"
    assert ask(d, 1, RUN_USER="root")["user"]["state"] == "fail"
    assert ask(d, 1, DESKTOP_PROFILES="x=/nowhere/desktop", DESKTOP_DEFAULT="x")["desktops"]["state"] == "fail"
    bad = ask(d, 1, RATE_LIMIT_PER_MINUTE="many")
    assert list(bad) == ["configuration"] and "RATE_LIMIT_PER_MINUTE" in bad["configuration"]["found"]
    # an old xrdp, or none at all
    fake = tmp_path / "xrdp"
    fake.write_text("#!/bin/sh\necho xrdp 0.9.20\n")
    fake.chmod(0o755)
    found = ask(d, 1, XRDP_BINARY=str(fake))
    assert found["vulnerabilities"]["state"] == "fail" and "CVE-2022-23468" in found["vulnerabilities"]["found"]
    fake.write_text("#!/bin/sh\nexec sleep 1000\n")
    found = ask(d, 1, XRDP_BINARY=str(fake))
    assert found["xrdp"]["state"] == "fail" and "does not print its version" in found["xrdp"]["found"]


def test_what_recording_lacks_is_named(make_daemon, tmp_path):
    d = make_daemon(start=False, XRDP_BINARY=recent(tmp_path))
    assert "encrypts recordings with" in ask(d)["recording"]["found"]
    faults = tmp_path / "faults"
    faults.write_text("libzstd.so.1 always\nliblz4.so.1 always\n")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/echo").symlink_to("/bin/echo")  # for xrdp's script
    found = ask(d, LUCID_FAULTS=str(faults), PATH=str(tmp_path / "bin"))["recording"]
    assert found["state"] == "warn", found
    for word in ("libzstd.so.1 cannot be loaded", "liblz4.so.1 cannot be loaded", "ffmpeg is not installed"):
        assert word in found["found"], found
    assert found["advice"] == "install libzstd1, liblz4-1, ffmpeg", found


def test_the_program_needs_no_library_of_recordings():
    """It starts where they are missing; what needs one loads it, or is a program of its own."""
    out = subprocess.run(["readelf", "-d", BIN], capture_output=True, text=True, check=True).stdout
    needed = [line for line in out.splitlines() if "NEEDED" in line]
    assert len(needed) > 5 and not [line for line in needed if any(word in line for word in ("zstd", "lz4", "xcb", "X11", "freerdp", "libav"))], needed


def test_damaged_store_is_found(make_daemon):
    d = make_daemon()
    d.stop()
    path = f"{d.dir}/data/store/lucid.db"
    data = open(path, "rb").read()
    open(path, "r+b").write(b"this is not a store" * 100)
    found = ask(d, 1)
    assert found["store"]["state"] == "fail"
    os.unlink(path)
    for other in (os.mkfifo, os.mkdir):
        other(path)
        found = ask(d, 1)
        assert found["store"]["state"] == "fail" and "is not a regular file" in found["store"]["found"], found["store"]
        assert d.run("verify").returncode != 0 and d.run("backup").returncode != 0
        os.unlink(path) if other is os.mkfifo else os.rmdir(path)
    open(path, "wb").write(data)
    d.start()


def test_full_disk_of_the_logs_is_found(make_daemon, tmp_path):
    d = make_daemon(start=False, XRDP_BINARY=recent(tmp_path))
    logs = tmp_path / "full"
    logs.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,mode=755", "lrdp", logs], check=True)
    try:
        disk = ask(d, 1, LOG_DIR=str(logs))["disk"]
    finally:
        subprocess.run(["umount", logs], check=True)
    assert disk["state"] == "fail" and str(logs) in disk["found"] and "LOG_DIR" in disk["advice"], disk


def test_chroot_is_found(make_daemon, tmp_path):
    """A process in a chroot that enters a mount namespace again finds itself outside of the chroot."""
    d = make_daemon(start=False, XRDP_BINARY=recent(tmp_path))
    script = 'mount --rbind / "$1" && exec chroot "$1" "$2" doctor --json'
    (tmp_path / "root").mkdir()
    out = subprocess.run(["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh", tmp_path / "root", BIN], env=d.env, capture_output=True,
                         text=True, timeout=60, check=False)
    found = {c["name"]: c for c in json.loads(out.stdout)["checks"]}
    assert found["namespaces"]["state"] == "warn" and "chroot" in found["namespaces"]["found"], found["namespaces"]
