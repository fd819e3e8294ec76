"""How a desktop starts: a failure is reported with its reason, and files of the user cannot end or move a desktop."""
import contextlib
import os
import pwd
import shutil
import subprocess

import pytest
from lucid import SERVERS
from proc import read, until
from test_events import Stream

BLUE = "#3366cc"
XORG = "/usr/lib/xorg/Xorg"


class Ended(Stream):
    """The data of xrdp.desktop.ended events, as they arrive."""

    def __init__(self, d):
        super().__init__(d, query="?topics=xrdp.desktop.ended")
        self.head()

    def found(self):
        self.take(0.05)
        return [e["data"] for e in self.events]

    def one(self):
        return until("the desktop's end", self.found, 60)[0]


@pytest.fixture
def watch(make_daemon):
    def make(**settings):
        if "DESKTOP_PROFILES" in settings:
            settings["DESKTOP_DEFAULT"] = settings["DESKTOP_PROFILES"].split("=")[0]
        d = make_daemon(**settings)
        return d, Ended(d)
    return make


def logs(d, server):
    return "\n".join(d.admin.get(f"{SERVERS}/{server['server_id']}/logs?lines=500")["lines"])


@pytest.mark.parametrize("kind", ("xorg", "xvnc"))
def test_command_that_exits_at_once_is_a_failed_start(watch, users, login, kind):
    d, ended = watch(DESKTOP_PROFILES="broken=echo no such thing as a desktop; exit 3")
    user, = users(1, d)
    server = d.admin.create_server("broken", desktop={"session": kind})
    login(d, server, user)
    data = ended.one()
    assert data["reason"] == "start_failed" and data["username"] == user.name
    assert "exit status 3" in data["detail"], data
    assert "no such thing as a desktop" in logs(d, server) and "exit status 3" in logs(d, server)
    assert any("did not come up" in line and "exit status 3" in line for line in d.log().splitlines())


def test_reason_of_a_failed_start_has_no_invisible_characters(watch, users, login):
    """The owner of a desktop writes the file from which the reason is read."""
    d, ended = watch()
    user, = users(1, d)
    user.paint(BLUE)
    server = d.admin.create_server("good")
    login(d, server, user).wait_colour(BLUE)
    user.job("cd \"$XDG_RUNTIME_DIR\" && printf 'failed ro\\342\\200\\256ot\\nse\\342\\200\\213cond\\n' >own && mv -f own start && kill -9 -1")
    data = ended.one()
    assert (data["reason"], data["detail"]) == ("start_failed", "ro???ot"), data
    until("the lines", lambda: "se???cond" in logs(d, server))
    for hidden in ("\u202e", "\u200b"):
        assert hidden not in logs(d, server) and hidden not in d.log()


def with_x_server(make_daemon, script):
    """A program whose desktops find a script in place of Xorg; in the script, $real is the real one."""
    d = make_daemon(start=False)
    d.wrap = ["unshare", "-m", "--propagation", "slave", "sh", "-c",
              f"mount -t tmpfs -o mode=755 none /mnt && cp {XORG} /mnt/Xorg && printf '%s' \"$0\" >/mnt/other && chmod 755 /mnt/other && "
              f'mount --bind /mnt/other {XORG} && exec "$@"', "#!/bin/sh\nreal=/mnt/Xorg\n" + script]
    return d.start()


@pytest.mark.one_shape("the host of one process")
def test_slow_x_server_is_waited_for(make_daemon, users, login):
    """sesman by itself gives an X server 10 s; xrdp waits 30 s for it."""
    d = with_x_server(make_daemon, 'sleep 14; exec $real "$@"')
    user, = users(1, d)
    user.paint(BLUE)
    login(d, d.admin.create_server("slow"), user).wait_colour(BLUE)


@pytest.mark.one_shape("the host of one process")
def test_x_server_that_does_not_start_ends_the_login(make_daemon, users, login):
    d = with_x_server(make_daemon, "exit 1")
    ended = Ended(d)
    user, = users(1, d)
    login(d, d.admin.create_server("without"), user)
    assert ended.one()["reason"] == "start_failed"


def test_end_of_a_started_desktop_is_a_logout(watch, users, login):
    d, ended = watch()
    user, = users(1, d)
    user.paint(BLUE)
    server = d.admin.create_server("good")
    login(d, server, user).wait_colour(BLUE)
    # the user ends it: the session's own program exits, as after a click on "log out"
    user.job("sleep 11; pkill -u $(id -u) -x paint; pkill -u $(id -u) -f '/paint$'")
    data = ended.one()
    assert (data["reason"], data["detail"]) == ("logout", None)
    assert "did not come up" not in logs(d, server)


