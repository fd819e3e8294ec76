// The life of a server with the client that @hey-api/openapi-ts generated: node life.js URL TOKEN. It is compiled in strict mode, which
// also checks the types of the client.
import { client } from './client.gen';
import {
  rdpServersConnection, rdpServersCreate, rdpServersDelete, rdpServersGet, rdpServersList, rdpServersPut, rdpServersRdpFile, rdpServersStatus,
  rdpServersStop,
} from './sdk.gen';
import type { Server, ServerChange } from './types.gen';

declare const process: { argv: string[]; exitCode: number };

function must(holds: unknown, what: unknown): asserts holds {
  if (!holds) throw new Error(JSON.stringify(what));
}

async function life(url: string, token: string): Promise<void> {
  client.setConfig({ baseUrl: url, auth: () => token });
  const made = await rdpServersCreate({ body: { name: 'made by typescript', limits: { tasks: 200 } }, query: { wait: true } });
  must(made.data, made.error);
  const server: Server = made.data;
  must(server.server_id && server.status === 'running' && server.limits?.tasks === 200, server);
  const path = { server_id: server.server_id };
  const state = await rdpServersStatus({ path });
  must(state.data?.status === 'running' && state.data.pids?.xrdp, state);

  const got = await rdpServersGet({ path });
  must(got.data, got.error);
  // what was read is sent back with one member changed
  const change: ServerChange = { ...got.data, description: 'changed by typescript' };
  const changed = await rdpServersPut({ path, body: change });
  must(changed.data?.description === 'changed by typescript', changed.error);
  const refused = await rdpServersPut({ path, body: { limits: { memory_mb: 1 } } });
  must(refused.error?.error.details[0]?.field === 'limits.memory_mb', refused);

  const page = await rdpServersList({ query: { q: 'BY TYPESCRIPT', port: server.port } });
  must(page.data?.servers?.length === 1 && page.data.servers[0]?.server_id === server.server_id, page.data);
  const connection = await rdpServersConnection({ path });
  must(connection.data?.port === server.port, connection);
  const file = await rdpServersRdpFile({ path, query: { username: 'anna' } });
  must(file.data instanceof Blob && (await file.data.text()).includes('username:s:anna\r\n'), file.error);

  const stopped = await rdpServersStop({ path, query: { wait: true } });
  must(stopped.data?.status === 'stopped', stopped.error);
  const gone = await rdpServersDelete({ path });
  must(gone.response.status === 204, gone.error);
  const missing = await rdpServersGet({ path });
  must(missing.response.status === 404 && missing.error?.error.code === 'LUCID_ERR_2001', missing);
}

life(process.argv[2] ?? '', process.argv[3] ?? '').then(
  () => console.log('lived'),
  (e) => {
    console.error(e);
    process.exitCode = 1;
  },
);
