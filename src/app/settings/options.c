#include "app/settings/options.h"

#include <assert.h>

#include "app/roles.h"

#define MIB (1024 * 1024)
#define YEARS_10 3650

static const char *const environments[] = { "development", "test", "staging", "production", NULL };
static const char *const levels[] = { "DEBUG", "INFO", "WARNING", "WARN", "ERROR", NULL };
static const char *const formats[] = { "json", "text", NULL };
static const char *const backends[] = { "auto", "process", "systemd", NULL };
static const char *const algorithms[] = { "HS256", "RS256", "ES256", "EdDSA", NULL };
static const char *const tls_versions[] = { "1.2", "1.3", NULL };
static const char *const qualities[] = { "low", "medium", "high", NULL };
static const char *const compressions[] = { "none", "lz4", "zstd", NULL };

/* The features that settings with OPT_NOT_BUILT belong to. */
static const char ops_plane[] = "the ops plane";

#define TEXT(n, also, f, longest, d, h) { .row = { n, also, OPT_TEXT, f, 0, longest, NULL, NULL, d, h, NULL } }
#define INT(n, also, f, lo, hi, u, d, h) { .row = { n, also, OPT_INT, f, lo, hi, u, NULL, d, h, NULL } }
#define PORT_(n, also, d, h) { .row = { n, also, OPT_INT, OPT_PORT | OPT_LISTENS, 1, 65535, NULL, NULL, d, h, NULL } }
#define BOOL_(n, also, f, d, h) { .row = { n, also, OPT_BOOL, f, 0, 0, NULL, NULL, d, h, NULL } }
#define LIST(n, also, f, d, h) { .row = { n, also, OPT_LIST, f, 0, 8192, NULL, NULL, d, h, NULL } }
#define ENUM_(n, also, f, v, d, h) { .row = { n, also, OPT_ENUM, f, 0, 0, NULL, v, d, h, NULL } }
/* the same, for features that are not built yet */
#define NO_TEXT(n, also, f, d, h, p) { .row = { n, also, OPT_TEXT, (f) | OPT_NOT_BUILT, 0, 2048, NULL, NULL, d, h, p } }
#define NO_BOOL(n, d, h, p) { .row = { n, NULL, OPT_BOOL, OPT_NOT_BUILT, 0, 0, NULL, NULL, d, h, p } }
#define NO_LIST(n, d, h, p) { .row = { n, NULL, OPT_LIST, OPT_NOT_BUILT, 0, 8192, NULL, NULL, d, h, p } }

/* one setting for each role: which of the role's setting names, the help for the first role, and the help for the others */
#define EACH_TEXT(o, longest, first, h) { .row = { NULL, NULL, OPT_TEXT, 0, 0, longest, NULL, NULL, "", h, NULL }, .of_role = o, .first_help = first }
#define EACH_PORT(h) { .row = { NULL, NULL, OPT_INT, OPT_PORT | OPT_LISTENS, 1, 65535, NULL, NULL, NULL, h, NULL }, .of_role = ROLE_OPT_PORT }

/* In a help text, %s stands for the role, or for all of them. */
struct entry {
	struct option row; /* name NULL: each role has this setting, under its own name */
	enum role_option of_role;
	const char *first_help;
};

