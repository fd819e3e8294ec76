#include "roles/contract/contract.h"

const char *const listing_formats[] = { "json", "csv", NULL };

/* Bounds are those of the API specification (api.md). Handlers also check the bounds that depend on the host: cores, memory. */

const struct shape shape_empty = { .name = NULL };

static const struct shape_field pagination[] = {
	{ "page", SH_INT }, { "limit", SH_INT }, { "offset", SH_INT }, { "total", SH_INT },
	{ "pages", SH_INT }, { "has_next", SH_BOOL }, { "has_previous", SH_BOOL },
};
const struct shape shape_pagination = SHAPE("Pagination", pagination);

static const struct shape_field display[] = {
	{ "width", SH_INT, .min = 320, .max = 8192, .otherwise = "1920", .help = "width of a desktop in pixels" },
	{ "height", SH_INT, .min = 200, .max = 8192, .otherwise = "1080", .help = "height of a desktop in pixels" },
	{ "color_depth", SH_INT, .min = 8, .max = 32, .otherwise = "24", .help = "bits per pixel: 8, 15, 16, 24 or 32" },
};
const struct shape shape_display = SHAPE("Display", display);

static const char *const session_kinds[] = { "xorg", "xvnc", NULL };
static const struct shape_field desktop[] = {
	{ "session", SH_STRING, .values = session_kinds, .otherwise = "\"xorg\"", .help = "X server of the desktops" },
	{ "profile", SH_STRING, .min = 1, .max = 32, .format = "id", .help = "a configured window manager; GET /api/v1/xrdp/desktops lists them" },
	{ "max_sessions", SH_INT, .min = 1, .max = 50, .otherwise = "10", .help = "maximum number of desktops at a time, over all accounts; a further login is refused. An account that logs in again with the same color depth gets its existing desktop: with xorg the previous client is disconnected, with xvnc it stays connected" },
	{ "idle_timeout", SH_INT, .min = 0, .max = 31536000, .otherwise = "0", .help = "seconds without input after which the client is disconnected; the next two fields decide how long the desktop stays; 0: never. A change of these three applies to running desktops at once" },
	{ "disconnected_timeout", SH_INT, .min = 0, .max = 31536000, .otherwise = "0", .help = "seconds without a client after which a desktop is ended; 0: never" },
	{ "kill_disconnected", SH_BOOL, .otherwise = "false", .help = "end a desktop 3 s after its client disconnects" },
};
const struct shape shape_desktop = SHAPE("Desktop", desktop);

static const char *const layers[] = { "negotiate", "tls", "rdp", NULL };
static const char *const tls_versions[] = { "1.2", "1.3", NULL };
static const char *const crypt_levels[] = { "none", "low", "medium", "high", "fips", NULL };
static const struct shape_field account_item = { NULL, SH_STRING, .min = 1, .max = 256, .format = "account" };
static const struct shape_field group_item = { NULL, SH_STRING, .min = 1, .max = 256, .format = "group" };
static const struct shape_field security[] = {
	{ "layer", SH_STRING, .values = layers, .otherwise = "\"negotiate\"", .help = "RDP security layer" },
	{ "min_tls", SH_STRING, .values = tls_versions, .otherwise = "\"1.2\"", .help = "lowest TLS version" },
	{ "crypt_level", SH_STRING, .values = crypt_levels, .otherwise = "\"high\"", .help = "encryption level of the classic RDP security layer" },
	{ "allowed_users", SH_ARRAY, .max = 100, .item = &account_item, .otherwise = "[]", .help = "Linux accounts that may log in, written as the host knows them (DOMAIN\\name, first.last); both lists empty: all accounts" },
	{ "allowed_groups", SH_ARRAY, .max = 100, .item = &group_item, .otherwise = "[]", .help = "Linux groups whose members may log in too, written as the host knows them (domain users)" },
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
	{ "cpu_percent", SH_INT, .min = 1, .max = 102400, .help = "CPU time, in percent of one core; at most 100 × the host's cores" },
	{ "memory_mb", SH_INT, .min = 64, .max = 16777216, .help = "memory in MiB; at most the host's" },
	{ "tasks", SH_INT, .min = 32, .max = 100000, .help = "maximum number of processes and threads" },
};
const struct shape shape_limits = SHAPE("Limits", limits);

