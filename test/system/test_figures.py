"""Machine-readable output: metrics, the description of the API, and that every listener serves all of it."""
import json
import os
import re
import shutil
import subprocess
import time

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

import proc
from lucid import ROLES, SERVERS, XRDP, free_ports
from proc import until

RDP = "/api/v1/rdp"
GIVEN = {"rdp_servers_total", "rdp_sessions_total"}  # gauges whose given names end in _total
NAMES = """rdp_requests_total rdp_request_duration_seconds rdp_servers_total rdp_servers_created_total rdp_servers_deleted_total
rdp_calls_total rdp_call_duration_seconds rdp_store_queue_depth rdp_store_operations_total rdp_store_operation_seconds
rdp_rate_limited_total rdp_auth_failures_total rdp_ports_in_use rdp_instance_starts_total rdp_instance_restarts_total
rdp_instance_start_seconds rdp_loop_lag_seconds rdp_log_lines_dropped_total rdp_http_connections process_cpu_seconds_total process_resident_memory_bytes
process_open_fds process_start_time_seconds build_info""".split()
# the operations of the two roles in api.md, with a valid request for each; {sid} is a running server, {other} a stopped one
MANAGER = [
    ("GET", RDP + "/servers"), ("POST", RDP + "/servers"), ("GET", RDP + "/servers/{server_id}"), ("PUT", RDP + "/servers/{server_id}"),
    ("PATCH", RDP + "/servers/{server_id}"), ("POST", RDP + "/servers/{server_id}/start"), ("POST", RDP + "/servers/{server_id}/restart"),
    ("GET", RDP + "/servers/{server_id}/status"), ("GET", RDP + "/servers/{server_id}/config"), ("GET", RDP + "/servers/{server_id}/logs"),
    ("GET", RDP + "/servers/{server_id}/connection"), ("GET", RDP + "/servers/{server_id}/rdp-file"), ("GET", RDP + "/ports"),
    ("GET", RDP + "/nodes"), ("GET", RDP + "/nodes/{node}"), ("PUT", RDP + "/nodes/{node}"),
    ("POST", RDP + "/servers/{server_id}/stop"), ("DELETE", RDP + "/servers/{server_id}")]
AGENT = [
    ("GET", XRDP + "/service"), ("GET", XRDP + "/service/status"), ("GET", XRDP + "/desktops"), ("GET", XRDP + "/instances"),
    ("POST", XRDP + "/instances"), ("GET", XRDP + "/instances/{server_id}"), ("GET", XRDP + "/instances/{server_id}/connections"),
    ("DELETE", XRDP + "/instances/{server_id}/connections/{id}"), ("GET", XRDP + "/instances/{server_id}/desktops"),
    ("DELETE", XRDP + "/instances/{server_id}/desktops/{display}"), ("GET", XRDP + "/stats"), ("GET", XRDP + "/instances/{server_id}/stats"),
    ("GET", XRDP + "/logs"), ("DELETE", XRDP + "/instances/{server_id}")]
SAMPLED = {"rdp_cpu_usage_percent", "rdp_memory_usage_percent", "rdp_network_in_kbps", "rdp_network_out_kbps"}  # of each server
OPENMETRICS = "application/openmetrics-text; version=1.0.0"


def families(text, parse=parse_text):
    return {f.name: f for f in parse(text)}


def value(text, sample, **labels):
    return sum(s.value for f in families(text).values() for s in f.samples
               if s.name == sample and all(s.labels.get(k) == v for k, v in labels.items()))


def metrics(d, role=ROLES[0], **headers):
    return d.api(None, role).call("GET", "/metrics", headers=headers, expect=200)


def busy(d):
    """Some of every kind of operation, so that every metric has a value."""
    server = d.admin.create_server('with "quotes"')
    other = d.admin.create_server("stopped", wait=False, auto_start=False)
    d.admin.get(SERVERS + "?q=with")
    d.api(None).call("GET", SERVERS, expect=401)
    d.api(None).call("GET", "/no/such/route", expect=404)
    d.admin.call("POST", SERVERS, "{", expect=400)
    return server, other


def promtool(text):
    """Fails if promtool finds more in a page than the two given names."""
    assert shutil.which("promtool"), "Debian's package prometheus has it"
    r = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, timeout=30, check=False)
    found = [line for line in (r.stdout + r.stderr).splitlines() if line.strip()]
    assert all(line.split(" ", 1)[0] in GIVEN and "_total" in line for line in found), found


