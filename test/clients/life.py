"""The life of a server with the client that openapi-python-client generated: life.py URL TOKEN DIRECTORY."""
import sys

url, token, where = sys.argv[1:]
sys.path.insert(0, where)

from lucid_rdp_client import AuthenticatedClient  # noqa: E402
from lucid_rdp_client.api.rdp_server_manager import (  # noqa: E402
    rdp_servers_connection, rdp_servers_create, rdp_servers_delete, rdp_servers_get, rdp_servers_list, rdp_servers_put, rdp_servers_rdp_file,
    rdp_servers_status, rdp_servers_stop)
from lucid_rdp_client.models import ApiError, Limits, Server, ServerChange, ServerCreate, ServerList, ServerState  # noqa: E402

client = AuthenticatedClient(base_url=url, token=token, timeout=40)

server = rdp_servers_create.sync(client=client, body=ServerCreate(name="made by python", limits=Limits(tasks=200)), wait=True)
assert isinstance(server, Server) and server.status == "running" and server.limits.tasks == 200, server
state = rdp_servers_status.sync(server.server_id, client=client)
assert isinstance(state, ServerState) and state.status == "running" and state.pids.xrdp, state

got = rdp_servers_get.sync(server.server_id, client=client)
assert isinstance(got, Server) and got == server, got

# what was read is sent back with one member changed
change = ServerChange.from_dict({**got.to_dict(), "description": "changed by python"})
changed = rdp_servers_put.sync(server.server_id, client=client, body=change)
assert isinstance(changed, Server) and changed.description == "changed by python" and changed.version > got.version, changed
refused = rdp_servers_put.sync(server.server_id, client=client, body=ServerChange.from_dict({"status": "stopped"}))
assert isinstance(refused, ApiError) and refused.error.details[0].field == "status", refused

page = rdp_servers_list.sync(client=client, q="BY PYTHON", port=server.port)
assert isinstance(page, ServerList) and [s.server_id for s in page.servers] == [server.server_id], page
assert rdp_servers_connection.sync(server.server_id, client=client).port == server.port
file = rdp_servers_rdp_file.sync(server.server_id, client=client, username="anna")
assert b"username:s:anna\r\n" in file.payload.read(), file

stopped = rdp_servers_stop.sync(server.server_id, client=client, wait=True)
assert isinstance(stopped, Server) and stopped.status == "stopped", stopped
gone = rdp_servers_delete.sync_detailed(server.server_id, client=client)
assert gone.status_code == 204, gone
missing = rdp_servers_get.sync_detailed(server.server_id, client=client)
assert missing.status_code == 404 and missing.parsed.error.code == "LUCID_ERR_2001", missing
print("lived")
