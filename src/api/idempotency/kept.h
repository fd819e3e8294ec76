/* kept: the recorded response of a request with an Idempotency-Key. Floor F5, loop thread only, never blocks. */
#ifndef API_IDEMPOTENCY_KEPT_H
#define API_IDEMPOTENCY_KEPT_H

#include "lucid/bus.h"

struct request;

struct kept {
	int status;
	unsigned retry_after_s; /* 0: none */
	int64_t version;	/* ETag; 0: none */
	char *location, *type;	/* owned; NULL: none, JSON */
	struct blob *body;	/* NULL: none */
};
void kept_done(struct kept *k);

/* From the answer of the operation. */
void kept_from(struct kept *ret, const struct request *q, const struct reply *r);
/* To and from a document of the store. */
void kept_write(const struct kept *k, json_t *doc);
void kept_read(struct kept *ret, const json_t *doc);
/* Answers q; `again`: as a replay, with Idempotency-Replayed. */
void kept_reply(const struct kept *k, struct request *q, bool again);

#endif
