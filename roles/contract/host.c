#include "roles/contract/contract.h"

/* Operations of the supervisor, called by the agent role over the socket pair. All arguments are in the body; the supervisor checks
 * their shapes. Deadlines allow for a slow host; the agent's own operations are bounded by the deadlines of their callers. */

static const struct shape_field server_ref[] = {
	{ "server_id", SH_STRING, SH_REQUIRED, .format = "uuid" },
};
static const struct shape in_server = SHAPE(NULL, server_ref);

static const struct shape_field stop[] = {
	{ "server_id", SH_STRING, SH_REQUIRED, .format = "uuid" },
	{ "force", SH_BOOL, .otherwise = "false", .help = "end live desktops; false: live desktops are listed and nothing is stopped" },
	{ "remove", SH_BOOL, .otherwise = "false", .help = "also remove generated files and logs, because the server is deleted" },
};
static const struct shape in_stop = SHAPE(NULL, stop);

static const struct shape_field start[] = {
	{ "spec", SH_OBJECT, SH_REQUIRED, .sub = &shape_instance_spec },
	{ "replace", SH_BOOL, .otherwise = "false", .help = "if it runs: render its files again and replace xrdp; connections, sesman and desktops stay" },
};
static const struct shape in_start = SHAPE(NULL, start);

static const struct shape_field config_of[] = {
	{ "spec", SH_OBJECT, SH_REQUIRED, .sub = &shape_instance_spec },
};
static const struct shape in_config = SHAPE(NULL, config_of);

static const char *const ini_files[] = { "xrdp", "sesman", NULL };
static const struct shape_field logs[] = {
	{ "server_id", SH_STRING, .format = "uuid", .help = "absent: the host's own xrdp" },
	{ "source", SH_STRING, .values = ini_files, .help = "log of the host's own xrdp or sesman; absent: both" },
	{ "deleted", SH_BOOL, .help = "the server was deleted" },
	{ "lines", SH_INT, .min = 1, .max = 5000, .otherwise = "200" },
};
static const struct shape in_logs = SHAPE(NULL, logs);

static const struct shape_field log_file[] = {
	{ "server_id", SH_STRING, SH_REQUIRED, .format = "uuid" },
	{ "source", SH_STRING, SH_REQUIRED, .values = ini_files },
};
static const struct shape in_log_file = SHAPE(NULL, log_file);

static const struct shape_field cut[] = {
	{ "server_id", SH_STRING, SH_REQUIRED, .format = "uuid" },
	{ "id", SH_STRING, SH_REQUIRED, .min = 1, .max = 64, .format = "id" },
};
static const struct shape in_cut = SHAPE(NULL, cut);

static const struct shape_field end[] = {
	{ "server_id", SH_STRING, SH_REQUIRED, .format = "uuid" },
	{ "display", SH_INT, SH_REQUIRED, .min = 1, .max = 65535 },
};
static const struct shape in_end = SHAPE(NULL, end);

static const struct shape_field instance_limits[] = {
	{ "server_id", SH_STRING, SH_REQUIRED, .format = "uuid" },
	INSTANCE_LIMITS_FIELDS,
};
static const struct shape in_instance_limits = SHAPE(NULL, instance_limits);

static const struct shape_field limits[] = {
	{ "server_id", SH_STRING, SH_REQUIRED, .format = "uuid" },
	{ "display", SH_INT, SH_REQUIRED, .min = 1, .max = 65535 },
	{ "started_at", SH_STRING, SH_REQUIRED, .max = 40, .format = "time" },
	DESKTOP_LIMITS_FIELDS,
};
static const struct shape in_limits = SHAPE(NULL, limits);

static const struct shape_field message[] = {
	{ "server_id", SH_STRING, SH_REQUIRED, .format = "uuid" },
	{ "display", SH_INT, SH_REQUIRED, .min = 1, .max = 65535 },
	MESSAGE_FIELDS,
	MESSAGE_FOR_FIELDS,
};
static const struct shape in_message = SHAPE(NULL, message);

static const struct shape_field ports[] = {
	{ "ports", SH_ARRAY, SH_REQUIRED, .min = 1, .max = 64, .item = &(const struct shape_field){ NULL, SH_INT, .min = 1024, .max = 65535 } },
};
static const struct shape in_ports = SHAPE(NULL, ports);