static const struct entry entries[] = {
	/* roles, names and addresses */
	LIST("ROLE", NULL, 0, "all", "Roles to run: all, or %s."),
	TEXT("CONFIG_FILE", NULL, 0, 4096, "", "Configuration file; /etc/lucid-rdp/lucid-rdp.conf is read if it is there."),
	EACH_TEXT(ROLE_OPT_CONFIG_FILE, 4096, "The same, for a process that runs this role; CONFIG_FILE has precedence.", "The same, for a process that runs this role."),
	TEXT("SERVICE_NAME", "APP_NAME", 0, 64, "", "With one role: name in logs, metrics and health that replaces the role's name."),
	{ .row = { "SERVICE_PORT", "PORT", OPT_INT, OPT_PORT, 1, 65535, NULL, NULL, "", "With one role: its port; replaces the port setting of the role.", NULL } },
	TEXT("SERVICE_DESCRIPTION", NULL, 0, 1024, "", "Description in OpenAPI that replaces the role's own."),
	TEXT("APP_VERSION", NULL, OPT_IGNORED, 0, "", "Has no effect: the version is that of the program."),
	EACH_PORT("Port of %s."),
	LIST("BIND_ADDRESS", "HOST", 0, "", "Addresses to listen on, also unix:/path; 127.0.0.1 in development, 0.0.0.0 otherwise."),
	EACH_TEXT(ROLE_OPT_HOST, 255, "Name by which others reach %s, not an address to bind; default: the host name.", "Name by which others reach %s."),
	EACH_TEXT(ROLE_OPT_URL, 2048, "Where %s lives when not in this process, or the address it is known by.", "The same for %s."),
	TEXT("NODE_NAME", NULL, 0, 128, "", "Node name of this host; default: the host name."),
	TEXT("NODE_URL", NULL, 0, 2048, "", "URL of this host's xrdp-integration for the other roles."),
	LIST("NODE_LABELS", NULL, 0, "", "Labels of this node, name=value."),
	TEXT("NODE_PUBLIC_HOST", NULL, 0, 255, "", "Host name in connections and .rdp files; default: the host name."),
	LIST("RDP_USER_MAP", NULL, OPT_LIVE, "", "user=account pairs that map a user_id to a Linux account; other users have the account of the same name."),

	/* environment and directories */
	ENUM_("ENVIRONMENT", "LUCID_ENV", 0, environments, "development", "In production, unsafe settings are refused."),
	TEXT("LUCID_PLATFORM", NULL, 0, 64, "", "Platform shown in health; default detected (x86_64, arm64, raspberry-pi …)."),
	BOOL_("DEBUG", NULL, 0, "false", "Log at level DEBUG unless LOG_LEVEL is set; serve /docs and /redoc."),
	TEXT("PROJECT_ROOT", NULL, 0, 4096, "", "Base of DATA_DIR, LOG_DIR and RUNTIME_DIR if these are not set: PROJECT_ROOT/data, /logs, /run."),
	TEXT("DATA_DIR", NULL, 0, 4096, "", "Persistent data: the store, keys, instances. Default: systemd's STATE_DIRECTORY, /var/lib/lucid-rdp as root, else XDG."),
	TEXT("LOG_DIR", NULL, 0, 4096, "", "Logs. Default: systemd's LOGS_DIRECTORY, /var/log/lucid-rdp as root, else XDG."),
	TEXT("RUNTIME_DIR", NULL, 0, 4096, "", "Sockets. Default: systemd's RUNTIME_DIRECTORY, /run/lucid-rdp as root, else XDG."),
	TEXT("RUN_USER", NULL, 0, 64, "", "Account of the process that reads the network; default lucid-rdp where it exists, else uid 65532."),

	/* store and cache */
	TEXT("MONGODB_URL", "MONGODB_URI", OPT_SECRET, 2048, "", "MongoDB instead of the embedded store: mongodb://[user:password@]host[:port][/database][?options]; default database: lucid_rdp. The options serverSelectionTimeoutMS, connectTimeoutMS, socketTimeoutMS and waitQueueTimeoutMS may be 50 to STORE_TIMEOUT_MS, heartbeatFrequencyMS 500 to 60000; the sizes of its pool are MONGODB_MIN_POOL_SIZE and MONGODB_MAX_POOL_SIZE."),
	INT("MONGODB_MAX_POOL_SIZE", NULL, 0, 1, 1000, NULL, "50", "Maximum number of connections to MongoDB."),
	INT("MONGODB_MIN_POOL_SIZE", NULL, 0, 0, 1000, NULL, "10", "Connections to MongoDB that are opened at the start and kept when idle; others are closed after a minute."),
	TEXT("REDIS_URL", NULL, OPT_SECRET, 2048, "", "Redis for events between processes and shared rate limits: redis://[[user]:password@]host[:port][/database] or unix:/path[?db=0]."),
	TEXT("RATE_LIMIT_STORAGE_URL", NULL, OPT_SECRET, 2048, "", "Redis for rate limits, instead of the one in REDIS_URL."),
	INT("REDIS_MAX_CONNECTIONS", NULL, 0, 1, 1000, "connections", "50", "Maximum number of connections to Redis; two are needed, and one more if RATE_LIMIT_STORAGE_URL names another Redis."),
	INT("STORE_QUEUE_LIMIT", NULL, 0, 16, 1000000, "operations", "4096", "Maximum number of queued writes; beyond it requests are answered with 503 at once."),
	INT("STORE_TIMEOUT_MS", NULL, 0, 100, 600000, "ms", "5000", "Time limit of one store operation, including the time in the queue."),

	/* tokens and secrets */
	TEXT("JWT_SECRET", "SECRET_KEY", OPT_SECRET | OPT_LIVE, 4096, "", "Signs and verifies tokens; at least 32 bytes. Generated in development and kept in DATA_DIR/secrets."),
	LIST("JWT_SECRETS_OLD", NULL, OPT_SECRET | OPT_LIVE, "", "Previous secrets, which are still accepted for verification."),
	ENUM_("JWT_ALGORITHM", NULL, 0, algorithms, "HS256", "Algorithm of tokens."),
	TEXT("JWT_PUBLIC_KEY_FILE", NULL, 0, 4096, "", "PEM file with the public keys for RS256, ES256 or EdDSA; a line \"kid: NAME\" before a key names it."),
	TEXT("JWT_ISSUER", NULL, OPT_LIVE, 256, "", "Required value of the claim iss, if set."),
	TEXT("JWT_AUDIENCE", NULL, OPT_LIVE, 256, "", "Required value of the claim aud, if set."),
	INT("JWT_EXPIRATION", NULL, OPT_LIVE, 1, 31536000, "s", "3600", "Lifetime of tokens created by this program."),
	TEXT("AUTH_SERVICE_URL", NULL, OPT_LIVE, 2048, "", "Shown in 401 answers and readiness."),
	TEXT("API_GATEWAY_URL", NULL, OPT_LIVE, 2048, "", "Shown in 401 answers and readiness."),
	TEXT("MASTER_KEY", NULL, OPT_SECRET | OPT_LIVE, 4096, "", "Wraps recording keys and stored passwords; at least 32 bytes. Generated beside the data."),
	LIST("MASTER_KEYS_OLD", NULL, OPT_SECRET | OPT_LIVE, "", "Previous values of MASTER_KEY, which still open what they have sealed."),
	TEXT("TLS_CERT_FILE", NULL, OPT_LIVE, 4096, "", "Certificate of the listeners, in PEM, with the intermediate certificates; the ports of the roles then serve HTTPS only."),
	TEXT("TLS_KEY_FILE", NULL, OPT_LIVE, 4096, "", "Key of that certificate, in PEM, without a passphrase."),
	TEXT("TLS_CLIENT_CA_FILE", NULL, OPT_LIVE, 4096, "", "CA certificates for the client certificates that clients must present; also trusted, in addition to the system's, in calls to other roles."),
	ENUM_("TLS_MIN_VERSION", NULL, OPT_LIVE, tls_versions, "1.2", "Lowest version of TLS."),

	/* HTTP */
	LIST("CORS_ORIGINS", "ALLOWED_ORIGINS", OPT_LIVE | OPT_EMPTY_OK, "", "Origins from which browsers may call; * in development, none otherwise."),
	LIST("ALLOWED_HOSTS", NULL, OPT_LIVE, "*", "Host names that requests may be addressed to."),
	LIST("TRUSTED_PROXIES", NULL, OPT_LIVE, "", "Addresses or networks, or unix, whose X-Forwarded-For, -Host, -Proto, -Prefix and Forwarded are believed."),
	TEXT("PUBLIC_URL", NULL, OPT_LIVE, 512, "", "URL by which clients reach this program through a proxy, with the path that the proxy puts in front: https://example.org/desktops. It is used in links instead of the values that trusted proxies forward."),
	BOOL_("RATE_LIMIT_ENABLED", NULL, OPT_LIVE, "true", "Enforce rate limits."),
	INT("RATE_LIMIT_PER_MINUTE", NULL, OPT_LIVE, 1, 1000000, "requests", "100", "Requests of one caller per minute."),
	INT("RATE_LIMIT_BURST_SIZE", NULL, OPT_LIVE, 1, 1000000, "requests", "200", "Requests that one caller may send in a burst."),
	INT("RATE_LIMIT_SESSION_CREATE", NULL, OPT_LIVE, 1, 1000000, "requests", "10", "Sessions that one caller may create per minute."),
	INT("RATE_LIMIT_SESSION_MESSAGE", NULL, OPT_LIVE, 1, 1000000, "requests", "30", "Messages to sessions that one caller may send per minute; a broadcast counts as one. The allowance of each desktop is fixed (6 at once, then one in 10 s)."),
	INT("MAX_BODY_BYTES", NULL, 0, 1024, 64 * MIB, "bytes", "1048576", "Maximum size of a request body; larger ones are answered with 413."),
	INT("MAX_HEADER_BYTES", NULL, 0, 1024, MIB, "bytes", "16384", "Maximum size of a request head; larger ones are answered with 431."),
	INT("MAX_CONNECTIONS", NULL, 0, 8, 100000, "connections", "4096", "Maximum number of connections over all listeners; further ones are answered with 503."),
	INT("MAX_CONNECTIONS_PER_ADDRESS", NULL, 0, 1, 100000, "connections", "1024", "Maximum number of those from one address (IPv6: one /64), at most three quarters; TRUSTED_PROXIES and Unix sockets are exempt."),
	INT("REQUEST_TIMEOUT", NULL, OPT_LIVE, 1, 3600, "s", "30", "Time limit of a request, including its body."),
	INT("IDLE_TIMEOUT", NULL, 0, 1, 3600, "s", "75", "How long a connection may wait for its next request."),
	INT("SHUTDOWN_GRACE", NULL, OPT_LIVE, 0, 600, "s", "20", "How long requests in flight may take when the program stops."),

	/* servers and sessions */
	INT("PORT_RANGE_START", NULL, OPT_PORT, 1024, 65535, NULL, "13389", "First RDP port."),
	INT("PORT_RANGE_END", NULL, OPT_PORT, 1024, 65535, NULL, "14389", "Last RDP port, inclusive."),
	INT("MAX_CONNECTIONS_PER_SERVER", NULL, OPT_LIVE, 16, 4096, "connections", "128", "Maximum number of RDP connections to one server, including those before login; further ones are closed."),
	INT("RDP_CONNECTIONS_PER_ADDRESS", NULL, OPT_LIVE, 0, 4096, "connections", "64", "Maximum number of RDP connections from one client address (IPv6: one /64) to one server; further ones are closed; 0: no limit."),
	INT("LOGIN_MAX_FAILURES", NULL, OPT_LIVE, 0, 1000, "failures", "0", "Failed RDP logins from one client address (IPv6: one /64) within LOGIN_BLOCK_SECONDS after which the address is blocked: its connections without a user are closed; 0: off."),
	INT("LOGIN_BLOCK_SECONDS", NULL, OPT_LIVE, 1, 86400, "s", "600", "How long failed RDP logins count, and how long an address stays blocked after LOGIN_MAX_FAILURES of them."),
	INT("LOGIN_TIMEOUT", NULL, OPT_LIVE, 0, 3600, "s", "60", "Time after which an RDP connection without a login is closed; 0: never."),
	LIST("RDP_TARGETS_ALLOWED", NULL, OPT_LIVE, "", "Foreign RDP hosts that sessions may name: addresses, networks (10.1.0.0/16), host names and *.example.org; none by default. Loopback, link-local and metadata addresses are allowed only by an entry within their range."),
	BOOL_("STOP_SERVERS_ON_EXIT", NULL, OPT_LIVE, "false", "End servers and desktops when the program stops; true as PID 1 of a container."),

	/* xrdp and desktops */
	TEXT("XRDP_CONFIG_PATH", NULL, 0, 4096, "/etc/xrdp", "The host's xrdp configuration, which instances start from."),
	TEXT("XRDP_LOG_PATH", NULL, 0, 4096, "", "Where the host's xrdp logs; default /var/log/xrdp, or /var/log where Debian logs."),
	ENUM_("XRDP_BACKEND", NULL, 0, backends, "auto", "Who starts instances: this program, or systemd."),
	TEXT("XRDP_BINARY", NULL, 0, 4096, "", "The xrdp program; default found."),
	TEXT("XRDP_SESMAN_BINARY", NULL, 0, 4096, "", "The xrdp-sesman program; default found."),
	TEXT("XRDP_CERT_FILE", NULL, 0, 4096, "", "Certificate of instances; default the host's."),
	TEXT("XRDP_KEY_FILE", NULL, 0, 4096, "", "Key of instances; default the host's."),
	NO_TEXT("RDP_USERS_FILE", NULL, 0, "", "Accounts to create at the start; one name and crypt hash per line.", "creating accounts at the start"),
	LIST("PAM_SESSION_EXCLUDE", NULL, 0, "pam_systemd.so",
	     "Session modules of the host's PAM configuration that do not run for desktops; pam_systemd.so would move a desktop out of its server's limits."),
	LIST("DESKTOP_PROFILES", NULL, 0, "", "name=command of desktops; default found on the host (xfce, mate, lxqt, lxde, cinnamon; openbox, icewm, fluxbox, xterm)."),
	TEXT("DESKTOP_DEFAULT", NULL, 0, 64, "", "Profile of servers that name none; default: the first one found that is a full desktop environment, not openbox, icewm, fluxbox or xterm."),

	/* figures, history, alerts */
	INT("METRICS_INTERVAL", NULL, OPT_LIVE, 1, 3600, "s", "30", "How often usage is sampled."),
	INT("HEALTH_CHECK_INTERVAL", NULL, OPT_LIVE, 1, 3600, "s", "30", "How often the health of instances and peers is checked."),
	BOOL_("PROMETHEUS_ENABLED", NULL, 0, "true", "Serve /metrics on PROMETHEUS_PORT too."),
	PORT_("PROMETHEUS_PORT", NULL, "9090", "Port that serves /metrics only; if it is in use, a warning is logged, and the ports of the roles serve the same metrics."),
	BOOL_("METRICS_PUBLIC", NULL, OPT_LIVE, "true", "/metrics without a token."),
	INT("LOG_RETENTION_DAYS", NULL, OPT_LIVE, 0, YEARS_10, "days", "7", "How long the logs of a deleted server are kept; 0: not kept."),
	INT("AUDIT_RETENTION_DAYS", NULL, OPT_LIVE, 1, YEARS_10, "days", "365", "How long the audit log is kept; entries are removed by whole days."),
	INT("ALERT_RETENTION_DAYS", NULL, OPT_LIVE, 1, YEARS_10, "days", "90", "How long cleared alerts are kept."),

	/* recording */
	TEXT("SESSION_STORAGE_PATH", NULL, 0, 4096, "", "Recordings: manifests and seals; default DATA_DIR/recordings."),
	TEXT("CHUNK_STORAGE_PATH", NULL, 0, 4096, "", "Recordings: chunks and indexes; default: SESSION_STORAGE_PATH."),
	INT("MAX_STORAGE_SIZE_GB", NULL, OPT_LIVE, 1, 1000000, "GiB", "1000", "Maximum size of all recordings on a host; beyond it no recording starts until old ones are removed."),
	INT("RECORDING_RETENTION_DAYS", NULL, OPT_LIVE, 1, YEARS_10, "days", "30", "How long recordings are kept if their session sets no retention of its own; a recording on hold is kept."),
	INT("STORAGE_HIGH_WATER_MB", NULL, OPT_LIVE, 1, 100000000, "MiB", "2048", "Free space below which no recording starts (507), and above which recordings resume that STORAGE_LOW_WATER_MB paused."),
	INT("STORAGE_LOW_WATER_MB", NULL, OPT_LIVE, 1, 100000000, "MiB", "512", "Free space below which running recordings pause or, by their policy on_full, end their session; less than STORAGE_HIGH_WATER_MB."),
	INT("DEFAULT_FRAME_RATE", NULL, OPT_LIVE, 1, 60, "frames/s", "30", "Maximum frame rate of recordings that set none."),
	TEXT("DEFAULT_RESOLUTION", NULL, OPT_LIVE, 11, "1920x1080", "Maximum size of the pictures of exports, WIDTHxHEIGHT; a recording of a desktop has the size of the desktop."),
	ENUM_("DEFAULT_QUALITY", NULL, OPT_LIVE, qualities, "high", "Quality of recordings that set none; high is lossless."),
	ENUM_("DEFAULT_COMPRESSION", NULL, OPT_LIVE, compressions, "zstd", "Compression of recordings that set none."),
	INT("PIPELINE_BUFFER_SIZE", NULL, OPT_LIVE, 1, 1000000, "records", "1000", "Maximum number of records in a segment of a recording."),
	INT("PIPELINE_WORKER_COUNT", NULL, OPT_LIVE, 1, 256, NULL, "4", "Maximum number of recorders that start, and of exports that run, at the same time."),
	INT("PIPELINE_TIMEOUT_SECONDS", NULL, OPT_LIVE, 1, 3600, "s", "30", "Time without a sign of life after which a recorder is replaced; it gives one every 5 s, so that fewer than 10 s are rarely useful."),

	/* ops plane, logs, backup */
	NO_BOOL("OPS_PLANE_ISOLATION", "false", "Serve the management API on OPS_PLANE_ADDRESS only.", ops_plane),
	NO_TEXT("OPS_PLANE_ADDRESS", NULL, 0, "", "Loopback address or unix: socket of the ops plane.", ops_plane),
	NO_LIST("OPS_PLANE_ALLOWED_ENDPOINTS", "/health,/metrics,/api/v1/*", "Requests allowed on the ops plane.", ops_plane),
	NO_BOOL("OPS_PLANE_TOR_ONLY", "false", "Refuse peers that do not come through the ops plane.", ops_plane),
	BOOL_("ENFORCE_TLS", NULL, 0, "false", "Refuse to start with a non-loopback listener or a URL that does not use TLS."),
	BOOL_("AUDIT_LOG", NULL, 0, "true", "Keep the audit log: every change and every refused attempt."),
	TEXT("ALERT_WEBHOOK_URL", NULL, OPT_SECRET | OPT_LIVE, 2048, "", "URL to which each alert is posted when it is raised and when it is cleared. With https:// its certificate is verified; redirects are not followed."),
	TEXT("ALERT_WEBHOOK_SECRET", NULL, OPT_SECRET | OPT_LIVE, 4096, "", "Key of the signature in the X-Lucid-Signature header of each post (HMAC-SHA256); at least 32 bytes, and required with ALERT_WEBHOOK_URL."),
	NO_TEXT("LOG_FORWARD_URL", NULL, OPT_SECRET, "", "Additional destination of log lines: syslog (udp, tcp, unix) or HTTP.", "log forwarding"),
	TEXT("BACKUP_DIR", NULL, 0, 4096, "", "Where backups are kept; default DATA_DIR/backups."),
	INT("BACKUP_KEEP_DAYS", NULL, 0, 1, YEARS_10, "days", "7", "How long backups are kept; the newest one always is."),
	ENUM_("LOG_LEVEL", NULL, OPT_LIVE, levels, "INFO", "Minimum level of log lines."),
	ENUM_("LOG_FORMAT", NULL, 0, formats, "", "Format of log lines; default: json, or text on a terminal."),
	TEXT("LOG_TARGET", NULL, 0, 4096, "auto", "auto, stderr, or the path of a file; three files of 10 MB are kept."),
};

