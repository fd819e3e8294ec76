/*
 * proxy: whose request it really is. Floor F5, any thread, never blocks. X-Forwarded-For is believed only from proxies that
 * are named, address by address from the right, until one is no proxy of ours.
 */
#ifndef API_PROXY_H
#define API_PROXY_H

#include "lucid/base.h"

struct proxies;
/* `list` is NULL-ended: addresses, networks ("10.0.0.0/8", "fd00::/8"), or "unix" for peers on a Unix socket. What is none of
 * these is left out with a warning. NULL when nothing is trusted. */
struct proxies *proxies_new(const char *const *list);
void proxies_free(struct proxies *p); /* takes NULL */
/* Writes the client's address as text: the peer's own, or what the trusted ones forward. `forwarded` may be NULL. */
void proxies_client(const struct proxies *p, const char *peer, const char *forwarded, char *dst, size_t size);

#endif
