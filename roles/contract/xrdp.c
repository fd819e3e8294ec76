#include "roles/contract/contract.h"

/* The host agent, /api/v1/xrdp: for admins, and for other roles where a row has OP_ROLES. roles/xrdp-integration forwards each row to a
 * host.* row of host.c. Input is checked against the shapes here, and again by the supervisor. */

#define BASE "/api/v1/xrdp"

/* --- input */

static const struct shape_field stop_query[] = {
	{ "force", SH_BOOL, .otherwise = "false", .help = "end live desktops; false: live desktops are listed and nothing is stopped" },
	{ "remove", SH_BOOL, .otherwise = "false", .help = "also remove generated files and logs, because the server is deleted" },
};
static const struct shape in_stop = SHAPE(NULL, stop_query);

static const char *const log_levels[] = { "debug", "info", "warning", "error", NULL };
#define LOG_FIELDS                                                                                                     \
	{ "lines", SH_INT, .min = 1, .max = 5000, .otherwise = "200", .help = "number of newest lines" },                       \
	{ "level", SH_STRING, .values = log_levels, .help = "lines of this level and above; a line without a level has that of the line before it" },         \
	{ "from", SH_STRING, .max = 40, .format = "time", .help = "lines at or after this time, to the second" },             \
	{ "since", SH_STRING, SH_DEPRECATED, .max = 40, .format = "time", .help = "deprecated name of `from`" },
static const struct shape_field logs_query[] = {
	{ "source", SH_STRING, .min = 1, .max = 36, .format = "id", .otherwise = "\"xrdp\"",
	  .help = "a server_id, or xrdp or sesman for the host's own" },
	LOG_FIELDS
};
static const struct shape in_logs = SHAPE(NULL, logs_query);
static const struct shape_field instance_logs_query[] = { LOG_FIELDS };
static const struct shape in_instance_logs = SHAPE(NULL, instance_logs_query);

static const struct shape_field port_item = { NULL, SH_INT, .min = 1024, .max = 65535 };
static const struct shape_field ports[] = {
	{ "ports", SH_ARRAY, SH_REQUIRED, .min = 1, .max = 64, .item = &port_item, .help = "each is tested with bind()" },
};
static const struct shape_field account_item = { NULL, SH_STRING, .min = 1, .max = 256, .format = "account" };
static const struct shape_field account_check[] = {
	{ "name", SH_STRING, SH_REQUIRED, .min = 1, .max = 256, .format = "account" },
	{ "allowed_users", SH_ARRAY, .max = 100, .item = &account_item, .help = "as in a server's security; an account on either list may log in" },
	{ "allowed_groups", SH_ARRAY, .max = 100, .item = &account_item },
};
static const struct shape in_account = SHAPE("AccountCheck", account_check);
static const char *const refusals[] = { "unknown", "root", "system_account", "no_login_shell", "not_allowed", NULL };
static const struct shape_field account_checked[] = {
	{ "name", SH_STRING },
	{ "can_log_in", SH_BOOL, .help = "as far as can be determined without a password" },
	{ "reason", SH_STRING, SH_NULLABLE, .values = refusals, .help = "why it cannot log in; null: it can" },
};
static const struct shape out_account = SHAPE("AccountChecked", account_checked);
static const struct shape in_ports = SHAPE("PortsCheck", ports);

/* --- output */

static const struct shape_field instance_item = { NULL, SH_OBJECT, .sub = &shape_instance };
static const struct shape_field connection_item = { NULL, SH_OBJECT, .sub = &shape_connection };
static const struct shape_field desktop_item = { NULL, SH_OBJECT, .sub = &shape_desktop_session };
static const struct shape_field line_item = { NULL, SH_STRING, .max = 65536 };

#define LIST_OF(what, name, of, most)                                                                                  \
	static const struct shape_field what##_fields[] = { { #what, SH_ARRAY, .max = most, .item = &of } };           \
	static const struct shape out_##what = SHAPE(name, what##_fields)
LIST_OF(instances, "InstanceList", instance_item, 1000);
LIST_OF(connections, "ConnectionList", connection_item, 1000);
LIST_OF(desktops, "LiveDesktopList", desktop_item, 1000);
LIST_OF(ended, "InstanceStopped", desktop_item, 1000);
LIST_OF(blocked, "PortsBlocked", port_item, 64);
static const struct shape_field lines_fields[] = { { "lines", SH_ARRAY, .max = 5000, .item = &line_item }, LOG_SOURCES_FIELD };
static const struct shape out_lines = SHAPE("LogLines", lines_fields);