#define FILE_FIELD { "file", SH_STRING, .values = ini_files, .otherwise = "\"xrdp\"" }
#define SECTIONS_FIELD { "sections", SH_FREE, .max = 65536, .help = "sections with keys and values; null removes a key or section" }
#define APPLY_FIELD { "apply", SH_BOOL, .otherwise = "false" }
static const struct shape_field config_get[] = { FILE_FIELD, { "section", SH_STRING, .min = 1, .max = 64, .format = "name" } };
static const struct shape in_config_get = SHAPE(NULL, config_get);
static const struct shape_field config_put[] = { FILE_FIELD, SECTIONS_FIELD, APPLY_FIELD,
						 { "if_version", SH_INT, .min = 0, .otherwise = "0", .help = "required version of the file; 0: any" } };
static const struct shape in_config_put = SHAPE(NULL, config_put);
static const struct shape_field config_check[] = { FILE_FIELD, SECTIONS_FIELD };
static const struct shape in_config_check = SHAPE(NULL, config_check);
static const struct shape_field config_file[] = { FILE_FIELD };
static const struct shape in_config_file = SHAPE(NULL, config_file);
static const struct shape_field rollback[] = { FILE_FIELD, { "backup", SH_STRING, .min = 1, .max = 63, .format = "id" }, APPLY_FIELD };
static const struct shape in_rollback = SHAPE(NULL, rollback);

static const char *const cert_users[] = { "xrdp", "instances", NULL };
static const struct shape_field make[] = {
	{ "for", SH_STRING, .values = cert_users, .otherwise = "\"xrdp\"" },
	{ "common_name", SH_STRING, .min = 1, .max = 63, .format = "node" },
	{ "days", SH_INT, .min = 1, .max = 3650, .otherwise = "365" },
	APPLY_FIELD,
};
static const struct shape in_make = SHAPE(NULL, make);

#define RECORDING_FIELD { "recording_id", SH_STRING, SH_REQUIRED, .format = "uuid" }
static const struct shape_field recording[] = { RECORDING_FIELD };
static const struct shape in_recording = SHAPE(NULL, recording);
static const struct shape_field recording_files[] = { RECORDING_FIELD, RECORDING_PAGE_FIELDS };
static const struct shape in_recording_files = SHAPE(NULL, recording_files);
static const struct shape_field recording_file[] = {
	RECORDING_FIELD,
	{ "name", SH_STRING, SH_REQUIRED, .min = 1, .max = 64, .format = "id" },
	{ "from", SH_INT, .min = 0, .otherwise = "0" },
};
static const struct shape in_recording_file = SHAPE(NULL, recording_file);
static const struct shape_field recording_write[] = {
	RECORDING_FIELD,
	{ "name", SH_STRING, SH_REQUIRED, .values = recording_documents },
	RECORDING_TEXT_FIELD,
};
static const struct shape in_recording_write = SHAPE(NULL, recording_write);

#define HOST(op_name, op_flags, op_deadline, op_in)                                                                    \
	{                                                                                                              \
		.name = "host." op_name, .role = ROLE_HOST, .scope = OP_SERVICE, .flags = op_flags,                    \
		.deadline_ms = op_deadline, .in = op_in                                                                \
	}

