/* rest_answer: from an HTTP answer to the answer of a call. Floor F4, loop thread only. Not for: answers that did not come (rest.c). */
#ifndef BUS_REST_ANSWER_H
#define BUS_REST_ANSWER_H

#include "bus/transport.h"
#include "net/http_client.h"

/* The call is answered. False: what answered is not one of ours. */
bool rest_answer(struct call *c, const struct http_result *res);

#endif
