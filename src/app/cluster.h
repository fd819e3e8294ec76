/*
 * cluster: from settings to what src/cluster needs: whether the store is shared, who this process is there, what its agent's URL is.
 * Floor F7, loop thread only.
 */
#ifndef APP_CLUSTER_H
#define APP_CLUSTER_H

#include "app/peers.h"

struct cluster;
struct cluster *cluster_new(struct loop *l, struct bus *b, struct store *s, const struct config *c, struct peers *p,
			    const struct role *const *roles);
struct nodes *cluster_nodes(struct cluster *k);
struct leases *cluster_leases(struct cluster *k);
/* The store is up; before the roles start. */
void cluster_begin(struct cluster *k);
/* The program leaves. */
void cluster_leave(struct cluster *k);
void cluster_add_checks(struct cluster *k, struct api *a);
/* After the store was closed, before the peers go. Takes NULL. */
void cluster_free(struct cluster *k);

#endif
