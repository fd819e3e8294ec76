"""Which desktop a server has: the default, a named profile, and a host without any."""
import subprocess

import proc
import pytest
from lucid import SERVERS, XRDP
from proc import until
from test_unprivileged import NO_MOUNTS


def test_window_manager_alone_is_no_default(make_daemon):
    """Without settings the default is a full desktop; openbox and the like are listed, and used if they are named."""
    d = make_daemon(DESKTOP_PROFILES=None, DESKTOP_DEFAULT=None)
    found = {p["name"]: p for p in d.admin.get(f"{XRDP}/desktops")["desktops"]}
    assert found["openbox"]["installed"] and found["icewm"]["installed"]
    usual, = [name for name, p in found.items() if p["default"]]
    assert usual in ("xfce", "mate", "lxqt", "lxde", "cinnamon")
    assert d.api(None, "xrdp-integration").get("/health/ready")["checks"]["desktops"]["status"] == "healthy"
    assert d.admin.create_server("named", desktop={"profile": "openbox"})["status"] == "running"


def test_profile_that_is_not_installed_is_refused_at_creation(make_daemon):
    d = make_daemon(DESKTOP_PROFILES="here=/bin/sh,gone=/nowhere/desktop", DESKTOP_DEFAULT="here")
    for name in ("gone", "unheard-of"):
        r = d.admin.call("POST", SERVERS, {"name": name, "desktop": {"profile": name}}, expect=422).json()["error"]
        detail, = r["details"]
        assert detail["field"] == "desktop.profile" and detail["message"].endswith("here"), r
    assert d.admin.list_servers() == []
    server = d.admin.create_server("fine", desktop={"profile": "here"})
    assert server["status"] == "running"
    d.admin.call("PATCH", f"{SERVERS}/{server['server_id']}", {"desktop": {"profile": "gone"}}, expect=422)


def test_profile_installed_later_is_accepted(make_daemon, tmp_path):
    program = tmp_path / "desktop"
    d = make_daemon(DESKTOP_PROFILES=f"later={program}", DESKTOP_DEFAULT="later")
    d.admin.call("POST", SERVERS, {"name": "early", "desktop": {"profile": "later"}}, expect=422)
    program.write_text("#!/bin/sh\nexec sleep 1000\n", encoding="ascii")
    program.chmod(0o755)
    assert d.admin.create_server("late", desktop={"profile": "later"})["status"] == "running"


def refusal(admin, method, path, body):
    detail, = admin.call(method, path, body, expect=422).json()["error"]["details"]
    assert detail["field"] == "desktop.profile", detail
    return detail["message"]


def test_missing_default_profile_is_refused(make_daemon, tmp_path):
    program = tmp_path / "desktop"
    d = make_daemon(DESKTOP_PROFILES=f"here=/bin/sh,usual={program}", DESKTOP_DEFAULT="usual")
    admin, why = d.admin, "profile usual is not installed on this host; installed: here"
    # with the first request of all, with a patch that removes the profile, and each time
    assert refusal(admin, "POST", SERVERS, {"name": "early"}) == why
    assert refusal(admin, "POST", SERVERS, {"name": "early", "desktop": {"max_sessions": 2}, "auto_start": False}) == why
    assert admin.list_servers() == [] and admin.get(f"{XRDP}/desktops")["default_fault"] == why
    named = admin.create_server("named", desktop={"profile": "here"})
    path = f"{SERVERS}/{named['server_id']}"
    for method in ("PATCH", "PUT"):
        assert refusal(admin, method, path, {"desktop": {"profile": None}}) == why
    assert admin.get(path)["desktop"]["profile"] == "here"
    admin.call("PATCH", path, {"desktop": {"max_sessions": 2}}, expect=200)
    program.write_text("#!/bin/sh\nexec sleep 1000\n", encoding="ascii")
    program.chmod(0o755)
    assert admin.create_server("late")["status"] == "running"
    admin.call("PATCH", path, {"desktop": {"profile": None}}, expect=200)
    assert admin.get(f"{XRDP}/desktops")["default_fault"] is None


@pytest.mark.one_shape("the host of one process")
def test_host_with_only_window_managers_has_no_default(make_daemon):
    d = make_daemon(start=False, DESKTOP_PROFILES=None, DESKTOP_DEFAULT=None)
    hide = "for p in startxfce4 mate-session startlxqt startlxde cinnamon-session; do " \
           "[ ! -e /usr/bin/$p ] || mount --bind /dev/null /usr/bin/$p || exit 1; done; "
    d.wrap = ["unshare", "-m", "--propagation", "slave", "sh", "-c", hide + 'exec "$@"', "sh"]
    d.start()
    why = refusal(d.admin, "POST", SERVERS, {"name": "early"})
    assert why.startswith("no desktop is installed on this host, only bare window managers; name one of them (openbox, icewm"), why
    assert why.endswith("set DESKTOP_DEFAULT, or install xfce4") and d.admin.list_servers() == []
    # as when a package is installed: the next request succeeds
    subprocess.run(["nsenter", "-t", str(d.process.pid), "-m", "umount", "/usr/bin/startxfce4"], check=True, timeout=30)
    assert d.admin.create_server("late")["status"] == "running"


@pytest.mark.one_shape("the host of one process")
def test_no_profile_is_needed_with_the_hosts_sesman(make_daemon):
    """They have the desktop that the host's own startwm.sh starts."""
    d = make_daemon(start=False, DESKTOP_PROFILES="gone=/nowhere/desktop", DESKTOP_DEFAULT="gone")
    d.wrap = NO_MOUNTS
    d.start()
    assert d.admin.get(f"{XRDP}/info")["isolation"] == "shared" and d.admin.get(f"{XRDP}/desktops")["default_fault"] is None
    assert d.admin.create_server("shared")["status"] == "running"


@pytest.mark.one_shape("the host of one process")
def test_host_without_a_desktop_is_reported(make_daemon):
    d = make_daemon(DESKTOP_PROFILES="gone=/nowhere/desktop", DESKTOP_DEFAULT="gone")
    until("a line in the log", lambda: any("not installed: servers without a profile cannot start" in line for line in d.log().splitlines()))
    ready = d.api(None).get("/health/ready")
    assert ready["degraded"] is True and "not installed" in ready["checks"]["desktops"]["message"]


@pytest.mark.one_shape("the host of one process")
def test_host_without_xorgxrdp_is_reported(make_daemon):
    d = make_daemon(start=False)
    d.wrap = ["unshare", "-m", "--propagation", "slave", "sh", "-c",
              'mount -t tmpfs none /usr/lib/xorg/modules && exec "$@"', "sh"]
    d.start()
    assert any("install the package xorgxrdp" in line for line in d.log().splitlines())
    assert "xorgxrdp" in d.api(None).get("/health/ready")["checks"]["desktops"]["message"]


def test_default_desktop_has_a_panel_and_a_wallpaper(make_daemon, users, login):
    """The desktop that `make run` installs, as its first user sees it."""
    d = make_daemon(DESKTOP_PROFILES=None, DESKTOP_DEFAULT="xfce")
    user, = users(1, d)
    client = login(d, d.admin.create_server("first"), user, size=(1024, 768))

    def runs():
        return {proc.status(p).get("Name") for p in proc.marked(user_ids={user.uid})} >= {"xfce4-panel", "xfwm4", "xfdesktop"}
    until("panel, window manager and desktop", runs, 60)
    until("more than one colour", lambda: client.picture().top()[0][1] < 0.9 and len(client.picture().count) > 500, 60, 0.5)
