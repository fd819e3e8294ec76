/* subject: what a request is about, /nodes/{node}, /servers/{server_id} or /sessions/{session_id}, and whether its caller may see it. Floor F6, loop thread only. */
#ifndef MONITOR_SUBJECT_H
#define MONITOR_SUBJECT_H

#include "roles/rdp-resource-monitor/monitor.h"
#include "roles/rdp-resource-monitor/sample.h"

struct subject {
	enum sample_kind kind;
	const char *id, *node; /* node "": not known */
	const json_t *server;  /* its definition; NULL: of a node or session, or of a server that was deleted (admins only) */
	const json_t *session; /* of a desktop */
	int64_t since_ms, until_ms; /* of a desktop: when it existed; another one may have its display before and after */
};
/* Calls fn, possibly at once, with a subject that is borrowed during the callback; fn answers c. Of a caller that may not see it, or if
 * that cannot be found out, c is answered instead. */
typedef void (*subject_fn)(struct monitor *m, struct call *c, const struct subject *s);
void subject_of_call(struct monitor *m, struct call *c, subject_fn fn);

#endif
