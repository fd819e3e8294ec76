"""Thresholds, alerts and their webhook: what a real receiver gets, what it may do wrong, and what survives kill -9."""
import json
import os
import subprocess
import threading

import pytest

from events import Events
from lucid import AGENT, MANAGER, MONITOR, SERVERS
from proc import until
from webhook import Receiver, verify

BASE = "/api/v1/resources"
SECRET = "a-secret-of-the-webhook-with-32-bytes"
RAISED, CLEARED = "resource.alert.raised", "resource.alert.cleared"
# of every host more than one percent of the memory is in use, and less than 99
RAISE = {"hold_seconds": 0, "hysteresis": 0, "global": {"cpu_percent": 100, "disk_percent": 100, "memory_percent": 1}}
CLEAR = {"global": {"memory_percent": 99}}


@pytest.fixture
def monitored(make_daemon):
    """Starts the program with a webhook."""
    def start(url, **settings):
        return make_daemon(METRICS_INTERVAL="1", ALERT_WEBHOOK_URL=url, ALERT_WEBHOOK_SECRET=SECRET, **settings)
    return start


def monitor(d, who="admin"):
    return d.api(who, MONITOR)


def thresholds(d, body, expect=200, **more):
    return monitor(d).call("PUT", f"{BASE}/thresholds", body, expect=expect, **more)


def alerts(d, query="", who="admin"):
    return monitor(d, who).get(f"{BASE}/alerts{query}")["alerts"]


def delivery(d, event="raised"):
    found = alerts(d)
    return found[0][f"{event}_delivery"] if found else None


def refused(reply, field):
    fault = reply.json()["error"]
    assert fault["code"] == "LUCID_ERR_2302"
    assert [f["field"] for f in fault["details"]] == [field]


@pytest.mark.shapes
def test_alert_is_raised_posted_and_cleared(monitored):
    with Receiver() as receiver:
        d = monitored(receiver.url)
        with Events(d, "resource.alert.*") as events:
            thresholds(d, RAISE)
            until("the post", lambda: receiver.types() == [RAISED])
            assert events.next()["topic"] == RAISED
            alert, = alerts(d, "?state=open")
            assert alert["kind"] == "node" and alert["metric"] == "memory_percent" and alert["value"] > 1
            until("the delivery to be recorded", lambda: delivery(d)["state"] == "delivered")
            thresholds(d, CLEAR)
            until("the second post", lambda: receiver.types() == [RAISED, CLEARED])
        for _, headers, body in receiver.requests:
            assert verify(SECRET, headers, body) and headers["Content-Type"] == "application/json"
            assert not verify(SECRET + "x", headers, body) and not verify(SECRET, headers, body + b" ")
            assert not verify(SECRET, headers, body, now=int(headers["X-Lucid-Timestamp"]) + 3600)
        raised, cleared = receiver.events
        assert raised["data"]["alert_id"] == cleared["data"]["alert_id"] == alert["alert_id"]
        assert raised["id"] != cleared["id"] and cleared["data"]["reason"] == "below_threshold"
        until("the alert to be cleared", lambda: alerts(d)[0]["status"] == "cleared")
        assert not alerts(d, "?state=open")
        assert "not-to-be-logged" not in d.log()


@pytest.mark.shapes
def test_owner_sees_and_acknowledges_the_alert_of_a_server(make_daemon):
    d = make_daemon(METRICS_INTERVAL="1")
    server = d.api("anna").create_server("box", limits={"memory_mb": 64})
    never = {"cpu_percent": 100, "disk_percent": 100, "memory_percent": 100}
    thresholds(d, {"hold_seconds": 0, "hysteresis": 0, "global": never,
                   "servers": [{"server_id": server["server_id"], "memory_percent": 1}]})
    until("the alert", lambda: alerts(d, who="anna"))
    alert, = alerts(d, f"?server_id={server['server_id']}", "anna")
    assert alert["user_id"] == "anna" and alert["server_name"] == "box"
    path = f"{BASE}/alerts/{alert['alert_id']}"
    assert alerts(d, who="bob") == []
    monitor(d, "bob").get(path, expect=404)
    monitor(d, "bob").post(f"{path}/acknowledge", expect=404)
    seen = monitor(d, "anna").post(f"{path}/acknowledge", expect=200)
    assert seen["status"] == "acknowledged" and seen["acknowledged_by"] == "anna"
    assert [a["alert_id"] for a in alerts(d, "?state=acknowledged")] == [alert["alert_id"]]
    d.admin.delete(f"/api/v1/rdp/servers/{server['server_id']}?force=true")
    until("the alert of the deleted server to be cleared", lambda: alerts(d)[0]["status"] == "cleared")
    assert alerts(d)[0]["status_reason"] == "object_gone"
    monitor(d, "anna").post(f"{path}/acknowledge", expect=409)