static const struct shape_field deleted_log[] = {
	{ "server_id", SH_STRING },
	{ "name", SH_STRING, SH_NULLABLE },
	{ "user_id", SH_STRING, SH_NULLABLE },
	{ "deleted_at", SH_STRING },
	{ "size_bytes", SH_INT },
};
static const struct shape shape_deleted_log = SHAPE("DeletedServerLog", deleted_log);
static const struct shape_field deleted_log_item = { NULL, SH_OBJECT, .sub = &shape_deleted_log };
static const struct shape_field deleted_logs[] = {
	{ "logs", SH_ARRAY, .max = 1000, .item = &deleted_log_item, .help = "newest first" },
	{ "truncated", SH_BOOL, .help = "older logs are not listed" },
};
static const struct shape out_deleted_logs = SHAPE("DeletedServerLogList", deleted_logs);

static const struct shape_field config[] = {
	{ "xrdp_ini", SH_STRING, SH_MULTILINE, .max = 65536 },
	{ "sesman_ini", SH_STRING, SH_MULTILINE, .max = 65536 },
};
static const struct shape out_config = SHAPE("InstanceConfig", config);

static const struct shape_field cut[] = { { "cut", SH_OBJECT, .sub = &shape_connection } };
static const struct shape out_cut = SHAPE("ConnectionCut", cut);

static const struct shape_field ended_desktop[] = {
	{ "ended", SH_OBJECT, .sub = &shape_desktop_session },
	{ "processes", SH_INT, .help = "number of its processes that were ended" },
	{ "forced", SH_INT, .help = "number of them that had to be killed" },
};
static const struct shape out_ended_desktop = SHAPE("EndedDesktop", ended_desktop);

#define WAITED(resource) "percent of the last 10 s in which a process waited for " resource "; null: the kernel does not tell"
static const struct shape_field pressure[] = {
	{ "cpu", SH_NUMBER, SH_NULLABLE, .help = WAITED("a processor") },
	{ "memory", SH_NUMBER, SH_NULLABLE, .help = WAITED("memory") },
	{ "io", SH_NUMBER, SH_NULLABLE, .help = WAITED("a device") },
};
const struct shape shape_pressure = SHAPE("Pressure", pressure);
static const struct shape_field desktop_stats[] = {
	{ "display", SH_INT },
	{ "username", SH_STRING, SH_NULLABLE },
	{ "started_at", SH_STRING, SH_NULLABLE },
	GROUP_USAGE_FIELDS,
	{ "bytes_in", SH_INT, .help = "bytes received on its present connections" },
	{ "bytes_out", SH_INT },
};
static const struct shape shape_desktop_stats = SHAPE("DesktopStats", desktop_stats);
static const struct shape_field desktop_stats_item = { NULL, SH_OBJECT, .sub = &shape_desktop_stats };

#define STARTED_FIELD(flags) { "started_at", SH_STRING, flags, .max = 40, .format = "time", .help = "start of the desktop, which tells it from others on its display" }
static const struct shape_field limits[] = { STARTED_FIELD(SH_REQUIRED), DESKTOP_LIMITS_FIELDS };
static const struct shape in_limits = SHAPE("DesktopLimitsChange", limits);
static const struct shape_field limits_set[] = { { "display", SH_INT }, STARTED_FIELD(0), DESKTOP_LIMITS_FIELDS };
static const struct shape out_limits = SHAPE("DesktopLimitsSet", limits_set);

static const struct shape_field message[] = { MESSAGE_FIELDS, MESSAGE_FOR_FIELDS };
static const struct shape in_message = SHAPE("DesktopMessage", message);
static const struct shape_field message_shown[] = {
	{ "display", SH_INT },
	{ "shown_at", SH_STRING, .help = "when its window was mapped" },
	{ "closes_at", SH_STRING, .help = "when the window closes, if the user does not close it before" },
	{ "missing_characters", SH_INT, .help = "number of characters for which the host has no font" },
};
static const struct shape out_message = SHAPE("DesktopMessageShown", message_shown);

#define QUOTA_ITEMS_MAX 2000
static const struct shape_field quota_user[] = {
	{ "user_id", SH_STRING, SH_REQUIRED, .min = 1, .max = 128 },
	{ "elsewhere", SH_INT, SH_REQUIRED, .min = 0, .max = 1000000, .help = "of these sessions, those of the user" },
};
static const struct shape shape_quota_user = SHAPE("QuotaUser", quota_user);
static const struct shape_field quota_user_item = { NULL, SH_OBJECT, .sub = &shape_quota_user };
static const struct shape_field quota_declared[] = {
	{ "server_id", SH_STRING, SH_REQUIRED, .format = "uuid" },
	{ "user_id", SH_STRING, SH_REQUIRED, .min = 1, .max = 128 },
	{ "sessions", SH_INT, SH_REQUIRED, .min = 1, .max = 1000000, .help = "declared sessions that wait for a login" },
};
static const struct shape shape_quota_declared = SHAPE("QuotaDeclared", quota_declared);
static const struct shape_field quota_declared_item = { NULL, SH_OBJECT, .sub = &shape_quota_declared };
static const struct shape_field quotas[] = {
	{ "max_concurrent_sessions", SH_INT, SH_REQUIRED, .min = 1, .max = 100000 },
	{ "max_sessions_per_user", SH_INT, SH_REQUIRED, .min = 1, .max = 100000 },
	{ "elsewhere", SH_INT, SH_REQUIRED, .min = 0, .max = 1000000, .help = "sessions that have not ended and are not on a desktop of this host" },
	{ "users", SH_ARRAY, .max = QUOTA_ITEMS_MAX, .item = &quota_user_item, .otherwise = "[]",
	  .help = "users who have such sessions; those far from their bound may be left out" },
	{ "declared", SH_ARRAY, .max = QUOTA_ITEMS_MAX, .item = &quota_declared_item, .otherwise = "[]",
	  .help = "declared sessions on servers of this host, which logins take" },
};
const struct shape shape_quotas = SHAPE("SessionQuotas", quotas);
static const struct shape_field quotas_set[] = {
	{ "valid_seconds", SH_INT, .help = "after this time without a repetition they are void" },
};
static const struct shape out_quotas = SHAPE("SessionQuotasSet", quotas_set);

