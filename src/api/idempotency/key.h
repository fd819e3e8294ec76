/*
 * key: an Idempotency-Key and the digest of its request. Floor F5, any thread, never blocks. The digest covers the operation, its path
 * parameters and the body as a document: white space, the order of members and the query do not change it.
 */
#ifndef API_IDEMPOTENCY_KEY_H
#define API_IDEMPOTENCY_KEY_H

#include "lucid/bus.h"
#include "lucid/id.h"
#include "lucid/store.h"

/* `id`: the id in the store: the caller's name and a digest of the key. `digest`: of the request. */
struct key_names {
	char id[STORE_ID_MAX + 1], digest[ID_DIGEST_SIZE];
};
void key_name(struct key_names *ret, const char *sub, const char *key, const struct call_args *args);
/* NULL: the key is valid; else a static sentence. `again`: the header occurs more than once. */
const char *key_fault(const char *key, bool again);

#endif
