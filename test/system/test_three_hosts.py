"""README, "More than one machine", followed literally: three hosts, the files of conf/split, MongoDB and Redis on a fourth."""
import os
import re
import subprocess

import pytest

import hosts
import mongo
from lucid import AGENT, MANAGER, MONITOR, ROOT, ROWS, SECRET, SERVERS, SESSIONS, XRDP, token_for
from proc import until
from relay import Relay
from test_conf import at, place

pytestmark = pytest.mark.one_shape("processes that it makes itself")

PORTS = {row["name"]: int(row["port"]) for row in ROWS}
BLUE = "#3366cc"


class FromFiles(hosts.HostDaemon):
    """A role with the settings of the files. The test sets only the names of hosts, the desktop command of the tests, and that a busy machine
    takes servers too."""

    def __init__(self, host, role, folder, names):
        super().__init__(host, roles=[role], range_size=1)
        paint = self.settings["DESKTOP_PROFILES"]
        self.ports, self.range = PORTS, (13389, 14389)
        self.settings = {**names, "LRDP_TEST": self.dir, "MAX_CPU_USAGE": "100", "DESKTOP_PROFILES": paint, "DESKTOP_DEFAULT": "paint"}
        self.args = ["--env-file", f"{folder}/conf/split/shared.env", "--env-file", f"{folder}/conf/split/{role}.env"]

    def leaks(self):
        """Nothing to check: its ports are on another host."""
        return [fault for fault in super().leaks() if not fault.startswith("port ")]


@pytest.fixture
def store(make_redis):
    """The stores and their host; they end after everything that uses them."""
    with mongo.MongoServer() as server:
        yield server, make_redis()


@pytest.fixture
def three(store):
    with hosts.Net() as net:
        first, second, third, stores = (net.host(name) for name in ("first", "second", "third", "stores"))
        with Relay(store[0].port, stores) as mongodb, Relay(store[1].port, stores) as redis:
            urls = {"jwt_secret": SECRET, "mongodb_url": f"mongodb://{stores.address}:{mongodb.port}/lucid_rdp",
                    "redis_url": f"redis://{stores.address}:{redis.port}"}
            made = []
            for host, role, agent in ((second, AGENT, second), (third, AGENT, third), (first, MANAGER, second), (first, SESSIONS, second),
                                      (first, MONITOR, second)):
                folder = os.path.join(host.folder, f"{role}-files")
                place(folder, **urls)
                names = {f"{n}_HOST": first.address for n in ("MANAGER", "CONTROLLER", "MONITOR")}
                made.append(FromFiles(host, role, folder, {**names, "AGENT_HOST": agent.address}))
                host.daemons.append(made[-1])
            for d in made:
                d.ids = made[0].ids
                d.spawn()
            for d in made:
                until(f"readiness; log: {d.log()[-3000:]}", d.ready, 20)
            yield first, second, third, made
            made[2].remove_servers()  # while agents and stores run; none are left for later
            made[2].remove_servers = lambda: None


def section():
    with open(os.path.join(ROOT, "README.md"), encoding="utf-8") as f:
        return f.read().split("## More than one machine")[1].split("\n## ")[0]


def test_three_hosts(three, pool):
    first, second, third, made = three
    manager = made[2]
    admin, away = manager.admin, manager.api("admin")
    away.seat = third
    user, = pool.get(1)
    for d in made:
        d.accounts = [user]
    user.paint(BLUE)
    nodes = until("both agents", lambda: (lambda n: n if len(n) == 2 else None)(admin.get("/api/v1/rdp/nodes")["nodes"]), 15)
    assert sorted(n["node"] for n in nodes) == ["second", "third"], nodes
    # the commands of the page, on a host that runs an agent only
    commands = section().split("# 4.")[1].split("```")[0].split("\n", 1)[1].replace("manager.internal", first.address)
    commands = commands.replace("second.internal", second.address)
    setting, ask, create, login, end = re.split(r"\n(?=curl|xfreerdp)", commands.strip())
    setting = re.sub(r"^TOKEN=.*\n", "", setting, flags=re.M)  # the test creates the token

    def run(command, **words):
        words = {"TOKEN": token_for("admin", "admin"), **words}
        r = subprocess.run([*third.enter("-n"), "sh", "-c", setting + "\n" + command], env={"PATH": os.environ["PATH"], **words},
                           capture_output=True, text=True, timeout=60, check=False)
        assert r.returncode == 0, r.stderr
        return r.stdout
    assert '"second"' in run(ask)
    run(create)
    server, = away.list_servers()
    sid = server["server_id"]
    manager.ids.add(sid)
    assert server["node"] == "second" and server["status"] == "running"
    assert login.startswith(f"xfreerdp /v:{second.address}:PORT ")
    client = third.client(second, server["port"], user)
    manager.clients.append(client)
    client.wait_colour(BLUE)
    desktop, = until("the desktop", lambda: away.desktops(sid))
    assert desktop["username"] == user.name
    assert [s["node"] for s in away.get("/api/v1/sessions")["sessions"]] == ["second"]
    assert '"ended"' in run(end.replace("DISPLAY", str(desktop["display"])), ID=sid)
    until("its end", lambda: not away.desktops(sid))
    # each host has the servers that were placed on it, whichever role is asked
    assert [i["server_id"] for i in made[0].admin.get(XRDP + "/instances")["instances"]] == [sid]
    assert away.get(SERVERS + "?node=third")["servers"] == []


def test_secrets_of_the_walk_through(tmp_path):
    """Step 1, literally."""
    script = at(str(tmp_path), section().split("# 1.")[1].split("# 2.")[0].split("\n", 1)[1])
    subprocess.run(["sh", "-ec", script], check=True, timeout=20)
    made = {p.name: p for p in (tmp_path / "etc/secrets").iterdir()}
    assert set(made) == {"jwt_secret", "master_key", "mongodb_url", "redis_url"}
    assert all(p.stat().st_mode & 0o77 == 0 for p in made.values()) and len(made["jwt_secret"].read_text().strip()) == 64
