"""Attacks by real accounts next to real logins: from outside all servers, from a desktop of another server, from a desktop of the same
server, and as the accounts of the program's own processes. docs/security.md names the test of each guarantee."""
import contextlib
import os
import re
import signal
import subprocess

import pytest

import figures
import hosts
import proc
from attacks import PYTHON, Attacks
from events import Events
from lucid import ROLES, SERVERS
from proc import until

KINDS = ("xorg", "xvnc")
PLACES = ("outside", "another server", "the same server")
RED, BLUE, GREEN = "#cc3344", "#3366cc", "#44aa33"
MIB = 1 << 20


@pytest.fixture
def attacks(tmp_path):
    started = Attacks(str(tmp_path))
    yield started
    started.end()


class Scene:
    """A server on which the victim will log in, and an attacker in one of the places."""

    def __init__(self, daemon, attacker, victim, login, attacks, place, kind="xorg"):  # pylint: disable=too-many-arguments
        self.daemon, self.attacker, self.victim, self.login, self.attacks, self.place = daemon, attacker, victim, login, attacks, place
        attacker.paint(RED)
        victim.paint(BLUE)
        self.server = self.create("victim's", kind)
        self.other = self.create("attacker's", kind) if place == "another server" else self.server
        self.own_client = None
        if place != "outside":
            self.own_client = login(daemon, self.other, attacker)
            self.own_client.wait_colour(RED)

    def create(self, name, kind):
        return self.daemon.admin.create_server(name, desktop={"session": kind, "max_sessions": 4})

    def attack(self, steps):
        """Carries out the steps in the attacker's place."""
        if self.place == "outside":
            return self.attacks.as_account(self.attacker, steps)
        return self.attacks.in_desktop(self.attacker, steps)

    def victim_logs_in(self, attack=None):
        """Logs the victim in and shows the desktop while the attacker must receive nothing; then ends desktop and connection."""
        client = self.login(self.daemon, self.server, self.victim)
        if attack:
            client.wait_colour(BLUE, unless=attack.heard)
        else:
            client.wait_colour(BLUE)
        self.victim.paint(GREEN)
        client.wait_colour(GREEN)
        assert not attack or attack.heard() == []
        return client

    @property
    def id(self):
        return self.server["server_id"]

    def pids(self, server=None):
        return self.daemon.admin.get(f"{SERVERS}/{(server or self.server)['server_id']}/status")["pids"]

    def displays(self):
        """All display numbers that desktops of the victim's server can get."""
        first = self.daemon.admin.instance(self.id)["display_offset"]
        return range(first, first + 5)

    def display_of(self, account, server=None):
        found, = [d for d in self.daemon.admin.desktops((server or self.server)["server_id"]) if d["username"] == account.name]
        return found["display"]


@pytest.fixture
def scene(daemon, users, login, attacks):
    def make(place, kind="xorg"):
        return Scene(daemon, *users(2, daemon), login, attacks, place, kind)
    return make


def walk(top):
    """(path, kind) of everything below a directory, including itself; links are not followed."""
    with contextlib.suppress(OSError):
        if os.path.isdir(top):
            yield top, "folder"
        for folder, folders, files in os.walk(top):
            yield from ((os.path.join(folder, name), "folder") for name in folders if not os.path.islink(os.path.join(folder, name)))
            for name in files:
                path = os.path.join(folder, name)
                with contextlib.suppress(OSError):
                    mode = os.lstat(path).st_mode
                    yield path, "socket" if mode & 0o170000 == 0o140000 else "file" if mode & 0o170000 == 0o100000 else "other"


DEEDS = {"folder": ("list", "make"), "file": ("read", "write"), "socket": ("connect",), "other": ()}


def deeds(tops, shown_as=None):
    """Every possible access to what is below these directories, as steps of an attack."""
    steps = []
    for top in tops:
        for path, kind in walk(top):
            where = path if shown_as is None else shown_as + path[len(top):]
            steps += [{"do": deed, "path": where} for deed in DEEDS[kind]]
    return steps


def identity(path):
    """The identity of the file, in the form of attacker.py."""
    with contextlib.suppress(OSError):
        st = os.stat(path)
        return f"{st.st_dev}:{st.st_ino}"
    return None


