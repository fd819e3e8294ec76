/*
 * servers: the inside of rdp-server-manager. Floor F6, loop thread only, never blocks.
 *
 * A server is a document in the store; in memory stands one small record a server (struct server) with what quotas, ports
 * and the strand need. The whole document is held only while an operation is under way or a write is owed.
 * One operation at a time per server: tasks queue on its strand (strand.c). Its status changes in one function alone,
 * server_enter (state.c), which writes, publishes and counts. Not for: anything that touches the host (the agent does).
 */
#ifndef SERVERS_H
#define SERVERS_H

#include "lucid/id.h"
#include "lucid/list.h"
#include "lucid/map.h"
#include "lucid/nodes.h"
#include "lucid/role.h"
#include "roles/contract/contract.h"
#include "roles/rdp-server-manager/ports.h"

#define SERVICE ROLE_SERVERS
#define TASKS_MAX 8	      /* operations that wait on one server */
#define PARKED_MAX 1024	      /* calls that wait for the first load */
#define PORT_TRIES 64	      /* ports tried for one creation */
#define CUT_OFF_MAX 10	      /* starts in a row that the agent began and never ended: the start may be what kills it */
#define SERVERS_MAX 1000000   /* records; far above any quota */
#define STRAYS_MAX 10000 /* claims of no server, remembered from one sweep to the next */
#define PLACES_MAX 65536       /* nodes; few in truth */
#define WAIT_MS 30000	      /* ?wait at most */
/* Several managers on one store (shared.c): who runs an operation raises the server's version while it lasts, every RENEW_MS;
 * one that stood still for BUSY_MS has nobody any more who runs it. */
#define RENEW_MS 1500
#define BUSY_MS 4500
#define SCAN_MS 1000 /* servers in between are looked for */
#define POLL_MS 250  /* what waits for another manager's operation looks */
#define SAY_MS 10000 /* another manager's word about a node is waited for */
#define DRAIN_MS 5000	      /* what is under way may take this long when the program stops */

enum server_status {
	SERVER_CREATING,
	SERVER_CONFIGURING,
	SERVER_STARTING,
	SERVER_RUNNING,
	SERVER_STOPPING,
	SERVER_STOPPED,
	SERVER_FAILED,
	SERVER_STATUS_COUNT
};
const char *server_status_to_string(enum server_status s);
bool server_status_from_string(const char *s, enum server_status *ret);
bool server_status_legal(enum server_status from, enum server_status to);

struct owner {
	size_t servers; /* definitions */
	char id[];
};

struct manager;
/* A node as the place of servers (place.c). */
struct place {
	struct manager *m;
	struct ports *ports; /* hints: what is free there */
	size_t servers;	     /* definitions */
	struct lease *lease; /* NULL: not wanted yet, or there is but one manager */
	bool looking, again, looked, lost; /* under way; once more after it; once at least; the agent did not answer the last time */
	/* tell.c */
	const char *said; /* the status that was last said in an event, by whichever manager; NULL: none was */
	bool owes;	  /* nobody has said yet what it is now: */
	enum node_status owed;
	int64_t owed_ms;  /* since when */
	char name[];
};

struct task;
struct server {
	struct manager *m;
	char id[ID_UUID_SIZE];
	struct owner *owner;
	struct place *place; /* the node it is on, for good */
	enum server_status status;
	int port;
	bool auto_start;
	bool unborn; /* its first write is under way: not to be seen yet */
	bool gone;   /* deleted; freed when its strand is empty */
	bool watched; /* an observation waits on the strand already */
	bool absent, absence_queued; /* absence.c: its document says that its node is unreachable; that is about to change */
	int64_t version, stored_version;
	unsigned cut_off;   /* starts in a row of which nobody knows the end */
	int64_t changed_us; /* monotonic time of the last change of status */
	json_t *doc;	    /* NULL when idle and written */
	bool writing;
	int64_t writing_version;
	enum server_status stored_status, writing_status;
	/* with other managers on the store (shared.c) */
	bool strict;	   /* the write under way is a claim: it must not go on top of anybody else's */
	bool waiting;	   /* its task waits for another manager's */
	bool overtaken;	   /* another manager changed the status while we did: its own counts */
	int64_t seen_us;   /* when its version was first seen, or last written by us */
	int64_t scanned_us; /* when it was last looked at because it stood still */
	int64_t left_version; /* what our own last operation left: nobody else runs that */
	unsigned round;	   /* the pass over the store that saw it last */
	json_t *unsure;	   /* what we wrote last without knowing whether it was taken */
	struct loop_timer *poll, *renew;
	struct loop_timer *retry; /* of a write that failed; made when it is needed */
	struct list waiters;	  /* for versions to be durable */
	struct list tasks;
	size_t ntasks;
	struct task *running;
};

