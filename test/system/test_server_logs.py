"""A server's log: what a client can read in it, and that it contains no noise of the program itself."""
import re

from lucid import SERVERS, XRDP
from proc import until


def lines_of(d, sid, query="?lines=500"):
    return d.admin.get(f"{SERVERS}/{sid}/logs{query}")["lines"]


def test_a_fresh_server_has_no_errors_and_no_connections_in_its_log(daemon):
    sid = daemon.admin.create_server("quiet")["server_id"]
    for again in (False, True):
        if again:
            daemon.admin.post(f"{SERVERS}/{sid}/restart?wait=true")
        started = 1 + again
        until("both daemons to have said that they started", lambda: sum(
            "starting xrdp with" in line for line in lines_of(daemon, sid)) == started and any("starting xrdp-sesman with" in line for line in lines_of(daemon, sid)))
        lines = lines_of(daemon, sid)
        assert sum("listening to port" in line for line in lines) == started, lines
        assert not [line for line in lines if re.search(r"\[(ERROR|WARN )\]|connection received", line)], "\n".join(lines)
    whole = daemon.admin.call("GET", f"{SERVERS}/{sid}/log-file").text
    assert "listening to port" in whole and "[ERROR]" not in whole and "connection received" not in whole, whole


def test_each_line_names_its_log(daemon, users, login):
    user, = users(1, daemon)
    server = daemon.admin.create_server("sources")
    sid = server["server_id"]
    login(daemon, server, user)
    until("a desktop", lambda: daemon.admin.desktops(sid), 30)
    own, host = f"{SERVERS}/{sid}/logs?lines=500", f"{XRDP}/instances/{sid}/logs?lines=500"
    for path in (own, host, host + "&level=info", host + "&from=2020-01-01T00:00:00Z"):
        answer = daemon.admin.get(path)
        assert len(answer["sources"]) == len(answer["lines"]) > 10, answer
        for line, source in zip(answer["lines"], answer["sources"]):
            if "starting xrdp with" in line or "listening to port" in line:
                assert source == "xrdp", line
            elif "starting xrdp-sesman with" in line or "session started" in line:
                assert source == "sesman", line
        assert {"xrdp", "sesman"} <= set(answer["sources"]) <= {"xrdp", "sesman", "desktops"}, answer
    last = daemon.admin.get(f"{SERVERS}/{sid}/logs?lines=1")
    assert len(last["sources"]) == len(last["lines"]) == 1
    never = daemon.admin.create_server("never ran", wait=False, auto_start=False)["server_id"]
    answer = daemon.admin.get(f"{SERVERS}/{never}/logs")
    assert answer["lines"] == answer["sources"] == []


def test_output_of_desktops_has_the_source_desktops(make_daemon, users, login):
    d = make_daemon(DESKTOP_PROFILES="bad=echo the desktop cannot go on; exit 3", DESKTOP_DEFAULT="bad")
    user, = users(1, d)
    server = d.admin.create_server("says")
    login(d, server, user)

    def said():
        answer = d.admin.get(f"{SERVERS}/{server['server_id']}/logs?lines=500")
        return [source for line, source in zip(answer["lines"], answer["sources"]) if "the desktop cannot go on" in line]
    assert set(until("what the desktop said", said, 30)) == {"desktops"}