@pytest.mark.shapes
def test_host_with_an_open_alert_takes_no_new_server(make_daemon):
    d = make_daemon(METRICS_INTERVAL="1", HEALTH_CHECK_INTERVAL="1")

    def shown():
        node, = d.admin.get("/api/v1/rdp/nodes")["nodes"]
        return node["alerts"]
    until("the manager to know that there is no alert", lambda: shown() == [])
    thresholds(d, RAISE)
    until("the manager to know of the alert", lambda: shown() == ["memory_percent"], 20)
    error = d.admin.call("POST", SERVERS, {"name": "refused"}, expect=429).json()["error"]
    assert error["code"] == "LUCID_ERR_2008" and "open alert for memory_percent" in error["message"]
    d.admin.call("POST", SERVERS, {"name": "stopped", "auto_start": False}, expect=201)
    alert, = alerts(d, "?state=open")
    monitor(d).post(f"{BASE}/alerts/{alert['alert_id']}/acknowledge", expect=200)
    d.admin.call("POST", SERVERS, {"name": "refused"}, expect=429)
    thresholds(d, CLEAR)
    until("the manager to know that it was cleared", lambda: shown() == [], 20)
    d.admin.create_server("placed")


@pytest.mark.one_shape("a process without rdp-resource-monitor")
def test_placement_without_a_monitor_says_so(make_daemon):
    d = make_daemon(roles=[MANAGER, AGENT])
    assert [n["alerts"] for n in d.admin.get("/api/v1/rdp/nodes")["nodes"]] == [None]
    d.admin.create_server("placed")
    until("the warning", lambda: "the open alerts of the nodes cannot be read" in d.log(), 60)


@pytest.mark.one_shape("the name of the only host of a store")
def test_alert_of_a_host_that_was_renamed_is_cleared(make_daemon):
    d = make_daemon(METRICS_INTERVAL="1", NODE_NAME="before")
    thresholds(d, RAISE)
    until("the alert", lambda: [a["node"] for a in alerts(d, "?state=open")] == ["before"])
    d.stop()
    d.settings["NODE_NAME"] = "after"
    d.start()
    until("the alert of the new name alone", lambda: [a["node"] for a in alerts(d, "?state=open")] == ["after"])
    gone, = alerts(d, "?node=before")
    assert gone["status"] == "cleared" and gone["status_reason"] == "object_gone"


@pytest.mark.shapes
def test_thresholds_are_checked_and_have_a_version(make_daemon):
    d = make_daemon()
    reply = monitor(d).call("GET", f"{BASE}/thresholds", expect=200)
    assert reply.json()["global"] == {"cpu_percent": 100, "memory_percent": 100, "disk_percent": 90}  # as MAX_CPU_USAGE, MAX_MEMORY_USAGE
    monitor(d, "anna").get(f"{BASE}/thresholds", expect=403)
    refused(thresholds(d, {"global": {"cpu_percent": 101}}, 422), "global.cpu_percent")
    refused(thresholds(d, {"global": {"disk_percent": 0}}, 422), "global.disk_percent")
    refused(thresholds(d, {"global": {"memory_percent": 5}}, 422), "global.memory_percent")
    refused(thresholds(d, {"hold_seconds": -1}, 422), "hold_seconds")
    refused(thresholds(d, {"hysteresis": 51}, 422), "hysteresis")
    one = "0b2c5c0e-6d2b-4c8e-9a57-2f3a1d4e5f60"
    refused(thresholds(d, {"servers": [{"server_id": one}, {"server_id": one}]}, 422), "servers[1].server_id")
    assert thresholds(d, {"global": {"load": 1}}, 422).json()["error"]["code"] == "LUCID_ERR_0005"
    tag = thresholds(d, {"hold_seconds": 30}).headers["ETag"]
    thresholds(d, {"hold_seconds": 31}, headers={"If-Match": tag})
    thresholds(d, {"hold_seconds": 32}, 412, headers={"If-Match": tag})
    full = monitor(d).get(f"{BASE}/thresholds")
    assert full["hold_seconds"] == 31
    assert thresholds(d, full).json()["hold_seconds"] == 31  # a document can be sent back as it was read


def test_failing_receiver_gets_the_event_again(monitored):
    with Receiver(500, 503, 200) as receiver:
        d = monitored(receiver.url)
        thresholds(d, RAISE)
        until("the third attempt", lambda: len(receiver.requests) == 3, 30)
        until("the delivery", lambda: delivery(d)["state"] == "delivered")
        assert delivery(d)["attempts"] == 3
        bodies = {body for _, _, body in receiver.requests}
        assert len(bodies) == 1, "each attempt posts the same document"
        assert len(alerts(d)) == 1


def test_redirect_is_not_followed(monitored):
    with Receiver(307, 302, 200) as receiver:
        d = monitored(receiver.url)
        thresholds(d, RAISE)
        until("the first attempt", lambda: (delivery(d) or {}).get("error"))
        assert "307" in delivery(d)["error"] and "redirects are not followed" in delivery(d)["error"]
        until("the delivery", lambda: delivery(d)["state"] == "delivered", 30)
        assert all(path.startswith("/hook") for path, _, _ in receiver.requests)