static const struct shape_field instance_stats[] = {
	{ "server_id", SH_STRING },
	GROUP_USAGE_FIELDS,
	{ "memory_limit_bytes", SH_INT, SH_NULLABLE, .help = "the server's limit; null: none" },
	{ "bytes_in", SH_INT },
	{ "bytes_out", SH_INT },
	{ "sessions", SH_OBJECT, .sub = &shape_session_counts },
	{ "desktops", SH_ARRAY, .max = 1000, .item = &desktop_stats_item },
};
static const struct shape out_instance_stats = SHAPE("InstanceStats", instance_stats);

static const struct shape_field figures_item = { NULL, SH_OBJECT, .sub = &out_instance_stats };
static const struct shape_field stats[] = {
	{ "host", SH_FREE, .max = 65536, .help = "resource usage of the host" },
	{ "instances", SH_ARRAY, .max = 1000, .item = &figures_item },
};
static const struct shape out_stats = SHAPE("HostStats", stats);

static const struct shape_field profile[] = {
	{ "name", SH_STRING, .help = "value for desktop.profile of a server" },
	{ "installed", SH_BOOL },
	{ "default", SH_BOOL },
};
static const struct shape shape_profile = SHAPE("DesktopProfile", profile);
static const struct shape_field profile_item = { NULL, SH_OBJECT, .sub = &shape_profile };
static const struct shape_field profiles[] = {
	{ "desktops", SH_ARRAY, .item = &profile_item },
	{ "default_fault", SH_STRING, SH_NULLABLE, .max = 1024, .help = "why a server without a profile of its own cannot start; null: it can" },
};
static const struct shape out_profiles = SHAPE("DesktopProfileList", profiles);

/* --- recordings */

const char *const recording_documents[] = { "manifest.json", "seal.json", NULL };
static const char *const recording_codecs[] = { "none", "lz4", "zstd", NULL };
static const char *const recording_ciphers[] = { "auto", "aes-256-gcm", "chacha20-poly1305", NULL };
static const char *const recording_qualities[] = { "low", "medium", "high", NULL };
static const char *const on_loss[] = { "alert", "terminate_session", NULL };
static const char *const on_full[] = { "pause", "terminate_session", NULL };
static const struct shape_field recorder_config[] = {
	{ "codec", SH_STRING, .values = recording_codecs, .help = "absent: DEFAULT_COMPRESSION of the host" },
	{ "level", SH_INT, .min = 1, .max = 19, .otherwise = "3", .help = "of zstd" },
	{ "cipher", SH_STRING, .values = recording_ciphers, .otherwise = "\"auto\"", .help = "auto: the one that the host's processor is faster with" },
	{ "quality", SH_STRING, .values = recording_qualities, .help = "absent: DEFAULT_QUALITY of the host" },
	{ "frame_rate", SH_INT, .min = 1, .max = 60, .help = "maximum; absent: DEFAULT_FRAME_RATE of the host" },
	{ "chunk_seconds", SH_INT, .min = 5, .max = 60, .otherwise = "30" },
	{ "max_mb_per_min", SH_INT, .min = 0, .max = 1000000, .otherwise = "0", .help = "above it, quality is lowered; 0: no bound" },
	{ "on_loss", SH_STRING, .values = on_loss, .otherwise = "\"alert\"", .help = "what follows when the user cuts the recorder off from the display" },
	{ "on_full", SH_STRING, .values = on_full, .otherwise = "\"pause\"", .help = "what follows when the free space falls below STORAGE_LOW_WATER_MB" },
};
static const struct shape shape_recorder_config = SHAPE("RecorderConfig", recorder_config);
static const struct shape_field recording_start[] = {
	{ "recording_id", SH_STRING, SH_REQUIRED, .format = "uuid", .help = "a new one, or that of an interrupted recording, which is continued" },
	{ "server_id", SH_STRING, SH_REQUIRED, .format = "uuid" },
	{ "display", SH_INT, SH_REQUIRED, .min = 1, .max = 65535 },
	{ "started_at", SH_STRING, SH_REQUIRED, .max = 40, .format = "time", .help = "start of the desktop, which tells it from others on its display" },
	{ "username", SH_STRING, .min = 1, .max = 256, .format = "account", .help = "account of the desktop; absent: not checked" },
	{ "manifest", SH_STRING, SH_REQUIRED | SH_MULTILINE, .min = 2, .max = RECORDING_TEXT_MAX, .help = "text of manifest.json" },
	{ "key", SH_STRING, SH_REQUIRED | SH_SECRET, .min = 44, .max = 44, .help = "data key: 32 bytes in base64" },
	{ "config", SH_OBJECT, .sub = &shape_recorder_config },
};
const struct shape shape_recording_start = SHAPE("RecordingStart", recording_start);