@pytest.mark.parametrize("what", ("missing", "file", "unwritable", "full"))
def test_unusable_home_is_named(watch, users, login, what):
    """The desktop starts nevertheless, or the reason names the home directory."""
    user, = users(1)
    home, kept = user.home, user.home + ".kept"
    d, ended = watch(DESKTOP_PROFILES="picky=test -w $HOME && exec sleep 1000; echo home is no good >&2; exit 1")
    d.accounts = [user]
    os.rename(home, kept)
    try:
        if what == "file":
            open(home, "w", encoding="ascii").close()
        elif what != "missing":
            os.mkdir(home, 0o755)
        if what == "full":
            subprocess.run(["mount", "-t", "tmpfs", "-o", f"size=64k,uid={user.uid},mode=0700", "tmpfs", home], check=True)
            fd = os.open(f"{home}/filler", os.O_WRONLY | os.O_CREAT)
            with contextlib.suppress(OSError):
                while True:
                    os.write(fd, b"x" * 4096)
            os.close(fd)
        server = d.admin.create_server("home")
        client = login(d, server, user)
        if what == "full":
            until("a desktop, or its end", lambda: ended.found() or d.admin.desktops(server["server_id"]), 60)
            return
        data = ended.one()
        assert data["reason"] == "start_failed" and f"home directory {home}" in data["detail"], data
        assert f"home directory {home}" in logs(d, server)
        client.close()
    finally:
        if what == "full":
            d.remove_servers()
            subprocess.run(["umount", "-l", home], check=True)
        if os.path.isdir(home):
            shutil.rmtree(home)
        elif os.path.exists(home):
            os.unlink(home)
        os.rename(kept, home)


def test_shell_that_does_not_exist_is_named(watch, users, login):
    user, = users(1)
    shell = pwd.getpwnam(user.name).pw_shell
    d, ended = watch(DESKTOP_PROFILES='shell=env "$SHELL" -c "sleep 1000"')
    d.accounts = [user]
    subprocess.run(["usermod", "-s", "/opt/no-such-shell", user.name], check=True)
    try:
        server = d.admin.create_server("shell")
        login(d, server, user)
        data = ended.one()
    finally:
        subprocess.run(["usermod", "-s", shell, user.name], check=True)
    assert data["reason"] == "start_failed" and "login shell /opt/no-such-shell" in data["detail"], data
    assert "/opt/no-such-shell" in logs(d, server)


def test_files_of_the_user_cannot_break_the_start(watch, users, login):
    d, ended = watch()
    user, = users(1, d)
    user.paint(BLUE)
    user.write(".profile", "umask 777\nexport DISPLAY=:1 XDG_RUNTIME_DIR=/nowhere DBUS_SESSION_BUS_ADDRESS=unix:path=/nowhere\nexport FROM_PROFILE=yes\nexec sleep 1000\nexit 1\n")
    user.write(".xsessionrc", "export FROM_RC=\"$FROM_PROFILE too\"\nexit 1\n")
    user.job("umask >$HOME/.job.umask; env >$HOME/.job.env")
    for left in (".xsession-errors", ".job.umask", ".job.env"):
        if os.path.exists(f"{user.home}/{left}"):
            os.unlink(f"{user.home}/{left}")
    server = d.admin.create_server("files")
    try:
        login(d, server, user).wait_colour(BLUE)
        text = until("the job", lambda: read(f"{user.home}/.job.env"))
    finally:
        os.unlink(f"{user.home}/.xsessionrc")
        shutil.copy("/etc/skel/.profile", f"{user.home}/.profile")
    assert read(f"{user.home}/.job.umask").strip() == "0077", "as the profile sets it, but for the person itself"
    env = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    display = d.admin.desktops(server["server_id"])[0]["display"]
    assert env["FROM_RC"] == "yes too" and env["DISPLAY"].split(".")[0] == f":{display}"
    assert env["XDG_RUNTIME_DIR"] == f"/run/xrdp/user/{user.uid}-{display}" and "/nowhere" not in env["DBUS_SESSION_BUS_ADDRESS"]
    assert env["LANG"] and env["XDG_SESSION_TYPE"] == "x11" and env["DESKTOP_SESSION"] == "paint"
    assert not ended.found()
