/*
 * op: what roles offer, one row an operation. Floor F4 (types only); the rows live in roles/contract.
 *
 * From a row come the REST route, validation, access, rate class, OpenAPI, the metrics label, the audit entry and the
 * local call. A role binds a handler to a row with bus_serve().
 */
#ifndef LUCID_OP_H
#define LUCID_OP_H

#include "lucid/shape.h"

enum op_scope {
	OP_PUBLIC,  /* no token needed */
	OP_USER,    /* any valid token; the handler looks at ownership */
	OP_ADMIN,   /* admin, or a role's own service token */
	OP_SERVICE, /* admin or service; for what only roles call among themselves */
};
enum op_rate { RATE_DEFAULT, RATE_SESSION_CREATE, RATE_EXEMPT };
enum {
	OP_IDEMPOTENT = 1 << 0, /* doing it twice is doing it once: may be tried again after a lost connection */
	OP_CREATES = 1 << 1,	/* answers 201; takes Idempotency-Key */
	OP_PATCH_BODY = 1 << 2, /* the body is a merge patch: nothing in it is required */
	OP_READ = 1 << 3,	/* changes nothing: no audit entry when it succeeds, ETag and If-None-Match apply */
	OP_SHORT = 1 << 4,	/* also answered without the base path, on the role's own port */
	OP_IF_MATCH = 1 << 5,	/* honours If-Match */
	OP_STREAMS = 1 << 6,	/* may answer in pieces (lucid/source.h), of whatever length; text or bytes, never JSON */
};

#define OP_MAX_PARAMS 3

/* In `path`, {name} stands for one segment whose format is looked up by name: server_id uuid, node, id, display … */
struct op {
	const char *name; /* "rdp.servers.create" */
	const char *role; /* "rdp-server-manager"; "host" for the supervisor's */
	const char *verb; /* NULL: not on REST */
	const char *path; /* template with the base path */
	enum op_scope scope;
	enum op_rate rate;
	unsigned flags;
	unsigned deadline_ms; /* 0: REQUEST_TIMEOUT */
	int status;	      /* of success; 0: 200 */
	const struct shape *query; /* NULL: takes none */
	const struct shape *in;	   /* body; NULL: takes none */
	const struct shape *out;   /* NULL: no JSON document (204, text, file) */
	const char *summary;
};

/* Every row of every role, in the order of the contract; NULL-terminated list of tables. From roles/contract. */
struct op_table {
	const struct op *ops;
	size_t n;
};
extern const struct op_table *const op_tables[];

const struct op *op_find(const char *name); /* NULL if unknown */
/* Format (shape_format) of a path parameter; a name that is not in the table is a programming error. */
const char *op_param_format(const char *name);
/* Split the template's parameters; returns their number, names into ret (borrowed pointers to static storage). */
size_t op_param_names(const struct op *op, char ret[OP_MAX_PARAMS][32]);

#endif
