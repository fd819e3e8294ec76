/*
 * bus: calls and events. Floor F4, loop thread only, never blocks.
 *
 * A caller names an operation and hands over a document; the router finds who serves it: a handler in this process (local),
 * the process at the other end of a socket pair (pair), or a role behind a URL (rest). Neither side can tell which.
 *
 * Life of a call: bus_call → shapes checked → handler → call_ok()/call_fail() → the answer waits for the end of the loop's
 * turn → on_done. The answer never arrives inside bus_call, and it arrives exactly once: with the handler's answer, with
 * ERR_DEADLINE, with ERR_UNAVAILABLE (nobody serves it), or with ERR_UNCERTAIN (connection lost, it may have happened).
 * After bus_cancel on_done is not called at all, and the handler is told.
 *
 * Documents are immutable once handed over. Calls under way are bounded (BUS_MAX_CALLS): past that, ERR_BUSY at once.
 */
#ifndef LUCID_BUS_H
#define LUCID_BUS_H

#include "lucid/caller.h"
#include "lucid/errs.h"
#include "lucid/op.h"
#include "lucid/source.h"

#define BUS_MAX_CALLS 8192

struct bus;
struct call;

/* What is asked. All is borrowed for the length of bus_call, which takes its own references. */
struct call_args {
	const struct op *op;
	const struct caller *caller;	   /* NULL: the role itself (service) */
	const char *node;		   /* whose agent is asked (NODE_NAME); NULL: the role, wherever it lives */
	const char *params[OP_MAX_PARAMS]; /* path parameters in the template's order */
	json_t *query;			   /* object or NULL */
	json_t *body;			   /* NULL: none */
	int64_t if_match;		   /* version wanted, 0: any */
	const char *request_id;		   /* NULL: one is made */
	const char *trace;		   /* W3C traceparent; NULL: none */
	unsigned deadline_ms;		   /* 0: the row's own */
	unsigned hops;			   /* how many listeners it came through */
};

/* The answer, borrowed for the length of on_done; take references to keep parts. */
struct reply {
	enum err err;	      /* ERR_OK or what went wrong */
	int status;	      /* HTTP status of success */
	json_t *doc;	      /* answer document, or NULL */
	struct blob *blob;    /* already serialised answer; then doc is NULL */
	struct source *source; /* or it comes in pieces, from a row with OP_STREAMS; take a reference to read it */
	const char *type;     /* content type of blob or source; NULL: application/json */
	int64_t version;      /* of the object, for ETag; 0: none */
	const char *location; /* of what was created, or NULL */
	const char *message;  /* on error; never NULL then */
	json_t *details;      /* on error: [{"field","message"}] or NULL */
	unsigned retry_after_s; /* 0: the default where the code has one */
};
typedef void (*call_done)(const struct reply *r, void *arg);
typedef void (*call_handler)(struct call *c, void *ctx);

/* Serve a row here. ctx is handed to each call. One handler a row; a second one is a programming error. */
void bus_serve(struct bus *b, const struct op *op, call_handler handler, void *ctx);

/* Ask. Returns an id for bus_cancel, never 0. on_done may be NULL when nobody cares. */
uint64_t bus_call(struct bus *b, const struct call_args *a, call_done on_done, void *arg);
/* Forget the call: on_done will not be called. Takes ids that are long over, and 0. */
void bus_cancel(struct bus *b, uint64_t id);
/* True when a role is served in this process. */
bool bus_is_local(const struct bus *b, const char *role);

/* --- for handlers: what was asked; borrowed until the call is answered */
const struct op *call_op(const struct call *c);
const char *call_param(const struct call *c, const char *name); /* "server_id"; never NULL for a name in the template */
json_t *call_query(const struct call *c);			  /* never NULL; checked, defaults filled in */
json_t *call_body(const struct call *c);			  /* checked; NULL when the row takes none */
const struct caller *call_caller(const struct call *c);
const char *call_request_id(const struct call *c);
int64_t call_if_match(const struct call *c);
int64_t call_time_left_ms(const struct call *c);
/* The same identity, request id, trace and the time that is left, for a call made on behalf of this one. */
void call_onward(const struct call *c, struct call_args *ret);
/* Called once if the caller goes away or the deadline passes before the answer; the call must still be answered (the
 * answer is dropped). */
void call_on_cancel(struct call *c, void (*fn)(struct call *c, void *arg), void *arg);
bool call_cancelled(const struct call *c);

/* --- for handlers: the answer, exactly once, now or later; the call is gone after it */
void call_ok(struct call *c, json_t *consume);			/* the row's status; NULL for none */
void call_ok_status(struct call *c, int status, json_t *consume);
void call_ok_blob(struct call *c, struct blob *consume, const char *static_type); /* NULL type: JSON */
/* In pieces, on a row with OP_STREAMS. With its beginning the call is answered; what breaks off afterwards the source tells. */
void call_ok_source(struct call *c, struct source *consume, const char *static_type);
void call_fail(struct call *c, int err, const char *fmt, ...) PRINTF(3, 4);	  /* NULL fmt: the row's text */
void call_fail_details(struct call *c, int err, json_t *consume_details, const char *fmt, ...) PRINTF(4, 5);
void call_fail_reply(struct call *c, const struct reply *r); /* pass on another call's failure as it is */
/* Before the answer: */
void call_set_version(struct call *c, int64_t version); /* ETag */
void call_set_location(struct call *c, const char *path);

/* --- events */
struct event {
	char id[24];	  /* ascending within one process: "<start ms in hex>-<number>" */
	const char *origin; /* the process it happened in, for as long as that lives: 16 hex digits; "" for this one */
	uint64_t seq;	    /* ascending by one within its origin */
	const char *topic; /* "server.status" */
	int64_t time_ms;
	const char *user_id;   /* owner, or "" for what only admins hear */
	const char *object_id; /* server or session id */
	json_t *data;
};
typedef void (*event_handler)(const struct event *e, void *ctx);
/* Published here alone, never carried on, when events of other processes may have been missed: whoever follows them looks at
 * the things themselves. object_id is the origin, or "" when that is not known. */
#define BUS_GAP "bus.gap"
/* Deliver to every subscriber, here and in other processes, at the end of the loop's turn. `data` is consumed. */
void bus_publish(struct bus *b, const char *topic, const char *object_id, const char *user_id, json_t *data);
/* `pattern` as str_match: "xrdp.*". Stays until bus_unsubscribe. */
struct subscription;
struct subscription *bus_subscribe(struct bus *b, const char *pattern, event_handler fn, void *ctx);
void bus_unsubscribe(struct subscription *s); /* takes NULL */

#endif
