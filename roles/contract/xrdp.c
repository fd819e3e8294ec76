#include "roles/contract/contract.h"

/* The host agent, /api/v1/xrdp: for admins and for roles among themselves. Each row is answered by the host.* row of
 * host.c that roles/xrdp-integration names for it; what goes in is checked here and again on the supervisor's side. */

#define BASE "/api/v1/xrdp"

/* --- what goes in */

static const struct shape_field stop_query[] = {
	{ "force", SH_BOOL, .otherwise = "false", .help = "end live desktops; else they are listed and nothing is stopped" },
	{ "remove", SH_BOOL, .otherwise = "false", .help = "remove generated files and logs too: the server is deleted" },
};
static const struct shape in_stop = SHAPE(NULL, stop_query);

static const char *const log_levels[] = { "debug", "info", "warning", "error", NULL };
#define LOG_FIELDS                                                                                                     \
	{ "lines", SH_INT, .min = 1, .max = 5000, .otherwise = "200", .help = "newest lines" },                       \
	{ "level", SH_STRING, .values = log_levels, .help = "lines of that level and above; lines without one stay" },         \
	{ "since", SH_STRING, .max = 40, .format = "time", .help = "lines of that time and later, to the second" },
static const struct shape_field logs_query[] = {
	{ "source", SH_STRING, .min = 1, .max = 36, .format = "id", .otherwise = "\"xrdp\"",
	  .help = "a server_id, or xrdp or sesman for the host's own service" },
	LOG_FIELDS
};
static const struct shape in_logs = SHAPE(NULL, logs_query);
static const struct shape_field instance_logs_query[] = { LOG_FIELDS };
static const struct shape in_instance_logs = SHAPE(NULL, instance_logs_query);

static const struct shape_field port_item = { NULL, SH_INT, .min = 1024, .max = 65535 };
static const struct shape_field ports[] = {
	{ "ports", SH_ARRAY, SH_REQUIRED, .min = 1, .max = 64, .item = &port_item, .help = "tried with a real bind" },
};
static const struct shape in_ports = SHAPE(NULL, ports);

/* --- what comes out */

static const struct shape_field instance_item = { NULL, SH_OBJECT, .sub = &shape_instance };
static const struct shape_field connection_item = { NULL, SH_OBJECT, .sub = &shape_connection };
static const struct shape_field desktop_item = { NULL, SH_OBJECT, .sub = &shape_desktop_session };
static const struct shape_field line_item = { NULL, SH_STRING, .max = 65536 };

#define LIST_OF(what, of, most)                                                                                        \
	static const struct shape_field what##_fields[] = { { #what, SH_ARRAY, .max = most, .item = &of } };           \
	static const struct shape out_##what = SHAPE(NULL, what##_fields)
LIST_OF(instances, instance_item, 1000);
LIST_OF(connections, connection_item, 1000);
LIST_OF(desktops, desktop_item, 1000);
LIST_OF(ended, desktop_item, 1000);
LIST_OF(blocked, port_item, 64);
LIST_OF(lines, line_item, 5000);

static const struct shape_field config[] = {
	{ "xrdp_ini", SH_STRING, SH_MULTILINE, .max = 65536 },
	{ "sesman_ini", SH_STRING, SH_MULTILINE, .max = 65536 },
};
static const struct shape out_config = SHAPE("InstanceConfig", config);

static const struct shape_field cut[] = { { "cut", SH_OBJECT, .sub = &shape_connection } };
static const struct shape out_cut = SHAPE(NULL, cut);

static const struct shape_field ended_desktop[] = {
	{ "ended", SH_OBJECT, .sub = &shape_desktop_session },
	{ "processes", SH_INT, .help = "that were on it" },
	{ "forced", SH_INT, .help = "of them, that had to be killed" },
};
static const struct shape out_ended_desktop = SHAPE("EndedDesktop", ended_desktop);

