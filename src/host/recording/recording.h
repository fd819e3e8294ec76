/*
 * recording: one recording of a desktop: its states, its recorder, its end. Floor F3, supervisor only, loop thread. Only recording_enter
 * changes the state. recordings.c has the entries, and the set of all recordings.
 *
 *                         ┌── pause, full disk ──► PAUSED ──┐
 *     STARTING ──► RECORDING ◄── resume, space ─────────────┘
 *        │            │ ▲ └── cut off, recorder died ──► LOST ──┐
 *        │            │ └───────────────────────────────────────┘
 *        │            └── stop, desktop ended ──► STOPPING ──► COMPLETE, TRUNCATED or FAILED
 *        └── fails: the recording and its directory are removed
 *     INTERRUPTED (found at the start of the supervisor) ──► STARTING, or, when the desktop has ended, TRUNCATED
 *
 * The data key is in memory from the start to the end of a recording, because a recorder may have to be replaced. It is in no record, so that
 * after the death of the supervisor the controller must bring it again.
 */
#ifndef HOST_RECORDING_RECORDING_H
#define HOST_RECORDING_RECORDING_H

#include "host/core.h"
#include "host/desktop/desktop.h"
#include "host/recording/display_open.h"
#include "host/recording/recorder.h"
#include "host/recording/recording_dirs.h"
#include "lucid/clock.h"

enum recording_state {
	RECORDING_STARTING,
	RECORDING_RUNNING,
	RECORDING_PAUSED,
	RECORDING_LOST,
	RECORDING_STOPPING,
	RECORDING_INTERRUPTED, /* no recorder runs, and there is no key */
	RECORDING_COMPLETE,
	RECORDING_TRUNCATED,
	RECORDING_FAILED,
	RECORDING_STATES
};
const char *recording_state_to_string(enum recording_state s);
bool recording_state_from_string(const char *s, enum recording_state *ret);

enum { PAUSE_REQUESTED = 1, PAUSE_DISK = 2 };
#define RECORDING_RESTARTS_MAX 10 /* of the recorder, within an hour */

struct recording_waiter {
	struct list node;
	host_done done;
	void *arg;
};
void recording_wait(struct list *waiters, host_done done, void *arg);

struct recording {
	struct list node; /* recordings->all */
	struct host *host;
	struct recording_dirs dirs; /* with its id */
	char server_id[ID_UUID_SIZE], user[DESKTOP_USER_MAX];
	int display;
	char started_at[CLOCK_ISO_SIZE]; /* of the desktop; "": it was one of an earlier boot */
	json_t *config;			 /* the shape RecorderConfig, complete */
	enum recording_state state;
	const char *reason; /* static; NULL */
	char key[RECORDER_KEY_TEXT + 1]; /* base64; wiped when no recorder is needed any more */
	char *manifest;			 /* of a new recording, until it is written */
	bool continued;			 /* it was interrupted */
	bool was_stopping;		 /* when the last supervisor died, its recorder had been told to end */
	int64_t start_us;		 /* CLOCK_MONOTONIC at its begin */
	int64_t zero_ms;		 /* wall time then */
	int64_t alive_us;		 /* the same, of the last sign of the recorder; 0: none */
	int64_t first_picture_ms;	 /* wall time; 0: none yet */
	int width, height;
	struct recording_found found;    /* chunks, bytes, head: closed chunks */
	json_t *figures;		 /* NULL: none yet */
	unsigned paused;		 /* PAUSE_… */
	unsigned lost, restarts;
	int64_t lost_ms; /* monotonic; 0: never */
	int64_t restarted_ms[RECORDING_RESTARTS_MAX]; /* monotonic; a ring, by `restarts` */
	int64_t retry_full_ms, retry_full_after_ms;   /* monotonic: a disk that was full is not tried before; how long the next wait is */
	unsigned missing; /* looks at which the desktop was not found */

	struct recorder *recorder; /* NULL: none is needed */
	bool sent;		   /* its start was sent */
	bool recorded;		   /* this supervisor has seen a picture of it */
	bool over;		   /* the recorder said that it has ended */
	bool full;		   /* the recorder could not write: its last chunk is torn until it resumes */
	bool ending;		   /* no recorder is wanted any more */
	int dir_fd;		   /* of the prepared directory, until the start is sent */
	struct job *job;
	struct display_opening opening;
	struct loop_timer *retry; /* of opening the display */
	unsigned tries;
	pid_t old_pid; /* recorder of the supervisor before, which may still run */
	uint64_t old_start;

	int fail_err;	   /* why it cannot start; 0 */
	char *fail_message; /* NULL: the text of the error code */
	struct list start_waiters, stop_waiters; /* recording_waiter: for the first picture, for the end */
};

/* Makes a recording that is not started yet. `config` is completed with the settings of the host. */
struct recording *recording_new(struct host *h, const char *id, const json_t *config);
void recording_free(struct recording *r); /* a recorder that runs sees the end of its socket, and ends by itself */

/* STARTING, or INTERRUPTED: starts a recorder. The key, and the manifest of a new recording, are set. */
void recording_start(struct recording *r);
/* No recorder is wanted any more. `reason` is static. */
void recording_end(struct recording *r, const char *reason);
void recording_pause(struct recording *r, unsigned why);
void recording_resume(struct recording *r, unsigned why);
void recording_full(struct recording *r);   /* the disk is: pauses, or ends the session */
void recording_desktop_over(struct recording *r);
void recording_end_session(struct recording *r, const char *static_reason);

void recording_enter(struct recording *r, enum recording_state s, const char *reason);
static inline bool recording_is_over(const struct recording *r)
{
	return r->state >= RECORDING_COMPLETE;
}
/* The desktop that it records; NULL: it has ended. */
struct desktop *recording_desktop(const struct recording *r);
json_t *recording_state_doc(const struct recording *r); /* HostRecordingState */
json_t *recording_doc(const struct recording *r);	  /* HostRecording */
void recording_answer_stop(struct recording *r);

/* recording_says.c: packets to and from the recorder */
void recording_send_start(struct recording *r, int x_fd, const char *cookie);
void recording_send_display(struct recording *r, int x_fd, const char *cookie);
void recording_send_word(struct recording *r, const char *word); /* "pause" */
void recording_said(void *recording, const char *what, const json_t *doc); /* recorder_user */
/* recording.c, for it */
void recording_open_display(struct recording *r);
void recording_fail(struct recording *r, int err, const char *fmt, ...) PRINTF(3, 4); /* keeps the first reason */
void recording_running(struct recording *r);

/* recording_record.c: what survives the supervisor, in DATA_DIR/xrdp/recordings. It holds no secret. Blocks on the disk. */
void recording_record_write(const struct recording *r);
void recording_record_remove(const struct recording *r);
/* Calls fn with each recording of the records. Those that were not over are INTERRUPTED. */
void recording_records_read(struct host *h, void (*fn)(struct host *h, struct recording *consume));

/* recordings.c */
void recordings_remove(struct recording *r); /* from the set, with its record; frees it */
void recordings_look_soon(struct host *h);
bool recordings_forget(struct host *h, const char *id); /* one that is over leaves the set; false: it is not over */

#endif
