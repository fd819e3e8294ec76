/*
 * recordings: recordings of desktops as stored objects, the state that the parts of recording/ share. Floor F6, loop thread only, never blocks.
 *
 *   start.c, stop.c   ──► the agent of the host (xrdp.recordings.*): it runs the recorder and has the files
 *   follow.c          events and listings of the agents ──► states (kind.c), rows of chunks (chunks.c)
 *   settle.c          after the end: missing rows, totals, the seal
 *   read.c, chunks.c, view.c, verify.c   what callers read      delete.c, retention.c, rewrap.c   what becomes of it later
 *
 * The document has the wrapped key of the recording, so that a recording can be read as long as either the document or the manifest is there.
 * recording_shown is what callers see of it. A recording outlives its session; who sees it is in its own document.
 */
#ifndef RECORDING_RECORDINGS_H
#define RECORDING_RECORDINGS_H

#include "lucid/record_papers.h"
#include "lucid/record_reader.h"
#include "lucid/seal.h"
#include "roles/rdp-session-controller/session/session.h"

#define RECORDING_KEY_FIELD "wrapped_key"
#define RECORDINGS_MAX 1000000 /* records */

enum recording_state { RECORDING_RUNNING, RECORDING_PAUSED, RECORDING_COMPLETE, RECORDING_TRUNCATED, RECORDING_FAILED, RECORDING_STATES };

struct recordings {
	struct controller *c;
	struct objects *objects; /* their groups are the nodes */
	struct map *sessions;	 /* session id → struct recorded_session */
	struct map *viewings;	 /* view.c: who is viewing what */
	struct record_master masters[SEAL_KEYS_MAX]; /* of MASTER_KEY, then of its previous values */
	size_t n_masters;			     /* 0: MASTER_KEY is not usable */
	struct pool *pool;			     /* decodes chunks */
	struct {
		const struct op *start, *stop, *list, *files, *file, *write, *remove;
	} ops; /* of the agent */
	size_t starting, verifying;
	bool rewrapping;
	struct loop_timer *look, *sweep;
	struct subscription *events, *session_events;
	struct {
		struct metric *frames, *drops, *restarts, *views;
		struct metric_family *stage_bytes, *stage_seconds, *stage_errors;
	} metrics;
};

/* The recordings of one session. */
struct recorded_session {
	char id[SESSION_ID_SIZE];
	struct list recordings; /* oldest first */
};

struct recording {
	struct object o;
	struct list node; /* in session->recordings */
	struct recorded_session *session;
	char server_id[ID_UUID_SIZE];
	const char *server_owner; /* who sees it too; "": nobody */
	int display;
	int64_t created_ms, started_ms, ended_ms; /* wall clock; ended_ms 0: it runs */
	int64_t chunks, bytes;			  /* of the closed chunks that are stored */
	int64_t retention_days, max_bytes;	  /* 0: the general ones */
	bool hold, deleting, sealed, stopped_by_user;
	char key_id[RECORD_KEK_ID_SIZE];
	/* in this process only */
	bool settling, settle_again, resuming, observing, sweeping, rewrapping, rewrap_failed;
	int64_t next_chunk;   /* chunks.c: the number after the last one that was passed to the store */
	json_t *figures;      /* of the last listing; NULL: none */
	int64_t restarts;     /* of its recorder, as last listed */
	int64_t unlisted_us;  /* monotonic: since when its agent does not list it; 0: it does */
	int64_t duration_ms;  /* of the closed chunks */
	/* chunks.c: the chunk that is being written */
	struct record_header running;
	bool running_known;
};

struct recording_place {
	struct object_group g;
	bool listing;
	int64_t listed_us; /* monotonic: the last listing that succeeded */
};

struct recording_task {
	struct object_task on;
	json_t *body;  /* what run() is about */
	char *by, *reason;
	unsigned to;
	void *arg;
};

extern const struct object_kind recording_kind; /* kind.c */

static inline struct recordings *recording_all(const struct recording *r)
{
	return object_ctx(&r->o);
}
static inline struct recording_task *recording_task_of(struct object_task *t)
{
	return (struct recording_task *)t;
}
static inline struct recording *task_recording(const struct recording_task *t)
{
	return (struct recording *)t->on.object;
}
static inline bool recording_open(const struct recording *r)
{
	return !r->o.gone && (r->o.state == RECORDING_RUNNING || r->o.state == RECORDING_PAUSED);
}
static inline bool recording_leads(const struct recording *r) /* this process follows its host */
{
	return object_group_leads(r->o.group);
}
struct recording_task *recording_task_new(struct recordings *r, struct call *call, void (*run)(struct object_task *t));
const char *recording_node(const struct recording *r);
void recording_reread(struct recording *r); /* its document was changed here: brings the record in line */

/* life.c */
struct recordings *stored_recordings_new(struct controller *c);
void stored_recordings_start(struct recordings *r);
void stored_recordings_reload(struct recordings *r);
/* False: responses may still arrive, so the memory stays valid until the program exits. */
bool stored_recordings_free(struct recordings *r);

/* find.c */
void recording_index(struct recording *r, const char *session_id);
void recording_unindex(struct recording *r);
struct recorded_session *recorded_session_find(const struct recordings *r, const char *session_id); /* NULL: it has no recordings */
struct recording *recording_newest(const struct recordings *r, const char *session_id);		    /* NULL: none */
/* What callers see of a document. A new reference. */
json_t *recording_shown(const json_t *doc);
/* A call about one recording: the query parameter `recording`, the path parameter `recording_id`, or the newest of the session. */
struct recording_reading {
	struct recordings *all;
	struct call *call;
	struct recording *rec; /* may be gone once the loop has turned: find it again by id */
	char id[ID_UUID_SIZE], session_id[SESSION_ID_SIZE];
	json_t *doc;
	void (*then)(struct recording_reading *r);
};
/* Reads the document and calls `then`, which ends the reading. If there is none, or the caller may not see it, the call is answered. */
void recording_read_begin(struct recordings *all, struct call *call, call_handler again, void (*then)(struct recording_reading *r));
void recording_read_end(struct recording_reading *r);

/* Asks the agent for the file of a chunk, as a source; for the index from a number on, with manifest and seal. call: that it serves, or NULL. */
void recording_file_ask(struct recording *r, int64_t seq, const struct call *call, call_done done, void *arg);
void recording_files_ask(struct recording *r, int64_t from_seq, const struct call *call, call_done done, void *arg);

/* follow.c */
/* Requests listings of all hosts that this process follows. */
void stored_recordings_look_soon(struct recordings *r);
/* Enters the state of a recording that has ended on its host; a task of it runs. */
void recording_end_as(struct recording *r, const char *state, const char *reason);

/* keys.c */
/* Derives the masters from the settings. */
void recording_keys_load(struct recordings *r, const struct config *config);
void recording_keys_wipe(struct recordings *r);
/* Sets key_id and the wrapped key of a document. */
void recording_key_set(const struct recordings *r, json_t *doc, const uint8_t key[RECORD_KEY_BYTES]);
/* The key of a recording, from its document. False with a reason, a predicate: it cannot be had. The caller wipes it. */
bool recording_key(const struct recordings *r, const json_t *doc, uint8_t ret[RECORD_KEY_BYTES], const char **ret_why);
/* The wrapped key of a document. False: it has none. */
bool recording_wrapped(const json_t *doc, struct record_wrapped *ret);

#endif
