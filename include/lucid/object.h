/*
 * object: stored objects with a state and operations: servers, later also sessions, recordings, alerts and export jobs. Floor F5 (implemented
 * in src/object), loop thread only, never blocks.
 *
 * An object is a document in the store. Memory holds a small record of it (struct object). The document itself is in memory only while an
 * operation runs or a write is pending. A role describes its objects by one row (struct object_kind). It embeds struct object as the first
 * member of its record, and struct object_task as the first member of its task.
 *
 * An object runs one operation at a time: tasks queue on its strand. The state changes in one function, object_enter, according to a table of
 * transitions. The change is written behind, published when it is durable, and counted.
 *
 * Several processes may manage the objects of one store:
 *   - An operation begins with a claim: its state is written with compare-and-swap on the version that was read. A process that finds another
 *     version comes second, and waits until the first operation ends.
 *   - During an operation, its process renews the claim by incrementing the version. A claim that is not renewed for OBJECT_BUSY_MS is
 *     abandoned: the process with the lease of the object's group takes the object over. A later result of the first process is void.
 *   - Records follow changes of other processes by their events, by a scan of objects with an operation in progress every OBJECT_SCAN_MS, and
 *     by a periodic pass over the whole collection.
 * On a store of a single host (`alone`) none of this happens, and an operation begins while its state is still being written.
 *
 * Not for: documents without operations (use lucid/store.h), and what an operation does.
 */
#ifndef LUCID_OBJECT_H
#define LUCID_OBJECT_H

#include "lucid/bus.h"
#include "lucid/id.h"
#include "lucid/list.h"
#include "lucid/loop.h"
#include "lucid/map.h"
#include "lucid/store.h"

#define OBJECT_STATES_MAX 16
#define OBJECT_TASKS_MAX 8    /* operations that may wait on one object */
#define OBJECT_PARKED_MAX 1024 /* calls that may wait for the first pass over the collection */
#define OBJECT_WAIT_MS 30000  /* maximum duration of ?wait */
#define OBJECT_DRAIN_MS 5000  /* how long operations in progress may delay the end of the program */
#define OBJECT_RENEW_MS 1500 /* interval at which a claim is renewed */
#define OBJECT_BUSY_MS 4500  /* a claim that is not renewed for this time is abandoned */
#define OBJECT_SCAN_MS 1000  /* interval of scans of objects with an operation in progress */
#define OBJECT_POLL_MS 250 /* interval at which a waiting task checks whether another process's operation has ended */

struct objects;
struct object;
struct object_group;
struct object_task;
struct leases; /* lucid/lease.h */

/* --- kinds of objects */

struct object_state {
	const char *name; /* as in the document */
	bool between;	  /* an operation is in progress: the state is a claim that is renewed */
	unsigned back;	  /* the state that object_task_go_back enters if the earlier state cannot be entered from here */
};

struct object_transition {
	unsigned from, to;
	/* Additional condition; NULL: none. */
	bool (*guard)(const struct object *o, const char *reason);
	/* Sets members of the new document; NULL: no effect. */
	void (*effect)(json_t *doc, int64_t now_ms);
	const char *event; /* the event of this change is TOPIC.event; NULL: "status" */
};

/* What a task does if another process runs an operation on its object. */
enum object_second {
	OBJECT_SECOND_WAITS,	/* waits until that ends, then runs */
	OBJECT_SECOND_ACCEPTED, /* that operation does what was requested: responds 202 and ends */
	OBJECT_SECOND_ENDS,	/* has no caller, and leaves the matter to that process: ends */
	OBJECT_SECOND_RUNS,	/* only updates the document: runs in any case */
};