def nothing(found):
    assert not found, f"{len(found)} were not refused:\n" + "\n".join(found)


def view(pid, path):
    return f"/proc/{pid}/root{path}"


def people_of(pids, account):
    """The processes of an account's desktop, and those of the instance that serve it."""
    return [*pids.values(), *[p for p in proc.marked(user_ids={account.uid})]]


# --- files and directories

NAMES = ("/run/xrdp", "/etc/xrdp", "/tmp/.X11-unix", "/tmp/.ICE-unix")  # names under which instances and desktops have their own files
OWN_OF_A_DESKTOP = ("/run/xrdp/sockdir", "/run/xrdp/user", "/tmp/.X11-unix", "/tmp/.ICE-unix")
# Files that the desktops of a server execute or read as their own user, and the certificate that all clients see.
PUBLIC = re.compile(r"/(cert\.pem|startwm\.sh|reconnectwm\.sh|default\.pa|km-[^/]*\.ini|xrdp_keyboard\.ini|sesman\.ini|bin/[^/]+)$")


def identities(tops):
    return {identity(path) for top in tops for path, _ in walk(top)} - {None}


def x_server_of(account):
    found, = [p for p in proc.marked(user_ids={account.uid}) if proc.exe(p).endswith("/Xorg")]
    return found


@pytest.mark.parametrize("place", PLACES)
def test_files_of_a_server_are_inaccessible(scene, place):
    """By the real path, through /proc, and where the attacker's own namespace has a path of the same name."""
    s = scene(place)
    client = s.victim_logs_in()
    pids, settings = s.pids(), s.daemon.settings
    tops = [f"{settings['DATA_DIR']}/xrdp/servers/{s.id}", f"{settings['DATA_DIR']}/xrdp/tls", f"{settings['LOG_DIR']}/xrdp/servers/{s.id}"]
    tops += [view(pid, name) for pid in (x_server_of(s.victim), pids["xrdp"], pids["sesman"]) for name in NAMES]
    steps = deeds(tops)
    for part in ("key.pem", "xrdp.log", f"xrdp_display_{s.display_of(s.victim)}"):
        assert any(step["path"].endswith(part) for step in steps), f"{part} is not among what is attacked"
    # the same names in the attacker's namespace
    steps += [{**step, "path": re.sub(r"^/proc/\d+/root", "", step["path"])} for step in steps]
    steps += [step for step in deeds([settings["RUNTIME_DIR"]]) if step["do"] != "list"]
    # the X server, as a client without a cookie
    steps += [{"do": "xclient", "path": f"{at}/tmp/.X11-unix/X{s.display_of(s.victim)}"} for at in ("@", "")]
    steps += [{"do": do, "pid": p} for do in ("signal", "memory") for p in people_of(pids, s.victim)]
    # unmounting what covers a path reveals nothing
    steps += [{"do": "unmount", "under": ["/run/xrdp", "/etc/xrdp", "/tmp"]}]
    steps = list({str(step): step for step in steps}.values())

    # the host's public files, and the attacker's own files under these names, are not the victim's
    harmless = identities(NAMES)
    if place != "outside":
        harmless |= identities(view(x_server_of(s.attacker), name) for name in (NAMES if place == "another server" else OWN_OF_A_DESKTOP))
    theirs = identities(tops) - harmless

    def is_harmless(step, outcome):
        if "file" in outcome and place == "the same server" and (step["do"] == "list" or step["do"] == "read" and PUBLIC.search(step["path"])):
            return True
        return "file" in outcome and outcome["file"] not in theirs
    attack = s.attack(steps)
    assert len(attack.results()) == len(steps)
    nothing(attack.succeeded(is_harmless))
    s.victim.paint(BLUE)
    client.wait_colour(BLUE)


# --- pictures of a desktop

def screens_of(account):
    """The shared memory that X servers of the account have created: (id, mode) of each segment."""
    table = subprocess.run(["nsenter", "-t", str(x_server_of(account)), "-i", "cat", "/proc/sysvipc/shm"], capture_output=True, text=True, check=True)
    names, *rows = [line.split() for line in table.stdout.splitlines()]
    return [(row[names.index("shmid")], int(row[names.index("perms")], 8) & 0o777) for row in rows
            if int(row[names.index("cuid")]) == account.uid]