struct agent_ops {
	const struct op *start, *list, *get, *stop, *config, *logs, *log_file, *desktops, *ports, *profiles;
};

struct manager {
	struct role_env env;
	struct agent_ops agent;
	struct map *servers, *owners, *places; /* id → server, user → owner, node → place */
	bool one_host; /* the store is this host's alone, so all servers are on it */
	size_t by_status[SERVER_STATUS_COUNT];
	const char *host; /* what clients connect to */
	int64_t max_live, max_per_user;
	bool loaded, draining;
	struct list parked;
	size_t nparked;
	size_t under_way; /* tasks, creations, writes owed: what a drain waits for, with the flags below */
	void (*drained)(void *arg);
	void *drained_arg;
	struct subscription *events, *gaps, *node_events;
	struct loop_timer *load_timer, *look_timer, *drain_timer;
	struct loop_task node_task; /* nodes changed */
	bool node_ready;	    /* one of them is ready */
	bool loading, look_again, sweeping;
	size_t looking; /* nodes whose agents are asked what runs */
	struct lease *sweeper;
	/* shared.c, follow.c */
	struct subscription *foreign;
	struct loop_timer *scan_timer;
	bool scanning;
	size_t scan_offset;
	int64_t renew_ms, busy_ms, scan_ms, say_ms; /* as above; tests make time run faster */
	unsigned round;
	size_t reads; /* of single servers that others changed */
	int64_t swept_ms;
	struct map *strays; /* claim → when it was first seen without its server (sweep.c) */
	json_t *profiles; /* window managers that the agent knows, as it lists them; NULL until it was asked */
	struct {
		struct metric *total[SERVER_STATUS_COUNT], *created, *deleted, *ports;
	} metrics;
};

/* --- records (records.c) */
/* A record from its document, counted in; NULL when there are too many. Takes a reference to nothing. */
struct server *server_add(struct manager *m, const json_t *doc);
/* Bring the record up to a document read from the store (another manager may have written it). */
void server_sync(struct server *s, const json_t *doc);
/* Out of map, counts and ports; freed at once, or when its strand is empty. */
void server_drop(struct server *s);
void server_free(struct server *s);
struct server *server_find(struct manager *m, const char *id); /* NULL for unborn and gone ones too */
size_t owner_servers(struct manager *m, const char *user);
size_t servers_live(const struct manager *m); /* not stopped */
void server_count(struct server *s, enum server_status to); /* state.c and records.c only */
void servers_gauge(struct manager *m);
bool may_see(const struct caller *c, const char *owner);

/* --- places (place.c) */
/* The place of that name, made when it is new. On a store of one host's own it is always this host's. */
struct place *place_of(struct manager *m, const char *node);
void place_free(void *place);
struct place_wish {
	const char *node;   /* NULL: any */
	const char *labels; /* the node has each of them, parted by commas; "": any */
	bool will_run;
};
/* Where a new server goes: the node that is wanted, or the one with the most room of those with the labels. NULL: the call was
 * answered, for there is none such, or it is draining, unreachable, or too busy for what is about to run. */
struct place *place_choose(struct manager *m, struct call *c, const struct place_wish *wish);
/* What clients of servers on that node connect to. Borrowed until the turn ends. */
const char *place_host(struct manager *m, const char *node);
/* What a node has; NULL: what the biggest one has. Great numbers where nothing is known. */
void place_capacity(struct manager *m, const char *node, int64_t *ret_cores, int64_t *ret_memory_mb);
/* Whether the agent of that node is in this process, so that its ports can be tried here. */
bool place_is_here(const struct place *p);

/* --- quotas (records.c): 0, or -ERR_QUOTA after the call (may be NULL) was answered */
int quota_definition(struct manager *m, struct call *c, const char *user);
int quota_of(struct manager *m, struct call *c, const char *user, int64_t has);
int quota_live(struct manager *m, struct call *c);

/* --- documents (define.c) */
/* A whole document from a checked body: read-only members, defaults. The caller's. */
json_t *server_define(struct manager *m, const char *id, const char *user, const char *node, int port, const json_t *body,
		      int64_t now_ms);