struct object_kind {
	const char *name, *plural; /* "server", "servers": in log lines and errors */
	const char *service;	   /* service name in log lines */
	enum store_collection collection;
	const char *id_field, *owner_field;	/* members of the document */
	const char *group_field;		/* objects of a group are led by one process; NULL: one group for all */
	const char *state_field, *reason_field; /* declared in the collection's table if queries filter by them */
	const char *topic;			/* "server": events are server.created, .status, .updated, .deleted */
	const char *lease;			/* "node": the lease of a group is "node:GROUP"; "node" if there is one group */
	const char *figure, *figure_help;	/* gauge with the label `status`; NULL: none */
	int missing;				/* error code if the object does not exist */
	const struct object_state *states;
	size_t nstates;
	unsigned unknown; /* state of a document with an unknown state */
	const struct object_transition *transitions;
	size_t ntransitions;
	/* Members that object_enter and object_touch write, NULL-terminated. If another process wrote the document in between without changing
	 * the state, these members are merged into its document. `version` and `updated_at` are implied. */
	const char *const *written;
	const char *const *kept;	      /* members that object_task_go_back restores, NULL-terminated */
	size_t size, group_size, task_size; /* sizes of the role's structs, whose first member is ours */
	size_t max;			      /* maximum number of records */

	/* All of these may be NULL. */
	bool (*valid_id)(const char *id); /* NULL: ids are UUIDs */
	bool (*visible)(const struct object *o, const struct caller *c); /* NULL: the owner and admins see it */
	const char *(*viewer)(const struct object *o); /* another user who receives its events; "": none. NULL: there is none */
	void (*describe)(const struct object *o, json_t *data); /* adds members to the event of a change of state; o->doc is present */
	void (*entered)(struct object *o, unsigned state); /* the state that this process entered is durable; its event was published */
	void (*read)(struct object *o, const json_t *doc); /* copies what the role needs from the document to the record */
	void (*dropped)(struct object *o);		    /* the object was deleted; its record is freed later */
	void (*refresh)(struct object *o, json_t *doc);	    /* sets members that each new version gets */
	void (*group_begin)(struct object_group *g);
	void (*group_end)(struct object_group *g);
	void (*lead)(struct object_group *g, bool held); /* the lease of the group was won or lost */
	enum object_second (*second)(const struct object_task *t); /* NULL: OBJECT_SECOND_WAITS */
	void (*task_ended)(struct object_task *t);
	void (*task_free)(struct object_task *t); /* frees members of the role's task */
	/* The process that ran the operation is dead, and this process leads the group: queue a task that completes or reverts it. False: retry
	 * later. */
	bool (*abandoned)(struct object *o);
	void (*loaded)(struct objects *set);	   /* the first pass has ended */
	void (*scan)(struct objects *set);	   /* every OBJECT_SCAN_MS, unless `alone` */
	int64_t (*pass_ms)(struct objects *set); /* interval of passes over the collection */
	void (*figures)(struct objects *set);	   /* sets further gauges */
};

/* --- the set of objects of a kind in this process */

struct objects_env {
	const struct object_kind *kind;
	struct loop *loop;
	struct bus *bus;
	struct store *store;
	struct leases *leases; /* NULL if `alone` */
	bool alone;	       /* no other process writes to the store */
	const char *home;      /* if `alone`: the group of all objects, whatever their documents say; NULL: as in the documents */
	void *ctx;	       /* of the role: objects_ctx, object_ctx */
};
struct objects *objects_new(const struct objects_env *env);
/* Reads the collection, and follows it from now on. */
void objects_start(struct objects *set);
/* Starts no more operations and releases the leases. done is called when no operation is in progress, after OBJECT_DRAIN_MS at the latest. */
void objects_drain(struct objects *set, void (*done)(void *arg), void *arg);
/* False: an operation is still in progress and its result may arrive while the store closes, so the records stay until the program exits. */
bool objects_free(struct objects *set);
void *objects_ctx(const struct objects *set);
bool objects_loaded(const struct objects *set); /* the first pass has ended */
bool objects_draining(const struct objects *set);

/* Begin and end something that a drain must wait for. */
void objects_hold(struct objects *set);
void objects_release(struct objects *set);

