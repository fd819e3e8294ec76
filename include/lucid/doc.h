/*
 * doc: documents, which are jansson values. Floor F0. One thread builds a document. Once it was sent, stored or published it is
 * immutable, and references to it may be shared on that thread. jansson's reference counts are atomic, its contents are not.
 *
 * All input from outside goes through doc_parse: strict UTF-8, no duplicate keys, bounded depth, no trailing text. Not for:
 * validating what a document contains (shape.h).
 */
#ifndef LUCID_DOC_H
#define LUCID_DOC_H

#include <jansson.h>

#include "lucid/base.h"

#define DOC_MAX_DEPTH 32

void doc_unrefp(json_t **doc); /* for _cleanup_ */

/* Parse one JSON text. NULL on failure; why[size] (may be NULL) then gives reason and position, without quoting the text.
 * The caller owns the result. */
json_t *doc_parse(const char *text, size_t len, char *why, size_t size);

/* For documents that contain secrets: all memory that jansson frees while it parses one, and the whole document when it is freed, is
 * overwritten. */
json_t *doc_parse_secret(const char *text, size_t len, char *why, size_t size);
void doc_unref_secret(json_t *doc); /* takes NULL; parts that are still referenced elsewhere are kept */
void doc_unref_secretp(json_t **doc);

/* Compact text, keys in order of insertion, reals with 15 digits. The caller frees. NULL doc gives "null". */
char *doc_text(const json_t *doc);
struct blob *doc_blob(const json_t *doc);

/* Members of an object, with a default when absent or of another type. Strings are borrowed from the document. */
const char *doc_str(const json_t *doc, const char *key, const char *otherwise);
int64_t doc_int(const json_t *doc, const char *key, int64_t otherwise);
bool doc_bool(const json_t *doc, const char *key, bool otherwise);
json_t *doc_get(const json_t *doc, const char *path); /* borrowed; `a.b.c` walks objects; NULL when absent */

/* Set; a NULL string sets null. */
void doc_set_str(json_t *doc, const char *key, const char *value);
void doc_set_int(json_t *doc, const char *key, int64_t value);
void doc_set_bool(json_t *doc, const char *key, bool value);
void doc_set_time(json_t *doc, const char *key, int64_t wall_ms); /* ISO; 0 sets null */
void doc_set(json_t *doc, const char *key, json_t *consume);	  /* NULL sets null */

/* RFC 7396: a new document, `target` with `patch` merged in. Neither is changed. */
json_t *doc_merge(const json_t *target, const json_t *patch);

/* True if an array of strings contains s. */
bool doc_array_has(const json_t *array, const char *s);

#endif
