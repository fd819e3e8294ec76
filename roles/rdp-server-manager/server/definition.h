/* definition: creates, checks and changes the document of a server. Floor F6, loop thread only, never blocks. */
#ifndef SERVERS_DEFINITION_H
#define SERVERS_DEFINITION_H

#include "roles/rdp-server-manager/manager.h"

/* A new document from a checked body, with defaults and read-only members. The caller owns it. */
json_t *server_define(struct manager *m, const char *id, const char *user, const char *node, int port, const json_t *body,
		      int64_t now_ms);
/* Checks that the shape cannot express: color depth, port range, cores and memory of the node (NULL: of the largest one). Adds faults. */
void server_check(struct manager *m, const json_t *doc, const char *node, struct faults *f);
/* Checks that the profile, or the default if it names none, is installed on its node. Adds faults. */
void server_check_profile(struct manager *m, const json_t *doc, const char *node, struct faults *f);
/* Adds a fault for each member that only an admin may set. */
void server_check_admin(const struct caller *c, const json_t *body, struct faults *f);
/* Applies a checked merge patch. Returns a new document with the same version; removed members have their defaults. */
json_t *server_merge(const json_t *doc, const json_t *patch);
/* True if this change takes effect only after a restart of the instance. */
bool server_needs_restart(const json_t *before, const json_t *after);
json_t *server_spec(const json_t *doc); /* the InstanceSpec of a definition; a new document */

#endif