struct object *objects_find(const struct objects *set, const char *id);	 /* NULL if absent, unborn or deleted */
struct object *objects_record(const struct objects *set, const char *id); /* also finds unborn ones */
/* Iterates over all records, including unborn ones, from a position of {0}. NULL: the end. */
struct object *objects_next(const struct objects *set, struct map_pos *pos);
size_t objects_count(const struct objects *set);
size_t objects_in_state(const struct objects *set, unsigned state);
size_t objects_of_owner(const struct objects *set, const char *owner);
void objects_figures(struct objects *set); /* updates the gauges */
/* Creates a record from a document. NULL: there are `max` records, or the document is not such an object. */
struct object *objects_add(struct objects *set, const json_t *doc);
/* Requests a pass over the collection soon. Does nothing if `alone`. */
void objects_follow(struct objects *set);

/* The owner of objects. */
struct object_owner {
	size_t objects; /* number of its objects */
	char id[];
};

/* The first member of a role's record. The role reads these members, and writes only `unborn`. */
struct object {
	struct objects *set;
	char id[ID_UUID_SIZE];
	struct object_owner *owner;
	struct object_group *group;
	unsigned state;
	bool unborn; /* set by the role: the first write is in progress, so objects_find does not find the object yet */
	bool gone;   /* deleted; freed when its strand is empty */
	bool overtaken;	    /* another process took the object over while our task ran: the stored document is valid, not ours */
	json_t *doc;	    /* the document while a task runs; otherwise NULL or a pending write */
	int64_t version, stored_version;
	int64_t changed_us; /* monotonic time of the last change of state */
	struct object_task *running;

	/* private to src/object */
	struct list tasks, waiters; /* waiters: calls of object_wait */
	size_t ntasks;
	unsigned stored_state, writing_state;
	unsigned round; /* the last pass that found it */
	int64_t writing_version, writing_us; /* of the write in progress: its version, and when it began */
	int64_t seen_us;      /* when its version was first seen, or when our write of it began: others may see it from then on */
	int64_t scanned_us;   /* when it was last considered abandoned */
	int64_t left_version; /* version that our last operation left: no other process is working on it */
	json_t *unsure;	      /* our last write with an uncertain outcome */
	struct loop_timer *poll, *renew, *retry; /* created on demand */
	bool writing;
	bool strict;  /* the write in progress is a claim: it fails on any other version */
	bool waiting; /* its task waits until another process's operation ends */
};

void *object_ctx(const struct object *o);
/* True if no task runs or waits on the object. */
bool object_idle(const struct object *o);
/* Removes the object from map and counts. It is freed when its strand is empty. */
void object_drop(struct object *o);
/* Publishes the event "TOPIC.what" about the object. */
void object_publish(struct object *o, const char *what, json_t *consume_data);

/* --- groups: the process with the lease of a group leads its objects */

/* The first member of a role's group. Created on first use, and kept until the program exits. */
struct object_group {
	struct objects *set;
	char *name;
	size_t objects;
	struct lease *lease; /* NULL: not requested yet, or `alone` */
};
struct object_group *objects_group(struct objects *set, const char *name); /* finds or creates a group */
struct object_group *objects_group_find(const struct objects *set, const char *name); /* NULL: not created yet */
struct object_group *objects_next_group(const struct objects *set, struct map_pos *pos);
bool object_group_leads(const struct object_group *g); /* this process leads the group */
/* Requests the leases of all groups; also done every OBJECT_SCAN_MS. objects_lead_end releases them. */
void objects_lead(struct objects *set);
void objects_lead_end(struct objects *set);

/* --- states */

const char *object_state_name(const struct object *o);
/* False: the kind has no such state; *ret is unchanged. */
bool object_state_of(const struct object_kind *k, const char *name, unsigned *ret);
/* True if the table and the guard of the transition allow it. */
bool object_may(const struct object *o, unsigned to, const char *reason);
/* Changes the state; the only function that does. o->doc must be present. `reason` may be NULL. `extra` (may be NULL) is merged into the
 * document and consumed. The write happens later; use object_wait. False, with a log line: the transition is not legal. */