def test_slow_receiver_blocks_nothing(monitored):
    released = threading.Event()

    def slow(_handler):
        released.wait(60)
        return 200
    with Receiver(slow, 200) as receiver:
        d = monitored(receiver.url)
        server = d.admin.create_server("box", limits={"memory_mb": 64})
        thresholds(d, RAISE)
        until("both posts, though the first is not answered", lambda: len({e["data"]["server_id"] for e in receiver.events}) == 2)
        assert {e["data"]["server_id"] for e in receiver.events} == {None, server["server_id"]}
        held, = [a for a in alerts(d, "?state=raised") if a["raised_delivery"]["state"] == "pending"]
        monitor(d).post(f"{BASE}/alerts/{held['alert_id']}/acknowledge", expect=200)  # its strand is free meanwhile
        until("the attempt to time out", lambda: [a for a in alerts(d) if a["raised_delivery"]["error"]], 30)
        until("the repetition", lambda: not [a for a in alerts(d) if a["raised_delivery"]["state"] == "pending"], 30)
        released.set()


def certificate(folder):
    """A certificate for 127.0.0.1 that only its own file vouches for."""
    os.chmod(folder, 0o755)
    cert, key = os.path.join(folder, "cert.pem"), os.path.join(folder, "key.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=hook",
                    "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", cert], check=True, capture_output=True)
    return cert, key


def test_receiver_with_an_untrusted_certificate_gets_nothing(monitored, tmp_path):
    with Receiver(tls=certificate(tmp_path)) as receiver:
        d = monitored(receiver.url)
        thresholds(d, RAISE)
        until("two attempts", lambda: (delivery(d) or {}).get("attempts", 0) >= 2, 30)
        assert delivery(d)["state"] == "pending" and "certificate" in delivery(d)["error"]
        assert receiver.requests == []


def test_receiver_that_cannot_be_reached_gets_the_event_when_it_is_up(monitored):
    with Receiver() as first:
        port = first.port
    d = monitored(f"http://127.0.0.1:{port}/hook")
    thresholds(d, RAISE)
    until("a failed attempt", lambda: (delivery(d) or {}).get("error"))
    with Receiver(port=port) as receiver:
        until("the post", lambda: receiver.types() == [RAISED], 30)


@pytest.mark.one_shape("kill -9 of the server process beside its supervisor")
def test_alert_is_delivered_after_kill_9_between_raise_and_delivery(monitored):
    killed = threading.Event()

    def hang(_handler):
        killed.wait(60)
        return 200
    with Receiver(hang, 200) as receiver:
        d = monitored(receiver.url)
        thresholds(d, RAISE)
        until("the first attempt, which is never answered", lambda: len(receiver.requests) == 1)
        old = d.server_pid()
        d.kill(old)
        until("another server process", lambda: d.server_pid() not in (None, old))
        until("readiness", d.ready, 20)
        killed.set()
        until("the second attempt", lambda: len(receiver.requests) == 2, 30)
        until("the delivery", lambda: delivery(d)["state"] == "delivered")
        assert receiver.requests[0][2] == receiver.requests[1][2]
        assert len(alerts(d)) == 1, "the restart raises no second alert"
        thresholds(d, CLEAR)
        until("the clearing", lambda: receiver.types()[2:] == [CLEARED])


@pytest.mark.one_shape("settings of one process")
def test_webhook_without_a_secret_is_refused(make_daemon):
    d = make_daemon(start=False, ALERT_WEBHOOK_URL="http://127.0.0.1:1/hook")
    result = d.run("check-config")
    assert result.returncode != 0 and "ALERT_WEBHOOK_SECRET" in result.stdout + result.stderr
    d.settings.update(ALERT_WEBHOOK_SECRET="short")
    result = d.run("check-config")
    assert result.returncode != 0 and "at least 32 bytes" in result.stdout + result.stderr
    d.settings.update(ALERT_WEBHOOK_SECRET=SECRET, ALERT_WEBHOOK_URL="ftp://127.0.0.1/hook")
    assert d.run("check-config").returncode != 0
    d.settings.update(ALERT_WEBHOOK_URL="https://user:pw@127.0.0.1/hook")
    assert d.run("check-config").returncode != 0
    d.settings.update(ALERT_WEBHOOK_URL="https://127.0.0.1/hook")
    result = d.run("check-config")
    assert result.returncode == 0 and SECRET not in result.stdout + result.stderr


def test_deliveries_are_counted(monitored):
    with Receiver(500, 200) as receiver:
        d = monitored(receiver.url)
        thresholds(d, RAISE)
        until("the delivery", lambda: (delivery(d) or {}).get("state") == "delivered", 30)
        page = monitor(d).call("GET", "/metrics", expect=200).text
        assert 'rdp_alert_deliveries_total{outcome="failed"} 1\n' in page
        assert 'rdp_alert_deliveries_total{outcome="delivered"} 1\n' in page
        assert "rdp_alert_deliveries_pending 0\n" in page
        assert json.dumps(receiver.events[0]["data"]["alert_id"]) not in page, "labels are bounded"
