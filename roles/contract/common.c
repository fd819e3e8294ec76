#include "roles/contract/contract.h"

/* What every process offers, whatever roles live in it; served by src/api. */

static const char *const outcomes[] = { "ok", "refused", "failed", NULL };
static const char *const sorts[] = { "time", "-time", NULL };
static const struct shape_field audit_query[] = {
	{ "page", SH_INT, .min = 1, .max = 1000000, .help = "page, from 1; not together with offset" },
	{ "limit", SH_INT, .min = 1, .max = 100, .otherwise = "20", .help = "items on a page" },
	{ "offset", SH_INT, .min = 0, .max = 100000000, .help = "items to pass over; not together with page" },
	{ "sort", SH_STRING, .values = sorts, .otherwise = "\"-time\"", .help = "'-' turns it round" },
	{ "actor", SH_STRING, .min = 1, .max = 128, .format = "user" },
	{ "action", SH_STRING, .min = 1, .max = 128, .help = "an operation, rdp.servers.create" },
	{ "object", SH_STRING, .min = 1, .max = 200, .help = "what it was done to, mostly an id" },
	{ "outcome", SH_STRING, .values = outcomes },
	{ "from", SH_STRING, .format = "time", .help = "not before this time" },
	{ "to", SH_STRING, .format = "time", .help = "before this time" },
};
static const struct shape query_audit = SHAPE(NULL, audit_query);
static const struct shape_field entry_fields[] = {
	{ "seq", SH_INT, .help = "number in the chain" },
	{ "time", SH_STRING },
	{ "actor", SH_STRING, SH_NULLABLE, .help = "subject of the token; null: nobody proved to be anybody" },
	{ "action", SH_STRING, .help = "the operation" },
	{ "object", SH_STRING, SH_NULLABLE, .help = "what it was done to" },
	{ "outcome", SH_STRING, .values = outcomes },
	{ "code", SH_STRING, SH_NULLABLE, .help = "of the error" },
	{ "from", SH_STRING, SH_NULLABLE, .help = "address of the client" },
	{ "request_id", SH_STRING, SH_NULLABLE },
	{ "count", SH_INT, .help = "so many refusals of the same kind, of which the first has an entry of its own" },
	{ "prev", SH_STRING, .help = "hash of the entry before" },
	{ "hash", SH_STRING, .help = "SHA-256 of this one" },
};
static const struct shape entry_shape = SHAPE("AuditEntry", entry_fields);
static const struct shape_field entry_item = { NULL, SH_OBJECT, .sub = &entry_shape };
static const struct shape_field list_fields[] = {
	{ "entries", SH_ARRAY, .max = 100, .item = &entry_item },
	{ "pagination", SH_OBJECT, .sub = &shape_pagination },
};
static const struct shape out_audit = SHAPE("AuditList", list_fields);

static const struct op ops[] = {
	{ .name = "audit.list", .role = ROLE_COMMON, .verb = "GET", .path = "/api/v1/audit", .scope = OP_ADMIN, .flags = OP_READ,
	  .query = &query_audit, .out = &out_audit, .summary = "Who did what, on what, from where, with what outcome" },
};
const struct op_table contract_common = { ops, ARRAY_LEN(ops) };
