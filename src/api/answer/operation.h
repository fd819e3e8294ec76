/* operation: the HTTP response to the answer of an operation, and the conditions of a request (If-Match, If-None-Match). Floor F5, loop
 * thread only, never blocks. */
#ifndef API_ANSWER_OPERATION_H
#define API_ANSWER_OPERATION_H

#include "lucid/bus.h"

struct request;

/* call_done of the bus: answers the request. */
void operation_answered(const struct reply *r, void *request);
/* The body; the caller owns the reference. NULL: none. */
struct blob *operation_body(const struct reply *r);
/* Evaluates If-Match: 0 and the version (0: any), or a negated error with a static sentence. */
int operation_if_match(struct request *q, int64_t *ret, const char **ret_why);

#endif
