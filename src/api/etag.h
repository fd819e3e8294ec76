/* etag: entity tags are versions in quotes (RFC 9110, 8.8.3 and 13.1). Floor F5, any thread. */
#ifndef API_ETAG_H
#define API_ETAG_H

#include "lucid/str.h"

#define ETAG_SIZE 24
void etag_print(char dst[ETAG_SIZE], int64_t version);

/* If-None-Match: does the list name this version, weakly compared? '*' names every one. */
bool etag_list_has(const char *list, int64_t version);

enum etag_want { ETAG_ANY, ETAG_VERSION, ETAG_NEVER, ETAG_BAD };
/* If-Match: '*' is ETAG_ANY; one strong tag of ours is ETAG_VERSION with the version; a tag that can be none of ours is
 * ETAG_NEVER; a list, or what is no tag, is ETAG_BAD. */
enum etag_want etag_wanted(const char *header, int64_t *ret);

#endif