def pages(d, **headers):
    """The page of each role: with one process, the same one four times."""
    return [metrics(d, role, **headers).text for role in ROLES]


def of_server(page, server, parse=parse_text):
    """The names of the samples about a server."""
    return {s.name for f in families(page, parse).values() for s in f.samples if server["server_id"] in s.labels.values()}


@pytest.mark.shapes
def test_figures_of_a_used_server_pass_promtool_and_disappear_with_it(make_daemon, users, login):
    d = make_daemon(METRICS_INTERVAL="1")
    user, = users(1, d)
    user.paint("#3366cc")
    used, other = d.admin.create_server("used"), d.admin.create_server("other")
    login(d, used, user).wait_colour("#3366cc")
    until("the figures of both", lambda: all(any(SAMPLED <= of_server(p, s) for p in pages(d)) for s in (used, other)))
    until("the session", lambda: any(value(p, "rdp_sessions_total", status="active") == 1 for p in pages(d)))
    for page in pages(d):
        promtool(page)
        assert user.name not in page
    for page in pages(d, Accept=OPENMETRICS):
        assert page.endswith("# EOF\n") and families(page, parse_openmetrics)
    assert any(SAMPLED <= of_server(p, used, parse_openmetrics) for p in pages(d, Accept=OPENMETRICS))
    d.admin.delete(f"{SERVERS}/{used['server_id']}?force=true")
    until("the series of the deleted server to disappear", lambda: not any(of_server(p, used) for p in pages(d)))
    assert any(SAMPLED <= of_server(p, other) for p in pages(d))
    until("the end of the session", lambda: not any(value(p, "rdp_sessions_total", status="active") for p in pages(d)))
    for page in pages(d):
        promtool(page)


def test_promtool_and_openmetrics(daemon):
    busy(daemon)
    page = metrics(daemon)
    assert page.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    promtool(page.text)
    open_page = metrics(daemon, Accept=OPENMETRICS)
    assert open_page.headers["Content-Type"].startswith("application/openmetrics-text")
    assert open_page.text.endswith("# EOF\n")
    # (the two gauges that end in _total are not valid OpenMetrics names; the parser accepts them)
    found = families(open_page.text, parse_openmetrics)
    assert set(found) >= {"rdp_requests", "rdp_calls", "process_resident_memory_bytes"}
    assert (found["rdp_request_duration_seconds"].unit, found["process_resident_memory_bytes"].unit, found["process_cpu_seconds"].unit) == ("seconds", "bytes", "seconds")


@pytest.mark.shapes
def test_openmetrics_has_the_ids_of_requests_as_exemplars(daemon):
    path, ids = SERVERS + "/nobody", ("tr\u00e4ce", 'a "quoted" \\ one', "x" * 65, "0af7651916cd43dd8448eb211c80319c")

    def exemplars():
        page = metrics(daemon, Accept=OPENMETRICS).text
        return [s.exemplar for s in families(page, parse_openmetrics)["rdp_request_duration_seconds"].samples
                if s.exemplar and s.labels["endpoint"] == SERVERS + "/{server_id}"]
    for wanted in ids:
        answer = daemon.admin.call("GET", path, headers={"X-Request-ID": wanted.encode()}, expect=422)
        told = answer.headers["X-Request-ID"]
        assert told in {e.labels["request_id"] for e in exemplars()}, (told, exemplars())
    assert told == ids[-1]
    for e in exemplars():
        assert set(e.labels) == {"request_id"} and 0 < e.value < 60 and abs(float(e.timestamp) - time.time()) < 600
    # the other format has no place for them
    text = metrics(daemon).text
    assert told not in text and "# UNIT" not in text


