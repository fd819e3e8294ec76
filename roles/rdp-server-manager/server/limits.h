/*
 * limits: the limits that a server sets for its desktops: idle_timeout, disconnected_timeout and kill_disconnected. The agent of its host
 * keeps them with the instance. The manager that leads the node sends them when they change, and when a listing shows others, so that a
 * request that was lost is repeated. Floor F6, loop thread only, never blocks.
 */
#ifndef SERVERS_LIMITS_H
#define SERVERS_LIMITS_H

#include "roles/rdp-server-manager/server/server.h"

/* Takes the limits from the document of the server, and sends them if they have changed. */
void server_limits_read(struct server *s, const json_t *doc);
/* Compares them with those of the instance in a listing that was requested at asked_us (monotonic), and sends them if they differ. */
void server_limits_compare(struct server *s, const json_t *instance, int64_t asked_us);
/* True if the two definitions of a server differ in nothing of `desktop` but these limits. */
bool server_limits_only(const json_t *before, const json_t *after);

#endif
