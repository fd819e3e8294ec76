/*
 * op: operations of roles, one row each. Floor F3: types only; the rows are in roles/contract.
 *
 * A row defines the REST route, validation, access, rate class, OpenAPI description, metrics label, audit entry and local call. A role binds a
 * handler to a row with bus_serve().
 */
#ifndef LUCID_OP_H
#define LUCID_OP_H

#include "lucid/shape.h"

enum op_scope {
	OP_PUBLIC,  /* no token required */
	OP_USER,    /* any valid token; the handler checks ownership */
	OP_ADMIN,   /* admins only */
	OP_SERVICE, /* admins, and roles as themselves (the row has OP_ROLES too) */
};
enum op_rate { RATE_DEFAULT, RATE_SESSION_CREATE, RATE_SESSION_MESSAGE, RATE_RECORDING_VIEW, RATE_EXEMPT };
enum {
	OP_IDEMPOTENT = 1 << 0, /* repeating it has no further effect: it may be retried after a lost connection */
	OP_CREATES = 1 << 1,	/* responds 201; accepts Idempotency-Key */
	OP_PATCH_BODY = 1 << 2, /* the body is a merge patch: no member is required */
	OP_READ = 1 << 3,	/* changes nothing: no audit entry on success; supports ETag and If-None-Match */
	OP_SHORT = 1 << 4,	/* also served without the base path, on the role's own port */
	OP_IF_MATCH = 1 << 5,	/* supports If-Match */
	OP_MAY_CONFLICT = 1 << 8, /* although it only reads, it is refused with 409 in some states of the object */
	/* A role may call this as itself: a service token is sufficient, and sees the objects of all owners. A call that a role makes on behalf
	 * of a user has that user's rights, whatever the row. */
	OP_ROLES = 1 << 7,
	/* May respond with a stream (lucid/source.h) of any length; text or bytes, never JSON. A row that has `out` too responds with a document,
	 * unless the query has format=csv. */
	OP_STREAMS = 1 << 6,
	/* A role repeats it every few seconds: no audit entry if one succeeds as itself. */
	OP_REPEATED = 1 << 9,
};

#define OP_MAX_PARAMS 3

/* {name} in `path` is a parameter: one segment, whose format op_param_format gives. */
struct op {
	const char *name; /* "rdp.servers.create" */
	const char *role; /* "rdp-server-manager"; "host" for operations of the supervisor */
	const char *verb; /* NULL: not on REST */
	const char *path; /* template, including the base path */
	enum op_scope scope;
	enum op_rate rate;
	unsigned flags;
	unsigned deadline_ms; /* 0: REQUEST_TIMEOUT */
	int status;	      /* HTTP status of success; 0: 200 */
	const struct shape *query; /* query parameters; NULL: none */
	const struct shape *in;	   /* body; NULL: none */
	const struct shape *out;   /* response; NULL: no JSON document (204, text, file). With status 204: the response of a 202 */
	const char *media;	   /* content type of a response that is not JSON, or of the stream beside `out`; NULL: JSON, or no body */
	const char *summary; /* one line, for OpenAPI and the API guide */
};

/* The tables of all roles in the order of the contract, NULL-terminated. Defined in roles/contract. */
struct op_table {
	const struct op *ops;
	size_t n;
};
extern const struct op_table *const op_tables[];

const struct op *op_find(const char *name); /* NULL if unknown */
/* Whether the response to this query (may be NULL) is a stream. */
bool op_streams(const struct op *op, const json_t *query);
/* The format (shape_format) of a path parameter; an unknown name is a programming error. */
const char *op_param_format(const char *name);
/* Copies the names of the path parameters into ret, in the order of the template; returns their number. */
size_t op_param_names(const struct op *op, char ret[OP_MAX_PARAMS][32]);

#endif