/* Checks beyond the shape: colours, cores and memory of that node (NULL: of any). Faults are added. */
void server_check(struct manager *m, const json_t *doc, const char *node, struct faults *f);
/* Members that only an admin may write. */
void server_check_admin(const struct caller *c, const json_t *body, struct faults *f);
/* A checked merge patch applied: a new document without raised version; what was taken away has its default again. */
json_t *server_merge(const json_t *doc, const json_t *patch);
/* Does going from one to the other matter to a running instance? */
bool server_needs_restart(const json_t *before, const json_t *after);
json_t *server_spec(const json_t *doc); /* InstanceSpec */

/* --- state (state.c) */
/* The one place where a status changes. s->doc must be there. False, and a log line, when it is not legal. `extra` (consumed,
 * may be NULL) is merged in. Written behind; server_wait tells when. */
bool server_enter(struct server *s, enum server_status to, const char *reason, json_t *extra);
/* Another document, same status (pending_restart, host); written behind as well. */
void server_touch(struct server *s, const char *key, json_t *consume);
typedef void (*server_durable)(int err, void *arg);
/* done(0) when all that was entered is durable (perhaps at once), done(err) when the store failed; it is tried on. */
void server_wait(struct server *s, server_durable done, void *arg);
/* The document was written by someone else here (update.c): take it over. */
void server_written(struct server *s, json_t *consume, int64_t version);
/* Give up what was entered and is not stored. */
void server_revert(struct server *s);
/* A version of our own on top of the present one, without another change. */
void server_bump(struct server *s);
void server_forget(struct server *s); /* what waits for a write that will not come; for server_free */
void server_let_go(struct server *s); /* drop the document when nothing needs it */

/* --- strand (strand.c) */
struct task {
	struct list node;
	struct server *s;
	struct call *call;	     /* NULL: our own doing, or answered already */
	void (*run)(struct task *t); /* with s->doc there; ends with task_end */
	void (*go)(struct task *t); /* what the claim is for, and who is told of it */
	void (*accepted)(int err, void *arg);
	struct loop_timer *timer;    /* ?wait */
	json_t *was;  /* the document before (task_remember) */
	json_t *body; /* of a change */
	int64_t if_match;
	bool force, wait, replace, remove, restart;
	bool asked;	 /* somebody asked for it */
	bool claimed;	 /* task_claim went through: the operation is ours */
	bool fresh;	 /* the first start of a new server */
	bool port_asked; /* by whoever created it: never moved */
	bool checked;	 /* live desktops were looked for */
	unsigned tries, races;
	int err; /* of a start that failed */
	struct {
		int err; /* 0: not refused */
		char *message;
		json_t *details;
	} refusal;
};
struct task *task_new(struct call *c, void (*run)(struct task *t));
/* Queue and run in turn. A full strand answers 409. */
void task_queue(struct server *s, struct task *t);
void task_end(struct task *t);
void task_fail(struct task *t, int err, const char *fmt, ...) PRINTF(3, 4); /* answers if somebody waits, and ends it */
/* The same, but only when what was entered on the way back is durable. `details` is consumed, may be NULL. */
void task_refuse(struct task *t, int err, json_t *details, const char *fmt, ...) PRINTF(4, 5);
/* Keep what the server is, to go back to it when the agent cannot be asked or refuses. */
void task_remember(struct task *t);
void task_go_back(struct task *t);
/* Answer as ?wait says: at the end, or when the time is up with what it would have been without. */
void task_wait(struct task *t);
/* From the beginning, on the document as the store has it now; ends it when that happened too often. */
void task_again(struct task *t);
void task_answer(struct task *t, int status);	 /* with the server, if somebody still waits */
/* Answer a call with the server as it is. */
void server_send(struct server *s, struct call *c, int status);
/* Find the server of a call's {server_id} and see that the caller may have it; else the call is answered 404. Parks calls
 * that come before the load. Returns NULL when the call was dealt with. */
struct server *server_of(struct manager *m, struct call *c, call_handler again);
bool manager_ready(struct manager *m, struct call *c, call_handler again);
void manager_unpark(struct manager *m);
void manager_idle(struct manager *m); /* something came to an end: a drain may be over */
/* The store's codes come negated. Unsure: it may have happened, or may yet. */
static inline bool store_unsure(int err)
{
	return err == -ERR_UNCERTAIN || err == -ERR_DEADLINE;
}
/* Answer for a failed store operation; err as the store gave it. */
void store_fail(struct call *c, int err, int code);

