/* call: struct call, for the bus and its transports. Floor F4, loop thread only. Roles use lucid/bus.h. */
#ifndef BUS_CALL_H
#define BUS_CALL_H

#include "bus/transport.h"
#include "lucid/id.h"

#define CALL_PARAM_ROOM 320

struct call {
	struct bus *bus;
	struct list node; /* in bus.open, oldest first */
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
	bool accepts_zstd;
	struct transport *via; /* NULL: a handler in this process */
	size_t via_index;      /* for the metrics: the transport may be freed before the call completes */
	uint64_t remote;       /* the transport's own id of the call */

	call_done done;
	void *arg;
	bool answered;	/* by the handler; `done` is called at the end of the turn */
	bool abandoned; /* cancelled, or past its deadline */
	void (*on_cancel)(struct call *c, void *arg);
	void *cancel_arg;

	struct reply reply;
	char *message, *location, *disposition; /* owned; reply points to them */
	struct loop_task task;
	struct loop_timer *late; /* test builds: an injected delay (lucid/fault.h) */
	char room[CALL_PARAM_ROOM]; /* space for short params */
};

/* Answers the call. Consumes doc, blob, source and details; copies message, location and disposition; type must be static. */
void call_answer(struct call *c, const struct reply *r);

/* Maps a content type to a static string, since a reply does not own its type. Unknown types become application/octet-stream. */
const char *call_known_type(const char *type);

/* Checks query, body and params against the row and stores them in the call, with defaults (check.c). 0, or a negated error; the call has
 * then been answered with the faults. */
int call_check(struct call *c, const struct call_args *a);

/* In test builds: converts to JSON and back, as a call to another process would; else returns the document itself. Takes NULL. */
json_t *call_through_json(json_t *consume);

/* --- events (events.c) */
struct bus_events;
struct bus_events *bus_events_new(struct loop *l);
void bus_events_free(struct bus_events *e);
struct bus_events *bus_events_of(struct bus *b);

#endif