static const struct op ops[] = {
	HOST("instance.start", OP_IDEMPOTENT, 30000, &in_start),  /* → Instance, running or failed with its reason */
	HOST("instance.stop", OP_IDEMPOTENT, 30000, &in_stop),	  /* → {"ended":[DesktopSession…]}; CONFLICT with details */
	HOST("instance.get", OP_READ, 5000, &in_server),	  /* → Instance */
	HOST("instance.list", OP_READ, 10000, NULL),		  /* → {"instances":[Instance…]} */
	HOST("instance.config", OP_READ, 5000, &in_config),	  /* → {"xrdp_ini","sesman_ini"} */
	HOST("instance.limits", OP_IDEMPOTENT, 5000, &in_instance_limits), /* → {idle_timeout,disconnected_timeout,kill_disconnected} */
	HOST("connections", OP_READ, 5000, &in_server),		  /* → {"connections":[Connection…]} */
	HOST("connection.cut", OP_IDEMPOTENT, 5000, &in_cut),	  /* → {"cut":Connection} */
	HOST("desktops", OP_READ, 5000, &in_server),		  /* → {"desktops":[DesktopSession…]} */
	HOST("desktop.end", OP_IDEMPOTENT, 10000, &in_end),	  /* → {"ended":DesktopSession,"processes":n,"forced":n} */
	HOST("desktop.limits", OP_IDEMPOTENT, 5000, &in_limits),  /* → {display,started_at,idle_timeout,max_duration,disconnected_timeout} */
	HOST("desktop.message", 0, 15000, &in_message),		  /* → {display,shown_at,closes_at,missing_characters} */
	HOST("recording.start", OP_IDEMPOTENT, 20000, &shape_recording_start), /* → {recording_id,state,width,height,first_picture_at} */
	HOST("recording.stop", OP_IDEMPOTENT, 20000, &in_recording), /* → {recording_id,state,reason,chunks,head,bytes,…} when it has ended */
	HOST("recording.pause", OP_IDEMPOTENT, 5000, &in_recording),  /* the same */
	HOST("recording.resume", OP_IDEMPOTENT, 5000, &in_recording), /* the same */
	HOST("recording.list", OP_READ, 5000, NULL),		  /* → {"recordings":[…],"storage":{…}} */
	HOST("recording.files", OP_READ, 20000, &in_recording_files), /* → {manifest,seal,index:[…],chunks:[…],more} */
	HOST("recording.file", OP_READ | OP_STREAMS, 10000, &in_recording_file), /* → bytes, as a stream */
	HOST("recording.write", OP_IDEMPOTENT, 10000, &in_recording_write), /* → {name,bytes} when it is on the disk */
	HOST("recording.remove", OP_IDEMPOTENT, 60000, &in_recording), /* → {recording_id} when every file is gone */
	HOST("quotas", OP_IDEMPOTENT, 5000, &shape_quotas),	  /* → {"valid_seconds"} */
	HOST("stats", OP_READ, 5000, NULL),			  /* → {"host":{…},"instances":[{server_id,…}]} */
	HOST("instance.stats", OP_READ, 5000, &in_server),	  /* → usage of one instance */
	HOST("logs", OP_READ, 10000, &in_logs),			  /* → {"lines":[…],"sources":[…]} */
	HOST("log.file", OP_READ | OP_STREAMS, 10000, &in_log_file), /* → text, as a stream */
	HOST("logs.deleted", OP_READ, 15000, NULL),		  /* → {"logs":[…],"truncated"} */
	HOST("profiles", OP_READ, 5000, NULL),			  /* → {"desktops":[{name,installed,default}],"default_fault"} */
	HOST("service", OP_READ, 5000, NULL),			  /* → the host's own xrdp: XrdpServiceState */
	HOST("service.start", OP_IDEMPOTENT, 60000, NULL),	  /* → {action,status,message,warnings} */
	HOST("service.stop", OP_IDEMPOTENT, 60000, NULL),	  /* the same */
	HOST("service.restart", OP_IDEMPOTENT, 60000, NULL),		  /* the same */
	HOST("service.reload", OP_IDEMPOTENT, 60000, NULL),			  /* the same */
	HOST("config.get", OP_READ, 5000, &in_config_get),	  /* → {file,version,sections} or {file,version,section,values} */
	HOST("config.put", OP_IDEMPOTENT, 60000, &in_config_put),		  /* → {file,version,changed,applied,backup,message,warnings} */
	HOST("config.validate", OP_READ, 5000, &in_config_check), /* → {file,version,valid,errors,warnings,changed} */
	HOST("config.backups", OP_READ, 5000, &in_config_file),	  /* → {"backups":[{name,file,created_at,size_bytes}]} */
	HOST("certificates", OP_READ, 10000, NULL),		  /* → {"certificates":[…]} */
	HOST("certificates.make", OP_IDEMPOTENT, 60000, &in_make), /* → as config.put, with the certificate */
	HOST("config.rollback", 0, 60000, &in_rollback),	  /* as config.put */
	HOST("info", OP_READ, 5000, NULL),			  /* → {boot_id, cores, memory_mb, xrdp_version, isolation, backend …} */
	HOST("ports.check", OP_READ, 5000, &in_ports),		  /* → {"blocked":[port…]}: ports that bind() refuses */
};
const struct op_table contract_host = { ops, ARRAY_LEN(ops) };
