/* set: the struct of a set of objects, and the functions that the files of src/object call in each other. Floor F5, loop thread only. Also
 * included by tests. */
#ifndef OBJECT_SET_H
#define OBJECT_SET_H

#include "lucid/clock.h"
#include "lucid/log.h"
#include "lucid/metrics.h"
#include "lucid/object.h"
#include "lucid/str.h"

struct objects {
	struct objects_env env;
	const struct object_kind *kind;
	struct map *objects, *owners, *groups; /* by id, by user, by name */
	size_t by_state[OBJECT_STATES_MAX];
	struct metric *gauges[OBJECT_STATES_MAX];
	const struct object_transition *rows[OBJECT_STATES_MAX][OBJECT_STATES_MAX]; /* from, to */
	const char *between[OBJECT_STATES_MAX + 1];				     /* names of states with `between`, NULL-terminated */
	bool loaded, draining;
	struct list parked; /* call.c */
	size_t nparked;
	size_t under_way; /* tasks, writes, reads, and holds of the role (objects_hold) */
	void (*drained)(void *arg);
	void *drained_arg;
	int64_t renew_ms, busy_ms, scan_ms; /* OBJECT_RENEW_MS and so on; tests set shorter ones */
	/* follow.c, load.c */
	struct subscription *foreign, *gaps;
	struct loop_timer *load_timer, *scan_timer, *drain_timer;
	bool loading, scanning;
	size_t load_offset, scan_offset;
	unsigned round; /* of passes */
	size_t reads;	/* reads of single objects in progress */
};

/* set.c */
void objects_idle(struct objects *set); /* ends a drain if nothing is in progress any more */

/* record.c */
/* Updates the record from a document of the store. */
void object_sync(struct object *o, const json_t *doc);
void object_count(struct object *o, unsigned to); /* sets the state of the record, and the counts by state */
void object_free(struct object *o);
static inline bool object_between(const struct object *o)
{
	return o->set->kind->states[o->state].between;
}

/* group.c */
void object_group_free(void *group);

/* write.c */
/* Publishes the event `what` ("status") about the present state when the present version is durable. `what` is static. */
void object_announce(struct object *o, const char *what, json_t *consume_data);
void object_flush(struct object *o);
/* Replaces the document by a new version of it. A document itself never changes, as the store's cache shares it. */
void object_next_version(struct object *o, json_t *consume);
/* Writes a new version without another change. */
void object_bump(struct object *o);
/* Reverts changes that were entered and are not stored. */
void object_revert(struct object *o);
void object_forget_waiters(struct object *o);
/* Frees the document, or the whole record of a deleted object, unless it is needed. */
void object_let_go(struct object *o);

/* claim.c */
/* True if another process runs an operation on it, by what this process knows. */
bool object_busy_elsewhere(const struct object *o);
void object_task_release(struct object_task *t);

/* strand.c */
void object_poll_soon(struct object *o); /* a task that waits for another process's operation reads the object now */

/* load.c */
void objects_load(struct objects *set);

/* follow.c */
void objects_follow_begin(struct objects *set);
void objects_follow_end(struct objects *set);
void objects_page_seen(struct objects *set, const json_t *doc); /* handles a document that a pass read */
void objects_pass_over(struct objects *set);

/* call.c */
void objects_unpark(struct objects *set);

#endif
