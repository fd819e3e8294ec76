/*
 * controller: the state that all of rdp-session-controller shares. Floor F6, loop thread only, never blocks.
 *
 * session/ one session: its states, its operations, its kind as a stored object (lucid/object.h)
 * operations/ what callers ask for: lists, reads, declarations, changes, ends
 * message/ messages to the people on the desktops
 * foreign/ sessions on RDP hosts outside this installation
 * recording/ recordings of the desktops: their documents, keys and contents
 * export/  recordings as video files
 * watch/   what really runs: the desktops that the agents of the hosts report, compared with the stored sessions
 *
 * Not for: anything that touches the host (the agent does), and servers (rdp-server-manager).
 */
#ifndef SESSIONS_CONTROLLER_H
#define SESSIONS_CONTROLLER_H

#include "lucid/object.h"
#include "lucid/role.h"
#include "roles/contract/contract.h"

#define SERVICE ROLE_SESSIONS

struct lease;
struct target_prober; /* lucid/target.h */
struct watched;
struct recordings;
struct exports;
struct controller_ops {
	const struct op *instances, *desktops, *desktop_end, *desktop_message, *desktop_limits, *connections, *connection_cut, *quotas; /* of the agent */
	const struct op *server, *connection, *rdp_file; /* of rdp-server-manager */
};

struct controller {
	struct role_env env;
	struct controller_ops ops;
	struct objects *objects; /* the sessions; their groups are the nodes */
	bool one_host;		 /* no other host shares the store */
	int64_t max_live, max_per_user, timeout_s, history_days;
	struct subscription *desktop_events, *connection_events, *instance_events, *server_events, *node_events, *gaps;
	/* watch/server.c */
	struct map *servers; /* server id → struct watched */
	struct watched *foreign; /* in place of a server: of the sessions on foreign RDP hosts */
	struct map *names;   /* users and nodes, each once: text → text */
	/* watch/look.c */
	struct list due; /* struct watched, whose desktops are to be listed */
	size_t looking;
	/* session/limits.c */
	size_t limits_sending; /* requests in flight */
	/* watch/reconcile.c */
	struct loop_timer *look_timer;
	bool look_soon, look_fully;
	unsigned looks; /* periodic comparisons */
	/* watch/quotas_tell.c */
	struct loop_timer *tell_timer;
	bool tell_soon; /* tell_timer is set */
	/* foreign/ */
	struct target_prober *targets;
	struct secret_sweep *secrets;
	struct timeline_sweep *timelines; /* session/timeline_sweep.c */
	struct recordings *recordings; /* recording/ */
	struct exports *exports;       /* export/ */
	void (*drained)(void *arg); /* of the role, while it drains */
	void *drained_arg;
	/* session/sweep.c */
	struct loop_timer *sweep_timer;
	struct {
		struct metric *created, *terminated;
	} metrics;
};

/* The one copy of a name that the controller keeps until it exits. NULL gives "". */
const char *controller_name(struct controller *s, const char *name);

#endif
