"""Two session controllers on one MongoDB, with one agent: no session is stored or ended twice, and when one is killed, the other goes on."""
import re

import pytest

from lucid import AGENT, MANAGER, MONITOR, SESSIONS, URLS
from proc import until
from test_apart import apart  # noqa: F401  (a fixture)
from test_managers import at_once, mongo  # noqa: F401  (fixtures)
from test_sessions_life import BLUE, LIST, listed

pytestmark = pytest.mark.one_shape("processes that it makes itself")


@pytest.fixture
def controllers(mongo, apart):  # noqa: F811
    made = apart([MANAGER, MONITOR], [SESSIONS], [SESSIONS], [AGENT], start=False, MONGODB_URL=mongo.url(), HEALTH_CHECK_INTERVAL="1")
    manager, a, b, agent = made
    for d in (a, b):
        d.settings[URLS[SESSIONS]] = None  # neither forwards to the other one
    agent.settings["NODE_URL"] = agent.url(AGENT)
    for d in (agent, manager, a, b):
        d.start()
    until("the node", lambda: [n["status"] for n in manager.admin.get("/api/v1/rdp/nodes")["nodes"]] == ["ready"], 20)
    return manager, a, b, agent


def count(d, name):
    page = d.api(None, SESSIONS).call("GET", "/metrics", expect=200).text
    return int(float(re.search(rf"^{name} (\S+)", page, re.M).group(1)))


def test_sessions_are_found_and_ended_once_and_outlive_a_controller(controllers, users, login):
    manager, a, b, agent = controllers
    anna, ben = users(2, manager, agent)
    for user in (anna, ben):
        user.paint(BLUE)
    server = manager.api(anna.name).create_server("shared")
    manager.ids.add(server["server_id"])
    login(manager, server, anna).wait_colour(BLUE)
    first, = until("her session", lambda: listed(a, query="?status=active"))
    assert until("the same at the other controller", lambda: listed(b, query="?status=active")) == [first]
    assert count(a, "rdp_sessions_created_total") + count(b, "rdp_sessions_created_total") == 1

    # both are asked to end it at the same time
    path = f"{LIST}/{first['session_id']}/terminate"
    answers = at_once(*[lambda d=d: d.api(anna.name, SESSIONS).call("POST", path, {}, expect=(200, 409)).status_code for d in (a, b)])
    assert 200 in answers, answers
    until("one end", lambda: {s["status"] for s in listed(a)} == {s["status"] for s in listed(b)} == {"terminated"})
    assert until("its count", lambda: count(a, "rdp_sessions_terminated_total") + count(b, "rdp_sessions_terminated_total")) == 1

    # one of them dies; the other one, whichever it is, follows the next session within 10 s
    a.kill(a.process.pid)
    login(manager, server, ben).wait_colour(BLUE)
    second, = until("his session", lambda: listed(b, query="?status=active"), 10)
    assert second["user_id"] == ben.name
    a.start()
    assert until("all sessions at the restarted one", lambda: (lambda s: s if len(s) == 2 else None)(listed(a)))
    assert len(listed(b)) == 2
