"""Two monitors on one MongoDB: there is one alert and one post for each of its events, and when one monitor is killed, the other goes on."""
import threading

import pytest

from lucid import AGENT, MANAGER, MONITOR, URLS
from proc import until
from test_alerts import CLEAR, CLEARED, RAISE, RAISED, SECRET, alerts, delivery, thresholds
from test_apart import apart  # noqa: F401  (a fixture)
from test_managers import mongo  # noqa: F401  (a fixture)
from webhook import Receiver, verify

pytestmark = pytest.mark.one_shape("processes that it makes itself")
DELIVERS = "this process now delivers alerts"


@pytest.fixture
def monitors(mongo, apart):  # noqa: F811
    """Two monitors, which share a store with a manager and an agent."""
    def make(url):
        made = apart([MONITOR], [MONITOR], [MANAGER], [AGENT], start=False, MONGODB_URL=mongo.url(), METRICS_INTERVAL="1",
                     ALERT_WEBHOOK_URL=url, ALERT_WEBHOOK_SECRET=SECRET)
        *pair, _, agent = made
        for d in pair:
            d.settings[URLS[MONITOR]] = None  # neither forwards to the other one
        agent.settings["NODE_URL"] = agent.url(AGENT)
        for d in reversed(made):
            d.start()
        until("one of them to deliver", lambda: [d for d in pair if DELIVERS in d.log()], 20)
        return pair
    return make


def test_two_monitors_post_each_event_once(monitors):
    with Receiver() as receiver:
        a, b = monitors(receiver.url)
        for n in range(1, 4):
            thresholds((a, b)[n % 2], RAISE)
            until("the post", lambda n=n: len(receiver.requests) == 2 * n - 1)
            thresholds((b, a)[n % 2], CLEAR)
            until("the second post", lambda n=n: len(receiver.requests) == 2 * n)
        assert receiver.types() == [RAISED, CLEARED] * 3
        assert len({e["id"] for e in receiver.events}) == 6
        for d in (a, b):
            until("three cleared alerts", lambda d=d: [x["status"] for x in alerts(d)] == ["cleared"] * 3)


def test_other_monitor_goes_on_when_one_is_killed(monitors):
    killed = threading.Event()

    def hang(_handler):
        killed.wait(60)
        return 200
    with Receiver(hang, 200) as receiver:
        pair = monitors(receiver.url)
        thresholds(pair[0], RAISE)
        until("the first attempt, which is never answered", lambda: len(receiver.requests) == 1)
        dead, = [d for d in pair if DELIVERS in d.log()]
        other, = [d for d in pair if d is not dead]
        dead.kill(dead.process.pid)
        killed.set()
        until("the second attempt", lambda: len(receiver.requests) == 2, 30)
        until("the delivery", lambda: delivery(other)["state"] == "delivered")
        assert receiver.requests[0][2] == receiver.requests[1][2] and len(alerts(other)) == 1
        thresholds(other, CLEAR)
        until("the clearing", lambda: receiver.types() == [RAISED, RAISED, CLEARED], 20)
        assert all(verify(SECRET, headers, body) for _, headers, body in receiver.requests)
