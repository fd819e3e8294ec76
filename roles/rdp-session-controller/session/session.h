/* session: the record of a session, and a task on its strand. Floor F6, loop thread only, never blocks. */
#ifndef SESSIONS_SESSION_H
#define SESSIONS_SESSION_H

#include "roles/rdp-session-controller/session/states.h"
#include "roles/rdp-session-controller/watch/server.h"

#define SESSION_ID_SIZE 22 /* "sess-", 16 hex digits, NUL */
#define SESSION_CONNECTION_MAX 64

/* In seconds; 0: none. */
struct session_limits {
	int64_t idle_s, max_s, disconnected_s;
};

struct session {
	struct object o;
	struct watched *server;
	struct list live; /* server->sessions, until it ends */
	/* its desktop: display and start tell it from all others of its server */
	int display; /* 0: declared, and not joined with a desktop yet */
	int64_t desktop_ms;
	char connection[SESSION_CONNECTION_MAX]; /* "": none */
	bool observing; /* an observation is queued */
	bool unreachable, absence_queued; /* watch/absence.c: its status_reason says so; a task that may change that is queued */
	int64_t seen_us; /* monotonic: when its desktop was first seen, before a client was; 0: not yet */
	bool sealed; /* a password is stored for it (foreign/secret.h) */
	const char *server_owner; /* who sees it too; "": nobody */
	int64_t created_ms, ended_ms; /* wall clock */
	/* limits.c */
	int64_t idle_s, max_s;	     /* its own limits; 0: none */
	struct session_limits sent;  /* what the agent took last */
	int64_t sent_us;	     /* monotonic: when it answered that; 0: not yet */
	bool limits_sending;
	/* how long it has had its status: a wall-clock time for others, a monotonic one for this process */
	int64_t since_ms, before_ms, before_us; /* at before_us (monotonic) it had had it for before_ms */
};

struct task {
	struct object_task on;
	json_t *body;
	int64_t if_match;
	unsigned tries;
	int64_t bytes_in, bytes_out; /* bytes.c */
	/* end.c */
	bool disconnect; /* cut the connection only */
	bool remove;	 /* then delete the session */
	char *reason, *by;
	json_t *connections; /* that are to be cut */
	void (*ended)(struct task *t, int err, const char *message); /* instead of an answer to a call; NULL: none */
	void *arg;
	json_t *outcome; /* what the answer says */
	/* update.c */
	json_t *secret;	     /* the new password, as it is stored; NULL: none */
	bool forgets_secret; /* the password is removed */
};

static inline struct controller *session_controller(const struct session *s)
{
	return object_ctx(&s->o);
}
static inline struct task *task_of(struct object_task *t)
{
	return (struct task *)t;
}
static inline struct session *task_session(const struct task *t)
{
	return (struct session *)t->on.object;
}
static inline bool session_ended(const struct session *s)
{
	return session_status_ended(s->o.state);
}
struct session *session_of_call(struct controller *c, struct call *call, call_handler again);
struct task *session_task(struct controller *c, struct call *call, void (*run)(struct object_task *t));

bool session_id_ok(const char *id);
void session_id_new(char dst[SESSION_ID_SIZE]);
/* The id of the session that is found on a desktop: the same in every process. */
void session_id_found(char dst[SESSION_ID_SIZE], const struct watched *w, int display, int64_t started_ms);

/* Enters a status; the only function that does. Keeps the times and counts of the session. False: the transition is not legal. */
bool session_enter(struct session *s, enum session_status to, const char *reason, json_t *consume_extra);
int64_t session_status_ms(const struct session *s); /* how long it has had its present status */
/* The statistics of the document, with the time of the present status added. The caller owns them. */
json_t *session_statistics(const struct session *s);

/* Queues an observation: compares the session with the last listing of its server. */
void session_observe(struct session *s);
void run_session_observe(struct object_task *t);

#endif
