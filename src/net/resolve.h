/*
 * resolve: resolves host names to addresses. Floor F2, loop thread only, never blocks: evdns reads /etc/hosts and queries the servers of
 * resolv.conf. An address resolves to itself. Not for: HTTP, whose client resolves names itself (client/http_dialer.h).
 */
#ifndef NET_RESOLVE_H
#define NET_RESOLVE_H

#include "lucid/loop.h"

#define RESOLVE_SIZE 64 /* of an address as text */

struct resolver;
struct resolving;
struct resolver *resolver_new(struct loop *l);
void resolver_free(struct resolver *r); /* only without a query in flight; takes NULL */

bool resolve_is_address(const char *name);
/* address NULL: the name cannot be resolved, and `why` is a static reason. Called once, from the loop or from within resolve(). */
typedef void (*resolve_done)(const char *address, const char *why, void *arg);
/* NULL: done was called already. */
struct resolving *resolve(struct resolver *r, const char *name, resolve_done done, void *arg);

#define RESOLVE_MAX 16
/* The same with all addresses, up to RESOLVE_MAX, borrowed during the call; n 0: the name cannot be resolved. */
typedef void (*resolve_all_done)(const char (*addresses)[RESOLVE_SIZE], size_t n, const char *why, void *arg);
struct resolving *resolve_all(struct resolver *r, const char *name, resolve_all_done done, void *arg);
void resolve_cancel(struct resolving *q); /* done is not called; takes NULL */

#endif