static struct option *table;
static size_t table_n;

/* %s in the text becomes `what`. */
static const char *help_about(const char *help, const char *what)
{
	const char *at = strstr(help, "%s");
	return at ? xasprintf("%.*s%s%s", (int)(at - help), help, what, at + 2) : help;
}

static void add_of_roles(const struct entry *e)
{
	for (const struct role *const *r = all_roles; *r; r++) {
		struct option *o = &table[table_n++];
		*o = e->row;
		o->name = (*r)->option[e->of_role];
		o->help = help_about(r == all_roles && e->first_help ? e->first_help : e->row.help, (*r)->name);
		if (!o->otherwise)
			o->otherwise = (*r)->port;
	}
}

static size_t place_after(const char *name)
{
	size_t i = 0;
	while (i < table_n && !str_eq(table[i].name, name))
		i++;
	assert(i < table_n && "option.after names a known setting");
	return i + 1;
}

static void add_settings(const struct role *r)
{
	size_t at = table_n;
	for (size_t i = 0; i < r->n_settings; i++, at++) {
		if (r->settings[i].after)
			at = place_after(r->settings[i].after);
		memmove(&table[at + 1], &table[at], (table_n - at) * sizeof *table);
		table[at] = r->settings[i];
		table_n++;
	}
}

static void table_fill(void)
{
	struct strbuf names = { 0 };
	size_t n = ARRAY_LEN(entries) * ROLES_N;
	for (const struct role *const *r = all_roles; *r; r++) {
		strbuf_printf(&names, "%s%s", r == all_roles ? "" : ", ", (*r)->name);
		n += (*r)->n_settings;
	}
	table = xcalloc(n, sizeof *table);
	for (const struct entry *e = entries; e < entries + ARRAY_LEN(entries); e++)
		if (e->row.name) {
			table[table_n] = e->row;
			table[table_n++].help = help_about(e->row.help, names.s);
		} else
			add_of_roles(e);
	for (const struct role *const *r = all_roles; *r; r++)
		add_settings(*r);
	strbuf_done(&names);
}

const struct option *options(void)
{
	if (!table)
		table_fill();
	return table;
}

size_t options_n(void)
{
	return options() ? table_n : 0;
}
