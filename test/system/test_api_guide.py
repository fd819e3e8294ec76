"""docs/api-guide.md matches the program: the page is generated again from one request to each operation and compared with the file.
API_GUIDE=write writes the file."""
import difflib
import os

import pytest
import requests
from api_guide import Guide
from lucid import ROOT, SERVERS, XRDP
from own_host import OwnHost
from proc import until

PAGE = os.path.join(ROOT, "docs/api-guide.md")


def first_event(d, act):
    """What /events sends about the effects of `act`."""
    with requests.get(d.url() + "/events?topics=server.updated", headers={"Authorization": f"Bearer {d.admin.token}"}, stream=True, timeout=20) as r:
        lines, text = r.iter_lines(chunk_size=1, decode_unicode=True), []
        r.encoding = "utf-8"
        act()
        for line in lines:
            if line.startswith(("id:", "event:", "data:")):
                text.append(line)
            if line.startswith("data:"):
                break
        text = text[-3:]  # an id without data marks the position in the stream
        r._content, r._content_consumed = "\n".join(text).encode(), True  # pylint: disable=protected-access
        return r


@pytest.mark.one_shape("the description of a process")
def test_api_guide_matches_the_programs_responses(make_daemon, users, login):
    host = OwnHost()
    account, = users(1)
    d = make_daemon(start=False, XRDP_LOG_PATH=host.log, LOGIN_TIMEOUT="0", NODE_NAME="node-1", NODE_PUBLIC_HOST="rdp.example.org", RDP_USER_MAP=f"anna={account.name}")
    d.wrap = host.wrap()
    d.start()
    d.accounts = [account]
    try:
        record(d, account, login)
    finally:
        for client in d.clients:
            client.close()
        d.admin.call("POST", f"{XRDP}/service/stop")
        host.end()


def record_alerts(admin, ask):
    base = "/api/v1/resources"
    ask("resources_thresholds_get", "GET", f"{base}/thresholds")
    ask("resources_thresholds_put", "PUT", f"{base}/thresholds", {"hold_seconds": 0, "hysteresis": 0, "global": {"memory_percent": 1}})
    alert = until("an alert", lambda: admin.get(f"{base}/alerts?kind=node")["alerts"], 60)[0]
    ask("resources_alerts_list", "GET", f"{base}/alerts?state=open&kind=node")
    ask("resources_alerts_get", "GET", f"{base}/alerts/{alert['alert_id']}")
    ask("resources_alerts_acknowledge", "POST", f"{base}/alerts/{alert['alert_id']}/acknowledge")


def record_recordings(ask, user, admin, session):
    """A recording of the session, over the controller and as the agent has it."""
    sessions = f"/api/v1/sessions/{session['session_id']}"
    rid = user("sessions_recording_start", "POST", f"{sessions}/recording/start", {"frame_rate": 10, "chunk_seconds": 30}).json()["recording_id"]
    until("a chunk", lambda: admin.get(f"{sessions}/chunks")["chunks"], 20)
    ask("xrdp_recordings_list", "GET", f"{XRDP}/recordings")
    ask("xrdp_recordings_pause", "POST", f"{XRDP}/recordings/{rid}/pause")
    ask("xrdp_recordings_resume", "POST", f"{XRDP}/recordings/{rid}/resume")
    until("the state", lambda: admin.get(f"{sessions}/recording")["state"] == "recording", 20)
    user("sessions_recording_stop", "POST", f"{sessions}/recording/stop")
    until("the seal", lambda: admin.get(f"{sessions}/recording")["sealed_at"], 30)
    user("sessions_recording_get", "GET", f"{sessions}/recording")
    user("sessions_recordings", "GET", f"{sessions}/recordings?limit=1")
    user("sessions_pipeline", "GET", f"{sessions}/pipeline")
    user("sessions_chunks", "GET", f"{sessions}/chunks?limit=1")
    user("sessions_chunk", "GET", f"{sessions}/chunks/0")
    user("sessions_chunk_records", "GET", f"{sessions}/chunks/0/data?from=1000000000")
    user("sessions_recording_verify", "GET", f"{sessions}/recording/verify")
    user("sessions_recording_activity", "GET", f"{sessions}/recordings/{rid}/activity?step=60")
    export = user("sessions_recording_export", "GET", f"{sessions}/recording/export?format=mp4&fps=10").json()["id"]
    until("the export", lambda: admin.get(f"{sessions}/recording/export/{export}")["state"] == "done", 60)
    user("sessions_recording_export_job", "GET", f"{sessions}/recording/export/{export}")
    user("sessions_recording_export_file", "GET", f"{sessions}/recording/export/{export}/file")
    user("sessions_recording_export_cancel", "DELETE", f"{sessions}/recording/export/{export}")
    ask("xrdp_recordings_files", "GET", f"{XRDP}/recordings/{rid}?limit=1")
    ask("xrdp_recordings_file", "GET", f"{XRDP}/recordings/{rid}/files/00000000.rck?from=1000000000")
    ask("xrdp_recordings_write", "PUT", f"{XRDP}/recordings/{rid}/files/seal.json", {"text": "{…}"})
    desktop = admin.desktops(session["server_id"])[0]
    ask("xrdp_recordings_start", "POST", f"{XRDP}/recordings",
        {"recording_id": "0b2c5c0e-6d2b-4c8e-9a57-2f3a1d4e5f60", "server_id": session["server_id"], "display": desktop["display"],
         "started_at": desktop["started_at"], "manifest": "{}", "key": 43 * "A" + "=", "config": {"codec": "zstd", "frame_rate": 10}})
    ask("xrdp_recordings_stop", "POST", f"{XRDP}/recordings/0b2c5c0e-6d2b-4c8e-9a57-2f3a1d4e5f60/stop")
    ask("xrdp_recordings_remove", "DELETE", f"{XRDP}/recordings/0b2c5c0e-6d2b-4c8e-9a57-2f3a1d4e5f60")
    ask("sessions_recording_delete", "DELETE", f"{sessions}/recordings/{rid}")


