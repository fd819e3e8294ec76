/*
 * shape: tables that describe what a document may contain. Floor F0, any thread, never blocks.
 *
 * A shape is used for validation (all faults at once, each with its path), defaults, and the JSON Schema in /openapi.json.
 * Control characters are refused in every string; SH_MULTILINE allows newline and tab. Characters that are invisible or change the
 * direction of writing (lucid/text.h) are refused too, except in names of accounts. An unknown member is refused by name, except
 * below an SH_FREE member.
 */
#ifndef LUCID_SHAPE_H
#define LUCID_SHAPE_H

#include "lucid/doc.h"
#include "lucid/errs.h"

enum shape_type {
	SH_STRING, /* min, max: length in characters */
	SH_INT,	   /* min, max: value */
	SH_NUMBER, /* integer or real; min, max: value */
	SH_BOOL,
	SH_OBJECT, /* sub: its members */
	SH_ARRAY,  /* min, max: number of items; item: what each must be */
	SH_FREE,   /* an object with any members; max: bytes of its compact text */
};

enum {
	SH_REQUIRED = 1 << 0,  /* must be present (SHAPE_FULL only) */
	SH_NULLABLE = 1 << 1,  /* may be null */
	SH_MULTILINE = 1 << 2, /* newline and tab are allowed */
	SH_READ_ONLY = 1 << 3, /* part of responses; in a request it is a fault, but see shape_unchanged */
	SH_ADMIN = 1 << 4,     /* only an admin may write it; enforced by shape_unchanged, documented in OpenAPI */
	SH_DEPRECATED = 1 << 6, /* replaced by another field; still accepted */
	SH_SECRET = 1 << 7,    /* a secret: only in requests, never part of a response or a digest of a request */
	SH_LIVE = 1 << 5,      /* with SH_READ_ONLY: changes by itself, so a patch may give any value, which is ignored */
};

struct shape;
struct shape_field {
	const char *name; /* NULL in an item */
	enum shape_type type;
	unsigned flags;
	int64_t min, max;	   /* max 0: the type's own (strings 256, arrays 64, free 16 KiB, ints 2^53-1) */
	const char *const *values; /* strings: NULL-ended list of the allowed values; NULL: any. Booleans: deprecated words for true
				    * in a query */
	const char *format;	   /* strings: a row of the format table ("uuid", "account" …); NULL: any */
	const struct shape *sub;
	const struct shape_field *item;
	const char *otherwise; /* default as JSON text, for shape_defaults and OpenAPI; NULL: none */
	const char *help; /* meaning of the field, for OpenAPI */
	const char *without; /* a member that excludes it; NULL: none */
};
struct shape {
	const char *name; /* component name in OpenAPI; NULL: inlined */
	const struct shape_field *fields;
	size_t n;
};
#define SHAPE(shape_name, table)                                                                                       \
	{                                                                                                              \
		.name = shape_name, .fields = table, .n = ARRAY_LEN(table)                                             \
	}

/* Faults found, at most 64; further ones are counted only. Initialise with {0}. */
struct faults {
	json_t *list; /* [{"field","message"}]; NULL: none */
	size_t more; /* faults that are not in the list */
};
void faults_add(struct faults *f, const char *field, const char *fmt, ...) PRINTF(3, 4);
static inline bool faults_any(const struct faults *f)
{
	return f->list != NULL;
}
json_t *faults_take(struct faults *f); /* the array, which the caller owns; NULL: none. Resets f */
void faults_done(struct faults *f); /* frees the list */

enum shape_mode {
	SHAPE_FULL,  /* a whole document: required members must be present */
	SHAPE_PATCH, /* RFC 7396: nothing is required; null removes a member that is not required. Read-only members are accepted:
		      * the handler compares them with the stored document (shape_unchanged). */
};

/* 0, or -ERR_INVALID with faults added. A NULL shape has no members: the document must be NULL, null or {}. A NULL document is
 * treated as {}. */
int shape_check(const struct shape *s, const json_t *doc, enum shape_mode mode, struct faults *f);

/* Returns a copy of a checked patch without the read-only and SH_ADMIN members whose value equals the stored one, also in nested objects, so
 * that a client may send back a document as it read it. A read-only member with another value is a fault; so is an SH_ADMIN member with another value
 * when `admin` is false. Returns a document even if there are faults. */
json_t *shape_unchanged(const struct shape *s, const json_t *patch, const json_t *stored, bool admin, struct faults *f);

/* A copy in which `true` stands for each SH_SECRET member, to compare and to digest requests. The caller owns it; NULL: doc is NULL. */
json_t *shape_without_secrets(const struct shape *s, const json_t *doc);

/* Adds the defaults of absent members to the document, recursively. An absent object is added if one of its members has a default. */
void shape_defaults(const struct shape *s, json_t *doc);

/* Makes a document with the types of the shape from a query string, in which every value is text. Unknown and repeated names and
 * invalid encodings are faults; shape_check then finds values that do not fit. `query` is what follows '?', not decoded; NULL is
 * empty. */
json_t *shape_from_query(const struct shape *s, const char *query, struct faults *f);
/* The reverse, for REST: "a=1&b=x", percent-encoded; "" for none. The caller frees. */
char *shape_to_query(const json_t *query);

/* Check one string against a format of the table; false with what is allowed in *ret_why. Formats:
 * uuid, name (1-64 printable), account and group (lucid/account.h), domain and password (of an RDP host: 1-256 bytes), tag, node (host-name characters), id ([A-Za-z0-9._-]),
 * time (RFC 3339), digits, user (token subject: printable, no blanks at the ends), stored (a name or user in a stored document, which
 * an earlier version may have accepted by weaker rules). */
bool shape_format(const char *format, const char *s, const char **ret_why);

enum schema_kind {
	SCHEMA_ANSWER, /* a response: with read-only members */
	SCHEMA_BODY,   /* a whole document in a request: required members, and no read-only ones */
	SCHEMA_PATCH,  /* nothing is required, null is allowed; read-only members may be repeated unchanged */
};
/* JSON Schema (2020-12) of a shape; a nested shape that has a name is a $ref to its component. */
json_t *shape_schema(const struct shape *s, enum schema_kind kind);
/* The name of the component: the shape's name; for a patch, "Change" is appended unless the name already ends with it. */
#define SCHEMA_NAME_MAX 80
const char *shape_schema_name(char dst[SCHEMA_NAME_MAX], const struct shape *s, enum schema_kind kind);

#endif
