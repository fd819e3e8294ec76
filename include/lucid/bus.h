/*
 * bus: calls and events. Floor F4, loop thread only, never blocks.
 *
 * A caller names an operation and passes a document. The router finds the transport: a handler in this process (local), the process at the
 * other end of a socket pair (pair), or a role behind a URL (rest). All transports behave the same.
 *
 * Life of a call: bus_call → shapes are checked → handler → call_ok() or call_fail() → the answer is queued until the end of the loop's
 * turn → on_done. The answer never arrives inside bus_call, and it arrives exactly once: the handler's answer, ERR_DEADLINE,
 * ERR_UNAVAILABLE (no process serves the operation) or ERR_UNCERTAIN (the connection was lost after the request was sent, so the operation may
 * have been performed). After bus_cancel, on_done is not called, and the handler is notified (call_on_cancel).
 *
 * Documents are immutable once passed. At most BUS_MAX_CALLS calls are open; further ones get ERR_BUSY.
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

/* A request. All pointers are borrowed during bus_call, which takes its own references. */
struct call_args {
	const struct op *op;
	const struct caller *caller;	   /* NULL: the calling role itself, as a service */
	const char *node;		   /* node whose agent is called (NODE_NAME); NULL: the role, in whichever process it is */
	const char *params[OP_MAX_PARAMS]; /* path parameters in the template's order */
	json_t *query;			   /* object or NULL */
	json_t *body;			   /* NULL: none */
	int64_t if_match;		   /* required version of the object; 0: any */
	const char *request_id;		   /* NULL: a new one is generated */
	const char *trace;		   /* W3C traceparent; NULL: none */
	unsigned deadline_ms;		   /* 0: that of the row */
	unsigned hops;			   /* number of listeners that the request has passed */
	bool accepts_zstd;		   /* the client accepts Content-Encoding: zstd; not passed on to another process */
};

#define REPLY_HEADERS 4
struct reply_header {
	const char *name, *value; /* static */
};

/* The answer. Borrowed during on_done; take references to keep parts of it. On success at most one of doc, blob and source is set. */
struct reply {
	enum err err;	      /* ERR_OK, or the error (positive) */
	int status;	      /* HTTP status of success */
	json_t *doc;	      /* answer document, or NULL */
	struct blob *blob;    /* serialised answer; doc is NULL then */
	struct source *source; /* streamed answer of a row with OP_STREAMS; take a reference to read it */
	const char *type;     /* content type of blob or source; NULL: application/json */
	int64_t version;      /* version of the object, for the ETag; 0: none */
	const char *location; /* path of the created object, or NULL */
	const char *disposition; /* Content-Disposition for a file, or NULL */
	struct reply_header headers[REPLY_HEADERS]; /* further headers of the HTTP response; a NULL name ends the list */
	const char *message;  /* on error: the message, never NULL */
	json_t *details;      /* on error: [{"field","message"}] or NULL */
	unsigned retry_after_s; /* seconds; 0: the default of the error code, if it has one */
};
typedef void (*call_done)(const struct reply *r, void *arg);
typedef void (*call_handler)(struct call *c, void *ctx);

/* Registers the handler of an operation in this process. It is called with ctx. A second handler for a row is a programming error. */
void bus_serve(struct bus *b, const struct op *op, call_handler handler, void *ctx);

/* Starts a call. Returns an id for bus_cancel, never 0. on_done may be NULL if the answer is not needed. */
uint64_t bus_call(struct bus *b, const struct call_args *a, call_done on_done, void *arg);
/* Cancels the call: on_done is not called. Ids of finished calls and 0 are ignored. */
void bus_cancel(struct bus *b, uint64_t id);
/* True if this process serves the role. */
bool bus_is_local(const struct bus *b, const char *role);

