/*
 * pour: streams a source to the client. Floor F5, loop thread only, never blocks. The next piece is requested only when little data is
 * queued for the client, so that a slow client slows the source instead of filling memory.
 */
#ifndef API_ANSWER_POUR_H
#define API_ANSWER_POUR_H

#include "lucid/bus.h"

struct request;
/* Answers with the source of the reply, its content type and headers, and the usual headers. */
void pour(struct request *q, const struct reply *r);

#endif
