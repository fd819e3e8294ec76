#include "app/options.h"

#define MIB (1024 * 1024)
#define YEARS_10 3650

static const char *const environments[] = { "development", "test", "staging", "production", NULL };
static const char *const levels[] = { "DEBUG", "INFO", "WARNING", "WARN", "ERROR", NULL };
static const char *const formats[] = { "json", "text", NULL };
static const char *const backends[] = { "auto", "process", "systemd", NULL };
static const char *const algorithms[] = { "HS256", "RS256", "ES256", "EdDSA", NULL };
static const char *const tls_versions[] = { "1.2", "1.3", NULL };
static const char *const qualities[] = { "low", "medium", "high", "lossless", NULL };
static const char *const compressions[] = { "none", "zstd", NULL };

/* What the settings that are refused for now belong to. */
static const char ops_plane[] = "the ops plane";
static const char recording[] = "recording";
static const char sessions[] = "the session API";
static const char alerts[] = "alerts";

#define TEXT(n, also, f, longest, d, h) { n, also, OPT_TEXT, f, 0, longest, NULL, NULL, d, h, NULL }
#define INT(n, also, f, lo, hi, u, d, h) { n, also, OPT_INT, f, lo, hi, u, NULL, d, h, NULL }
#define PORT_(n, also, d, h) { n, also, OPT_INT, OPT_PORT, 1, 65535, NULL, NULL, d, h, NULL }
#define BOOL_(n, also, f, d, h) { n, also, OPT_BOOL, f, 0, 0, NULL, NULL, d, h, NULL }
#define LIST(n, also, f, d, h) { n, also, OPT_LIST, f, 0, 8192, NULL, NULL, d, h, NULL }
#define ENUM_(n, also, f, v, d, h) { n, also, OPT_ENUM, f, 0, 0, NULL, v, d, h, NULL }
/* the same, of a part that is not in this program yet */
#define NO_TEXT(n, also, f, d, h, p) { n, also, OPT_TEXT, (f) | OPT_NOT_BUILT, 0, 2048, NULL, NULL, d, h, p }
#define NO_INT(n, lo, hi, u, d, h, p) { n, NULL, OPT_INT, OPT_NOT_BUILT, lo, hi, u, NULL, d, h, p }
#define NO_BOOL(n, d, h, p) { n, NULL, OPT_BOOL, OPT_NOT_BUILT, 0, 0, NULL, NULL, d, h, p }
#define NO_LIST(n, d, h, p) { n, NULL, OPT_LIST, OPT_NOT_BUILT, 0, 8192, NULL, NULL, d, h, p }
#define NO_ENUM(n, v, d, h, p) { n, NULL, OPT_ENUM, OPT_NOT_BUILT, 0, 0, NULL, v, d, h, p }

