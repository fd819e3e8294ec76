#include "roles/contract/contract.h"

/* Operations that every process serves, whatever roles it runs; implemented in src/api. */

static const char *const outcomes[] = { "ok", "refused", "failed", NULL };
static const char *const sorts[] = { "time", "-time", NULL };
static const struct shape_field audit_query[] = {
	LISTING_FIELDS,
	LISTING_FORMAT_FIELD,
	{ "sort", SH_STRING, .values = sorts, .otherwise = "\"-time\"", .help = "prefix with '-' for descending order" },
	{ "actor", SH_STRING, .min = 1, .max = 128, .format = "user" },
	{ "action", SH_STRING, .min = 1, .max = 128, .help = "operation name, such as rdp.servers.create" },
	{ "object", SH_STRING, .min = 1, .max = 200, .help = "object of the operation, usually an id" },
	{ "outcome", SH_STRING, .values = outcomes },
	{ "from", SH_STRING, .format = "time", .help = "entries at or after this time" },
	{ "to", SH_STRING, .format = "time", .help = "entries before this time" },
};
static const struct shape query_audit = SHAPE(NULL, audit_query);
static const struct shape_field entry_fields[] = {
	{ "seq", SH_INT, .help = "sequence number in the hash chain" },
	{ "time", SH_STRING },
	{ "actor", SH_STRING, SH_NULLABLE, .help = "subject of the token; null: not authenticated" },
	{ "action", SH_STRING, .help = "operation name" },
	{ "object", SH_STRING, SH_NULLABLE, .help = "object of the operation" },
	{ "outcome", SH_STRING, .values = outcomes },
	{ "code", SH_STRING, SH_NULLABLE, .help = "error code; null: no error" },
	{ "reason", SH_STRING, .help = "why an RDP login failed: bad_password, unknown_account, account_refused, max_sessions (of the server), user_sessions (MAX_SESSIONS_PER_USER), all_sessions (MAX_CONCURRENT_SESSIONS), no_display, start_failed, not_from_xrdp, address_blocked" },
	{ "client_address", SH_STRING, SH_NULLABLE },
	{ "request_id", SH_STRING, SH_NULLABLE },
	{ "count", SH_INT, .help = "number of refusals that this entry stands for; the first of the same kind has an entry of its own" },
	{ "previous", SH_STRING, .help = "hash of the previous entry" },
	{ "hash", SH_STRING, .help = "SHA-256 of this entry" },
};
static const struct shape entry_shape = SHAPE("AuditEntry", entry_fields);
static const struct shape_field entry_item = { NULL, SH_OBJECT, .sub = &entry_shape };
static const struct shape_field list_fields[] = {
	{ "entries", SH_ARRAY, .max = 100, .item = &entry_item },
	{ "pagination", SH_OBJECT, .sub = &shape_pagination },
};
static const struct shape out_audit = SHAPE("AuditEntryList", list_fields);

static const struct op ops[] = {
	{ .name = "audit.list", .role = ROLE_COMMON, .verb = "GET", .path = "/api/v1/audit", .scope = OP_ADMIN, .flags = OP_READ | OP_STREAMS,
	  .query = &query_audit, .out = &out_audit, .media = "text/csv", .summary = "List audit log entries: actor, operation, object, client address and outcome" },
};
const struct op_table contract_common = { ops, ARRAY_LEN(ops) };
