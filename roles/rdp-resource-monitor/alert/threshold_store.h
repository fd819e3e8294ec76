/*
 * threshold_store: the thresholds in the store, and their two operations. Floor F6, loop thread only, never blocks. Changes by other processes are
 * followed by their events, and by reading the document again.
 */
#ifndef ALERT_THRESHOLD_STORE_H
#define ALERT_THRESHOLD_STORE_H

#include "lucid/role.h"
#include "roles/rdp-resource-monitor/alert/thresholds.h"

struct threshold_store;
/* Serves resources.thresholds.*. */
struct threshold_store *threshold_store_new(const struct role_env *env);
void threshold_store_start(struct threshold_store *t);
void threshold_store_stop(struct threshold_store *t);
/* Calls in progress keep the memory; the rest is freed. */
void threshold_store_free(struct threshold_store *t); /* takes NULL */
bool threshold_store_loaded(const struct threshold_store *t); /* they have been read */
/* As thresholds_rule. server_id NULL: of a node. */
bool threshold_store_rule(struct threshold_store *t, const char *server_id, enum alert_metric metric, struct judge_rule *ret);

#endif
