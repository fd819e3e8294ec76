/*
 * shape: what a document may hold, as tables. Floor F0, any thread, never blocks.
 *
 * From a shape come validation (all faults at once, each with its path), defaults, and the JSON Schema in /openapi.json.
 * Control characters are refused in every string, newline and tab let through only where SH_MULTILINE says so. What is not
 * in the table is refused by name, except below an SH_FREE member.
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
	SH_ARRAY,  /* min, max: how many; item: what each must be */
	SH_FREE,   /* an object of anything; max: bytes of its compact text */
};

enum {
	SH_REQUIRED = 1 << 0,  /* must be given (SHAPE_FULL only) */
	SH_NULLABLE = 1 << 1,  /* null is a value */
	SH_MULTILINE = 1 << 2, /* newline and tab are let through */
	SH_READ_ONLY = 1 << 3, /* stands in answers; naming it in a request is a fault */
	SH_ADMIN = 1 << 4,     /* only an admin may write it; the handler enforces, OpenAPI says so */
};

struct shape;
struct shape_field {
	const char *name; /* NULL in an item */
	enum shape_type type;
	unsigned flags;
	int64_t min, max;	   /* max 0: the type's own (strings 256, arrays 64, free 16 KiB, ints 2^53-1) */
	const char *const *values; /* strings: NULL-ended list of what is allowed; NULL: any */
	const char *format;	   /* strings: a row of the format table ("uuid", "account" …); NULL: any */
	const struct shape *sub;
	const struct shape_field *item;
	const char *otherwise; /* default as JSON text, for shape_defaults and OpenAPI; NULL: none */
	const char *help;
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

/* Faults found, at most 64; further ones are counted only. Init with {0}. */
struct faults {
	json_t *list; /* [{"field","message"}], NULL while there are none */
	size_t more;
};
void faults_add(struct faults *f, const char *field, const char *fmt, ...) PRINTF(3, 4);
static inline bool faults_any(const struct faults *f)
{
	return f->list != NULL;
}
json_t *faults_take(struct faults *f); /* the array, the caller's; NULL if none */
void faults_done(struct faults *f);

enum shape_mode {
	SHAPE_FULL,  /* a whole document: required members must be there */
	SHAPE_PATCH, /* RFC 7396: nothing is required, null takes a member away where it is not required */
};

/* 0, or -ERR_INVALID with faults added. A NULL shape takes nothing: the document must be NULL, null or {}. A NULL document
 * is taken as {}. */
int shape_check(const struct shape *s, const json_t *doc, enum shape_mode mode, struct faults *f);

/* Fill in defaults, deep, for members that are absent; the document is changed. Objects with a default inside are made. */
void shape_defaults(const struct shape *s, json_t *doc);

/* Query strings: every value is text. Makes a document with the types of the shape; unknown names, repeats and values that
 * do not fit are faults. `query` is what follows '?', not decoded; NULL is empty. */
json_t *shape_from_query(const struct shape *s, const char *query, struct faults *f);
/* The reverse, for REST: "a=1&b=x", percent-encoded; "" for none. The caller frees. */
char *shape_to_query(const json_t *query);

/* Check one string against a format of the table; false with a sentence of what is allowed in *ret_why. Formats:
 * uuid, name (1-64 printable), account ([a-z_][a-z0-9_-]{0,31}), group, tag, node (host-name characters), id ([A-Za-z0-9._-]),
 * time (ISO 8601), digits, user (token subject: printable, no blanks at the ends). */
bool shape_format(const char *format, const char *s, const char **ret_why);

/* JSON Schema (2020-12) of a shape: members only, nested shapes as $ref to #/components/schemas/NAME where they have a
 * name. `patch` leaves out what is required. `answers` keeps read-only members, requests leave them out. */
json_t *shape_schema(const struct shape *s, bool patch, bool answers);

#endif