static const char *const recording_states[] = { "starting", "recording", "paused", "lost", "stopping", "interrupted", "complete", "truncated", "failed", NULL };
#define RECORDING_STATE_FIELDS                                                                                         \
	{ "recording_id", SH_STRING }, { "state", SH_STRING, .values = recording_states },                             \
		{ "reason", SH_STRING, SH_NULLABLE, .help = "why it is paused, lost, interrupted or over: requested, disk_full, connection_lost, recorder_failed, stopped, desktop_ended, …" }, \
		{ "chunks", SH_INT, .help = "closed chunks" },                                                         \
		{ "head", SH_STRING, SH_NULLABLE, .help = "SHA-256 of the last closed chunk, in hex; null: none" },     \
		{ "bytes", SH_INT, .help = "size of the closed chunks" }, { "width", SH_INT }, { "height", SH_INT },    \
		{ "zero_at", SH_STRING, .help = "time of day at the beginning of the clock of the recording" },          \
		{ "first_picture_at", SH_STRING, SH_NULLABLE },                                                        \
		{ "cipher", SH_STRING, .help = "that the recorder uses" }
static const struct shape_field recording_ended[] = { RECORDING_STATE_FIELDS };
const struct shape shape_recording_ended = SHAPE("HostRecordingStatus", recording_ended);
static const struct shape_field recording_row[] = {
	RECORDING_STATE_FIELDS,
	{ "server_id", SH_STRING },
	{ "display", SH_INT },
	{ "username", SH_STRING, SH_NULLABLE },
	{ "started_at", SH_STRING, .help = "start of the desktop" },
	{ "lost", SH_INT, .help = "times that the connection to the display was lost" },
	{ "restarts", SH_INT, .help = "recorders that were started in place of one that failed" },
	{ "figures", SH_FREE, SH_NULLABLE, .max = 65536, .help = "of the stages of the pipeline, as the recorder last reported them" },
};
static const struct shape shape_recording_row = SHAPE("HostRecording", recording_row);
static const struct shape_field recording_item = { NULL, SH_OBJECT, .sub = &shape_recording_row };
static const struct shape_field recording_storage[] = {
	{ "free_bytes", SH_INT, SH_NULLABLE, .help = "null: unknown" },
	{ "used_bytes", SH_INT, SH_NULLABLE, .help = "size of all recordings of this host; null: not counted yet" },
	{ "max_bytes", SH_INT },
	{ "high_water_bytes", SH_INT },
	{ "low_water_bytes", SH_INT },
	{ "full", SH_BOOL, .help = "no recording can start" },
};
static const struct shape shape_recording_storage = SHAPE("RecordingStorage", recording_storage);
static const struct shape_field recording_list[] = {
	{ "recordings", SH_ARRAY, .max = 4096, .item = &recording_item },
	{ "storage", SH_OBJECT, .sub = &shape_recording_storage },
};
const struct shape shape_recording_list = SHAPE("HostRecordingList", recording_list);