static const char *const recording_modes[] = { "off", "on", NULL };
static const char *const recording_failures[] = { "allow", "refuse", NULL };
static const struct shape_field recording_mode[] = {
	{ "mode", SH_STRING, .values = recording_modes, .otherwise = "\"off\"" },
	{ "notice", SH_STRING, SH_NULLABLE, .max = 500, .help = "shown at login" },
	{ "on_failure", SH_STRING, .values = recording_failures, .otherwise = "\"allow\"",
	  .help = "what follows when a new desktop is not recorded within 3 s: allow starts its session, refuse ends the desktop" },
};
const struct shape shape_recording_mode = SHAPE("RecordingMode", recording_mode);

/* --- instances: requests of rdp-server-manager to the agent, and the responses */

/* The fields that an instance's files are rendered from. The agent uses nothing else of a server's definition. */
#define INSTANCE_SPEC_FIELDS                                                                                           \
	{ "server_id", SH_STRING, SH_REQUIRED, .format = "uuid" },                                                     \
	{ "name", SH_STRING, SH_REQUIRED, .min = 1, .max = 64, .format = "stored" },                                   \
	{ "user_id", SH_STRING, .min = 1, .max = 128, .format = "stored" },                                            \
	{ "port", SH_INT, SH_REQUIRED, .min = 1024, .max = 65535 },                                                    \
	{ "display", SH_OBJECT, .sub = &shape_display },                                                               \
	{ "desktop", SH_OBJECT, .sub = &shape_desktop },                                                               \
	{ "security", SH_OBJECT, .sub = &shape_security },                                                             \
	{ "channels", SH_OBJECT, .sub = &shape_channels },                                                             \
	{ "limits", SH_OBJECT, .sub = &shape_limits },                                                                 \
	{ "recording", SH_OBJECT, .sub = &shape_recording_mode },                                                      \
	{ "restart_policy", SH_STRING, .values = (const char *const[]){ "never", "on-failure", "always", NULL },       \
	  .otherwise = "\"on-failure\"" },
static const struct shape_field instance_spec[] = { INSTANCE_SPEC_FIELDS };
const struct shape shape_instance_spec = SHAPE("InstanceSpec", instance_spec);
static const struct shape_field instance_start[] = {
	INSTANCE_SPEC_FIELDS
	{ "replace", SH_BOOL, .otherwise = "false", .help = "if it runs: render its files again and replace xrdp; connections, sesman and desktops stay" },
};
const struct shape shape_instance_start = SHAPE("InstanceStart", instance_start);

static const struct shape_field instance_limits[] = { INSTANCE_LIMITS_FIELDS };
const struct shape shape_instance_limits = SHAPE("InstanceLimits", instance_limits);

