/* server: the record of a server, and a task on its strand. Floor F6, loop thread only, never blocks. */
#ifndef SERVERS_SERVER_H
#define SERVERS_SERVER_H

#include "roles/rdp-server-manager/manager.h"
#include "roles/rdp-server-manager/server/states.h"

/* In seconds; 0: none. `kill`: as soon as no client is connected. */
struct desktop_limits {
	int64_t idle_s, disconnected_s;
	bool kill;
};

struct server {
	struct object o;
	int port;
	bool auto_start;
	bool watched; /* an observation is queued (observe.c) */
	bool absent, absence_queued; /* node/unreachable.c: status_reason says that its node is unreachable; a change of that is queued */
	/* limits.c */
	struct desktop_limits limits; /* that its definition has */
	int64_t limits_us;	      /* monotonic: when these changed, or when the agent took them */
	bool limits_sending;
	unsigned cut_off; /* consecutive starts that began and whose outcome is unknown (start.c) */
};

struct task {
	struct object_task on;
	json_t *body; /* body of a change */
	int64_t if_match;
	bool force, replace, remove, restart;
	bool port_asked; /* the caller named the port: the server is never moved to another one */
	unsigned tries;
	int err; /* error of a failed start */
};

static inline struct manager *server_manager(const struct server *s)
{
	return object_ctx(&s->o);
}
static inline struct server *task_server(const struct task *t)
{
	return (struct server *)t->on.object;
}
static inline struct task *task_of(struct object_task *t)
{
	return (struct task *)t;
}
/* NULL if there is no such server, or it is unborn or deleted. */
static inline struct server *server_find(const struct manager *m, const char *id)
{
	return (struct server *)objects_find(m->objects, id);
}
static inline struct server *server_next(const struct manager *m, struct map_pos *pos)
{
	return (struct server *)objects_next(m->objects, pos);
}
/* The server that the call names; NULL: the call was answered or will run `again` (objects_of_call). */
struct server *server_of_call(struct manager *m, struct call *c, call_handler again);
struct task *task_new(struct manager *m, struct call *c, void (*run)(struct object_task *t));
/* Queue a task without a caller. */
void server_queue(struct server *s, void (*run)(struct object_task *t));

#endif
