/*
 * contract: the operations that roles offer, and the shapes of their documents. Floor F3: the bus checks calls against these tables. A
 * role binds handlers to its own rows (bus_serve) and finds rows of other roles by name (op_find). Shapes that several roles share are in
 * shapes.c.
 */
#ifndef ROLES_CONTRACT_H
#define ROLES_CONTRACT_H

#include "lucid/op.h"

#define ROLE_SERVERS "rdp-server-manager"
#define ROLE_XRDP "xrdp-integration"
#define ROLE_SESSIONS "rdp-session-controller"
#define ROLE_RESOURCES "rdp-resource-monitor"
#define ROLE_COMMON "lucid-rdp" /* served by every process, whatever roles it runs */
#define ROLE_HOST "host" /* the supervisor, over the socket pair */

/* The operations of each role, one table and one file each: contract_rdp in rdp.c has rdp.*. */
#define ROLE(name, table) extern const struct op_table contract_##table;
#include "roles/contract/roles.def"
#undef ROLE
extern const struct op_table contract_alerts; /* alerts.c: a second table of rdp-resource-monitor */
extern const struct op_table contract_recordings; /* recordings.c: a second table of rdp-session-controller */
extern const struct op_table contract_common; /* common.c: audit.* */
extern const struct op_table contract_host;	/* host.c: host.*, not on REST */

/* How a password in COL_SESSION_SECRETS is sealed (lucid/seal.h): for rdp-session-controller, and for `lucid-rdp doctor`, which opens it too. */
#define SESSION_SECRET_PURPOSE "rdp-password"
#define SESSION_SECRET_FIELD "password"

/* shapes.c */
extern const struct shape shape_empty;
extern const struct shape shape_display, shape_desktop, shape_security, shape_channels, shape_limits, shape_recording_mode;
extern const struct shape shape_pagination;
/* Query parameters of every list (lucid/listing.h). Each list adds its own `sort`, which depends on the fields that it sorts by. */
#define LISTING_FIELDS                                                                                                 \
	{ "page", SH_INT, .min = 1, .max = 1000000, .help = "page number, from 1; cannot be combined with offset" },                \
		{ "limit", SH_INT, .min = 1, .max = 100, .otherwise = "20", .help = "items per page" },               \
		{ "offset", SH_INT, .min = 0, .max = 100000000, .help = "number of items to skip; cannot be combined with page", .without = "page" }
/* Query parameter of a list that is also offered as CSV (OP_STREAMS, media "text/csv"; lucid/csv.h). */
extern const char *const listing_formats[];
#define LISTING_FORMAT_FIELD                                                                                           \
	{ "format", SH_STRING, .values = listing_formats, .otherwise = "\"json\"",                                     \
	  .help = "csv: all items that match, as CSV (RFC 4180); page, limit and offset have no effect" }
extern const struct shape shape_instance, shape_instance_spec;
extern const struct shape shape_quotas; /* what the session controller tells an agent */
extern const struct shape shape_instance_start; /* a spec with `replace` beside it: the body of POST /instances */
extern const struct shape shape_instance_limits; /* of the desktops of a server; a change needs no restart */
extern const struct shape shape_connection, shape_desktop_session, shape_desktop_limits;
extern const struct shape shape_session_counts, shape_connection_counts;
#define INSTANCE_LIMITS_FIELDS                                                                                         \
	{ "idle_timeout", SH_INT, SH_REQUIRED, .min = 0, .max = 31536000,                                              \
	  .help = "seconds without input after which a client is disconnected; 0: never" },                            \
		{ "disconnected_timeout", SH_INT, SH_REQUIRED, .min = 0, .max = 31536000,                              \
		  .help = "seconds without a client after which a desktop is ended; 0: never" },                       \
		{ "kill_disconnected", SH_BOOL, SH_REQUIRED, .help = "a desktop is ended 3 s after its client disconnects" }