def record(d, account, login):
    anna, admin = d.api("anna"), d.admin
    guide = Guide({account.name: "anna"})

    def ask(operation, method, path, body=None, api=admin):
        r = api.call(method, path, body)
        guide.add(operation, method, path, body, r)
        return r

    def user(operation, method, path, body=None):
        return ask(operation, method, path, body, anna)

    server = user("rdp_servers_create", "POST", f"{SERVERS}?wait=true", {
        "name": "studio", "description": "drawing", "tags": ["design"], "limits": {"memory_mb": 2048}, "security": {"allowed_users": [account.name]}}).json()
    sid, port = server["server_id"], server["port"]
    guide.names.update({f":{port}": ":13389", f"port={port}": "port=13389"})
    one, instance = f"{SERVERS}/{sid}", f"{XRDP}/instances/{sid}"
    user("rdp_servers_list", "GET", f"{SERVERS}?q=STU&port={port}")
    user("rdp_servers_get", "GET", one)
    user("rdp_servers_put", "PUT", one, {**anna.get(one), "description": "drawing and painting"})
    r = first_event(d, lambda: user("rdp_servers_patch", "PATCH", f"{one}?restart=true", {"limits": {"memory_mb": None}, "tags": ["design", "paint"]}))
    guide.add("events", "GET", "/events?topics=server.updated", None, r)
    for tail, name in (("status", "status"), ("config", "config"), ("logs?lines=1", "logs"), ("connection", "connection"), ("rdp-file", "rdp_file"),
                       ("log-file", "log_file")):
        user(f"rdp_servers_{name}", "GET", f"{one}/{tail}")
    ask("rdp_ports_list", "GET", "/api/v1/rdp/ports?status=allocated")
    ask("rdp_nodes_list", "GET", "/api/v1/rdp/nodes")
    ask("rdp_nodes_get", "GET", "/api/v1/rdp/nodes/node-1")
    ask("rdp_nodes_put", "PUT", "/api/v1/rdp/nodes/node-1", {"draining": False, "labels": ["room=b12"]})

    ask("xrdp_instances_start", "POST", f"{XRDP}/instances", {"server_id": sid, "name": "studio", "user_id": "anna", "port": port})
    client = login(d, server, account)
    until("a desktop with its client", lambda: [x for x in admin.desktops(sid) if x["status"] == "active"], 120)
    display = admin.desktops(sid)[0]["display"]
    guide.names[f"desktops/{display}"] = "desktops/20"
    ask("xrdp_instances_list", "GET", f"{XRDP}/instances")
    ask("xrdp_instances_get", "GET", instance)
    ask("xrdp_instances_config", "POST", f"{XRDP}/instances/config", {"server_id": sid, "name": "studio", "port": port})
    ask("xrdp_instances_logs", "GET", f"{instance}/logs?level=info&lines=1")
    ask("xrdp_instances_log_file", "GET", f"{instance}/log-file?source=sesman")
    ask("xrdp_instances_stats", "GET", f"{instance}/stats")
    until("the limits of its session", lambda: admin.desktops(sid)[0]["limits"]["disconnected_timeout"])
    ask("xrdp_instances_desktops", "GET", f"{instance}/desktops")
    ask("xrdp_instances_limits", "PUT", f"{instance}/limits", {"idle_timeout": 0, "disconnected_timeout": 0, "kill_disconnected": False})
    ask("xrdp_instances_desktops_limits", "PUT", f"{instance}/desktops/{display}/limits",
        {"started_at": admin.desktops(sid)[0]["started_at"], "idle_timeout": 0, "max_duration": 0, "disconnected_timeout": 3600})
    until("the connection to have its user", lambda: [x for x in admin.connections(sid) if x["username"]], 20)
    connection = [x for x in admin.connections(sid) if x["username"]][0]["id"]
    guide.names[connection] = "20480-1"
    ask("xrdp_instances_connections", "GET", f"{instance}/connections")
    session = until("its session", lambda: [x for x in anna.get("/api/v1/sessions")["sessions"] if x["connection_id"]], 20)[0]
    sessions = "/api/v1/sessions"
    user("sessions_list", "GET", f"{sessions}?status=active")
    user("sessions_get", "GET", f"{sessions}/{session['session_id']}")
    declared = user("sessions_create", "POST", sessions, {"server_id": sid, "name": "drawing", "limits": {"idle_timeout": 900},
                                                          "metadata": {"project": "bridge", "tags": ["cad"]}}).json()
    user("sessions_put", "PUT", f"{sessions}/{declared['session_id']}", {**declared, "description": "the new bridge"})
    user("sessions_patch", "PATCH", f"{sessions}/{declared['session_id']}", {"metadata": {"environment": "test"}})
    user("sessions_connection", "GET", f"{sessions}/{declared['session_id']}/connection")
    user("sessions_rdp_file", "GET", f"{sessions}/{declared['session_id']}/rdp-file")
    user("sessions_summary", "GET", f"{sessions}/summary")
    user("sessions_statistics", "GET", f"{sessions}/{session['session_id']}/statistics")
    record_recordings(ask, user, admin, session)
    user("sessions_message", "POST", f"{sessions}/{session['session_id']}/message", {"text": "Lunch is ready.", "level": "info"})
    ask("sessions_broadcast", "POST", f"{sessions}/broadcast?status=active", {"text": "This host restarts at 18:00.\nPlease save your work.", "level": "warning"})
    ask("sessions_terminate_many", "POST", f"{sessions}/terminate?status=created&dry_run=true", {"reason": "maintenance"})
    user("sessions_terminate", "POST", f"{sessions}/{declared['session_id']}/terminate", {"reason": "not needed"})
    user("sessions_timeline", "GET", f"{sessions}/{declared['session_id']}/timeline")
    user("sessions_delete", "DELETE", f"{sessions}/{declared['session_id']}")
    user("resources_usage", "GET", "/api/v1/resources/usage")
    user("resources_servers_usage", "GET", f"/api/v1/resources/servers/{sid}/usage")
    user("resources_servers_history", "GET", f"/api/v1/resources/servers/{sid}/history?metric=memory_bytes&step=300")
    ask("resources_nodes_history", "GET", "/api/v1/resources/nodes/node-1/history?metric=memory_bytes&step=300")
    session = anna.get("/api/v1/sessions")["sessions"][0]["session_id"]
    user("resources_sessions_usage", "GET", f"/api/v1/resources/sessions/{session}/usage")
    user("resources_sessions_history", "GET", f"/api/v1/resources/sessions/{session}/history?metric=memory_bytes&step=300")
    user("resources_top", "GET", "/api/v1/resources/top?by=memory&limit=1")
    ask("resources_nodes_usage", "GET", "/api/v1/resources/nodes/node-1/usage")
    record_alerts(admin, ask)
    ask("xrdp_stats", "GET", f"{XRDP}/stats")
    ask("xrdp_instances_connections_cut", "DELETE", f"{instance}/connections/{connection}")
    client.close()
    until("a desktop without client", lambda: [x for x in admin.desktops(sid) if x["status"] == "disconnected"], 20)
    ask("xrdp_instances_desktops_message", "POST", f"{instance}/desktops/{display}/message",
        {"text": "This host restarts at 18:00.\nPlease save your work.", "level": "warning"})
    ask("xrdp_instances_desktops_end", "DELETE", f"{instance}/desktops/{display}")
    until("no desktop", lambda: not admin.desktops(sid), 20)

    ask("xrdp_logs", "GET", f"{XRDP}/logs?source={sid}&lines=1")
    ask("xrdp_desktops", "GET", f"{XRDP}/desktops")
    ask("xrdp_info", "GET", f"{XRDP}/info")
    ask("xrdp_accounts_check", "POST", f"{XRDP}/accounts/check", {"name": account.name, "allowed_users": [account.name]})
    ask("xrdp_quotas", "PUT", f"{XRDP}/quotas", {"max_concurrent_sessions": 100, "max_sessions_per_user": 10, "elsewhere": 7,
                                                 "users": [{"user_id": "anna", "elsewhere": 6}],
                                                 "declared": [{"server_id": sid, "user_id": "anna", "sessions": 1}]})
    ask("xrdp_ports_check", "POST", f"{XRDP}/ports/check", {"ports": [port]})
    for action in ("start", "reload", "restart", "stop"):
        ask(f"xrdp_service_{action}", "POST", f"{XRDP}/service/{action}")
    ask("xrdp_service", "GET", f"{XRDP}/service")
    ask("xrdp_service_status", "GET", f"{XRDP}/service/status")
    ask("xrdp_config_get", "GET", f"{XRDP}/config")
    ask("xrdp_config_section", "GET", f"{XRDP}/config/Channels")
    ask("xrdp_config_validate", "POST", f"{XRDP}/config/validate", {"sections": {"Globals": {"max_bpp": 24}}})
    ask("xrdp_config_put", "PUT", f"{XRDP}/config", {"sections": {"Globals": {"max_bpp": 24}}})
    ask("xrdp_config_backups", "GET", f"{XRDP}/config/backups")
    ask("xrdp_config_rollback", "POST", f"{XRDP}/config/rollback", {})
    ask("xrdp_certificates_make", "POST", f"{XRDP}/certificates/self-signed", {"common_name": "node-1", "days": 365})
    ask("xrdp_certificates", "GET", f"{XRDP}/certificates")

    user("rdp_servers_restart", "POST", f"{one}/restart?wait=true")
    user("rdp_servers_stop", "POST", f"{one}/stop?wait=true")
    user("rdp_servers_start", "POST", f"{one}/start?wait=true")
    ask("xrdp_instances_stop", "DELETE", instance)
    user("rdp_servers_delete", "DELETE", f"{one}?force=true")
    ask("xrdp_logs_deleted", "GET", f"{XRDP}/logs/deleted")
    ask("xrdp_logs_deleted_get", "GET", f"{XRDP}/logs/deleted/{sid}?lines=1")
    until("the entry", lambda: admin.get("/api/v1/audit?action=rdp.servers.create")["entries"], 10)
    ask("audit_list", "GET", "/api/v1/audit?action=rdp.servers.create&limit=1")
    for operation, path in (("health", "/health"), ("health_live", "/health/live"), ("health_ready", "/health/ready"), ("metrics", "/metrics"),
                            ("openapi", "/openapi.json")):
        ask(operation, "GET", path, api=d.api(None))
    guide.add("root", "GET", "/", None, d.api(None).call("GET", "/", headers={"Accept": "application/json"}))

    doc = d.api(None).get("/openapi.json")
    missing = {op["operationId"] for item in doc["paths"].values() for op in item.values()} - set(guide.done)
    assert not missing, f"operations that this test does not ask for: {missing}"
    page = guide.page(doc)
    if os.environ.get("API_GUIDE") == "write":
        with open(PAGE, "w", encoding="utf-8") as f:
            f.write(page)
    with open(PAGE, encoding="utf-8") as f:
        there = f.read()
    assert page == there, "docs/api-guide.md is stale: run this test with API_GUIDE=write\n" + "\n".join(
        difflib.unified_diff(there.splitlines(), page.splitlines(), "docs/api-guide.md", "the program", lineterm=""))[:8000]
