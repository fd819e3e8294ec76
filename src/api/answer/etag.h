/* etag: entity tags (RFC 9110 8.8.3 and 13.1). The tag of an object is its version in quotes. Floor F5, any thread. */
#ifndef API_ANSWER_ETAG_H
#define API_ANSWER_ETAG_H

#include "lucid/str.h"

#define ETAG_SIZE 24
void etag_print(char dst[ETAG_SIZE], int64_t version);

/* If-None-Match: whether the list has this version, by weak comparison. '*' matches all. */
bool etag_list_has(const char *list, int64_t version);
bool etag_list_names(const char *list, const char *tag); /* the same for a tag with its quotes */

enum etag_want { ETAG_ANY, ETAG_VERSION, ETAG_NEVER, ETAG_BAD };
/* If-Match: '*' is ETAG_ANY; a strong tag with a version is ETAG_VERSION, and sets *ret; any other tag, which no object has, is ETAG_NEVER;
 * a list or anything else is ETAG_BAD. */
enum etag_want etag_wanted(const char *header, int64_t *ret);

#endif