/* xrdp.c: figures of a control group; the share of the last 10 s in which processes waited */
extern const struct shape shape_pressure;
#define DESKTOP_LIMITS_FIELDS                                                                                          \
	{ "idle_timeout", SH_INT, .min = 0, .max = 31536000, .otherwise = "0",                                         \
	  .help = "seconds without input, while a client is connected, after which the desktop is ended; 0: never" },  \
		{ "max_duration", SH_INT, .min = 0, .max = 31536000, .otherwise = "0",                                 \
		  .help = "seconds after its start at which the desktop is ended; 0: never" },                         \
		{ "disconnected_timeout", SH_INT, .min = 0, .max = 31536000, .otherwise = "0",                         \
		  .help = "seconds without a client after which the desktop is ended; 0: never" }

#define GROUP_USAGE_FIELDS                                                                                             \
	{ "cpu_usec", SH_INT, SH_NULLABLE, .help = "CPU time used since it started, in microseconds; null: unknown" },   \
		{ "memory_bytes", SH_INT, SH_NULLABLE,                                                                 \
		  .help = "working set: memory in use without the file cache that the kernel can drop at once (inactive_file)" }, \
		{ "tasks", SH_INT, SH_NULLABLE, .help = "number of processes and threads" },                           \
		{ "io_read_bytes", SH_INT, SH_NULLABLE, .help = "bytes read from block devices since it started; null: unknown" }, \
		{ "io_write_bytes", SH_INT, SH_NULLABLE },                                                             \
		{ "pressure", SH_OBJECT, .sub = &shape_pressure }
/* A message to the person on a desktop. */
extern const char *const message_levels[];
#define MESSAGE_FIELDS                                                                                                 \
	{ "text", SH_STRING, SH_REQUIRED | SH_MULTILINE, .min = 1, .max = 2000, .help = "plain text; it is wrapped, and shown as it is" }, \
		{ "level", SH_STRING, .values = message_levels, .otherwise = "\"info\"", .help = "heading and colour of the window" }
/* Which desktop a message is for: a display may have been given to another one. */
#define MESSAGE_FOR_FIELDS                                                                                             \
	{ "started_at", SH_STRING, .format = "time",                                                                   \
	  .help = "start of the desktop that the message is for; it is not shown on one that started at another time" },  \
		{ "username", SH_STRING, .min = 1, .max = 256, .format = "account",                                    \
		  .help = "account of the desktop that the message is for; it is not shown on one of another account" }
/* xrdp.c: recordings of desktops, between rdp-session-controller and the agent of a host */
extern const struct shape shape_recording_start, shape_recording_ended, shape_recording_list, shape_recording_files;
extern const char *const recording_documents[];
#define RECORDING_TEXT_MAX 65536 /* characters of a manifest or seal */
#define RECORDING_PAGE_FIELDS                                                                                          \
	{ "from_seq", SH_INT, .min = 0, .max = 4294967295, .otherwise = "0", .help = "entries of the index from this sequence number on" },        \
		{ "limit", SH_INT, .min = 1, .max = 1000, .otherwise = "500", .help = "maximum number of entries" }
#define RECORDING_TEXT_FIELD                                                                                           \
	{ "text", SH_STRING, SH_REQUIRED | SH_MULTILINE, .min = 2, .max = RECORDING_TEXT_MAX, .help = "the whole document" }
extern const struct shape shape_log_file; /* the query of a whole log */
extern const struct shape_field shape_display_item;
#define DISPLAYS_TAKEN_FIELD                                                                                           \
	{ "displays_taken", SH_ARRAY, .max = 64, .item = &shape_display_item,                                          \
	  .help = "displays that are skipped because a process outside the instance holds their abstract X socket name" }
extern const struct shape_field shape_log_source;
#define LOG_SOURCES_FIELD                                                                                              \
	{ "sources", SH_ARRAY, SH_NULLABLE, .max = 5000, .item = &shape_log_source,                                    \
	  .help = "the log that each line comes from: sources[n] belongs to lines[n]; null: the host runs a version that does not report it" }

#endif