/* --- for handlers: the request; borrowed until the call is answered */
const struct op *call_op(const struct call *c);
const char *call_param(const struct call *c, const char *name); /* of a path parameter such as "server_id"; not NULL for a name in the template */
json_t *call_query(const struct call *c);			  /* never NULL; validated, with defaults */
json_t *call_body(const struct call *c);			  /* validated; NULL if the row takes none */
const struct caller *call_caller(const struct call *c);
const char *call_request_id(const struct call *c);
int64_t call_if_match(const struct call *c);
int64_t call_time_left_ms(const struct call *c);
bool call_accepts_zstd(const struct call *c); /* the response may have Content-Encoding: zstd; it then needs Vary: Accept-Encoding */
/* Fills in caller, request id, trace, hops and remaining time, for a call made on behalf of this one. Borrows from c. */
void call_onward(const struct call *c, struct call_args *ret);
/* `fn` is called once if the caller cancels or the deadline passes before the answer. The call must still be answered; that answer is
 * dropped. */
void call_on_cancel(struct call *c, void (*fn)(struct call *c, void *arg), void *arg);
bool call_cancelled(const struct call *c);

/* --- for handlers: the answer, exactly once, now or later; c is invalid afterwards */
void call_ok(struct call *c, json_t *consume);			/* with the status of the row; NULL: no document */
void call_ok_status(struct call *c, int status, json_t *consume);
void call_ok_blob(struct call *c, struct blob *consume, const char *static_type); /* type NULL: JSON */
/* A streamed answer, for a row with OP_STREAMS. The call counts as answered when the stream begins; the source reports later errors. */
void call_ok_source(struct call *c, struct source *consume, const char *static_type);
void call_fail(struct call *c, int err, const char *fmt, ...) PRINTF(3, 4);	  /* err of either sign; fmt NULL: the text of errs.def */
void call_fail_details(struct call *c, int err, json_t *consume_details, const char *fmt, ...) PRINTF(4, 5);
void call_fail_reply(struct call *c, const struct reply *r); /* passes on the failure of another call unchanged */
/* To be called before the answer: */
void call_set_version(struct call *c, int64_t version); /* ETag */
void call_set_location(struct call *c, const char *path);
/* A further header of the response, of at most REPLY_HEADERS. */
void call_set_header(struct call *c, const char *static_name, const char *static_value);
void call_set_file_name(struct call *c, const char *name, const char *ending); /* download name, sanitised (lucid/file_name.h) */

/* --- events */
struct event {
	char id[24];	  /* ascending within a process: "<start time in ms, hex>-<number>" */
	const char *origin; /* id of the publishing process, new for each start: 16 hex digits; "" for this process */
	uint64_t seq;	    /* sequence number within its origin, without gaps */
	const char *topic; /* "server.status" */
	int64_t time_ms;
	const char *user_id;   /* owner, who receives the event besides admins; "": nobody else does */
	const char *viewer_id; /* another user who receives it, such as the owner of a session's server; "": none. Clients do not see it */
	const char *object_id; /* id of the server or session */
	json_t *data;
};
typedef void (*event_handler)(const struct event *e, void *ctx);
/* Published in this process only, when events of other processes may have been missed. A subscriber then reads the objects that it
 * follows. object_id is the origin; "": unknown. */
#define BUS_GAP "bus.gap"
/* Delivers an event to all subscribers, here and in other processes, at the end of the loop's turn. Consumes `data`. */
void bus_publish(struct bus *b, const char *topic, const char *object_id, const char *user_id, json_t *data);
/* The same for an event that another user receives too. */
void bus_publish_viewed(struct bus *b, const char *topic, const char *object_id, const char *user_id, const char *viewer_id, json_t *data);
/* Subscribes to topics that match `pattern` (str_match, such as "xrdp.*"), until bus_unsubscribe. */
struct subscription;
struct subscription *bus_subscribe(struct bus *b, const char *pattern, event_handler fn, void *ctx);
void bus_unsubscribe(struct subscription *s); /* takes NULL */

#endif
