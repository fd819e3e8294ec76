/* input: parses query and body of a request to documents. Floor F5, loop thread only, never blocks. Not for: the check against their
 * shapes, which the bus does for operations and rest.c for pages. */
#ifndef API_INPUT_H
#define API_INPUT_H

#include "lucid/shape.h"

struct request;
/* 0, and *ret is set if there is a query; or a negated error, and the request was answered. NULL shape: no query is allowed. */
int input_query(struct request *q, const struct shape *shape, json_t **ret);
/* The same for the body of an operation. */
int input_body(struct request *q, json_t **ret);

#endif
