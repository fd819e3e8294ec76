/* call: the inside of a call, for the bus and its transports. Floor F4, loop thread only. Roles see lucid/bus.h. */
#ifndef BUS_CALL_H
#define BUS_CALL_H

#include "bus/transport.h"
#include "lucid/id.h"

#define CALL_PARAM_ROOM 320

struct call {
	struct bus *bus;
	struct list node; /* of the open ones, oldest first */
	uint64_t id;	  /* generation << 20 | slot */
	const struct op *op;
	struct caller caller;
	const char *params[OP_MAX_PARAMS];
	json_t *query, *body;
	int64_t if_match;
	char request_id[ID_REQUEST_MAX + 1];
	char trace[64];
	int64_t start_us, deadline_us;
	unsigned hops;
	struct transport *via; /* NULL: a handler here */
	size_t via_index;      /* for the metrics: the transport may be gone when the call is over */
	uint64_t remote;       /* the transport's own number for it */

	call_done done;
	void *arg;
	bool answered;	/* by the handler; the answer may wait for the end of the turn */
	bool abandoned; /* nobody waits: cancelled, or past its deadline */
	void (*on_cancel)(struct call *c, void *arg);
	void *cancel_arg;

	struct reply reply;
	char *message, *location; /* owned; reply points to them */
	struct loop_task task;
	struct loop_timer *late; /* test builds: the answer is held back on order */
	char room[CALL_PARAM_ROOM]; /* of the params */
};

/* Answer with a reply made elsewhere; doc, blob, source and details are consumed, message and location are copied, type is static. */
void call_answer(struct call *c, const struct reply *r);

/* Content types come from a fixed set, so that a reply can point to them for ever; another is application/octet-stream. */
const char *call_known_type(const char *type);

/* Check what is asked against the row and take it over, with defaults (check.c). 0, or a negated error after the call was
 * answered with the faults. */
int call_check(struct call *c, const struct call_args *a);

/* In test builds: to JSON and back, as a call to another process would go; else the document itself. NULL stays NULL. */
json_t *call_through_json(json_t *consume);

/* --- events, beside the calls (events.c) */
struct bus_events;
struct bus_events *bus_events_new(struct loop *l);
void bus_events_free(struct bus_events *e);
struct bus_events *bus_events_of(struct bus *b);

#endif