bool object_enter(struct object *o, unsigned to, const char *reason, json_t *consume_extra);
/* Sets one member without a change of state; also written later. */
void object_touch(struct object *o, const char *key, json_t *consume);
typedef void (*object_durable)(int err, void *arg);
/* Calls done(0) when all pending changes are durable, possibly inside this call, or done(err) after a failed write, which is retried. */
void object_wait(struct object *o, object_durable done, void *arg);
/* Takes over a document that the role has written itself. */
void object_take_over(struct object *o, json_t *consume);

/* --- tasks on the strand */

/* The first member of a role's task. */
struct object_task {
	struct list node;
	struct object *object;
	struct call *call; /* NULL: no caller, or already answered */
	void (*run)(struct object_task *t); /* called with object->doc present; ends with object_task_end */
	bool asked; /* a caller requested it */
	bool wait;  /* respond at the end, not on acceptance */
	bool fresh; /* the first operation of a new object: responds 201 */
	int store_code; /* error code if the store refuses the claim without a code of its own; 0: ERR_INTERNAL */

	/* private to src/object */
	void (*go)(struct object_task *t);
	object_durable accepted;
	struct loop_timer *timer;
	json_t *was; /* the document before the operation */
	bool claimed;
	unsigned races;
	struct {
		int err; /* 0: not refused */
		char *message;
		json_t *details;
	} refusal;
};
/* A task of the kind's task_size; c may be NULL. */
void *object_task_new(struct objects *set, struct call *c, void (*run)(struct object_task *t));
/* Queues the task. If the strand is full, the call is answered with 409. */
void object_queue(struct object *o, struct object_task *t);
/* Ends and frees the task. A call that is still open is answered with the object. */
void object_task_end(struct object_task *t);
void object_task_answer(struct object_task *t, int status); /* answers the call, if open, with the object */
/* Answers the call, if open, with an error, and ends the task. */
void object_task_fail(struct object_task *t, int err, const char *fmt, ...) PRINTF(3, 4);
void object_task_fail_store(struct object_task *t, int err, int code); /* as objects_fail_call */
/* The same, after the changes of the task are durable. `details` is consumed; it may be NULL. */
void object_task_refuse(struct object_task *t, int err, json_t *details, const char *fmt, ...) PRINTF(4, 5);
bool object_task_refused(const struct object_task *t);
/* Remember the document, and go back to its state if the operation cannot be performed. */
void object_task_remember(struct object_task *t);
void object_task_go_back(struct object_task *t);
/* Starts the timer of ?wait: when it expires before the end of the operation, the call is answered as without ?wait. */
void object_task_wait(struct object_task *t);
/* Claims the operation with the state that was entered. If `alone`, `go` is called at once, while the store writes. Otherwise it is called when
 * the state is durable, and not if another process was first. `accepted` is called when the state is durable or its write has failed. */
void object_task_claim(struct object_task *t, void (*go)(struct object_task *t), object_durable accepted);
/* Runs the task again on the stored document. Ends it after too many attempts, or if it has no caller. */
void object_task_again(struct object_task *t);

/* --- calls */

/* True if the first pass has ended. Otherwise the call is answered with an error, or `again` is called with the set's ctx after the pass. */
bool objects_ready(struct objects *set, struct call *c, call_handler again);
/* The object that path parameter `param` names, if the caller may see it. NULL: the call was answered, or `again` is called after the object was
 * read from the store. */
struct object *objects_of_call(struct objects *set, struct call *c, const char *param, call_handler again);
bool object_visible(const struct caller *c, const char *owner); /* true for the owner and for admins */
/* Answers a call with the object; status 0: that of the row. */
void object_send(struct object *o, struct call *c, int status);
/* Answers a call after a failed store operation. err: from the store; code: the error code if err means nothing to a caller. */
void objects_fail_call(const struct objects *set, struct call *c, int err, int code);
/* True if the write may have been performed, or may still be. */
static inline bool store_unsure(int err)
{
	return err == -ERR_UNCERTAIN || err == -ERR_DEADLINE;
}

#endif