@pytest.mark.one_shape("the figures and the log of a process")
def test_metrics_exist(daemon):
    server, _ = busy(daemon)
    proc.kill_one(daemon.admin.instance(server["server_id"])["pids"]["xrdp"])
    until("a restart", lambda: daemon.admin.instance(server["server_id"])["restarts"] == 1)
    daemon.admin.delete(f"{SERVERS}/{server['server_id']}", expect=204)
    page = metrics(daemon).text
    there = {s.name for f in families(page).values() for s in f.samples} | set(re.findall(r"^# TYPE (\S+)", page, re.M))
    assert not [n for n in NAMES if n not in there]
    assert value(page, "rdp_servers_created_total") == 2 and value(page, "rdp_servers_deleted_total") == 1
    assert value(page, "rdp_servers_total", status="stopped") == 1 and value(page, "rdp_servers_total", status="running") == 0
    assert value(page, "rdp_ports_in_use") == 1
    assert value(page, "rdp_instance_starts_total") == 1 and value(page, "rdp_instance_restarts_total", process="xrdp") == 1
    assert value(page, "rdp_instance_start_seconds_count") == 1
    assert value(page, "rdp_requests_total", service=ROLES[0], endpoint=RDP + "/servers", method="POST", status="201") == 2
    assert value(page, "rdp_auth_failures_total") == 1
    # the route template, never the requested path
    assert server["server_id"] not in page and "/no/such/route" not in page


@pytest.mark.parametrize("role", ROLES)
def test_every_listener(daemon, role):
    nobody = daemon.api(None, role)
    for path in ("/health", "/health/live", "/health/ready", "/metrics", "/openapi.json"):
        got = nobody.call("GET", path, expect=200)
        head = nobody.call("HEAD", path, expect=200)
        assert head.content == b"" and head.headers["Content-Type"] == got.headers["Content-Type"]
        assert int(head.headers["Content-Length"]) > 0
        options = nobody.call("OPTIONS", path, expect=(200, 204))
        assert {"GET", "HEAD", "OPTIONS"} <= {m.strip() for m in options.headers["Allow"].split(",")}
        assert "GET" in nobody.call("DELETE", path, expect=405).headers["Allow"]
        assert nobody.call("GET", path + "/", expect=200)
    assert nobody.get("/health")["service"] == role
    assert nobody.get("/")["service"] == role


def test_metrics_on_a_separate_port(make_daemon):
    port = free_ports(1)
    d = make_daemon(PROMETHEUS_ENABLED="true", PROMETHEUS_PORT=str(port), METRICS_PUBLIC="false")
    own = d.api(None)
    own.base = f"http://127.0.0.1:{port}"
    assert "rdp_requests_total" in own.call("GET", "/metrics", expect=200).text
    own.call("GET", SERVERS, expect=404)
    assert d.api(None).call("GET", "/metrics").status_code in (401, 403, 404)
    assert "build_info" in d.admin.call("GET", "/metrics", expect=200).text


def refs(node):
    if isinstance(node, dict):
        for key, item in node.items():
            if key == "$ref":
                yield item
            else:
                yield from refs(item)
    elif isinstance(node, list):
        for item in node:
            yield from refs(item)


@pytest.mark.one_shape("the description of a process")
def test_openapi(daemon):
    doc = daemon.api(None).get("/openapi.json")
    assert doc["openapi"].startswith("3.1") and doc["info"]["version"]
    for method, path in MANAGER + AGENT:
        assert method.lower() in doc["paths"].get(path, {}), f"{method} {path}"
    ids = []
    for path, item in doc["paths"].items():
        for method, op in item.items():
            if method == "parameters":
                continue
            ids.append(op["operationId"])
            assert op["responses"], path
            named = {p["name"] for p in op.get("parameters", []) + item.get("parameters", []) if p.get("in") == "path"}
            assert named == set(re.findall(r"{(\w+)}", path)), f"{method} {path}: {named}"
    assert len(ids) == len(set(ids))
    for ref in set(refs(doc)):
        at = doc
        for step in ref.removeprefix("#/").split("/"):
            assert step in at, ref
            at = at[step]


def test_every_documented_path_answers(daemon):
    """Every described operation exists: a valid request to it is answered with neither 404, 405 nor 5xx. What does not exist (a connection, a
    display) is answered with a 404 of its own code, from behind the route."""
    admin = daemon.admin
    server, other = busy(daemon)
    bodies = {("POST", RDP + "/servers"): {"name": "made", "auto_start": False}, ("PUT", RDP + "/nodes/{node}"): {"labels": ["a=b"]},
              ("PUT", RDP + "/servers/{server_id}"): {"description": "x"}, ("PATCH", RDP + "/servers/{server_id}"): {"tags": ["x"]}}
    for method, template in [p for p in MANAGER if "{" not in p[1] or p[0] in ("GET", "PUT", "PATCH")] + AGENT + MANAGER[-2:]:
        sid = other["server_id"] if method in ("PUT", "PATCH") else server["server_id"]
        path = template.format(server_id=sid, node="testnode", id="1-1", display="77")
        body = bodies.get((method, template))
        if template == XRDP + "/instances" and method == "POST":
            r = admin.call(method, path, {"server_id": "not one"})
            assert r.status_code == 422, r.text
            continue
        r = admin.call(method, path, body)
        absent = "{id}" in template or "{display}" in template
        if absent:
            assert r.status_code in (404, 422) and r.json()["error"]["code"] not in ("LUCID_ERR_0006", "LUCID_ERR_0007"), f"{path}: {r.text}"
        else:
            assert r.status_code < 400, f"{method} {path}: {r.status_code} {r.text}"
    for path in ("start", "restart", "stop"):
        assert admin.call("POST", f"{SERVERS}/{other['server_id']}/{path}?wait=true").status_code in (200, 202)


