// Collections, validators and indexes of lucid-rdp, generated from its own tables (make docs; make lint compares). The program creates the
// indexes itself when it first opens a database. To prepare a database beforehand: mongosh mongodb://HOST/lucid_rdp mongo-init.js, or mount
// this file in /docker-entrypoint-initdb.d. Running it again is harmless. The field json holds the document; the other fields serve filters and sorts.

const target = db.getSiblingDB(process.env.MONGO_INITDB_DATABASE || (db.getName() === "test" ? "lucid_rdp" : db.getName()));

const collections = {
  rdp_servers: {
    fields: {
      status: { bsonType: "string" },
      user_id: { bsonType: "string" },
      node: { bsonType: "string" },
      name: { bsonType: "string" },
      port: { bsonType: ["long", "int"] },
      created_at: { bsonType: "string" },
      updated_at: { bsonType: "string" },
      tags: { bsonType: "array", items: { bsonType: "string" } },
      auto_start: { bsonType: ["long", "int"] },
    },
    indexes: [
      { name: "status", key: { status: 1, _id: 1 } },
      { name: "user_id", key: { user_id: 1, _id: 1 } },
      { name: "node", key: { node: 1, _id: 1 } },
      { name: "name", key: { name: 1, _id: 1 } },
      { name: "port", key: { port: 1, _id: 1 } },
      { name: "created_at", key: { created_at: 1, _id: 1 } },
      { name: "updated_at", key: { updated_at: 1, _id: 1 } },
      { name: "tags", key: { tags: 1 } },
      { name: "auto_start", key: { auto_start: 1, _id: 1 } },
      { name: "owner", key: { user_id: 1, created_at: 1, _id: 1 } },
      { name: "owner_newest", key: { user_id: 1, created_at: -1, _id: 1 } },
      { name: "newest", key: { created_at: -1, _id: 1 } },
    ],
  },
  rdp_sessions: {
    fields: {
      status: { bsonType: "string" },
      user_id: { bsonType: "string" },
      server_id: { bsonType: "string" },
      node: { bsonType: "string" },
      created_at: { bsonType: "string" },
      updated_at: { bsonType: "string" },
      metadata_project: { bsonType: "string" },
      metadata_environment: { bsonType: "string" },
      visible_to: { bsonType: "array", items: { bsonType: "string" } },
    },
    indexes: [
      { name: "status", key: { status: 1, _id: 1 } },
      { name: "user_id", key: { user_id: 1, _id: 1 } },
      { name: "server_id", key: { server_id: 1, _id: 1 } },
      { name: "node", key: { node: 1, _id: 1 } },
      { name: "created_at", key: { created_at: 1, _id: 1 } },
      { name: "updated_at", key: { updated_at: 1, _id: 1 } },
      { name: "metadata_project", key: { metadata_project: 1, _id: 1 } },
      { name: "metadata_environment", key: { metadata_environment: 1, _id: 1 } },
      { name: "visible_to", key: { visible_to: 1 } },
      { name: "owner", key: { user_id: 1, created_at: 1, _id: 1 } },
      { name: "owner_newest", key: { user_id: 1, created_at: -1, _id: 1 } },
      { name: "newest", key: { created_at: -1, _id: 1 } },
      { name: "project", key: { metadata_project: 1, metadata_environment: 1, _id: 1 } },
      { name: "status_newest", key: { status: 1, created_at: -1, _id: 1 } },
      { name: "server_newest", key: { server_id: 1, created_at: -1, _id: 1 } },
      { name: "viewer_newest", key: { visible_to: 1, created_at: -1, _id: 1 } },
    ],
  },
  session_events: {
    fields: {
      session_id: { bsonType: "string" },
      time: { bsonType: "string" },
    },
    indexes: [
      { name: "session_id", key: { session_id: 1, _id: 1 } },
      { name: "time", key: { time: 1, _id: 1 } },
      { name: "session_time", key: { session_id: 1, time: 1, _id: 1 } },
    ],
  },
  session_secrets: {
    fields: {
    },
    indexes: [
    ],
  },
  rdp_ports: {
    fields: {
      node: { bsonType: "string" },
      server_id: { bsonType: "string" },
      port: { bsonType: ["long", "int"] },
    },
    indexes: [
      { name: "node", key: { node: 1, _id: 1 } },
      { name: "server_id", key: { server_id: 1, _id: 1 } },
      { name: "port", key: { port: 1, _id: 1 } },
      { name: "place", key: { node: 1, port: 1, _id: 1 } },
    ],
  },
  rdp_names: {
    fields: {
      server_id: { bsonType: "string" },
    },
    indexes: [
      { name: "server_id", key: { server_id: 1, _id: 1 } },
    ],
  },
  nodes: {
    fields: {
      name: { bsonType: "string" },
      heartbeat_at: { bsonType: "string" },
    },
    indexes: [
      { name: "name", key: { name: 1, _id: 1 } },
      { name: "heartbeat_at", key: { heartbeat_at: 1, _id: 1 } },
    ],
  },
  audit_log: {
    fields: {
      time: { bsonType: "string" },
      actor: { bsonType: "string" },
      action: { bsonType: "string" },
      object: { bsonType: "string" },
      outcome: { bsonType: "string" },
    },
    indexes: [
      { name: "time", key: { time: 1, _id: 1 } },
      { name: "actor", key: { actor: 1, _id: 1 } },
      { name: "action", key: { action: 1, _id: 1 } },
      { name: "object", key: { object: 1, _id: 1 } },
      { name: "outcome", key: { outcome: 1, _id: 1 } },
      { name: "newest", key: { time: -1, _id: 1 } },
      { name: "actor_newest", key: { actor: 1, time: -1, _id: 1 } },
      { name: "action_newest", key: { action: 1, time: -1, _id: 1 } },
      { name: "object_newest", key: { object: 1, time: -1, _id: 1 } },
      { name: "outcome_newest", key: { outcome: 1, time: -1, _id: 1 } },
    ],
  },
  idempotency_keys: {
    fields: {
      expires_at: { bsonType: ["long", "int"] },
      expires: { bsonType: "date" },
    },
    indexes: [
      { name: "expires_at", key: { expires_at: 1, _id: 1 } },
      { name: "expires", key: { expires: 1 }, expireAfterSeconds: 0 },
    ],
  },
  leases: {
    fields: {
      holder: { bsonType: "string" },
    },
    indexes: [
      { name: "holder", key: { holder: 1, _id: 1 } },
    ],
  },
  resource_metrics: {
    fields: {
      series: { bsonType: "string" },
      node: { bsonType: "string" },
      start: { bsonType: ["long", "int"] },
      expires_at: { bsonType: ["long", "int"] },
      expires: { bsonType: "date" },
    },
    indexes: [
      { name: "series", key: { series: 1, _id: 1 } },
      { name: "node", key: { node: 1, _id: 1 } },
      { name: "start", key: { start: 1, _id: 1 } },
      { name: "expires_at", key: { expires_at: 1, _id: 1 } },
      { name: "series_start", key: { series: 1, start: 1, _id: 1 } },
      { name: "recent", key: { node: 1, start: 1, _id: 1 } },
      { name: "expires", key: { expires: 1 }, expireAfterSeconds: 0 },
    ],
  },
  resource_alerts: {
    fields: {
      status: { bsonType: "string" },
      user_id: { bsonType: "string" },
      kind: { bsonType: "string" },
      node: { bsonType: "string" },
      server_id: { bsonType: "string" },
      metric: { bsonType: "string" },
      raised_at: { bsonType: "string" },
      delivery: { bsonType: "string" },
    },
    indexes: [
      { name: "status", key: { status: 1, _id: 1 } },
      { name: "user_id", key: { user_id: 1, _id: 1 } },
      { name: "kind", key: { kind: 1, _id: 1 } },
      { name: "node", key: { node: 1, _id: 1 } },
      { name: "server_id", key: { server_id: 1, _id: 1 } },
      { name: "metric", key: { metric: 1, _id: 1 } },
      { name: "raised_at", key: { raised_at: 1, _id: 1 } },
      { name: "delivery", key: { delivery: 1, _id: 1 } },
      { name: "newest", key: { raised_at: -1, _id: 1 } },
      { name: "owner_newest", key: { user_id: 1, raised_at: -1, _id: 1 } },
    ],
  },
  resource_thresholds: {
    fields: {
    },
    indexes: [
    ],
  },
  rdp_recordings: {
    fields: {
      state: { bsonType: "string" },
      user_id: { bsonType: "string" },
      session_id: { bsonType: "string" },
      server_id: { bsonType: "string" },
      node: { bsonType: "string" },
      created_at: { bsonType: "string" },
      visible_to: { bsonType: "array", items: { bsonType: "string" } },
    },
    indexes: [
      { name: "state", key: { state: 1, _id: 1 } },
      { name: "user_id", key: { user_id: 1, _id: 1 } },
      { name: "session_id", key: { session_id: 1, _id: 1 } },
      { name: "server_id", key: { server_id: 1, _id: 1 } },
      { name: "node", key: { node: 1, _id: 1 } },
      { name: "created_at", key: { created_at: 1, _id: 1 } },
      { name: "visible_to", key: { visible_to: 1 } },
      { name: "session_newest", key: { session_id: 1, created_at: -1, _id: 1 } },
    ],
  },
  recording_chunks: {
    fields: {
      recording_id: { bsonType: "string" },
      seq: { bsonType: ["long", "int"] },
    },
    indexes: [
      { name: "recording_id", key: { recording_id: 1, _id: 1 } },
      { name: "seq", key: { seq: 1, _id: 1 } },
      { name: "recording_seq", key: { recording_id: 1, seq: 1, _id: 1 } },
    ],
  },
};

const present = target.getCollectionNames();
for (const [name, c] of Object.entries(collections)) {
  const validator = {
    $jsonSchema: {
      bsonType: "object",
      required: ["_id", "version", "json"],
      properties: {
        _id: { bsonType: "string", minLength: 1, maxLength: 200 },
        version: { bsonType: ["long", "int"], minimum: 1 },
        json: { bsonType: "string" },
        ...c.fields,
      },
    },
  };
  if (present.includes(name)) {
    target.runCommand({ collMod: name, validator });
  } else {
    target.createCollection(name, { validator });
  }
  if (c.indexes.length > 0) {
    target.runCommand({ createIndexes: name, indexes: c.indexes });
  }
}
