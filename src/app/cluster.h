/*
 * cluster: sets up src/cluster from the settings: whether the store is shared, the name of this node, the URL of its agent. Floor F7, loop
 * thread only.
 */
#ifndef APP_CLUSTER_H
#define APP_CLUSTER_H

#include "app/peers.h"

struct cluster;
struct cluster *cluster_new(struct loop *l, struct bus *b, struct store *s, const struct config *c, struct peers *p,
			    const struct role *const *roles);
struct nodes *cluster_nodes(struct cluster *k);
struct leases *cluster_leases(struct cluster *k);
/* After the store was opened, before the roles start. */
void cluster_begin(struct cluster *k);
/* When the program stops. */
void cluster_leave(struct cluster *k);
void cluster_add_checks(struct cluster *k, struct api *a);
/* After the store was closed, before the peers are freed. Takes NULL. */
void cluster_free(struct cluster *k);

#endif