static const struct shape_field instance_stats[] = {
	{ "server_id", SH_STRING },
	{ "cpu_usec", SH_INT, SH_NULLABLE, .help = "used since the instance began; null: not known here" },
	{ "memory_bytes", SH_INT, SH_NULLABLE },
	{ "tasks", SH_INT, SH_NULLABLE },
	{ "bytes_in", SH_INT },
	{ "bytes_out", SH_INT },
	{ "sessions", SH_FREE, .help = "how many are active, disconnected, orphaned" },
};
static const struct shape out_instance_stats = SHAPE("InstanceStats", instance_stats);

static const struct shape_field figures_item = { NULL, SH_OBJECT, .sub = &out_instance_stats };
static const struct shape_field stats[] = {
	{ "host", SH_FREE, .help = "figures of the node" },
	{ "instances", SH_ARRAY, .max = 1000, .item = &figures_item },
};
static const struct shape out_stats = SHAPE("HostStats", stats);

static const struct shape_field profile[] = {
	{ "name", SH_STRING, .help = "for desktop.profile of a server" },
	{ "installed", SH_BOOL },
	{ "default", SH_BOOL },
};
static const struct shape shape_profile = SHAPE("DesktopProfile", profile);
static const struct shape_field profile_item = { NULL, SH_OBJECT, .sub = &shape_profile };
static const struct shape_field profiles[] = { { "desktops", SH_ARRAY, .item = &profile_item } };
static const struct shape out_profiles = SHAPE(NULL, profiles);

static const char *const service_states[] = { "running", "stopped", "failed", "not-installed", NULL };
static const struct shape_field service[] = {
	{ "status", SH_STRING, .values = service_states },
	{ "pid", SH_INT, SH_NULLABLE },
	{ "since", SH_STRING, SH_NULLABLE },
	{ "version", SH_STRING, SH_NULLABLE },
	{ "memory", SH_INT, SH_NULLABLE, .help = "bytes" },
	{ "unit", SH_STRING, SH_NULLABLE },
	{ "raw_output", SH_STRING, SH_NULLABLE | SH_MULTILINE, .max = 65536 },
	{ "error", SH_STRING, SH_NULLABLE },
};
static const struct shape out_service = SHAPE("XrdpService", service);

/* --- the host's own configuration and service */

