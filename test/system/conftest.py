"""Fixtures of the system tests. Run as root: /usr/bin/python3 -m pytest test/system; LUCID_BIN names another program, LUCID_SHAPE
another shape of it (lib/shapes.py)."""
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

only_one = collections.Counter()  # why tests were left out of this shape


def pytest_configure(config):
    missing = [t for t in ("xfreerdp", "Xvfb", "xwd", "import", "xsetroot", "useradd", "xrdp", "xrdp-sesman", "Xorg")
               if not shutil.which(t, path=os.environ["PATH"] + ":/usr/sbin")]
    if missing or os.geteuid() != 0 or not os.path.exists(lucid.BIN):
        raise pytest.UsageError(f"needs root, {lucid.BIN} and the programs {missing or '(all there)'}; "
                                "deploy/scripts/install-packages test installs them")
    if shapes.SHAPE not in shapes.KINDS:
        raise pytest.UsageError(f"LUCID_SHAPE is one of {', '.join(shapes.KINDS)}, not {shapes.SHAPE}")


def pytest_collection_modifyitems(config, items):
    """What is about one process alone is no test of the other shapes: left out, and said at the end."""
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
    """The databases of the run."""
    s = shapes.Servers()
    yield s
    s.end()


@pytest.fixture
def make_daemon(request, servers):
    """Start programs with settings of the test's own; each is ended and looked over with the test."""
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
    """users(3): three accounts, painting black."""
    def get(n, *daemons):
        found = pool.get(n)
        for d in daemons:
            d.accounts = found
        return found
    return get


@pytest.fixture
def login():
    """login(daemon, server, account): a client, closed with the test."""
    def open_client(d, server, account, **more):
        client = rdp.Client(server["port"], account.name, account.password, **more)
        d.clients.append(client)
        d.ids.add(server["server_id"])
        return client
    return open_client


@pytest.fixture
def make_redis():
    """make_redis(password=…): a redis-server of the test's own, running."""
    made = []

    def make(start=True, **more):
        r = redis.RedisServer(**more)
        made.append(r)
        return r.start() if start else r
    yield make
    for r in made:
        r.end()