@pytest.mark.parametrize("place", PLACES)
def test_picture_of_a_desktop_is_inaccessible(scene, place):
    """xorgxrdp draws in shared memory that the whole host can see; only the X server's user and the instance's xrdp may map it."""
    s = scene(place)
    client = s.victim_logs_in()
    assert screens_of(s.victim), "the victim's X server has no shared memory"
    assert [mode for _, mode in screens_of(s.victim) if mode & 0o077] == []
    attack = s.attack([{"do": "screen", "owner": s.victim.uid}])
    assert len(attack.results()) == 1
    nothing(attack.succeeded())
    # the processes of other instances, and of the program itself, are strangers too
    elsewhere = s.create("neighbour", "xorg")
    for pid in (s.pids(elsewhere)["xrdp"], s.daemon.server_pid()):
        if pid:
            uid, gid = (int(proc.status(pid)[k].split()[0]) for k in ("Uid", "Gid"))
            wrap = ["nsenter", "-t", str(x_server_of(s.victim)), "-i", "--"]
            nothing(s.attacks.as_ids(uid, gid, [{"do": "screen", "owner": s.victim.uid}], wrap).succeeded())
    # a new connection to the desktop, with another size, gets a new segment
    client.close()
    again = s.login(s.daemon, s.server, s.victim, size=(500, 400))
    again.wait_colour(GREEN)
    assert [mode for _, mode in screens_of(s.victim) if mode & 0o077] == []


# In an IPC namespace of the test's own, because the attack would take the segments of everything else on this machine.
@pytest.mark.parametrize("place", PLACES[:2])
def test_taken_shared_memory_segments_do_not_prevent_a_login(make_daemon, users, login, attacks, place):
    """A system has room for 4096 segments, which any account can take; they stay when its processes have ended."""
    daemon = make_daemon(start=False)
    daemon.wrap = ["unshare", "--ipc"]
    daemon.start()
    s = Scene(daemon, *users(2, daemon), login, attacks, place)
    steps = [{"do": "segments", "most": 5000}]
    if place == "outside":
        attack = attacks.as_account(s.attacker, steps, ["nsenter", "-t", str(daemon.supervisor), "-i", "--"])
    else:
        attack = s.attack(steps)
    (_, outcome), = attack.results()
    assert 4000 < outcome["made"] < 5000, outcome
    s.victim_logs_in()


# --- keys

# Starts a program as a login shell or systemd would: with a session keyring that has a key in it.
WITH_A_KEY = """
import os, sys
sys.path.insert(0, sys.argv[1])
from attacker import do_add_key, system_call
system_call("keyctl", 1, None)
do_add_key("starter")
os.execvp(sys.argv[2], sys.argv[2:])
"""


@pytest.mark.parametrize("place", PLACES[1:])
def test_keys_of_a_session_keyring_stay_in_the_desktop(make_daemon, users, login, attacks, place):
    """The kernel gives all keys of a session keyring to each process that has inherited it, whichever account added them."""
    daemon = make_daemon(start=False)
    daemon.wrap = [PYTHON, "-c", WITH_A_KEY, os.path.dirname(figures.__file__)]
    daemon.start()
    s = Scene(daemon, *users(2, daemon), login, attacks, place)
    s.victim_logs_in()
    own = attacks.in_desktop(s.victim, [{"do": "add_key", "name": "victim"}, {"do": "find_key", "name": "victim"}])
    assert len(own.succeeded()) == 2, own.lines()
    attack = s.attack([{"do": "find_key", "name": name} for name in ("victim", "starter")])
    assert [outcome["error"] for _, outcome in attack.results()] == ["ENOKEY", "ENOKEY"], attack.lines()


# --- sockets of a desktop

SOCKETS = ("xrdp_display_%d", "xrdp_chansrv_socket_%d", "xrdp_chansrv_audio_out_socket_%d", "xrdp_chansrv_audio_in_socket_%d", "xrdpapi_%d",
           "vnc")