@pytest.mark.one_shape("the figures and the log of a process")
@pytest.mark.parametrize("form", ["json", "text"])
def test_log_file_has_the_lines_of_both_processes(make_daemon, tmp_path, form):
    os.chmod(tmp_path, 0o755)
    target = tmp_path / "the.log"
    d = make_daemon(LOG_TARGET=str(target), LOG_FORMAT=form)
    sid = d.admin.create_server("logged", auto_start=False, wait=False)["server_id"]
    d.admin.get(f"{SERVERS}/{sid}", headers={"X-Request-ID": "a-request-of-ours"})

    def lines(word):
        return [line for line in target.read_text().splitlines() if word in line]
    until("the request in the file", lambda: lines("a-request-of-ours"), 5)
    access, daemon = lines("a-request-of-ours")[0], lines("sockets open")[0]
    if form == "json":
        row = json.loads(access)
        assert {"time", "level", "service", "message", "method", "endpoint", "status", "duration_ms", "bytes", "principal",
                "client", "request_id"} <= set(row)
        assert (row["endpoint"], row["status"], row["principal"]) == (SERVERS + "/{server_id}", 200, "admin")
        assert json.loads(daemon)["service"] == "daemon"
    else:
        assert re.match(r"\d{4}-\d\d-\d\dT[\d:.]+Z - rdp-server-manager - INFO - GET ", access)
        assert re.match(r"\S+Z - daemon - INFO - ", daemon)
    # a server that is restarted continues in the same file
    was = d.server_pid()
    d.kill(was)
    until("a new server", lambda: d.server_pid() not in (None, was), 5)
    until("its lines", lambda: len(lines("roles ready")) == 2, 10)


@pytest.mark.one_shape("the figures and the log of a process")
def test_log_file_is_rotated(make_daemon, tmp_path):
    """It is in a directory of root, in which RUN_USER cannot create files."""
    os.chmod(tmp_path, 0o755)
    target, before = tmp_path / "the.log", tmp_path / "the.log.1"
    target.write_bytes(b"x" * ((10 << 20) - 3000) + b"\n")
    d = make_daemon(LOG_TARGET=str(target))
    api = d.admin

    def ask_until(what, check):
        until(what, lambda: (api.call("GET", SERVERS), check())[1])
    ask_until("the first change", lambda: before.exists() and before.stat().st_size > (10 << 20) - 4000)
    assert target.stat().st_size < 1 << 20 and before.read_bytes().startswith(b"xxx")
    pid = d.server_pid()
    d.kill(pid)
    until("a new server", lambda: d.server_pid() not in (None, pid) and d.ready())
    with open(target, "ab") as f:
        f.write(b"y" * ((10 << 20) - target.stat().st_size - 2000) + b"\n")
    ask_until("the second change", lambda: before.read_bytes()[-3000:].count(b"y") and target.stat().st_size < 1 << 20)
    assert (tmp_path / "the.log.2").read_bytes().startswith(b"xxx")
    assert os.stat(before).st_uid == proc.uids(d.server_pid())[0]


def test_reference_page_lists_every_metric(make_daemon, make_redis):
    """The page is printed while nothing runs, and printing creates no files."""
    d = make_daemon(REDIS_URL=make_redis().url())
    d.admin.create_server("figured", auto_start=False, wait=False)
    page = d.run("reference", "metrics")
    assert page.returncode == 0 and not page.stderr
    named = set(re.findall(r"^\| `(\w+)` \|", page.stdout, re.M))
    shown = set(re.findall(r"^# TYPE (\w+) ", d.api(None).call("GET", "/metrics").text, re.M))
    assert shown and shown <= named, shown - named
