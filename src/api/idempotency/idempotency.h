/*
 * idempotency: Idempotency-Key: a repeated request gets the recorded response of the first one. Floor F5, loop thread only, never blocks.
 * For requests that create objects, the key is claimed, the operation performed, its response recorded, and only then sent:
 *
 *   INSERT "caller:sha256(key)" → the operation → REPLACE with its response → response to the client
 *
 * The same key with the same body then gets the recorded response. While the first request is in progress, a second one gets 409 with
 * Retry-After. A response that proves that nothing was done (4xx, or 503 before the operation began) releases the key. A response that
 * leaves the outcome open (500, 502, 504, a lost connection) is recorded like a success, since a repetition could create a second object.
 *
 * A crash between claim and record leaves a claim without a response, and it is unknown whether the object was created. A repeated request
 * then gets 409 with a text that tells the client to look for the object; a second object is never created. A response that was sent has
 * always been recorded before.
 *
 * That text must be sent only when the first request can have no further effect, that is, after its deadline. It is sent at once if the
 * claim belongs to an earlier process that had the store alone and ran the operation itself: all of its writes are in the store. With a
 * shared store even the death of the claiming process is not sufficient: its writes may still be in flight to the database, and another
 * process may still perform the operation for it.
 */
#ifndef API_IDEMPOTENCY_IDEMPOTENCY_H
#define API_IDEMPOTENCY_IDEMPOTENCY_H

#include "lucid/bus.h"

struct api;
struct request;
struct idempotency;
struct idempotency *idempotency_new(struct api *a);
void idempotency_stop(struct idempotency *all); /* starts no further calls */
void idempotency_free(struct idempotency *all); /* after idempotency_forget for all open requests */
/* True: the request has a key, and is now handled here or was answered. args as for bus_call; query, body and params are copied or
 * referenced. */
bool idempotency_begin(struct request *q, const struct call_args *args);
void idempotency_forget(struct request *q); /* the caller answers it */

#endif