def socket_folders(s):
    """Every path to a directory that may contain sockets of the server's desktops, now or after a login."""
    pids = s.pids()
    runs = [f"{s.daemon.settings['DATA_DIR']}/xrdp/servers/{s.id}/run", "/run/xrdp"] + [view(pids[n], "/run/xrdp") for n in ("xrdp", "sesman")]
    for run in runs:
        yield run + "/sockdir"
        yield from (f"{run}/desk/{n}/sock" for n in s.displays())


# All of them before the login, and those of each display as soon as its X server exists: sesman skips a display whose sockets exist.
@pytest.mark.parametrize("kind, when", [*((kind, "before") for kind in KINDS), ("xorg", "in time")])
@pytest.mark.parametrize("place", PLACES)
def test_sockets_bound_before_a_login_receive_nothing(scene, place, kind, when):
    s = scene(place, kind)
    holds = {}
    for folder in socket_folders(s):
        for name in SOCKETS:
            for n in s.displays():
                where = f"unix:{folder}/{name % n if '%' in name else name}"
                holds[where] = {"do": "hold", "where": where, **({"after": f":{n}"} if when == "in time" else {})}
    holds = list(holds.values())
    attack = s.attack(holds)
    s.victim_logs_in(attack)
    # the data of a connection goes only to processes of its user
    display = s.display_of(s.victim)
    assert until("the connection's display", lambda: [c for c in s.daemon.admin.connections(s.id) if c["username"] == s.victim.name
                                                      and c["display"] == display])
    # paths in the attacker's own or the host's directories may be bound: xrdp does not use them
    nothing([where for where in attack.took() if not where.startswith("unix:/run/xrdp/sockdir/")])


@pytest.mark.parametrize("kind", KINDS)
def test_link_in_place_of_own_socket_is_not_followed(scene, login, kind):
    """xrdp may connect to the sockets of all users; an attacker who logs in again must not redirect it to another user's."""
    s = scene("the same server", kind)
    client = s.victim_logs_in()
    theirs, own = s.display_of(s.victim), s.display_of(s.attacker)
    xrdp = s.pids()["xrdp"]

    def really(path):
        """Where xrdp is connected to by the path."""
        r = subprocess.run(["nsenter", "-t", str(xrdp), "-m", "readlink", "-e", path], capture_output=True, text=True, check=False)
        return r.stdout.strip()
    links = []
    for name in (*SOCKETS, "../x11/X%d"):
        place, target = (f"/run/xrdp/sockdir/{name % n if '%' in name else name}" for n in (own, theirs))
        if "%" not in name:
            target = os.path.join(os.path.dirname(really(f"/run/xrdp/sockdir/xrdp_display_{theirs}") or
                                                  really(f"/run/xrdp/sockdir/xrdp_chansrv_socket_{theirs}")), name)
        links.append({"do": "link", "path": place, "target": really(target) or target})
    s.attack(links)
    s.own_client.close()
    until("the attacker to be gone", lambda: not [c for c in s.daemon.admin.connections(s.id) if c["username"] == s.attacker.name])
    s.victim.paint(BLUE)
    client.wait_colour(BLUE)
    again = login(s.daemon, s.server, s.attacker)

    def settled():
        """The attacker sees a desktop or xrdp's message that there is none, or is disconnected."""
        picture = again.picture()
        assert picture.share(BLUE) < 0.5, "the attacker sees the victim's desktop"
        return not again.connected or picture.share(RED) > 0.5 or picture.share("#dedede") > 0.1
    with contextlib.suppress(AssertionError):
        until("the attacker's login to come to an end", settled, 20, 0.2)
    assert again.picture().share(BLUE) < 0.5
    assert client.connected
    s.victim.paint(GREEN)
    client.wait_colour(GREEN)
    assert again.picture().share(GREEN) < 0.5


# --- names that belong to a display number

