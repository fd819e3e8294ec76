"""A MongoDB or a Redis that dies, freezes, is slow, unreachable, or loses its data: no acknowledged write is lost, nothing is done twice, every
request is answered by its deadline, and all is well again within ten seconds after the cause has ended, without help."""
import pytest

import figures
import mongo
import proc
from faults import HEALED_S, Writers, checks
from lucid import ROLES, of_store
from proc import until
from relay import Relay

pytestmark = pytest.mark.one_shape("processes that it makes itself")

POOL = 8  # connections to MongoDB, each with a worker


@pytest.fixture
def split(make_daemon):
    return lambda shape, **settings: make_daemon(start=False, shape=shape, range_size=300, **settings)


# --- MongoDB

@pytest.fixture
def own_mongo():
    """A server that belongs to the test and a relay in front of it; they end after everything that uses them."""
    with mongo.MongoServer() as server, Relay(server.port) as relay:
        yield server, relay


@pytest.fixture
def with_mongo(own_mongo, split):
    """All roles on that server, through the relay."""
    server, relay = own_mongo
    return split("split", MONGODB_URL=server.url("lucid_faults", relay.port), MONGODB_MAX_POOL_SIZE=str(POOL), MONGODB_MIN_POOL_SIZE="2",
                 REQUEST_TIMEOUT="3", STORE_TIMEOUT_MS="2000").start(), server, relay


def kill(server, relay):
    server.kill()


def freeze(server, relay):
    server.freeze()


def cut(server, relay):
    relay.cut()


def cut_answers(server, relay):
    relay.cut("from")


def unfreeze(server, relay):
    server.thaw()


def start(server, relay):
    server.start()


def heal(server, relay):
    relay.heal()
    relay.reset()  # connections that lost data are unusable


@pytest.mark.parametrize("harm, mend", [(kill, start), (freeze, unfreeze), (cut, heal), (cut_answers, heal)], ids=["killed", "frozen", "cut off", "unheard"])
def test_mongodb_is_unreachable(with_mongo, harm, mend):
    """Killed, frozen, or unreachable: writes are refused by their deadline, readiness reports it, and no acknowledged write is lost."""
    d, server, relay = with_mongo
    with Writers(d) as w:
        w.wait(10)
        harm(server, relay)
        until("a refusal", lambda: w.answers[-1] in (503, 504), HEALED_S)
        until("the fault in readiness", lambda: of_store(checks(d))["status"] == "unhealthy", HEALED_S)
        assert of_store(checks(d))["message"]
        for role in ROLES:
            assert d.api(None, role).call("GET", "/health", timeout=5).status_code == 200
        mend(server, relay)
        until("readiness", d.ready, HEALED_S)
        w.wait(10)
    assert not w.wrong, w.wrong[:5]  # this includes every request that exceeded its deadline


def test_mongodb_restarts_again_and_again(with_mongo):
    d, server, _ = with_mongo
    with Writers(d) as w:
        for _ in range(3):
            w.wait(5)
            server.restart()
        w.wait(10)


def test_mongodb_is_slow(with_mongo):
    """Late responses are used; beyond the time limit they are refused, and nothing is done twice."""
    d, _, relay = with_mongo
    with Writers(d) as w:
        w.wait(5)
        relay.slow(0.3)
        w.wait(2)
        relay.slow(4)
        until("a refusal", lambda: w.answers[-1] in (503, 504), HEALED_S)
        relay.heal()
        w.wait(10)


def test_mongodb_resets_leak_nothing(with_mongo):
    """Its connections are reset three hundred times under load: the numbers of descriptors and threads and the memory stay the same."""
    d, _, relay = with_mongo
    pid, before = d.pid_of(ROLES[0]), None
    with Writers(d, n=2) as w:
        for n in range(300):
            if n == 50:  # growth of the first few is start-up cost
                before = figures.of_process(pid)
            had = len(w.answers)
            until("a request in flight", lambda h=had: len(w.answers) > h, HEALED_S, 0.002)
            relay.reset()
        w.wait(5)

    def flat():
        now = figures.of_process(pid)
        return now["memory"] <= before["memory"] + 6144 and now["fds"] <= before["fds"] + 4 and now["threads"] <= POOL + 8
    until(f"it to hold what it held, {before}", flat, HEALED_S)


# --- Redis

@pytest.fixture
def with_redis(make_redis, split):
    server = make_redis()
    return split("split-redis", REDIS_URL=server.url()).start(), server


def down(server):
    server.kill()


def up_again(server):
    server.start()


@pytest.mark.parametrize("harm, mend", [(down, up_again), (lambda r: r.freeze(), lambda r: r.thaw())], ids=["killed", "frozen"])
def test_redis_is_unreachable(with_redis, harm, mend):
    """Everything continues; readiness reports degraded, and then healthy again."""
    d, server = with_redis
    with Writers(d) as w:
        w.wait(10)
        harm(server)
        w.wait(20)
        until("the fault in readiness", lambda: checks(d)["redis"]["status"] == "unhealthy", 15)
        page = d.api(None).get("/health/ready")
        assert page["ready"] is True and page["degraded"] is True
        sid = d.admin.create_server("meanwhile")["server_id"]
        proc.kill_one(d.admin.instance(sid)["pids"]["xrdp"])
        until("running", lambda: d.admin.server(sid)["status"] == "running" and d.admin.instance(sid)["restarts"] == 1, 15)
        mend(server)
        until("Redis to be used again", lambda: all(checks(d, role)["redis"]["status"] == "healthy" for role in ROLES), HEALED_S)
        w.wait(10)
    assert set(w.answers) <= {201, 409}, set(w.answers)


def test_redis_is_flushed(with_redis):
    d, server = with_redis
    with Writers(d) as w:
        for _ in range(5):
            w.wait(5)
            server.flush()
            server.flush_scripts()
    assert set(w.answers) == {201}
    assert all(checks(d, role)["redis"]["status"] == "healthy" for role in ROLES)
