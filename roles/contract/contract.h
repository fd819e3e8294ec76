/*
 * contract: what the roles say to each other. Floor F5; tables only, no code that runs. A role binds handlers to its rows
 * (bus_serve) and finds other roles' rows by name. Shapes that more than one role speaks stand in shapes.c.
 */
#ifndef ROLES_CONTRACT_H
#define ROLES_CONTRACT_H

#include "lucid/op.h"

#define ROLE_SERVERS "rdp-server-manager"
#define ROLE_XRDP "xrdp-integration"
#define ROLE_SESSIONS "rdp-session-controller"
#define ROLE_RESOURCES "rdp-resource-monitor"
#define ROLE_COMMON "lucid-rdp" /* every process, whatever roles live in it */
#define ROLE_HOST "host" /* the supervisor, over the socket pair */

extern const struct op_table contract_rdp;	/* rdp.c: rdp.* */
extern const struct op_table contract_xrdp;	/* xrdp.c: xrdp.* */
extern const struct op_table contract_sessions;	/* sessions.c: sessions.* */
extern const struct op_table contract_resources; /* resources.c: resources.* */
extern const struct op_table contract_common; /* common.c: audit.* */
extern const struct op_table contract_host;	/* host.c: host.*, not on REST */

/* shapes.c */
extern const struct shape shape_empty;
extern const struct shape shape_page; /* page, limit, offset, sort: the query of every list */
extern const struct shape shape_display, shape_desktop, shape_security, shape_channels, shape_limits, shape_recording_mode;
extern const struct shape shape_pagination;
extern const struct shape shape_instance, shape_instance_spec;
extern const struct shape shape_instance_start; /* a spec with `replace` beside it: the body of POST /instances */
extern const struct shape shape_connection, shape_desktop_session;
extern const struct shape shape_session_counts;
extern const struct shape shape_log_file; /* the query of a whole log */

#endif