static const struct shape_field chunk_entry[] = {
	{ "seq", SH_INT },
	{ "torn", SH_BOOL, .help = "its end is missing, because the recorder or the host died" },
	{ "t0_ms", SH_INT, .help = "on the clock of the recording" },
	{ "duration_ms", SH_INT },
	{ "frames", SH_INT },
	{ "bytes", SH_INT },
	{ "raw_bytes", SH_INT },
	{ "width", SH_INT },
	{ "height", SH_INT },
	{ "gap", SH_BOOL, .help = "something was not recorded" },
	{ "hash", SH_STRING, .help = "SHA-256 of its file, in hex" },
	{ "prev_hash", SH_STRING },
	{ "activity", SH_STRING, .help = "how much changed in each second, as hex digits" },
	{ "entry", SH_STRING, .help = "as it is stored in the index, in hex" },
};
static const struct shape shape_chunk_entry = SHAPE("ChunkEntry", chunk_entry);
static const struct shape_field chunk_entry_item = { NULL, SH_OBJECT, .sub = &shape_chunk_entry };
static const struct shape_field chunk_file[] = {
	{ "seq", SH_INT }, { "bytes", SH_INT }, { "closed", SH_BOOL, .help = "it has an entry in the index, and does not grow" },
};
static const struct shape shape_chunk_file = SHAPE("ChunkFile", chunk_file);
static const struct shape_field chunk_file_item = { NULL, SH_OBJECT, .sub = &shape_chunk_file };
static const struct shape_field recording_files[] = {
	{ "manifest", SH_STRING, SH_NULLABLE | SH_MULTILINE, .max = RECORDING_TEXT_MAX },
	{ "seal", SH_STRING, SH_NULLABLE | SH_MULTILINE, .max = RECORDING_TEXT_MAX },
	{ "index", SH_ARRAY, .max = 1000, .item = &chunk_entry_item },
	{ "chunks", SH_ARRAY, .max = 4096, .item = &chunk_file_item, .help = "files in the range of these entries, and those that have none yet" },
	{ "more", SH_BOOL, .help = "the index has further entries" },
};
const struct shape shape_recording_files = SHAPE("HostRecordingFiles", recording_files);
static const struct shape_field recording_page[] = { RECORDING_PAGE_FIELDS };
static const struct shape query_recording_files = SHAPE(NULL, recording_page);
static const struct shape_field recording_from[] = {
	{ "from", SH_INT, .min = 0, .otherwise = "0", .help = "bytes of the file that are skipped" },
};
static const struct shape query_recording_file = SHAPE(NULL, recording_from);
static const struct shape_field recording_text[] = { RECORDING_TEXT_FIELD };
static const struct shape in_recording_text = SHAPE("RecordingDocument", recording_text);
static const struct shape_field recording_removed[] = { { "recording_id", SH_STRING } };
static const struct shape out_recording_removed = SHAPE("RecordingRemoved", recording_removed);
static const struct shape_field recording_written[] = { { "name", SH_STRING }, { "bytes", SH_INT } };
static const struct shape out_recording_written = SHAPE("RecordingDocumentWritten", recording_written);

static const char *const service_states[] = { "running", "stopped", "failed", "not-installed", NULL };
static const struct shape_field service[] = {
	{ "status", SH_STRING, .values = service_states },
	{ "pid", SH_INT, SH_NULLABLE },
	{ "since", SH_STRING, SH_NULLABLE },
	{ "version", SH_STRING, SH_NULLABLE },
	{ "memory", SH_INT, SH_NULLABLE, .help = "memory used by the service, in bytes" },
	{ "unit", SH_STRING, SH_NULLABLE },
	{ "raw_output", SH_STRING, SH_NULLABLE | SH_MULTILINE, .max = 65536 },
	{ "error", SH_STRING, SH_NULLABLE },
};
static const struct shape out_service = SHAPE("XrdpServiceState", service);

/* --- the host's own configuration and service */