def names_of_display(n):
    """Files, sockets and ports that sesman, Xorg, Xvnc or X clients use for display N. sesman concatenates a prefix and the number, and
    truncates the result to 16 bits."""
    files = (f"/tmp/.X{n}-lock", f"/tmp/.tX{n}-lock")
    sockets = (f"unix:/tmp/.X11-unix/X{n}", f"abstract:/tmp/.X11-unix/X{n}")
    ports = {5900 + n, 6000 + n, *(int(f"{prefix}{n:02d}") & 0xffff for prefix in (59, 60, 62))}
    tcp = [f"{family}:{address}:{port}" for port in sorted(ports) if 1024 <= port < 65536
           for family, address in (("tcp4", "127.0.0.1"), ("tcp4", "0.0.0.0"), ("tcp6", "::1"))]
    return [*(f"file:{f}" for f in files), *sockets, *tcp]


def sweep_displays(numbers):
    """Removes what a test's attacker left of such names in the machine's /tmp."""
    for n in numbers:
        for path in (f"/tmp/.X{n}-lock", f"/tmp/.tX{n}-lock", f"/tmp/.X11-unix/X{n}"):
            with contextlib.suppress(OSError):
                os.unlink(path)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("place", PLACES)
def test_taken_display_names_do_not_prevent_a_login(scene, place, kind):
    """Locks, X sockets, abstract names and ports of all displays of a server are taken after its start and before a login."""
    s = scene(place, kind)
    numbers = s.displays()
    attack = s.attack([{"do": "hold", "where": where} for n in numbers for where in names_of_display(n)])
    try:
        s.victim_logs_in(attack)
    finally:
        attack.end()
        sweep_displays(numbers)


# steps that claim every display of a host, by the kind of name
CLAIMS = {
    "X sockets": [{"do": "claim", "path": "/tmp/.X11-unix/X%d", "first": 10, "last": 63999}],
    # more than every range that the first server may get
    "abstract names": [{"do": "hold", "where": f"abstract:/tmp/.X11-unix/X{n}"} for n in range(1000, 2200)],
    # of every range that a server may get (src/host/instance/displays.c)
    "a name of each range": [{"do": "hold", "where": f"abstract:/tmp/.X11-unix/X{n}"} for n in range(1000, 65536, 52)],
    "reservations": [{"do": "hold", "where": f"abstract:lucid-rdp/displays/{n}"} for n in range(1000, 65536, 52)],
    "locks": [{"do": "claim", "path": "/tmp/.X%d-lock", "first": 10, "last": 9999}],
}


@pytest.fixture
def host():
    """A host with its own /tmp."""
    with hosts.Net() as net:
        found = net.host("alone")
        yield found
        for d in found.daemons:
            print(f"--- log of {d.dir}:\n{d.log()[-20000:]}")


class OnHost:
    """The program, an attacker and a victim on that host."""

    def __init__(self, host, users):
        self.host, self.daemon = host, host.daemon(ROLES)
        self.attacker, self.victim = users(2, self.daemon)
        self.attacker.paint(RED)
        self.victim.paint(BLUE)

    def server(self, name):
        made = self.daemon.admin.create_server(name)
        self.daemon.ids.add(made["server_id"])
        return made

    def logs_in(self, server, account, colour):
        client = self.host.client(self.host, server["port"], account)
        self.daemon.clients.append(client)
        client.wait_colour(colour)
        return client


@pytest.mark.one_shape("a host of the test's own")
@pytest.mark.parametrize("claim", sorted(CLAIMS))
@pytest.mark.parametrize("place", ("outside", "another server"))
def test_logins_succeed_while_all_displays_are_claimed(host, users, attacks, place, claim):
    """Claimed before a server starts, or by a desktop of another server: logins still succeed, and what a desktop created is removed with its server."""
    on = OnHost(host, users)
    if place == "outside":
        attack = attacks.as_account(on.attacker, CLAIMS[claim], wrap=host.enter("-m", "-n"))
    else:
        own = on.server("attacker's")
        on.logs_in(own, on.attacker, RED)
        attack = attacks.in_desktop(on.attacker, CLAIMS[claim], timeout=120)
    assert attack.succeeded() or attack.took(), "the claim itself failed"
    client = on.logs_in(on.server("victim's"), on.victim, BLUE)
    on.victim.paint(GREEN)
    client.wait_colour(GREEN)
    assert attack.heard() == []
    if place != "outside" and claim == "X sockets":
        on.daemon.admin.delete(f"{SERVERS}/{own['server_id']}?force=true")
        left = [n for n in os.listdir(os.path.join(host.folder, "tmp/.X11-unix")) if re.fullmatch(r"X\d+", n)]
        assert left == [], f"{len(left)} claims are left, {left[:3]}"