const struct option options[] = {
	/* roles, names and addresses */
	LIST("ROLE", NULL, 0, "all", "Roles to run: all, or rdp-server-manager, xrdp-integration, rdp-session-controller, rdp-resource-monitor."),
	TEXT("CONFIG_FILE", NULL, 0, 4096, "", "Configuration file; /etc/lucid-rdp/lucid-rdp.conf is read if it is there."),
	TEXT("RDP_SERVER_MANAGER_CONFIG_FILE", NULL, 0, 4096, "", "The same, for a process that runs this role; CONFIG_FILE goes before."),
	TEXT("XRDP_INTEGRATION_CONFIG_FILE", NULL, 0, 4096, "", "The same, for a process that runs this role."),
	TEXT("RDP_SESSION_CONTROLLER_CONFIG_FILE", NULL, 0, 4096, "", "The same, for a process that runs this role."),
	TEXT("RDP_RESOURCE_MONITOR_CONFIG_FILE", NULL, 0, 4096, "", "The same, for a process that runs this role."),
	TEXT("SERVICE_NAME", "APP_NAME", 0, 64, "", "With one role: its name in logs, metrics and health, in place of its own."),
	{ "SERVICE_PORT", "PORT", OPT_INT, OPT_PORT, 1, 65535, NULL, NULL, "", "With one role: its port, in place of its own.", NULL },
	TEXT("SERVICE_DESCRIPTION", NULL, 0, 1024, "", "Stands in OpenAPI in place of the role's own description."),
	TEXT("APP_VERSION", NULL, OPT_IGNORED, 0, "", "The version is the program's own."),
	PORT_("RDP_SERVER_MANAGER_PORT", NULL, "8090", "Port of rdp-server-manager."),
	PORT_("XRDP_INTEGRATION_PORT", NULL, "8091", "Port of xrdp-integration."),
	PORT_("RDP_SESSION_CONTROLLER_PORT", NULL, "8092", "Port of rdp-session-controller."),
	PORT_("RDP_RESOURCE_MONITOR_PORT", NULL, "8093", "Port of rdp-resource-monitor."),
	LIST("BIND_ADDRESS", "HOST", 0, "", "Addresses to listen on, also unix:/path; 127.0.0.1 in development, 0.0.0.0 otherwise."),
	TEXT("RDP_SERVER_MANAGER_HOST", NULL, 0, 255, "", "Name by which others reach rdp-server-manager, never an address to bind; default the host's name."),
	TEXT("XRDP_INTEGRATION_HOST", NULL, 0, 255, "", "Name by which others reach xrdp-integration."),
	TEXT("RDP_SESSION_CONTROLLER_HOST", NULL, 0, 255, "", "Name by which others reach rdp-session-controller."),
	TEXT("RDP_RESOURCE_MONITOR_HOST", NULL, 0, 255, "", "Name by which others reach rdp-resource-monitor."),
	TEXT("RDP_SERVER_MANAGER_URL", NULL, 0, 2048, "", "Where rdp-server-manager lives when not in this process, or the address it is known by."),
	TEXT("XRDP_INTEGRATION_URL", NULL, 0, 2048, "", "The same for xrdp-integration."),
	TEXT("RDP_SESSION_CONTROLLER_URL", NULL, 0, 2048, "", "The same for rdp-session-controller."),
	TEXT("RDP_RESOURCE_MONITOR_URL", NULL, 0, 2048, "", "The same for rdp-resource-monitor."),
	TEXT("NODE_NAME", NULL, 0, 128, "", "Name of this host among the nodes; default the host's name."),
	TEXT("NODE_URL", NULL, 0, 2048, "", "URL of this host's xrdp-integration for the other roles."),
	LIST("NODE_LABELS", NULL, 0, "", "Labels of this node, name=value."),
	TEXT("NODE_PUBLIC_HOST", NULL, 0, 255, "", "Host name that stands in connections and .rdp files; default the host's name."),
	LIST("RDP_USER_MAP", NULL, OPT_LIVE, "", "user=account: which Linux account a user_id stands for; others have the account of their own name."),

	/* environment and directories */
	ENUM_("ENVIRONMENT", "LUCID_ENV", 0, environments, "development", "production refuses what is not safe there."),
	TEXT("LUCID_PLATFORM", NULL, 0, 64, "", "Platform shown in health; default detected (x86_64, arm64, raspberry-pi …)."),
	BOOL_("DEBUG", NULL, 0, "false", "Log at level DEBUG unless LOG_LEVEL is given; serve /docs and /redoc."),
	TEXT("PROJECT_ROOT", NULL, 0, 4096, "", "Base of DATA_DIR, LOG_DIR and RUNTIME_DIR where these are not given: PROJECT_ROOT/data, /logs, /run."),
	TEXT("DATA_DIR", NULL, 0, 4096, "", "What lasts: the store, keys, instances. Default: systemd's STATE_DIRECTORY, /var/lib/lucid-rdp as root, else XDG."),
	TEXT("LOG_DIR", NULL, 0, 4096, "", "Logs. Default: systemd's LOGS_DIRECTORY, /var/log/lucid-rdp as root, else XDG."),
	TEXT("RUNTIME_DIR", NULL, 0, 4096, "", "Sockets. Default: systemd's RUNTIME_DIRECTORY, /run/lucid-rdp as root, else XDG."),
	TEXT("RUN_USER", NULL, 0, 64, "", "Account of the process that reads the network; default lucid-rdp where it exists, else uid 65532."),

	/* store and cache */
	TEXT("MONGODB_URL", "MONGODB_URI", OPT_SECRET, 2048, "", "MongoDB in place of the embedded store: mongodb://[user:password@]host[:port][/database][?options]; the database else is lucid_rdp. Its options serverSelectionTimeoutMS, connectTimeoutMS, socketTimeoutMS and waitQueueTimeoutMS may be 50 to STORE_TIMEOUT_MS, heartbeatFrequencyMS 500 to 60000; the sizes of its pool are MONGODB_MIN_POOL_SIZE and MONGODB_MAX_POOL_SIZE."),
	INT("MONGODB_MAX_POOL_SIZE", NULL, 0, 1, 1000, NULL, "50", "Connections to MongoDB at most."),
	INT("MONGODB_MIN_POOL_SIZE", NULL, 0, 0, 1000, NULL, "10", "Connections to MongoDB that are made at the start, and kept while nobody needs them; others are closed after a minute."),
	TEXT("REDIS_URL", NULL, OPT_SECRET, 2048, "", "Redis for events between processes and limits that they share: redis://[[user]:password@]host[:port][/database] or unix:/path[?db=0]."),
	TEXT("RATE_LIMIT_STORAGE_URL", NULL, OPT_SECRET, 2048, "", "Redis for the rate limits alone, in place of REDIS_URL's."),
	INT("REDIS_MAX_CONNECTIONS", NULL, 0, 1, 1000, "connections", "50", "Connections to Redis at most; two are needed, and one more where RATE_LIMIT_STORAGE_URL names another."),
	INT("STORE_QUEUE_LIMIT", NULL, 0, 16, 1000000, "operations", "4096", "Writes that may wait; past it 503 at once."),
	INT("STORE_TIMEOUT_MS", NULL, 0, 100, 600000, "ms", "5000", "Longest time of one store operation, waiting included."),

	/* tokens and secrets */
	TEXT("JWT_SECRET", "SECRET_KEY", OPT_SECRET | OPT_LIVE, 4096, "", "Signs and verifies tokens; at least 32 bytes. Generated in development and kept in DATA_DIR/secrets."),
	LIST("JWT_SECRETS_OLD", NULL, OPT_SECRET | OPT_LIVE, "", "Earlier secrets, which still verify."),
	ENUM_("JWT_ALGORITHM", NULL, 0, algorithms, "HS256", "Algorithm of tokens."),
	TEXT("JWT_PUBLIC_KEY_FILE", NULL, 0, 4096, "", "PEM with the public keys of RS256, ES256 or EdDSA; a line \"kid: NAME\" before one names it."),
	TEXT("JWT_ISSUER", NULL, OPT_LIVE, 256, "", "Wanted in iss when given."),
	TEXT("JWT_AUDIENCE", NULL, OPT_LIVE, 256, "", "Wanted in aud when given."),
	INT("JWT_EXPIRATION", NULL, OPT_LIVE, 1, 31536000, "s", "3600", "Lifetime of tokens made here."),
	TEXT("AUTH_SERVICE_URL", NULL, OPT_LIVE, 2048, "", "Shown in 401 answers and readiness."),
	TEXT("API_GATEWAY_URL", NULL, OPT_LIVE, 2048, "", "Shown in 401 answers and readiness."),
	TEXT("MASTER_KEY", NULL, OPT_SECRET, 4096, "", "Wraps recording keys and stored passwords; at least 32 bytes. Generated beside the data."),
	TEXT("TLS_CERT_FILE", NULL, OPT_LIVE, 4096, "", "Certificate of the listeners, in PEM, with what leads to its authority; the roles' ports then speak HTTPS alone."),
	TEXT("TLS_KEY_FILE", NULL, OPT_LIVE, 4096, "", "Key of that certificate, in PEM, without a passphrase."),
	TEXT("TLS_CLIENT_CA_FILE", NULL, OPT_LIVE, 4096, "", "Authorities of the certificates that callers must show; also trusted, besides the system's, where another role is asked."),
	ENUM_("TLS_MIN_VERSION", NULL, OPT_LIVE, tls_versions, "1.2", "Lowest version of TLS."),

	/* HTTP */
	LIST("CORS_ORIGINS", "ALLOWED_ORIGINS", OPT_LIVE | OPT_EMPTY_OK, "", "Origins that browsers may call from; * in development, none otherwise."),
	LIST("ALLOWED_HOSTS", NULL, OPT_LIVE, "*", "Host names that requests may be addressed to."),
	LIST("TRUSTED_PROXIES", NULL, OPT_LIVE, "", "Addresses or networks whose X-Forwarded-For is believed."),
	BOOL_("RATE_LIMIT_ENABLED", NULL, OPT_LIVE, "true", "Limit how often a caller may ask."),
	INT("RATE_LIMIT_PER_MINUTE", NULL, OPT_LIVE, 1, 1000000, "requests", "100", "Requests of one caller in a minute."),
	INT("RATE_LIMIT_BURST_SIZE", NULL, OPT_LIVE, 1, 1000000, "requests", "200", "Requests of one caller at once."),
	INT("RATE_LIMIT_SESSION_CREATE", NULL, OPT_LIVE, 1, 1000000, "requests", "10", "Sessions that one caller may create in a minute."),
	INT("MAX_BODY_BYTES", NULL, 0, 1024, 64 * MIB, "bytes", "1048576", "Longest body of a request; 413 beyond."),
	INT("MAX_HEADER_BYTES", NULL, 0, 1024, MIB, "bytes", "16384", "Longest head of a request; 431 beyond."),
	INT("MAX_CONNECTIONS", NULL, 0, 8, 100000, "connections", "4096", "Connections over all listeners; 503 beyond."),
	INT("REQUEST_TIMEOUT", NULL, OPT_LIVE, 1, 3600, "s", "30", "Longest time of a request, its body included."),
	INT("IDLE_TIMEOUT", NULL, 0, 1, 3600, "s", "75", "How long a connection may wait for its next request."),
	INT("SHUTDOWN_GRACE", NULL, OPT_LIVE, 0, 600, "s", "20", "How long what is under way may take when the program ends."),

	/* servers and sessions */
	INT("PORT_RANGE_START", NULL, OPT_PORT, 1024, 65535, NULL, "13389", "First RDP port."),
	INT("PORT_RANGE_END", NULL, OPT_PORT, 1024, 65535, NULL, "14389", "Last RDP port, inclusive."),
	INT("MAX_CONCURRENT_SERVERS", NULL, OPT_LIVE, 1, 1000, "servers", "50", "Servers that are not stopped."),
	INT("MAX_SERVERS_PER_USER", NULL, OPT_LIVE, 1, 100000, "servers", "10", "Server definitions of one user."),
	NO_INT("MAX_CONCURRENT_SESSIONS", 1, 100000, "sessions", "100", "Sessions at once.", sessions),
	NO_INT("MAX_SESSIONS_PER_USER", 1, 100000, "sessions", "10", "Sessions of one user at once.", sessions),
	NO_INT("SESSION_TIMEOUT", 60, 31536000, "s", "3600", "Lifetime of a session nobody uses.", sessions),
	INT("MAX_CPU_USAGE", NULL, OPT_LIVE, 1, 100, "%", "80", "Above it no server that is about to run is placed on a node; 100: never refuse."),
	INT("MAX_MEMORY_USAGE", NULL, OPT_LIVE, 1, 100, "%", "80", "The same for memory."),
	BOOL_("STOP_SERVERS_ON_EXIT", NULL, OPT_LIVE, "false", "End servers and desktops when the program ends; true as PID 1 of a container."),

	/* xrdp and desktops */
	TEXT("XRDP_CONFIG_PATH", NULL, 0, 4096, "/etc/xrdp", "The host's xrdp configuration, which instances start from."),
	TEXT("XRDP_LOG_PATH", NULL, 0, 4096, "", "Where the host's xrdp logs; default /var/log/xrdp, or /var/log where Debian logs."),
	ENUM_("XRDP_BACKEND", NULL, 0, backends, "auto", "Who starts instances: this program, or systemd."),
	TEXT("XRDP_BINARY", NULL, 0, 4096, "", "The xrdp program; default found."),
	TEXT("XRDP_SESMAN_BINARY", NULL, 0, 4096, "", "The xrdp-sesman program; default found."),
	TEXT("XRDP_CERT_FILE", NULL, 0, 4096, "", "Certificate of instances; default the host's."),
	TEXT("XRDP_KEY_FILE", NULL, 0, 4096, "", "Key of instances; default the host's."),
	NO_TEXT("RDP_USERS_FILE", NULL, 0, "", "Accounts to create at the start, name and crypt hash a line.", "making accounts at the start"),
	LIST("DESKTOP_PROFILES", NULL, 0, "", "name=command of desktops; default found on the host (xfce, mate, lxqt, icewm, openbox, xterm …)."),
	TEXT("DESKTOP_DEFAULT", NULL, 0, 64, "", "Profile of servers that name none; default the first that is found."),

	/* figures, history, alerts */
	INT("METRICS_INTERVAL", NULL, OPT_LIVE, 1, 3600, "s", "30", "How often usage is sampled."),
	INT("HEALTH_CHECK_INTERVAL", NULL, OPT_LIVE, 1, 3600, "s", "30", "How often the health of instances and peers is looked at."),
	BOOL_("PROMETHEUS_ENABLED", NULL, 0, "true", "Serve /metrics on PROMETHEUS_PORT too."),
	PORT_("PROMETHEUS_PORT", NULL, "9090", "Port of /metrics alone; when it is taken that is a warning, the roles' ports serve the same."),
	BOOL_("METRICS_PUBLIC", NULL, OPT_LIVE, "true", "/metrics without a token."),
	NO_INT("SESSION_HISTORY_DAYS", 1, YEARS_10, "days", "90", "How long ended sessions are kept.", sessions),
	INT("AUDIT_RETENTION_DAYS", NULL, OPT_LIVE, 1, YEARS_10, "days", "365", "How long the audit log is kept; whole days go."),
	NO_INT("ALERT_RETENTION_DAYS", 1, YEARS_10, "days", "90", "How long cleared alerts are kept.", alerts),

	/* recording */
	NO_TEXT("SESSION_STORAGE_PATH", NULL, 0, "", "Manifests, indexes and seals of recordings; default under DATA_DIR.", recording),
	NO_TEXT("CHUNK_STORAGE_PATH", NULL, 0, "", "Chunks of recordings; default the same.", recording),
	NO_INT("MAX_STORAGE_SIZE_GB", 1, 1000000, "GB", "1000", "Recordings take no more than this.", recording),
	NO_INT("RECORDING_RETENTION_DAYS", 1, YEARS_10, "days", "30", "How long recordings are kept.", recording),
	NO_INT("STORAGE_HIGH_WATER_MB", 1, 100000000, "MB", "2048", "Below this free space no recording begins.", recording),
	NO_INT("STORAGE_LOW_WATER_MB", 1, 100000000, "MB", "512", "Below this free space recordings end.", recording),
	NO_INT("DEFAULT_FRAME_RATE", 1, 60, "frames/s", "30", "Frame rate of recordings.", recording),
	NO_TEXT("DEFAULT_RESOLUTION", NULL, 0, "1920x1080", "Resolution of recordings.", recording),
	NO_ENUM("DEFAULT_QUALITY", qualities, "high", "Quality of recordings.", recording),
	NO_ENUM("DEFAULT_COMPRESSION", compressions, "zstd", "Compression of recordings.", recording),
	NO_INT("PIPELINE_BUFFER_SIZE", 1, 1000000, "records", "1000", "Records in a segment at most.", recording),
	NO_INT("PIPELINE_WORKER_COUNT", 1, 256, NULL, "4", "Recorders starting and exports running at once.", recording),
	NO_INT("PIPELINE_TIMEOUT_SECONDS", 1, 3600, "s", "30", "A recorder's silence before it is begun again.", recording),

	/* ops plane, logs, backup */
	NO_BOOL("OPS_PLANE_ISOLATION", "false", "Serve the management surface on OPS_PLANE_ADDRESS alone.", ops_plane),
	NO_TEXT("OPS_PLANE_ADDRESS", NULL, 0, "", "Loopback address or unix: socket of the ops plane.", ops_plane),
	NO_LIST("OPS_PLANE_ALLOWED_ENDPOINTS", "/health,/metrics,/api/v1/*", "What passes on the ops plane.", ops_plane),
	NO_BOOL("OPS_PLANE_TOR_ONLY", "false", "Refuse peers that do not come through the ops plane.", ops_plane),
	BOOL_("ENFORCE_TLS", NULL, 0, "false", "Refuse to start with a listener beyond loopback, or a URL, that does not use TLS."),
	BOOL_("AUDIT_LOG", NULL, 0, "true", "Keep the audit log: every change and every refused attempt."),
	NO_TEXT("ALERT_WEBHOOK_URL", NULL, OPT_SECRET, "", "Alerts are posted there.", alerts),
	NO_TEXT("LOG_FORWARD_URL", NULL, OPT_SECRET, "", "Log lines go there too: syslog (udp, tcp, unix) or HTTP.", "log forwarding"),
	TEXT("BACKUP_DIR", NULL, 0, 4096, "", "Where backups are kept; default DATA_DIR/backups."),
	INT("BACKUP_KEEP_DAYS", NULL, 0, 1, YEARS_10, "days", "7", "How long backups are kept; the newest one always is."),
	ENUM_("LOG_LEVEL", NULL, OPT_LIVE, levels, "INFO", "Lowest level that is logged."),
	ENUM_("LOG_FORMAT", NULL, 0, formats, "", "Form of log lines; default json, text on a terminal."),
	TEXT("LOG_TARGET", NULL, 0, 4096, "auto", "auto, stderr, or the path of a file, of which three of 10 MB are kept."),
};
const size_t options_n = ARRAY_LEN(options);