static const char *const ini_files[] = { "xrdp", "sesman", NULL };
#define FILE_FIELD { "file", SH_STRING, .values = ini_files, .otherwise = "\"xrdp\"", .help = "xrdp.ini or sesman.ini" }
#define APPLY_FIELD { "apply", SH_BOOL, .otherwise = "false", .help = "apply the change to the host's running xrdp; the previous file is restored if xrdp does not respond" }
#define VERSION_FIELD { "version", SH_INT, .help = "version of the file, as in the ETag" }
#define SECTIONS_HELP "sections with keys and values, as GET returns them; null removes a key or a session type"
static const struct shape_field file_query[] = { FILE_FIELD };
static const struct shape query_file = SHAPE(NULL, file_query);
#define FILE_EITHER(text) { "file", SH_STRING, .values = ini_files, .help = text }
static const struct shape_field put_query[] = { FILE_EITHER("xrdp.ini or sesman.ini; absent: the file named in the body, else xrdp.ini"), APPLY_FIELD };
static const struct shape_field check_query[] = { FILE_EITHER("xrdp.ini or sesman.ini; absent: the file named in the body, else xrdp.ini") };
static const struct shape query_check = SHAPE(NULL, check_query);
static const struct shape query_put = SHAPE(NULL, put_query);
/* A document from GET can be sent back unchanged; that is why its file and version are accepted here. */
static const struct shape_field put_body[] = {
	{ "sections", SH_FREE, SH_REQUIRED, .max = 65536, .help = SECTIONS_HELP },
	FILE_EITHER("used if the query names no file"),
	{ "version", SH_INT, .help = "the request is refused if the file has another version" },
};
static const struct shape in_put = SHAPE("XrdpConfigChange", put_body);
static const struct shape_field check_body[] = {
	{ "sections", SH_FREE, .max = 65536, .help = SECTIONS_HELP "; absent: the present file is checked" },
	FILE_EITHER("used if the query names no file"),
	{ "version", SH_INT, .help = "ignored" },
};
static const struct shape in_check = SHAPE("XrdpConfigCheck", check_body);
static const struct shape_field back_body[] = {
	{ "backup", SH_STRING, .min = 1, .max = 63, .format = "id", .help = "name of the backup; absent: the newest" },
};
static const struct shape in_back = SHAPE("XrdpRollback", back_body);
static const struct shape_field config_all[] = {
	{ "file", SH_STRING, .values = ini_files },
	VERSION_FIELD,
	{ "sections", SH_FREE, .max = 262144, .help = "in the order of the file; passwords are masked" },
};
static const struct shape out_config_all = SHAPE("XrdpConfig", config_all);
static const struct shape_field config_one[] = {
	{ "file", SH_STRING, .values = ini_files },
	VERSION_FIELD,
	{ "section", SH_STRING },
	{ "values", SH_FREE, .max = 262144 },
};
static const struct shape out_config_one = SHAPE("XrdpSection", config_one);
static const struct shape_field name_item = { NULL, SH_STRING };
static const struct shape_field fault_fields[] = { { "field", SH_STRING }, { "message", SH_STRING, .max = 1024 } };
static const struct shape fault_shape = SHAPE("XrdpConfigFault", fault_fields);
static const struct shape_field fault_item = { NULL, SH_OBJECT, .sub = &fault_shape };
#define WARNINGS_FIELD { "warnings", SH_ARRAY, .item = &fault_item, .help = "settings already in the file that do not work: certificate, key" }
static const struct shape_field written[] = {
	{ "file", SH_STRING, .values = ini_files },
	VERSION_FIELD,
	{ "changed", SH_ARRAY, .max = 1000, .item = &name_item, .help = "Section.key of each changed key" },
	{ "applied", SH_BOOL, .help = "xrdp runs with the change and responds" },
	{ "backup", SH_STRING, SH_NULLABLE, .help = "backup of the previous file; null: nothing changed" },
	{ "message", SH_STRING },
	WARNINGS_FIELD,
};
static const struct shape out_written = SHAPE("XrdpConfigWritten", written);
static const struct shape_field checked[] = {
	{ "file", SH_STRING, .values = ini_files },
	VERSION_FIELD,
	{ "valid", SH_BOOL },
	{ "errors", SH_ARRAY, .item = &fault_item },
	WARNINGS_FIELD,
	{ "changed", SH_ARRAY, .max = 1000, .item = &name_item },
};
static const struct shape out_checked = SHAPE("XrdpConfigChecked", checked);
static const struct shape_field backup[] = {
	{ "name", SH_STRING }, { "file", SH_STRING }, { "created_at", SH_STRING }, { "size_bytes", SH_INT }
};
static const struct shape shape_backup = SHAPE("XrdpConfigBackup", backup);
static const struct shape_field backup_item = { NULL, SH_OBJECT, .sub = &shape_backup };
LIST_OF(backups, "XrdpConfigBackupList", backup_item, 100);
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
	{ "days_left", SH_INT, .help = "days until the certificate expires; negative: it has expired" },
	{ "fingerprint", SH_STRING, .help = "SHA-256 of the certificate, in hex" },
	{ "key_matches", SH_BOOL, SH_NULLABLE, .help = "whether the private key belongs to the certificate; null: the key cannot be read" },
	{ "error", SH_STRING, SH_NULLABLE, .help = "why the certificate cannot be read" },
};
static const struct shape shape_certificate = SHAPE("XrdpCertificate", certificate);
static const struct shape_field certificate_item = { NULL, SH_OBJECT, .sub = &shape_certificate };
LIST_OF(certificates, "XrdpCertificateList", certificate_item, 1000);
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
	{ "action", SH_STRING }, { "status", SH_STRING, .values = service_states }, { "message", SH_STRING }, WARNINGS_FIELD
};
static const struct shape out_acted = SHAPE("XrdpServiceAction", acted);

static const struct shape_field info[] = {
	{ "node", SH_STRING },
	{ "boot_id", SH_STRING },
	{ "cores", SH_INT },
	{ "memory_mb", SH_INT },
	{ "xrdp_version", SH_STRING, SH_NULLABLE, .help = "null: not installed" },
	{ "isolation", SH_STRING, .help = "private, or shared if mount namespaces are unavailable" },
	{ "backend", SH_STRING },
	{ "certificate_fault", SH_STRING, SH_NULLABLE, .help = "why the certificate of instances is unusable; null: it is usable" },
	{ "storage_fault", SH_STRING, SH_NULLABLE, .help = "which directory of the program is not writable; null: all are" },
	{ "desktop_fault", SH_STRING, SH_NULLABLE, .help = "why no desktop can start on this host; null: no fault found" },
};
static const struct shape out_info = SHAPE("NodeInfo", info);