# what an attacker may create where the host has no such directory yet, for example after a boot
IN_PLACE_OF_A_DIRECTORY = {
    "a link": lambda path, home: {"do": "link", "path": path, "target": home},
    "a file": lambda path, home: {"do": "hold", "where": f"file:{path}"},
    "a directory": lambda path, home: {"do": "folder", "path": path},
}


@pytest.mark.one_shape("a host of the test's own")
@pytest.mark.parametrize("what", sorted(IN_PLACE_OF_A_DIRECTORY))
def test_foreign_directories_in_tmp_do_not_prevent_a_login(host, users, attacks, what):
    os.rmdir(os.path.join(host.folder, "tmp/.X11-unix"))
    on = OnHost(host, users)
    paths = ("/tmp/.X11-unix", "/tmp/.ICE-unix")
    before = sorted(os.listdir(on.attacker.home))
    attack = attacks.as_account(on.attacker, [IN_PLACE_OF_A_DIRECTORY[what](path, on.attacker.home) for path in paths],
                                wrap=host.enter("-m", "-n"))
    assert len(attack.succeeded() + attack.took()) == 2, attack.lines()
    server = on.server("victim's")
    client = on.logs_in(server, on.victim, BLUE)
    on.victim.paint(GREEN)
    client.wait_colour(GREEN)
    assert sorted(os.listdir(on.attacker.home)) == before


# --- names that a dead sesman has released

def take_names_of_a_dead_sesman(s, displays):
    """An account of the host takes them before the next sesman starts: the supervisor is stopped meanwhile."""
    attack = s.attack([{"do": "hold", "where": f"abstract:/tmp/.X11-unix/X{n}"} for n in displays])
    assert attack.took() == []
    sesman = s.pids()["sesman"]
    os.kill(s.daemon.supervisor, signal.SIGSTOP)
    try:
        os.kill(sesman, signal.SIGKILL)
        until("the names to be taken", lambda: len(attack.took()) == len(displays))
    finally:
        os.kill(s.daemon.supervisor, signal.SIGCONT)
    until("the next sesman", lambda: s.pids()["sesman"] not in (None, sesman))
    return attack


def displays_taken(s):
    taken = s.daemon.admin.instance(s.id)["displays_taken"]
    assert s.daemon.admin.get(f"{SERVERS}/{s.id}/status")["displays_taken"] == taken
    return taken


def test_display_taken_while_sesman_is_dead_is_skipped(scene):
    """The login gets another display, and the operator is told which one is taken."""
    s = scene("outside")
    first, second = s.displays()[:2]
    attack = take_names_of_a_dead_sesman(s, [first])
    assert displays_taken(s) == []
    with Events(s.daemon, "xrdp.display.*") as events:
        s.victim_logs_in(attack)
        event = events.next()
    assert s.display_of(s.victim) == second
    assert (event["topic"], event["server_id"]) == ("xrdp.display.taken", s.id), event
    assert event["data"] == {"display": first, "holder_uid": s.attacker.uid}
    assert f"display {first} is not assigned, because a process of uid {s.attacker.uid} holds" in s.daemon.log()
    assert displays_taken(s) == [first]
    page = s.daemon.api(None, ROLES[1]).call("GET", "/metrics", expect=200).text
    assert figures.of_page(page, "rdp_displays_taken_total") == 1
    attack.end()
    until("the display to be free", lambda: s.daemon.admin.instance(s.id)["displays_taken"] == [], 30)
    assert displays_taken(s) == []


