"""The metrics as a real Prometheus has them after it has scraped them."""
import pytest

from lucid import ROLES, SERVERS
from prometheus import Prometheus
from proc import until


def total(p, text):
    return sum(p.query(text).values())


@pytest.mark.shapes
def test_figures_of_a_session_are_scraped_and_queried_back(make_daemon, users, login):
    d = make_daemon(METRICS_INTERVAL="1")
    user, = users(1, d)
    user.paint("#3366cc")
    server = d.admin.create_server("scraped")
    one = f'{{server_id="{server["server_id"]}"}}'
    with Prometheus([f"127.0.0.1:{d.ports[role]}" for role in ROLES], d.admin.token) as p:
        until("all roles to be scraped", lambda: list(p.query("up").values()) == [1.0] * len(ROLES), 30)
        client = login(d, server, user)
        client.wait_colour("#3366cc")
        # in one process, each port has the same page
        until("the session", lambda: max(p.query('rdp_sessions_total{status="active"}').values(), default=0) == 1, 30)
        until("its memory", lambda: max(p.query(f"rdp_memory_usage_percent{one}").values(), default=0) > 0, 30)
        until("a sent picture", lambda: max(p.query(f"max_over_time(rdp_network_out_kbps{one}[1m])").values(), default=0) > 0, 30)
        until("its requests", lambda: total(p, "rate(rdp_requests_total[30s])") > 0, 30)
        d.admin.delete(f"{SERVERS}/{server['server_id']}?force=true")
        until("the series of the deleted server to disappear", lambda: not p.query(f'{{server_id="{server["server_id"]}"}}'), 30)
        until("the end of the session", lambda: total(p, 'rdp_sessions_total{status="active"}') == 0, 30)
