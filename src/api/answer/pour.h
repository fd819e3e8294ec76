/*
 * pour: streams a source to the client. Floor F5, loop thread only, never blocks. The next piece is requested only when little data is
 * queued for the client, so that a slow client slows the source instead of filling memory.
 */
#ifndef API_ANSWER_POUR_H
#define API_ANSWER_POUR_H

#include "lucid/source.h"

struct request;
/* Answers with 200, this content type and the usual headers. Consumes a reference to the source. */
void pour(struct request *q, const char *type, struct source *consume);

#endif