static const char *const ini_files[] = { "xrdp", "sesman", NULL };
#define FILE_FIELD { "file", SH_STRING, .values = ini_files, .otherwise = "\"xrdp\"", .help = "xrdp.ini or sesman.ini" }
#define APPLY_FIELD { "apply", SH_BOOL, .otherwise = "false", .help = "let the host's xrdp take it; back again if it does not answer" }
#define VERSION_FIELD { "version", SH_INT, .help = "of the file; the ETag" }
#define SECTIONS_HELP "sections with keys and values, as GET gives them; null takes a key, or a kind of session, away"
static const struct shape_field file_query[] = { FILE_FIELD };
static const struct shape query_file = SHAPE(NULL, file_query);
#define FILE_EITHER(text) { "file", SH_STRING, .values = ini_files, .help = text }
static const struct shape_field put_query[] = { FILE_EITHER("xrdp.ini or sesman.ini; else as in the body, else xrdp"), APPLY_FIELD };
static const struct shape_field check_query[] = { FILE_EITHER("xrdp.ini or sesman.ini; else as in the body, else xrdp") };
static const struct shape query_check = SHAPE(NULL, check_query);
static const struct shape query_put = SHAPE(NULL, put_query);
/* What GET gives may be sent back as it is: file and version of it say nothing new. */
static const struct shape_field put_body[] = {
	{ "sections", SH_FREE, SH_REQUIRED, .max = 65536, .help = SECTIONS_HELP },
	FILE_EITHER("where the query names none"),
	{ "version", SH_INT, .help = "refused when the file has changed since" },
};
static const struct shape in_put = SHAPE("XrdpConfigChange", put_body);
static const struct shape_field check_body[] = {
	{ "sections", SH_FREE, .max = 65536, .help = SECTIONS_HELP "; absent: the file as it is" },
	FILE_EITHER("where the query names none"),
	{ "version", SH_INT, .help = "not looked at" },
};
static const struct shape in_check = SHAPE("XrdpConfigCheck", check_body);
static const struct shape_field back_body[] = {
	{ "backup", SH_STRING, .min = 1, .max = 63, .format = "id", .help = "its name; absent: the newest" },
};
static const struct shape in_back = SHAPE("XrdpConfigRollback", back_body);
static const struct shape_field config_all[] = {
	{ "file", SH_STRING, .values = ini_files },
	VERSION_FIELD,
	{ "sections", SH_FREE, .max = 262144, .help = "in the file's order; passwords are hidden" },
};
static const struct shape out_config_all = SHAPE("XrdpConfig", config_all);
static const struct shape_field config_one[] = {
	{ "file", SH_STRING, .values = ini_files },
	VERSION_FIELD,
	{ "section", SH_STRING },
	{ "values", SH_FREE, .max = 262144 },
};
static const struct shape out_config_one = SHAPE("XrdpConfigSection", config_one);
static const struct shape_field name_item = { NULL, SH_STRING };
static const struct shape_field written[] = {
	{ "file", SH_STRING, .values = ini_files },
	VERSION_FIELD,
	{ "changed", SH_ARRAY, .max = 1000, .item = &name_item, .help = "Section.key of what is different" },
	{ "applied", SH_BOOL, .help = "xrdp runs with it and answers" },
	{ "backup", SH_STRING, SH_NULLABLE, .help = "the file before; null: nothing was different" },
	{ "message", SH_STRING },
};
static const struct shape out_written = SHAPE("XrdpConfigWritten", written);
static const struct shape_field fault_fields[] = { { "field", SH_STRING }, { "message", SH_STRING, .max = 1024 } };
static const struct shape fault_shape = SHAPE("XrdpConfigFault", fault_fields);
static const struct shape_field fault_item = { NULL, SH_OBJECT, .sub = &fault_shape };
static const struct shape_field checked[] = {
	{ "file", SH_STRING, .values = ini_files },
	VERSION_FIELD,
	{ "valid", SH_BOOL },
	{ "errors", SH_ARRAY, .item = &fault_item },
	{ "changed", SH_ARRAY, .max = 1000, .item = &name_item },
};
static const struct shape out_checked = SHAPE("XrdpConfigChecked", checked);
static const struct shape_field backup[] = {
	{ "name", SH_STRING }, { "file", SH_STRING }, { "created_at", SH_STRING }, { "size_bytes", SH_INT }
};
static const struct shape shape_backup = SHAPE("XrdpConfigBackup", backup);
static const struct shape_field backup_item = { NULL, SH_OBJECT, .sub = &shape_backup };
LIST_OF(backups, backup_item, 100);
static const char *const cert_users[] = { "xrdp", "instances", NULL };
static const struct shape_field make_body[] = {
	{ "for", SH_STRING, .values = cert_users, .otherwise = "\"xrdp\"", .help = "the host's own xrdp, or instances started from now on" },
	{ "common_name", SH_STRING, .min = 1, .max = 63, .format = "node", .help = "absent: the node's name" },
	{ "days", SH_INT, .min = 1, .max = 3650, .otherwise = "365" },
};
static const struct shape in_make = SHAPE("XrdpCertificateRequest", make_body);
static const struct shape_field make_query[] = { APPLY_FIELD };
static const struct shape query_make = SHAPE(NULL, make_query);
static const struct shape_field certificate[] = {
	{ "source", SH_STRING, .help = "xrdp (the host's own), or a server_id" },
	{ "subject", SH_STRING, .max = 2048 },
	{ "issuer", SH_STRING, .max = 2048 },
	{ "self_signed", SH_BOOL },
	{ "not_before", SH_STRING },
	{ "not_after", SH_STRING },
	{ "days_left", SH_INT, .help = "below 0: expired" },
	{ "fingerprint", SH_STRING, .help = "SHA-256, hex" },
	{ "key_matches", SH_BOOL, SH_NULLABLE, .help = "null: the key cannot be read" },
	{ "error", SH_STRING, SH_NULLABLE, .help = "why the rest is missing" },
};
static const struct shape shape_certificate = SHAPE("XrdpCertificate", certificate);
static const struct shape_field certificate_item = { NULL, SH_OBJECT, .sub = &shape_certificate };
LIST_OF(certificates, certificate_item, 1000);
static const struct shape_field made[] = {
	{ "certificate", SH_OBJECT, .sub = &shape_certificate },
	{ "file", SH_STRING, .values = ini_files },
	VERSION_FIELD,
	{ "changed", SH_ARRAY, .max = 1000, .item = &name_item },
	{ "applied", SH_BOOL },
	{ "backup", SH_STRING, SH_NULLABLE },
	{ "message", SH_STRING },
};
static const struct shape out_made = SHAPE("XrdpCertificateMade", made);
static const struct shape_field acted[] = {
	{ "action", SH_STRING }, { "status", SH_STRING, .values = service_states }, { "message", SH_STRING }
};
static const struct shape out_acted = SHAPE("XrdpServiceAction", acted);

