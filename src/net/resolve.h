/*
 * resolve: from a host's name to an address, without waiting. Floor F2, loop thread only, never blocks: evdns asks what
 * resolv.conf names, after /etc/hosts. What is an address already is its own answer. Not for: HTTP, whose client does this by
 * itself.
 */
#ifndef NET_RESOLVE_H
#define NET_RESOLVE_H

#include "lucid/loop.h"

#define RESOLVE_SIZE 64 /* of an address as text */

struct resolver;
struct resolving;
struct resolver *resolver_new(struct loop *l);
void resolver_free(struct resolver *r); /* with nothing under way; takes NULL */

/* True: `name` is an address. */
bool resolve_is_address(const char *name);
/* address NULL: it cannot be resolved, why is a static sentence. Comes once, from the loop, perhaps from within resolve(). */
typedef void (*resolve_done)(const char *address, const char *why, void *arg);
/* NULL: done has been called already. */
struct resolving *resolve(struct resolver *r, const char *name, resolve_done done, void *arg);
void resolve_cancel(struct resolving *q); /* done will not be called; takes NULL */

#endif