def test_login_without_a_free_display_reports_no_display(scene):
    s = scene("outside")
    attack = take_names_of_a_dead_sesman(s, s.displays())
    with Events(s.daemon, "xrdp.display.*") as events:
        client = s.login(s.daemon, s.server, s.victim)
        told = [events.next()["data"] for _ in s.displays()]
    assert [t["display"] for t in told] == list(s.displays())
    assert {t["holder_uid"] for t in told} == {s.attacker.uid}
    path = "/api/v1/audit?action=xrdp.login.failed&limit=10"
    entry, = until("the entry", lambda: [e for e in s.daemon.admin.get(path)["entries"] if e["actor"] == s.victim.name])
    assert (entry["reason"], entry["outcome"], entry["object"]) == ("no_display", "failed", s.id)
    assert displays_taken(s) == list(s.displays())
    assert s.daemon.admin.desktops(s.id) == []
    client.close()
    attack.end()
    s.victim_logs_in()


# --- accounts of the program's own processes

def test_account_of_an_xrdp_reaches_only_its_instance(scene):
    """An attacker who controls an xrdp, which reads the network, gets the keys of that instance and nothing else."""
    s = scene("another server")
    s.victim_logs_in()
    own, theirs = s.pids(s.other), s.pids()
    data, log = s.daemon.settings["DATA_DIR"], s.daemon.settings["LOG_DIR"]
    steps = deeds([f"{data}/xrdp/servers/{s.id}", f"{data}/xrdp/tls", f"{data}/store", f"{log}/xrdp/servers/{s.id}"])
    for pid in theirs.values():
        for top in ("/etc/xrdp", "/run/xrdp", log):
            steps += deeds([view(pid, top)])
    for pid in (*theirs.values(), own["sesman"], s.daemon.supervisor, *proc.marked(user_ids={s.victim.uid})):
        steps += [{"do": "signal", "pid": pid}, {"do": "memory", "pid": pid}]
    # it can read the configuration of its own instance, but cannot change what root or a desktop reads
    mine = [step for top in ("/etc/xrdp", "/run/xrdp") for step in deeds([view(own["xrdp"], top)], top) if step["do"] in ("write", "make")]
    mine = [step for step in mine if not step["path"].endswith("/xrdp.log")]  # xrdp's own log
    mine += [{"do": "make", "path": p} for p in ("/run", "/etc/pam.d", f"{log}/xrdp/servers/{s.other['server_id']}")]
    mine += [{"do": "write", "path": p} for p in ("/etc/pam.d/xrdp-sesman", f"{log}/xrdp/servers/{s.other['server_id']}/sesman.log")]
    status = proc.status(own["xrdp"])
    uid, gid = (int(status[k].split()[0]) for k in ("Uid", "Gid"))
    assert uid != 0
    attack = s.attacks.as_ids(uid, gid, steps + mine, wrap=["nsenter", "-t", str(own["xrdp"]), "-m", "--"])
    assert len(attack.results()) == len(steps + mine)
    nothing(attack.succeeded())


@pytest.mark.one_shape("a supervisor and its server")
def test_account_of_the_server_reaches_no_instance(scene):
    """The process that serves HTTP calls the supervisor; it cannot reach instances itself."""
    s = scene("another server")
    s.victim_logs_in()
    data, log, run = (s.daemon.settings[n] for n in ("DATA_DIR", "LOG_DIR", "RUNTIME_DIR"))
    status = proc.status(s.daemon.server_pid())
    uid, gid = (int(status[k].split()[0]) for k in ("Uid", "Gid"))
    steps = deeds([f"{data}/xrdp/servers", f"{data}/xrdp/tls", f"{log}/xrdp/servers", run])
    steps = [step for step in steps if not (step["do"] == "list" and step["path"].startswith(run))]
    for pid in (*s.pids().values(), s.daemon.supervisor, *proc.marked(user_ids={s.victim.uid})):
        steps += [{"do": "signal", "pid": pid}, {"do": "memory", "pid": pid}]
    for top in ("/etc/xrdp", "/run/xrdp"):
        steps += deeds([view(s.pids()["xrdp"], top)])
    attack = s.attacks.as_ids(uid, gid, steps)
    assert len(attack.results()) == len(steps)
    nothing(attack.succeeded())


# --- disks

