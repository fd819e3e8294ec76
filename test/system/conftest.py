"""Fixtures of the system tests. Run as root: /usr/bin/python3 -m pytest test/system. LUCID_BIN selects another program, LUCID_SHAPE
another shape (lib/shapes.py)."""
import collections
import os
import shutil
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "lib"))

import accounts as accounts_lib  # noqa: E402
import lucid  # noqa: E402
import rdp  # noqa: E402
import redis  # noqa: E402
import shapes  # noqa: E402

only_one = collections.Counter()  # why tests were skipped in this shape


def pytest_configure(config):
    missing = [t for t in ("xfreerdp", "Xvfb", "xwd", "import", "xsetroot", "useradd", "xrdp", "xrdp-sesman", "Xorg")
               if not shutil.which(t, path=os.environ["PATH"] + ":/usr/sbin")]
    if missing or os.geteuid() != 0 or not os.path.exists(lucid.BIN):
        raise pytest.UsageError(f"needs root, {lucid.BIN} and the programs {missing or '(all there)'}; "
                                "deploy/scripts/install-packages test installs them")
    if shapes.SHAPE not in shapes.KINDS:
        raise pytest.UsageError(f"LUCID_SHAPE is one of {', '.join(shapes.KINDS)}, not {shapes.SHAPE}")


def pytest_collection_modifyitems(config, items):
    """Skips tests that concern one process only when another shape runs; the closing lines report them."""
    if shapes.SHAPE == "one":
        return
    left = [item for item in items if item.get_closest_marker("one_shape")]
    for item in left:
        only_one[item.get_closest_marker("one_shape").args[0]] += 1
    config.hook.pytest_deselected(items=left)
    items[:] = [item for item in items if item not in left]


def pytest_terminal_summary(terminalreporter):
    terminalreporter.write_line(f"shape: {shapes.SHAPE}")
    for why, n in sorted(only_one.items()):
        terminalreporter.write_line(f"of the shape \"one\" alone: {n} about {why}")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    if call.when == "call":
        item.failed = outcome.get_result().failed


@pytest.fixture(scope="session")
def pool():
    p = accounts_lib.Pool()
    yield p
    p.remove()


@pytest.fixture(scope="session")
def servers():
    """The databases of this run."""
    s = shapes.Servers()
    yield s
    s.end()


@pytest.fixture
def make_daemon(request, servers):
    """Starts programs with the settings of the test; stops each at the end of the test and checks it for leaks."""
    made = []

    def make(start=True, **settings):
        d = shapes.make(servers, **settings)
        made.append(d)
        return d.start() if start else d
    yield make
    failed = getattr(request.node, "failed", True)
    if failed:
        for d in made:
            print(f"--- log of {d.dir}:\n{d.log()[-20000:]}")
    faults = []
    for d in made:
        try:
            d.end(check=not failed)
        except AssertionError as e:
            print(f"--- log of {d.dir}:\n{d.log()[-20000:]}")
            faults.append(str(e))
    assert not faults, "\n".join(faults)


@pytest.fixture
def daemon(make_daemon):
    return make_daemon()


@pytest.fixture
def users(pool, request):
    """users(3): three accounts whose desktops are black."""
    def get(n, *daemons):
        found = pool.get(n)
        for d in daemons:
            d.accounts = found
        return found
    return get


@pytest.fixture
def login():
    """login(daemon, server, account): a client, which is closed at the end of the test."""
    def open_client(d, server, account, **more):
        client = rdp.Client(server["port"], account.name, account.password, **more)
        client.server_says = lambda: what_is_logged(d, server, account)
        d.clients.append(client)
        d.ids.add(server["server_id"])
        return client
    return open_client


def what_is_logged(d, server, account):
    """How desktops of this account ended, and the end of the server's logs; for the message of a failure."""
    try:
        said = [line for line in d.log().split("\n") if account.name in line][-6:]
        return "\n".join(said + d.admin.get(f"{lucid.SERVERS}/{server['server_id']}/logs?lines=60")["lines"])
    except Exception as e:  # pylint: disable=broad-except
        return f"its logs cannot be read: {e}"


@pytest.fixture
def make_redis():
    """make_redis(password=…): a redis-server that belongs to the test."""
    made = []

    def make(start=True, **more):
        r = redis.RedisServer(**more)
        made.append(r)
        return r.start() if start else r
    yield make
    for r in made:
        r.end()
