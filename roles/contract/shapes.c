#include "roles/contract/contract.h"

/* Bounds are the specification's (api.md); what the host itself bounds (cores, memory) its handler checks again. */

const struct shape shape_empty = { .name = NULL };

static const struct shape_field page[] = {
	{ "page", SH_INT, .min = 1, .max = 1000000, .help = "page, from 1; not together with offset" },
	{ "limit", SH_INT, .min = 1, .max = 100, .otherwise = "20", .help = "items on a page" },
	{ "offset", SH_INT, .min = 0, .max = 100000000, .help = "items to pass over; not together with page" },
	{ "sort", SH_STRING, .min = 1, .max = 64, .help = "field to sort by; '-' in front turns it round" },
};
const struct shape shape_page = SHAPE(NULL, page);

static const struct shape_field pagination[] = {
	{ "page", SH_INT }, { "limit", SH_INT }, { "offset", SH_INT }, { "total", SH_INT },
	{ "pages", SH_INT }, { "has_next", SH_BOOL }, { "has_previous", SH_BOOL },
};
const struct shape shape_pagination = SHAPE("Pagination", pagination);

static const struct shape_field display[] = {
	{ "width", SH_INT, .min = 320, .max = 8192, .otherwise = "1920", .help = "pixels" },
	{ "height", SH_INT, .min = 200, .max = 8192, .otherwise = "1080", .help = "pixels" },
	{ "color_depth", SH_INT, .min = 8, .max = 32, .otherwise = "24", .help = "8, 15, 16, 24 or 32 bits" },
};
const struct shape shape_display = SHAPE("Display", display);

static const char *const session_kinds[] = { "xorg", "xvnc", NULL };
static const struct shape_field desktop[] = {
	{ "session", SH_STRING, .values = session_kinds, .otherwise = "\"xorg\"", .help = "X server of the desktops" },
	{ "profile", SH_STRING, .min = 1, .max = 32, .format = "id", .help = "a configured window manager; see GET /api/v1/xrdp/desktops" },
	{ "max_sessions", SH_INT, .min = 1, .max = 50, .otherwise = "10", .help = "desktops at a time, of all accounts together; a further login is refused. An account that logs in again (same depth of colour) takes its desktop over, from the first client with xorg, beside it with xvnc" },
	{ "idle_timeout", SH_INT, .min = 0, .max = 31536000, .otherwise = "0", .help = "seconds without input, after which the client is disconnected; the desktop stays as the next two say; 0: never" },
	{ "disconnected_timeout", SH_INT, .min = 0, .max = 31536000, .otherwise = "0", .help = "seconds without a client, after which a desktop is ended; counted anew when the agent restarts; 0: never" },
	{ "kill_disconnected", SH_BOOL, .otherwise = "false", .help = "end a desktop 3 s after its client went" },
};
const struct shape shape_desktop = SHAPE("Desktop", desktop);

static const char *const layers[] = { "negotiate", "tls", "rdp", NULL };
static const char *const tls_versions[] = { "1.2", "1.3", NULL };
static const char *const crypt_levels[] = { "none", "low", "medium", "high", "fips", NULL };
static const struct shape_field account_item = { NULL, SH_STRING, .min = 1, .max = 32, .format = "account" };
static const struct shape_field security[] = {
	{ "layer", SH_STRING, .values = layers, .otherwise = "\"negotiate\"", .help = "RDP security layer" },
	{ "min_tls", SH_STRING, .values = tls_versions, .otherwise = "\"1.2\"", .help = "lowest TLS version" },
	{ "crypt_level", SH_STRING, .values = crypt_levels, .otherwise = "\"high\"", .help = "of the classic RDP layer" },
	{ "allowed_users", SH_ARRAY, .max = 100, .item = &account_item, .otherwise = "[]", .help = "Linux accounts; empty: all" },
	{ "allowed_groups", SH_ARRAY, .max = 100, .item = &account_item, .otherwise = "[]", .help = "Linux groups; empty: all" },
};
const struct shape shape_security = SHAPE("Security", security);

static const struct shape_field channels[] = {
	{ "clipboard", SH_BOOL, .otherwise = "true" },
	{ "drive", SH_BOOL, .otherwise = "true" },
	{ "sound", SH_BOOL, .otherwise = "true" },
	{ "rail", SH_BOOL, .otherwise = "true" },
	{ "dynamic", SH_BOOL, .otherwise = "true" },
};
const struct shape shape_channels = SHAPE("Channels", channels);

static const struct shape_field limits[] = {
	{ "cpu_percent", SH_INT, .min = 1, .max = 102400, .help = "100 is one core; at most 100 × the host's cores" },
	{ "memory_mb", SH_INT, .min = 64, .max = 16777216, .help = "MiB; at most the host's" },
	{ "tasks", SH_INT, .min = 32, .max = 100000, .help = "processes and threads" },
};
const struct shape shape_limits = SHAPE("Limits", limits);

static const char *const recording_modes[] = { "off", "on", NULL };
static const struct shape_field recording_mode[] = {
	{ "mode", SH_STRING, .values = recording_modes, .otherwise = "\"off\"" },
	{ "notice", SH_STRING, SH_NULLABLE, .max = 500, .help = "shown at login" },
};
const struct shape shape_recording_mode = SHAPE("RecordingMode", recording_mode);

/* --- instances: what the server-manager hands to the agent, and what it gets back */