WRITABLE = ("$XDG_RUNTIME_DIR", "/run/xrdp", "/run/xrdp/user", "/run/xrdp/sockdir", "/tmp/.X11-unix", "/tmp/.ICE-unix")
MOST_BYTES, MOST_FILES = 640 * MIB, 70000  # more than any desktop may use


def size_of(top):
    return sum(os.lstat(path).st_size for path, kind in walk(top) if kind == "file")


@contextlib.contextmanager
def small_disk(path):
    """A directory on a small file system of 96 MiB and 20,000 files."""
    os.makedirs(path, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=96m,nr_inodes=20000,mode=755", "lrdp-test", path], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", path], check=True)


@pytest.mark.one_shape("the disk of the embedded store")
def test_desktop_cannot_fill_shared_disks(make_daemon, users, login, attacks):
    daemon = make_daemon(start=False)
    attacker, beside, neighbour = users(3, daemon)
    with small_disk(daemon.settings["DATA_DIR"]):
        daemon.start()
        admin = daemon.admin
        full, other = admin.create_server("full"), admin.create_server("other")
        attacker.paint(RED)
        login(daemon, full, attacker).wait_colour(RED)
        logs = size_of(daemon.settings["LOG_DIR"])
        steps = [{"do": "pour", "fd": 7, "most_bytes": 128 * MIB}]
        steps += [{"do": "fill", "path": path, "most_bytes": MOST_BYTES, "most_files": MOST_FILES} for path in WRITABLE]
        attack = attacks.in_desktop(attacker, steps, timeout=60)
        assert max(outcome.get("bytes", 0) for _, outcome in attack.results()) > MIB, "nothing was filled"
        # each write fails at a limit of the desktop, far below what is shared; output may go to the attacker's home
        for step, outcome in attack.results():
            assert outcome.get("bytes", 0) < MOST_BYTES and outcome.get("files", 0) < MOST_FILES, f"{step}: {outcome}"
        room = os.statvfs(daemon.settings["DATA_DIR"])
        assert room.f_bavail > room.f_blocks // 2 and room.f_favail > room.f_files // 2
        assert size_of(daemon.settings["LOG_DIR"]) - logs < MIB
        # and other desktops are not affected
        admin.create_server("another one")
        for person, server, colour in ((beside, full, BLUE), (neighbour, other, GREEN)):
            person.paint(colour)
            login(daemon, server, person).wait_colour(colour)
        for client in daemon.clients:
            client.close()
        daemon.remove_servers()
        daemon.stop()


# --- commands that stop every xrdp of a host

BY_NAME = (
    ("start-stop-daemon", "--stop", "--test", "--verbose", "--exec", "/usr/sbin/xrdp"),
    ("start-stop-daemon", "--stop", "--test", "--verbose", "--exec", "/usr/sbin/xrdp-sesman"),
    ("start-stop-daemon", "--stop", "--test", "--verbose", "--name", "xrdp"),
    ("start-stop-daemon", "--stop", "--test", "--verbose", "--name", "xrdp-sesman"),
    ("start-stop-daemon", "--stop", "--test", "--verbose", "--user", "xrdp"),
    ("pgrep", "-x", "xrdp"), ("pgrep", "-x", "xrdp-sesman"), ("pgrep", "-u", "xrdp"),
    ("pgrep", "-f", "^/usr/sbin/xrdp"), ("pidof", "xrdp"), ("pidof", "xrdp-sesman"), ("pidof", "/usr/sbin/xrdp"), ("pidof", "/usr/sbin/xrdp-sesman"),
)


def test_commands_that_stop_the_hosts_xrdp_spare_instances(scene):
    s = scene("another server")
    s.victim_logs_in()
    ours = {p for server in (s.server, s.other) for p in s.pids(server).values()}
    ours |= {child for p in ours for child in proc.children(p)}  # connections, and the session leaders of desktops
    named = []
    for command in BY_NAME:
        r = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False, env={**os.environ, "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"})
        assert r.returncode in (0, 1), f"{command}: {r.returncode}: {r.stderr}"
        hit = sorted(ours & {int(n) for n in re.findall(r"\b\d+\b", r.stdout)})
        named += [f"{' '.join(command)}: {proc.describe(p)}" for p in hit]
    nothing(named)
