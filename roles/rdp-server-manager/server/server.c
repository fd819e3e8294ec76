#include "roles/rdp-server-manager/server/server.h"

#include "roles/rdp-server-manager/manager.h"

struct task *task_new(struct manager *m, struct call *c, void (*run)(struct object_task *t))
{
	return object_task_new(m->objects, c, run);
}

struct server *server_of_call(struct manager *m, struct call *c, call_handler again)
{
	return (struct server *)objects_of_call(m->objects, c, "server_id", again);
}

void server_queue(struct server *s, void (*run)(struct object_task *t))
{
	object_queue(&s->o, &task_new(server_manager(s), NULL, run)->on);
}