/* --- several managers on one store (shared.c) */
static inline bool in_between(enum server_status s)
{
	return s == SERVER_CREATING || s == SERVER_CONFIGURING || s == SERVER_STARTING || s == SERVER_STOPPING;
}
/* Another manager runs an operation on it, as far as can be seen. */
bool busy_elsewhere(const struct server *s);
/* The status that was entered is the claim to the operation. On a store of one host's own go is called at once, and the
 * agent asked while the store writes; else when it is durable, and not at all when another manager was first. `accepted` is
 * called once it is durable, or failed. */
void task_claim(struct task *t, void (*go)(struct task *t), server_durable accepted);
/* The operation came to its end here. */
void task_release(struct task *t);
/* --- and their records (follow.c) */
void shared_begin(struct manager *m);
void shared_end(struct manager *m);
void manager_follow(struct manager *m); /* a pass over the store, soon */
void manager_page_seen(struct manager *m, const json_t *doc); /* a document of such a pass */
void manager_pass_over(struct manager *m);		       /* all were seen */

/* --- who looks after the servers of a node (lead.c): this manager, where it has the node's lease */
bool place_leads(const struct place *p);
void manager_lead(struct manager *m);	  /* try for the leases of all nodes there are by now */
void manager_lead_end(struct manager *m); /* give them back */

/* --- "node.status" (tell.c): once for each change of a node, by the manager that leads it */
void manager_tell_begin(struct manager *m);
void manager_tell_end(struct manager *m);
void place_say(struct place *p);     /* the lease is ours: what is owed */
void manager_say(struct manager *m); /* what is owed and nobody else said for too long */

/* --- the agent of a node (agent.c); as the role itself, with the request id and trace of `c` where there is one */
void agent_call(struct manager *m, const char *node, const struct op *op, const char *server_id, json_t *consume_query,
		json_t *consume_body, struct call *c, call_done done, void *arg);
bool agent_away(const struct reply *r);
bool agent_absent(struct manager *m, const char *node); /* its beat has stopped: it is not waited for */

/* --- operations */
void op_create(struct call *c, void *m);
void op_update(struct call *c, void *m);
void op_delete(struct call *c, void *m);
void op_start(struct call *c, void *m);
void op_stop(struct call *c, void *m);
void op_restart(struct call *c, void *m);
void op_get(struct call *c, void *m);
void op_list(struct call *c, void *m);
void op_status(struct call *c, void *m);
void op_config(struct call *c, void *m);
void op_logs(struct call *c, void *m);
void op_log_file(struct call *c, void *m);
void op_connection(struct call *c, void *m);
void op_rdp_file(struct call *c, void *m);
void op_ports(struct call *c, void *m);
void op_nodes(struct call *c, void *m);
void op_node(struct call *c, void *m);
void op_node_put(struct call *c, void *m);

/* --- tasks that are not asked for from outside */
void run_start(struct task *t);	 /* lifecycle.c */
void run_stop(struct task *t);	 /* stop.c; t->remove: then delete */
void run_remove(struct task *t); /* remove.c: it is stopped, take it out of the store */
void run_observe(struct task *t); /* watch.c */
/* Bring an instance (NULL: none) and a status together; used by observations and reconciliation. Ends the task. */
void observed(struct task *t, const json_t *instance);
void run_move_port(struct task *t, void (*then)(struct task *t)); /* move.c */

/* --- whole (load.c, watch.c, sweep.c) */
void manager_load(struct manager *m);
void server_observe(struct server *s); /* look at its instance, in turn */
void place_look(struct place *p);
void manager_look(struct manager *m); /* compare with the agent's instances */
void manager_sweep(struct manager *m);
void manager_event(const struct event *e, void *m);
void manager_gap(const struct event *e, void *manager); /* events may have been missed */
void manager_absence(struct manager *m); /* absence.c: let servers say that their node is unreachable, or no more */
bool absence_said(const json_t *doc);
json_t *pagination(int64_t total, size_t limit, size_t offset);
/* limit and offset of a list's query; false when the call was answered (both paging forms at once). */
bool paging(struct call *c, size_t *ret_limit, size_t *ret_offset);

/* --- take.c: ports of a node, with a real bind where its agent is in this process; elsewhere the start tells */
/* The next port that nobody has, now allocated; 0 when there is none. */
int port_take(struct place *p);
/* Somebody else listens on it: marked as blocked. */
bool port_is_strangers(struct place *p, int port);

#endif
