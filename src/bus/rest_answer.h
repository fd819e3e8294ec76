/* rest_answer: translates an HTTP response to the answer of a call. Floor F4, loop thread only. Not for: requests without a response
 * (rest.c). */
#ifndef BUS_REST_ANSWER_H
#define BUS_REST_ANSWER_H

#include "bus/transport.h"
#include "net/client/http_client.h"

/* Of a response: tells ERR_UNCERTAIN from the other errors with the same code. */
#define REST_OUTCOME_HEADER "X-Lucid-Outcome"
#define REST_UNCERTAIN "uncertain"

/* Answers the call. False: the peer is not lucid-rdp. */
bool rest_answer(struct call *c, const struct http_result *res);

#endif
