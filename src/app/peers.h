/*
 * peers: routes to roles and agents in other processes, by their URLs, and the readiness of these processes. Floor F7, loop thread only,
 * never blocks. Roles and nodes with the same URL share connections. Not for: which nodes exist (lucid/nodes.h).
 */
#ifndef APP_PEERS_H
#define APP_PEERS_H

#include "api/api.h"
#include "bus/transport.h"

#define PEERS_NODES_MAX 256

struct peers;
/* Adds a route for every role that is not in `roles` and has a URL. Calls present the certificate of `tls` and trust its CA in addition to
 * the system's. */
struct peers *peers_new(struct loop *l, struct bus *b, const struct config *c, struct token_keys *keys,
			const struct role *const *roles, const struct http_tls *tls);
/* Replaces the TLS files; existing connections keep the previous ones. 0, or a negated error with a reason. */
int peers_tls(struct peers *p, const struct http_tls *tls, char *why, size_t size);
void peers_add_checks(struct peers *p, struct api *a);
/* The transport to a node's agent, for bus_route_node; it also follows the events of that process. A second call replaces the URL of the
 * node. NULL, with a line in the log, if the URL is invalid or there are too many nodes. */
struct transport *peers_node(struct peers *p, const char *node, const char *url);
/* After the node's route was removed: calls in flight end with ERR_UNCERTAIN. An unknown name is ignored. */
void peers_forget_node(struct peers *p, const char *node);
/* Pause following the events of the peers while another carrier delivers them. The bus drops events that arrive twice. */
void peers_feeds_pause(struct peers *p, bool paused);
void peers_free(struct peers *p); /* takes NULL */

#endif
