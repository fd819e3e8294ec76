/* subject: what a request is about, /nodes/{node} or /servers/{server_id}, and whether its caller may see it. Floor F6, loop thread only. */
#ifndef MONITOR_SUBJECT_H
#define MONITOR_SUBJECT_H

#include "roles/rdp-resource-monitor/monitor.h"
#include "roles/rdp-resource-monitor/sample.h"

struct subject {
	enum sample_kind kind;
	const char *id, *node; /* node "": not known */
	const json_t *server;  /* its definition; NULL: of a node, or of a server that was deleted (admins only) */
};
/* Calls fn, possibly at once, with a subject that is borrowed during the callback; fn answers c. Of a caller that may not see it, or if
 * that cannot be found out, c is answered instead. */
typedef void (*subject_fn)(struct monitor *m, struct call *c, const struct subject *s);
void subject_of_call(struct monitor *m, struct call *c, subject_fn fn);

#endif