static const char *const instance_states[] = { "starting", "running", "stopping", "failed", NULL };
static const struct shape_field pids[] = {
	{ "xrdp", SH_INT, SH_NULLABLE }, { "sesman", SH_INT, SH_NULLABLE },
};
static const struct shape shape_pids = SHAPE("Pids", pids);
static const struct shape_field enforced[] = {
	{ "cpu_percent", SH_BOOL, .help = "whether the kernel enforces this limit" },
	{ "memory_mb", SH_BOOL },
	{ "tasks", SH_BOOL },
};
static const struct shape shape_enforced = SHAPE("LimitsEnforced", enforced);
static const struct shape_field session_counts[] = {
	{ "active", SH_INT }, { "disconnected", SH_INT }, { "orphaned", SH_INT },
};
const struct shape shape_session_counts = SHAPE("SessionCounts", session_counts);
static const struct shape_field connection_counts[] = {
	{ "current", SH_INT },
	{ "without_user", SH_INT, .help = "connections on which nobody has logged in yet" },
	{ "max", SH_INT, SH_NULLABLE, .help = "limit on open connections (MAX_CONNECTIONS_PER_SERVER); null: no limit" },
	{ "refused", SH_INT, .help = "connections closed since the agent started to watch the server: over a limit, after LOGIN_TIMEOUT, or from blocked addresses" },
	{ "exhausted", SH_BOOL, .help = "no further connection is accepted, or one was refused in the last 10 s" },
};
const struct shape shape_connection_counts = SHAPE("ConnectionCounts", connection_counts);
static const char *const daemon_names[] = { "xrdp", "sesman", NULL };
static const struct shape_field daemon_item = { NULL, SH_STRING, .values = daemon_names };
const struct shape_field shape_display_item = { NULL, SH_INT };
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
	{ "since", SH_STRING, SH_NULLABLE, .help = "when the present status began" },
	{ "restarts", SH_INT },
	{ "limits_enforced", SH_OBJECT, .sub = &shape_enforced },
	{ "desktop_limits", SH_OBJECT, .sub = &shape_instance_limits, .help = "limits of the server that apply to its desktops now" },
	{ "sessions", SH_OBJECT, .sub = &shape_session_counts },
	{ "connections", SH_OBJECT, SH_NULLABLE, .sub = &shape_connection_counts },
	DISPLAYS_TAKEN_FIELD,
	{ "certificate_fingerprint", SH_STRING, SH_NULLABLE, .help = "SHA-256 of the certificate, in hex" },
	{ "outdated", SH_ARRAY, .max = 2, .item = &daemon_item,
	  .help = "daemons that run a version other than the installed one; a restart replaces xrdp, a stop and start replaces both" },
	{ "last_exit", SH_FREE, SH_NULLABLE, .help = "last process that exited: its name, exit code, signal, time and last log lines" },
};
const struct shape shape_instance = SHAPE("Instance", instance);

static const struct shape_field connection[] = {
	{ "id", SH_STRING, .help = "identifies the connection while it is open" },
	{ "server_id", SH_STRING },
	{ "client_address", SH_STRING },
	{ "client_port", SH_INT },
	{ "username", SH_STRING, SH_NULLABLE, .help = "Linux account; null: not logged in yet" },
	{ "display", SH_INT, SH_NULLABLE, .help = "display of its desktop; null: none yet" },
	{ "pid", SH_INT },
	{ "bytes_in", SH_INT, .help = "bytes received from the client" },
	{ "bytes_out", SH_INT, .help = "bytes that the client has acknowledged" },
	{ "latency_ms", SH_NUMBER, SH_NULLABLE, .help = "round-trip time to the client as the kernel's TCP has measured it, smoothed; null: not measured yet" },
	{ "started_at", SH_STRING },
};
const struct shape shape_connection = SHAPE("Connection", connection);

static const struct shape_field desktop_limits[] = { DESKTOP_LIMITS_FIELDS };
const struct shape shape_desktop_limits = SHAPE("DesktopLimits", desktop_limits);
static const char *const desktop_states[] = { "active", "disconnected", "orphaned", NULL };
static const struct shape_field desktop_session[] = {
	{ "display", SH_INT },
	{ "server_id", SH_STRING },
	{ "username", SH_STRING },
	{ "status", SH_STRING, .values = desktop_states },
	{ "session", SH_STRING, .values = session_kinds },
	{ "started_at", SH_STRING },
	{ "disconnected_at", SH_STRING, SH_NULLABLE, .help = "since when no client is connected; null: one is" },
	{ "idle_seconds", SH_INT, SH_NULLABLE, .help = "seconds since the last input that its X server received; null: it did not answer" },
	{ "processes", SH_INT },
	{ "memory_bytes", SH_INT },
	{ "client_address", SH_STRING, SH_NULLABLE },
	{ "connection_id", SH_STRING, SH_NULLABLE },
	{ "limits", SH_OBJECT, .sub = &shape_desktop_limits, .help = "of its session, set by rdp-session-controller; those of the server apply too, the shortest wins" },
};
const struct shape shape_desktop_session = SHAPE("LiveDesktop", desktop_session);

const char *const message_levels[] = { "info", "warning", "critical", NULL };

static const char *const log_files[] = { "xrdp", "sesman", NULL };
static const struct shape_field log_file[] = { { "source", SH_STRING, .values = log_files, .otherwise = "\"xrdp\"" } };
const struct shape shape_log_file = SHAPE(NULL, log_file);

static const char *const log_sources[] = { "xrdp", "sesman", "desktops", NULL };
const struct shape_field shape_log_source = { NULL, SH_STRING, .values = log_sources };
