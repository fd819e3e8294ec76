"""The host's PAM session modules run for desktops: real logins on a host with PAM files from the test."""
import os
import secrets
import shutil
import stat
import subprocess

import accounts
import pytest
from proc import read, until

pytestmark = pytest.mark.one_shape("the host's PAM files")
BLUE = "#3366cc"


@pytest.fixture
def pam_host(make_daemon, tmp_path):
    """pam_host(files, NAME=value …): the program on a host whose /etc/pam.d has these files too; the machine's own is not changed."""
    folder = tmp_path / "pam.d"
    shutil.copytree("/etc/pam.d", folder)
    os.chmod(tmp_path, 0o755)

    def make(files, **settings):
        for name, text in files.items():
            (folder / name).write_text(text, encoding="ascii")
        d = make_daemon(start=False, **settings)
        d.wrap = ["unshare", "-m", "--propagation", "slave", "sh", "-c", f'mount --bind {folder} /etc/pam.d && exec "$@"', "sh"]
        return d.start()
    return make


@pytest.fixture
def newcomer():
    """An account without a home directory, as a directory service has them."""
    account = accounts.Account("lrdpnew" + secrets.token_hex(2))
    shutil.rmtree(account.home)
    yield account
    account.remove()


def script(tmp_path, name, text):
    path = tmp_path / name
    path.write_text("#!/bin/sh\n" + text, encoding="ascii")
    path.chmod(0o755)
    return path


def lines_of(path):
    return (read(path) or "").splitlines()


def test_mkhomedir_and_umask(pam_host, newcomer, login, tmp_path):
    skel = tmp_path / "skel"
    skel.mkdir()
    (skel / ".colour").write_text(BLUE, encoding="ascii")
    (skel / ".job").write_text("umask >umask; : >made; mkdir folder\n", encoding="ascii")
    common = read("/etc/pam.d/common-session")
    d = pam_host({"common-session": f"{common}\nsession optional pam_umask.so umask=077\nsession required pam_mkhomedir.so skel={skel} umask=0027\n"})
    d.accounts = [newcomer]
    server = d.admin.create_server("first day")
    login(d, server, newcomer).wait_colour(BLUE)
    home = newcomer.home
    assert os.stat(home).st_uid == newcomer.uid and stat.S_IMODE(os.stat(home).st_mode) == 0o750
    until("the job's files", lambda: os.path.isdir(f"{home}/folder"))
    assert read(f"{home}/umask").strip() == "0077"
    assert stat.S_IMODE(os.stat(f"{home}/made").st_mode) == 0o600
    assert stat.S_IMODE(os.stat(f"{home}/folder").st_mode) == 0o700


def test_jumps_and_substacks_work_without_pam_systemd(pam_host, users, login, tmp_path):
    """An omitted line does not shift jumps: the line that denies stays skipped, and the following one is not."""
    user, = users(1)
    ran = tmp_path / "ran"
    run = script(tmp_path, "run", f'echo "$1 $PAM_TYPE $PAM_USER" >>{ran}\n')
    d = pam_host({
        "common-session": f"session [success=1 default=ignore] pam_systemd.so\nsession requisite pam_deny.so\n@include extra\nsession substack inner\n"
                          f"session required pam_unix.so\nsession optional pam_exec.so {run} last\nsession include no-such-file\n",
        "extra": f"session optional \\\n# why it is here\n  pam_exec.so {run} extra\n",
        "inner": f"session [success=1 default=ignore] pam_permit.so\nsession optional pam_exec.so {run} skipped\n"
                 f"session optional pam_exec.so {run} inner\nsession sufficient pam_permit.so\nsession optional pam_exec.so {run} behind\n",
    })
    d.accounts = [user]
    user.paint(BLUE)
    server = d.admin.create_server("jumps")
    login(d, server, user).wait_colour(BLUE)
    assert lines_of(ran) == [f"{name} open_session {user.name}" for name in ("extra", "inner", "last")]
    groups = [read(f"/proc/{p}/cgroup") for p in pids_of(user)]
    assert groups and all(server["server_id"] in g for g in groups)
    assert any("no-such-file" in line for line in d.log().splitlines()), "the file that is missing is not named"
    display = d.admin.desktops(server["server_id"])[0]["display"]
    d.admin.delete(f"/api/v1/xrdp/instances/{server['server_id']}/desktops/{display}")
    until("the session's end", lambda: f"last close_session {user.name}" in lines_of(ran))


def pids_of(user):
    out = subprocess.run(["pgrep", "-u", str(user.uid)], capture_output=True, text=True, check=False).stdout
    return [int(p) for p in out.split()]


def test_changes_are_read_at_each_start(pam_host, users, login, tmp_path):
    """PAM_SESSION_EXCLUDE names modules that do not run, and a restart applies the current content of the host's file."""
    user, = users(1)
    ran = tmp_path / "ran"
    run = script(tmp_path, "run", f'echo "$1" >>{ran}\n')
    d = pam_host({"common-session": f"session required pam_unix.so\nsession optional pam_exec.so {run} first\nsession required pam_deny.so\n"},
                 PAM_SESSION_EXCLUDE="pam_systemd,pam_deny.so")
    d.accounts = [user]
    user.paint(BLUE)
    server = d.admin.create_server("changes")
    login(d, server, user).wait_colour(BLUE)
    assert lines_of(ran) == ["first"]
    display = d.admin.desktops(server["server_id"])[0]["display"]
    d.admin.delete(f"/api/v1/xrdp/instances/{server['server_id']}/desktops/{display}")
    (tmp_path / "pam.d" / "common-session").write_text(f"session optional pam_exec.so {run} second\n", encoding="ascii")
    ran.unlink()
    d.admin.post(f"/api/v1/rdp/servers/{server['server_id']}/restart?wait=true")
    login(d, server, user).wait_colour(BLUE)
    assert lines_of(ran) == ["second"]
