/*
 * peers: the processes that live behind a URL: routes to their roles, and their readiness. Floor F7, loop thread only, never
 * blocks. Whoever has the same URL shares one place. Not for: which nodes there are (lucid/nodes.h).
 */
#ifndef APP_PEERS_H
#define APP_PEERS_H

#include "api/api.h"
#include "bus/transport.h"

#define PEERS_NODES_MAX 256

struct peers;
/* A route for every role that is not among `roles` and has a URL set. What `tls` holds is shown to them, and its authorities are
 * trusted besides the system's. */
struct peers *peers_new(struct loop *l, struct bus *b, const struct config *c, struct token_keys *keys,
			const struct role *const *roles, const struct http_tls *tls);
/* Other files of TLS; connections under way end with what they began with. 0 or a negated error with a sentence. */
int peers_tls(struct peers *p, const struct http_tls *tls, char *why, size_t size);
void peers_add_checks(struct peers *p, struct api *a);
/* The way to a node's agent, for bus_route_node; events of that process are heard from now on. A node that has one already gets
 * one to the other URL, or keeps it. NULL, with a line in the log: the URL is not one that is spoken, or there are too many. */
struct transport *peers_node(struct peers *p, const char *node, const char *url);
/* When its route was taken away: calls under way are ERR_UNCERTAIN. Takes names that are not known. */
void peers_forget_node(struct peers *p, const char *node);
/* While events come by another way, theirs need not be followed. What comes twice all the same is told apart by the bus. */
void peers_feeds_pause(struct peers *p, bool paused);
void peers_free(struct peers *p); /* takes NULL */

#endif