#define XRDP(op_name, op_verb, op_path, op_flags, op_deadline, op_out, op_summary, ...)                                \
	{                                                                                                              \
		.name = "xrdp." op_name, .role = ROLE_XRDP, .verb = op_verb, .path = BASE op_path,                     \
		.scope = (op_flags) & OP_ROLES ? OP_SERVICE : OP_ADMIN, .flags = op_flags, .deadline_ms = op_deadline, .out = op_out,                     \
		.summary = op_summary, __VA_ARGS__                                                                     \
	}
#define INSTANCE "/instances/{server_id}"
#define RECORDING "/recordings/{recording_id}"

static const struct op ops[] = {
	XRDP("instances.start", "POST", "/instances", OP_ROLES | OP_IDEMPOTENT | OP_CREATES, 30000, &shape_instance,
	     "Start an instance, or update a running one to its definition", .in = &shape_instance_start, .status = 201),
	XRDP("instances.list", "GET", "/instances", OP_ROLES | OP_READ, 10000, &out_instances, "List the instances on this host"),
	XRDP("instances.get", "GET", INSTANCE, OP_ROLES | OP_READ, 5000, &shape_instance, "Get an instance"),
	XRDP("instances.stop", "DELETE", INSTANCE, OP_ROLES | OP_IDEMPOTENT, 30000, &out_ended,
	     "Stop an instance; returns the desktops that were ended", .query = &in_stop),
	XRDP("instances.config", "POST", "/instances/config", OP_ROLES | OP_READ, 5000, &out_config,
	     "Render the ini files of a definition without starting it", .in = &shape_instance_spec),
	XRDP("instances.limits", "PUT", INSTANCE "/limits", OP_ROLES | OP_IDEMPOTENT, 5000, &shape_instance_limits,
	     "Set the limits of a server for its desktops, without a restart; rdp-server-manager does it", .in = &shape_instance_limits),
	XRDP("instances.logs", "GET", INSTANCE "/logs", OP_ROLES | OP_READ, 10000, &out_lines,
	     "Newest log lines of an instance's xrdp and sesman", .query = &in_instance_logs),
	XRDP("instances.log_file", "GET", INSTANCE "/log-file", OP_ROLES | OP_READ | OP_STREAMS, 10000, NULL,
	     "Whole log of an instance's xrdp or sesman since the last rotation", .query = &shape_log_file,
	     .media = "text/plain"),
	XRDP("instances.connections", "GET", INSTANCE "/connections", OP_ROLES | OP_READ, 5000, &out_connections,
	     "List the live RDP connections of an instance"),
	XRDP("instances.connections.cut", "DELETE", INSTANCE "/connections/{id}", OP_ROLES | OP_IDEMPOTENT, 5000, &out_cut,
	     "Disconnect a client; its desktop stays"),
	XRDP("instances.desktops", "GET", INSTANCE "/desktops", OP_ROLES | OP_READ, 5000, &out_desktops, "List the desktops of an instance"),
	XRDP("instances.desktops.end", "DELETE", INSTANCE "/desktops/{display}", OP_ROLES | OP_IDEMPOTENT, 10000,
	     &out_ended_desktop, "End a desktop with all its processes"),
	XRDP("instances.desktops.limits", "PUT", INSTANCE "/desktops/{display}/limits", OP_ROLES | OP_IDEMPOTENT, 5000, &out_limits,
	     "Set the limits of a desktop's session, besides those of its server; rdp-session-controller does it", .in = &in_limits),
	XRDP("instances.desktops.message", "POST", INSTANCE "/desktops/{display}/message", OP_ROLES, 15000, &out_message,
	     "Show a message in a window on a desktop; responds when the window is visible", .in = &in_message),
	XRDP("instances.stats", "GET", INSTANCE "/stats", OP_ROLES | OP_READ, 5000, &out_instance_stats, "Resource usage of an instance"),
	XRDP("recordings.start", "POST", "/recordings", OP_ROLES | OP_IDEMPOTENT, 20000, &shape_recording_ended,
	     "Record a desktop, or continue an interrupted recording; responds when the first picture is captured", .in = &shape_recording_start, .status = 201),
	XRDP("recordings.list", "GET", "/recordings", OP_ROLES | OP_READ, 5000, &shape_recording_list,
	     "List the recordings of this host that run, or ended and were not stopped since"),
	XRDP("recordings.files", "GET", RECORDING, OP_ROLES | OP_READ, 20000, &shape_recording_files, "Get manifest, seal and index of a recording",
	     .query = &query_recording_files),
	XRDP("recordings.stop", "POST", RECORDING "/stop", OP_ROLES | OP_IDEMPOTENT, 20000, &shape_recording_ended,
	     "Stop a recording; responds when it has ended, and removes it from the list"),
	XRDP("recordings.pause", "POST", RECORDING "/pause", OP_ROLES | OP_IDEMPOTENT, 5000, &shape_recording_ended, "Pause a recording"),
	XRDP("recordings.resume", "POST", RECORDING "/resume", OP_ROLES | OP_IDEMPOTENT, 5000, &shape_recording_ended, "Resume a paused recording"),
	XRDP("recordings.file", "GET", RECORDING "/files/{name}", OP_ROLES | OP_READ | OP_STREAMS, 10000, NULL,
	     "A file of a recording as it is stored: a chunk (00000000.rck), the index, manifest.json or seal.json", .query = &query_recording_file,
	     .media = "application/octet-stream"),
	XRDP("recordings.write", "PUT", RECORDING "/files/{name}", OP_ROLES | OP_IDEMPOTENT, 10000, &out_recording_written,
	     "Write manifest.json or seal.json of a recording", .in = &in_recording_text),
	XRDP("recordings.remove", "DELETE", RECORDING, OP_ROLES | OP_IDEMPOTENT, 60000, &out_recording_removed,
	     "Remove all files of a recording that has ended; succeeds too if there are none"),
	XRDP("quotas", "PUT", "/quotas", OP_ROLES | OP_IDEMPOTENT | OP_REPEATED, 5000, &out_quotas,
	     "Set how many sessions there may be and how many there are on other hosts; the session controller repeats it", .in = &shape_quotas),
	XRDP("stats", "GET", "/stats", OP_ROLES | OP_READ, 5000, &out_stats, "Resource usage of the host and of each instance"),
	XRDP("logs", "GET", "/logs", OP_READ, 10000, &out_lines, "Newest log lines of the host's xrdp, or of an instance",
	     .query = &in_logs),
	XRDP("logs.deleted", "GET", "/logs/deleted", OP_READ, 15000, &out_deleted_logs,
	     "List deleted servers of this host whose logs are still kept"),
	XRDP("logs.deleted.get", "GET", "/logs/deleted/{server_id}", OP_READ, 10000, &out_lines,
	     "Newest log lines of a deleted server's xrdp and sesman", .query = &in_instance_logs),
	XRDP("desktops", "GET", "/desktops", OP_ROLES | OP_READ, 5000, &out_profiles, "List desktop profiles and whether they are installed"),
	XRDP("service", "GET", "/service", OP_READ, 5000, &out_service, "State of the host's own xrdp"),
	XRDP("service.status", "GET", "/service/status", OP_READ, 5000, &out_service, "State of the host's own xrdp"),
	XRDP("service.start", "POST", "/service/start", OP_IDEMPOTENT, 60000, &out_acted, "Start the host's own xrdp and sesman"),
	XRDP("service.stop", "POST", "/service/stop", OP_IDEMPOTENT, 60000, &out_acted,
	     "Stop the host's own xrdp and sesman; instances and desktops stay"),
	XRDP("service.restart", "POST", "/service/restart", OP_IDEMPOTENT, 60000, &out_acted,
	     "Restart the host's own xrdp and sesman; sesman loses track of its desktops"),
	XRDP("service.reload", "POST", "/service/reload", OP_IDEMPOTENT, 60000, &out_acted,
	     "Reload the configuration of the host's own xrdp; connections and desktops stay"),
	XRDP("config.get", "GET", "/config", OP_READ, 5000, &out_config_all, "Get the host's xrdp.ini or sesman.ini",
	     .query = &query_file),
	XRDP("config.put", "PUT", "/config", OP_IDEMPOTENT | OP_IF_MATCH, 60000, &out_written,
	     "Change the host's xrdp.ini or sesman.ini; keys that are not named stay", .query = &query_put, .in = &in_put),
	XRDP("config.validate", "POST", "/config/validate", OP_READ, 5000, &out_checked,
	     "Check a change, or the present file, without writing", .query = &query_check, .in = &in_check),
	XRDP("config.backups", "GET", "/config/backups", OP_READ, 5000, &out_backups, "List backups of the file, newest first",
	     .query = &query_file),
	XRDP("config.rollback", "POST", "/config/rollback", 0, 60000, &out_written, "Restore a backup of the file",
	     .query = &query_put, .in = &in_back),
	XRDP("config.section", "GET", "/config/{section}", OP_READ, 5000, &out_config_one, "Get one section of the file",
	     .query = &query_file),
	XRDP("certificates", "GET", "/certificates", OP_READ, 10000, &out_certificates,
	     "List the certificates that RDP clients see: the host's own and each instance's"),
	XRDP("certificates.make", "POST", "/certificates/self-signed", OP_IDEMPOTENT, 60000, &out_made,
	     "Make a self-signed certificate (EC P-256) and use it", .query = &query_make, .in = &in_make),
	XRDP("info", "GET", "/info", OP_READ, 5000, &out_info, "Describe this host"),
	XRDP("accounts.check", "POST", "/accounts/check", OP_ROLES | OP_READ, 5000, &out_account,
	     "Check whether an account of this host may log in to a server", .in = &in_account),
	XRDP("ports.check", "POST", "/ports/check", OP_ROLES | OP_READ, 5000, &out_blocked, "Check which of these ports cannot be bound",
	     .in = &in_ports),
};
const struct op_table contract_xrdp = { ops, ARRAY_LEN(ops) };