/* Everything an instance is rendered from. The agent takes nothing else from a server's definition. */
#define INSTANCE_SPEC_FIELDS                                                                                           \
	{ "server_id", SH_STRING, SH_REQUIRED, .format = "uuid" },                                                     \
	{ "name", SH_STRING, SH_REQUIRED, .min = 1, .max = 64, .format = "name" },                                     \
	{ "user_id", SH_STRING, .min = 1, .max = 128, .format = "user" },                                              \
	{ "port", SH_INT, SH_REQUIRED, .min = 1024, .max = 65535 },                                                    \
	{ "display", SH_OBJECT, .sub = &shape_display },                                                               \
	{ "desktop", SH_OBJECT, .sub = &shape_desktop },                                                               \
	{ "security", SH_OBJECT, .sub = &shape_security },                                                             \
	{ "channels", SH_OBJECT, .sub = &shape_channels },                                                             \
	{ "limits", SH_OBJECT, .sub = &shape_limits },                                                                 \
	{ "restart_policy", SH_STRING, .values = (const char *const[]){ "never", "on-failure", "always", NULL },       \
	  .otherwise = "\"on-failure\"" },
static const struct shape_field instance_spec[] = { INSTANCE_SPEC_FIELDS };
const struct shape shape_instance_spec = SHAPE("InstanceSpec", instance_spec);
static const struct shape_field instance_start[] = {
	INSTANCE_SPEC_FIELDS
	{ "replace", SH_BOOL, .otherwise = "false", .help = "it runs: render anew, new listener, keep sesman and desktops" },
};
const struct shape shape_instance_start = SHAPE("InstanceStart", instance_start);

static const char *const instance_states[] = { "starting", "running", "stopping", "failed", NULL };
static const struct shape_field pids[] = {
	{ "xrdp", SH_INT, SH_NULLABLE }, { "sesman", SH_INT, SH_NULLABLE },
};
static const struct shape shape_pids = SHAPE("Pids", pids);
static const struct shape_field enforced[] = {
	{ "cpu_percent", SH_BOOL, .help = "the kernel holds the instance to it" },
	{ "memory_mb", SH_BOOL },
	{ "tasks", SH_BOOL },
};
static const struct shape shape_enforced = SHAPE("LimitsEnforced", enforced);
static const struct shape_field session_counts[] = {
	{ "active", SH_INT }, { "disconnected", SH_INT }, { "orphaned", SH_INT },
};
const struct shape shape_session_counts = SHAPE("SessionCounts", session_counts);
static const struct shape_field instance[] = {
	{ "server_id", SH_STRING },
	{ "status", SH_STRING, .values = instance_states },
	{ "reason", SH_STRING, SH_NULLABLE, .help = "why it failed: port_in_use, no_xrdp, xrdp_exited, sesman_exited, …" },
	{ "port", SH_INT },
	{ "backend", SH_STRING, .help = "process or systemd" },
	{ "isolation", SH_STRING, .help = "private or shared" },
	{ "pids", SH_OBJECT, .sub = &shape_pids },
	{ "sesman_port", SH_INT },
	{ "display_offset", SH_INT },
	{ "started_at", SH_STRING, SH_NULLABLE },
	{ "since", SH_STRING, SH_NULLABLE, .help = "of the present status" },
	{ "restarts", SH_INT },
	{ "limits_enforced", SH_OBJECT, .sub = &shape_enforced },
	{ "sessions", SH_OBJECT, .sub = &shape_session_counts },
	{ "certificate_fingerprint", SH_STRING, SH_NULLABLE, .help = "SHA-256, hex" },
	{ "last_exit", SH_FREE, SH_NULLABLE, .help = "obituary: process, code, signal, time, last lines" },
};
const struct shape shape_instance = SHAPE("Instance", instance);

static const struct shape_field connection[] = {
	{ "id", SH_STRING, .help = "of the connection, stable while it lives" },
	{ "server_id", SH_STRING },
	{ "client_address", SH_STRING },
	{ "client_port", SH_INT },
	{ "username", SH_STRING, SH_NULLABLE, .help = "once logged in" },
	{ "display", SH_INT, SH_NULLABLE, .help = "once on a desktop" },
	{ "pid", SH_INT },
	{ "bytes_in", SH_INT, .help = "received from the client" },
	{ "bytes_out", SH_INT, .help = "acknowledged by the client" },
	{ "started_at", SH_STRING },
};
const struct shape shape_connection = SHAPE("Connection", connection);

static const char *const desktop_states[] = { "active", "disconnected", "orphaned", NULL };
static const struct shape_field desktop_session[] = {
	{ "display", SH_INT },
	{ "server_id", SH_STRING },
	{ "username", SH_STRING },
	{ "status", SH_STRING, .values = desktop_states },
	{ "session", SH_STRING, .values = session_kinds },
	{ "started_at", SH_STRING },
	{ "idle_seconds", SH_INT, SH_NULLABLE },
	{ "processes", SH_INT },
	{ "memory_bytes", SH_INT },
	{ "client_address", SH_STRING, SH_NULLABLE },
	{ "connection_id", SH_STRING, SH_NULLABLE },
};
const struct shape shape_desktop_session = SHAPE("DesktopSession", desktop_session);

static const char *const log_files[] = { "xrdp", "sesman", NULL };
static const struct shape_field log_file[] = { { "source", SH_STRING, .values = log_files, .otherwise = "\"xrdp\"" } };
const struct shape shape_log_file = SHAPE(NULL, log_file);
