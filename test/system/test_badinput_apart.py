"""Faults between processes are reported in a sentence, at the start or in readiness, by the process that can detect them, and no process fails."""

import pytest

import mongo
from faults import HEALED_S, checks, error
from lucid import AGENT, MANAGER, MONITOR, SERVERS, SESSIONS, URLS, XRDP, of_store
from proc import until
from shapes import KEYS

pytestmark = pytest.mark.one_shape("processes that it makes itself")


def test_url_ring_of_three_is_refused(make_daemon):
    """Each names the next one as the manager: a call is refused after a few hops, at once, at every process."""
    ring = [make_daemon(start=False, roles=[role], HEALTH_CHECK_INTERVAL="1", **KEYS) for role in (AGENT, SESSIONS, MONITOR)]
    for d, after in zip(ring, ring[1:] + ring[:1]):
        d.settings[URLS[MANAGER]] = after.url(after.roles[0])
    for d in ring:
        d.start()
    for d in ring:
        api = d.api("admin", d.roles[0])
        for method, path, body in (("GET", SERVERS, None), ("POST", SERVERS, {"name": "round", "auto_start": False})):
            r = api.call(method, path, body, timeout=60)
            assert r.status_code == 503 and error(r)["code"] == "LUCID_ERR_0010" and "URL" in error(r)["message"], r.text
        until("the fault in readiness", lambda d=d: "URL" in checks(d, d.roles[0])[MANAGER]["message"], HEALED_S)


def test_different_secrets_are_reported_in_readiness(make_daemon):
    manager, agent = (make_daemon(start=False, roles=[role], HEALTH_CHECK_INTERVAL="1", **KEYS) for role in (MANAGER, AGENT))
    agent.settings["JWT_SECRET"] = "quite another secret, also of more than 32 bytes"
    manager.settings[URLS[AGENT]], agent.settings[URLS[MANAGER]] = agent.url(AGENT), manager.url()
    agent.start()
    manager.start()
    for d, other in ((manager, AGENT), (agent, MANAGER)):
        until("the fault in readiness", lambda d=d, other=other: "JWT_SECRET" in checks(d, d.roles[0])[other]["message"], HEALED_S)
        page = d.api(None, d.roles[0]).get("/health/ready")
        assert page["ready"] is True and page["degraded"] is True and page["checks"][other]["status"] == "unhealthy"
    assert "JWT_SECRET" in error(manager.admin.call("GET", XRDP + "/instances", expect=503))["message"]


@pytest.fixture(scope="module")
def database():
    with mongo.MongoServer() as server:
        yield server


def test_wrong_mongodb_password_is_reported(make_daemon, database):
    """It runs, reports what is wrong but never the password, and refuses operations that need the store."""
    url = database.url("lucid").replace("://", "://somebody:not-the-password@")
    d = make_daemon(start=False, roles=[MANAGER], MONGODB_URL=url, **KEYS)
    d.spawn()
    page = until("the fault in readiness", lambda: refused_by_store(d), HEALED_S)
    said = of_store(page["checks"])["message"]
    assert page["ready"] is False and len(said) > 20 and ("password" in said or "uthentic" in said), said
    r = d.admin.call("GET", SERVERS, timeout=15)
    assert r.status_code == 503 and error(r)["code"] == "LUCID_ERR_0010", r.text
    assert "not-the-password" not in d.log() + r.text + str(page)
    d.stop()


def refused_by_store(d):
    try:
        page = d.api(None).call("GET", "/health/ready", timeout=6).json()
    except OSError:
        return None
    return page if of_store(page["checks"])["status"] == "unhealthy" and "being opened" not in of_store(page["checks"])["message"] else None


@pytest.mark.parametrize("url", ["mongodb://127.0.0.1/a%20b", "mongodb://127.0.0.1/a$b", "mongodb://127.0.0.1/" + "x" * 70, "mongodb://", "http://127.0.0.1/x",
                                 "mongodb://127.0.0.1:99999/x", "mongodb://127.0.0.1/x?nonsense=1&tls=perhaps", "mongodb://a:b:c@127.0.0.1/x"])
def test_invalid_mongodb_urls_are_refused(make_daemon, url):
    d = make_daemon(start=False, roles=[MANAGER], MONGODB_URL=url, **KEYS)
    r = d.run()
    assert r.returncode == 78 and "MONGODB_URL" in r.stderr and len(r.stderr) > 40, (r.returncode, r.stderr)


@pytest.mark.parametrize("given", [{"MONGODB_URL": "mongodb://127.0.0.1:1/x"}, {URLS[AGENT]: "http://127.0.0.1:1"}])
@pytest.mark.parametrize("name", ["JWT_SECRET", "MASTER_KEY"])
def test_missing_secrets_are_refused_with_mongodb(make_daemon, name, given):
    """With MongoDB, as with a role in another process: other processes could not know a secret generated here."""
    d = make_daemon(start=False, roles=[MANAGER], **{**KEYS, **given, name: None})
    r = d.run()
    assert r.returncode == 78 and name in r.stderr and "same value in all processes" in r.stderr + " same value in all processes" * ("another process" in r.stderr), r.stderr