static const struct shape_field info[] = {
	{ "node", SH_STRING },
	{ "boot_id", SH_STRING },
	{ "cores", SH_INT },
	{ "memory_mb", SH_INT },
	{ "xrdp_version", SH_STRING, SH_NULLABLE, .help = "null: not installed" },
	{ "isolation", SH_STRING, .help = "private, or shared where there are no mount namespaces" },
	{ "backend", SH_STRING },
};
static const struct shape out_info = SHAPE("NodeInfo", info);

#define XRDP(op_name, op_verb, op_path, op_flags, op_deadline, op_out, op_summary, ...)                                \
	{                                                                                                              \
		.name = "xrdp." op_name, .role = ROLE_XRDP, .verb = op_verb, .path = BASE op_path,                     \
		.scope = OP_SERVICE, .flags = op_flags, .deadline_ms = op_deadline, .out = op_out,                     \
		.summary = op_summary, __VA_ARGS__                                                                     \
	}
#define INSTANCE "/instances/{server_id}"

static const struct op ops[] = {
	XRDP("instances.start", "POST", "/instances", OP_IDEMPOTENT | OP_CREATES, 30000, &shape_instance,
	     "Start an instance, or bring a running one up to its definition", .in = &shape_instance_start, .status = 201),
	XRDP("instances.list", "GET", "/instances", OP_READ, 10000, &out_instances, "Instances on this host"),
	XRDP("instances.get", "GET", INSTANCE, OP_READ, 5000, &shape_instance, "One instance"),
	XRDP("instances.stop", "DELETE", INSTANCE, OP_IDEMPOTENT, 30000, &out_ended,
	     "Stop an instance; says which desktops were ended", .query = &in_stop),
	XRDP("instances.config", "POST", "/instances/config", OP_READ, 5000, &out_config,
	     "Render the ini files of a definition, without starting it", .in = &shape_instance_spec),
	XRDP("instances.logs", "GET", INSTANCE "/logs", OP_READ, 10000, &out_lines,
	     "Newest lines of an instance's xrdp and sesman", .query = &in_instance_logs),
	XRDP("instances.log_file", "GET", INSTANCE "/log-file", OP_READ | OP_STREAMS, 10000, NULL,
	     "The whole log of an instance's xrdp or sesman since it was last rotated", .query = &shape_log_file),
	XRDP("instances.connections", "GET", INSTANCE "/connections", OP_READ, 5000, &out_connections,
	     "Live RDP connections"),
	XRDP("instances.connections.cut", "DELETE", INSTANCE "/connections/{id}", OP_IDEMPOTENT, 5000, &out_cut,
	     "Cut a connection; its desktop stays"),
	XRDP("instances.desktops", "GET", INSTANCE "/desktops", OP_READ, 5000, &out_desktops, "Desktop sessions"),
	XRDP("instances.desktops.end", "DELETE", INSTANCE "/desktops/{display}", OP_IDEMPOTENT, 10000,
	     &out_ended_desktop, "End a desktop: every process of it"),
	XRDP("instances.stats", "GET", INSTANCE "/stats", OP_READ, 5000, &out_instance_stats, "Figures of one instance"),
	XRDP("stats", "GET", "/stats", OP_READ, 5000, &out_stats, "Figures of the host and of every instance"),
	XRDP("logs", "GET", "/logs", OP_READ, 10000, &out_lines, "Newest lines of the host's xrdp, or of an instance",
	     .query = &in_logs),
	XRDP("desktops", "GET", "/desktops", OP_READ, 5000, &out_profiles, "Desktop profiles, and which are installed"),
	XRDP("service", "GET", "/service", OP_READ, 5000, &out_service, "State of the host's own xrdp"),
	XRDP("service.status", "GET", "/service/status", OP_READ, 5000, &out_service, "State of the host's own xrdp"),
	XRDP("service.start", "POST", "/service/start", OP_IDEMPOTENT, 60000, &out_acted, "Start the host's own xrdp and sesman"),
	XRDP("service.stop", "POST", "/service/stop", OP_IDEMPOTENT, 60000, &out_acted,
	     "Stop the host's own xrdp and sesman; instances and desktops stay"),
	XRDP("service.restart", "POST", "/service/restart", OP_IDEMPOTENT, 60000, &out_acted,
	     "Restart the host's own xrdp and sesman; sesman forgets the desktops it has"),
	XRDP("service.reload", "POST", "/service/reload", OP_IDEMPOTENT, 60000, &out_acted,
	     "Let the host's own xrdp read its files again; connections and desktops stay"),
	XRDP("config.get", "GET", "/config", OP_READ, 5000, &out_config_all, "The host's xrdp.ini or sesman.ini",
	     .query = &query_file),
	XRDP("config.put", "PUT", "/config", OP_IDEMPOTENT | OP_IF_MATCH, 60000, &out_written,
	     "Change the host's xrdp.ini or sesman.ini; what is not named stays", .query = &query_put, .in = &in_put),
	XRDP("config.validate", "POST", "/config/validate", OP_READ, 5000, &out_checked,
	     "Check a change, or the file as it is, without writing", .query = &query_check, .in = &in_check),
	XRDP("config.backups", "GET", "/config/backups", OP_READ, 5000, &out_backups, "Earlier versions of the file, newest first",
	     .query = &query_file),
	XRDP("config.rollback", "POST", "/config/rollback", 0, 60000, &out_written, "Put an earlier version back",
	     .query = &query_put, .in = &in_back),
	XRDP("config.section", "GET", "/config/{section}", OP_READ, 5000, &out_config_one, "One section of the file",
	     .query = &query_file),
	XRDP("certificates", "GET", "/certificates", OP_READ, 10000, &out_certificates,
	     "Certificates that RDP clients see: the host's own, and each instance's"),
	XRDP("certificates.make", "POST", "/certificates/self-signed", OP_IDEMPOTENT, 60000, &out_made,
	     "Make a self-signed certificate (EC P-256) and use it", .query = &query_make, .in = &in_make),
	XRDP("info", "GET", "/info", OP_READ, 5000, &out_info, "Facts of this host"),
	XRDP("ports.check", "POST", "/ports/check", OP_READ, 5000, &out_blocked, "Which of these ports cannot be bound",
	     .in = &in_ports),
};
const struct op_table contract_xrdp = { ops, ARRAY_LEN(ops) };
