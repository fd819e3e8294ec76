/*
 * child: one supervised process. Floor F1, loop thread; nothing blocks, except the fork.
 *
 * A description has what is the same for all processes of a child: how readiness is detected, deadlines, heartbeat, back-off, when to give
 * up. A plan (spawn.h), filled in for each start, says what is started. A table of states and events (child.c) connects them:
 *
 *          start             ready              stop                deadline
 *   GONE ────────► STARTING ───────► READY ───────────► STOPPING ───────────► KILLED ──► GONE
 *                   ▲  │ deadline      │ no heartbeat        └── ends ──► GONE
 *          wait over│  └───► BROKEN ◄──┘
 *                   │ ends     │ ends (killed)
 *               BACKING_OFF ◄──┴── each end after which the child is restarted; after too many of them: GAVE_UP
 *
 * The process outlives its supervisor, unless its plan ties it. The next supervisor adopts it from a record: pid, start time, boot id.
 * Not for: processes that end by themselves after some work (job.h).
 */
#ifndef SYS_CHILD_CHILD_H
#define SYS_CHILD_CHILD_H

#include "lucid/doc.h"
#include "sys/child/child_desc.h"

const char *child_state_to_string(enum child_state s);

struct child;
/* It exists until child_free, child_abandon or children_free. */
struct child *child_new(struct children *cs, const struct child_desc *d, void *arg);
/* Frees the child without ending its process. Takes NULL. */
void child_free(struct child *c);
/* Kills the process, reaps it in the background, and frees the child. Takes NULL. */
void child_abandon(struct child *c);

/* In GONE and GAVE_UP, and in BACKING_OFF, which it ends; false in any other state. Resets the count of failures. A failed start is
 * reported by on_state on a later turn, as an end with cause CHILD_NOT_BORN. */
bool child_start(struct child *c);
void child_start_now(struct child *c); /* ends the wait of a back-off without resetting the count */
void child_stop(struct child *c); /* gently, then with SIGKILL; leads to GONE */
void child_kill(struct child *c); /* with SIGKILL; leads to GONE */
/* Through the pidfd, without a change of state: if the process ends by it, the verdict decides. 0 or -errno; -ESRCH: no process. */
int child_signal(struct child *c, int signo);
/* The process must end within this time, otherwise it is killed; then the verdict decides. For a process that has closed its connection. */
void child_expect_end(struct child *c, unsigned ms);
void child_ready(struct child *c); /* CHILD_READY_TOLD */
void child_beat(struct child *c);

enum child_state child_state(const struct child *c);
pid_t child_pid(const struct child *c);	     /* 0: no process */
int64_t child_since_boot_ms(const struct child *c); /* start of the current or last process, as clock_boot_ms */
unsigned child_failures(const struct child *c);
void child_forget_failures(struct child *c);

/* --- over the death of the supervisor */

enum child_found { CHILD_FOUND_NONE, CHILD_FOUND_DEAD, CHILD_FOUND_ALIVE };

/* In GONE. Adopts the process that the record in this file names; reports its end if it ended meanwhile; starts the child if there is no
 * record of this boot. From now on the file is written at each change of state, before on_state, and removed in GONE, in GAVE_UP and by
 * child_abandon. Blocks on the disk. */
enum child_found child_resume(struct child *c, const char *record_path);

/* For a record with more than a child: {pid, start, boot_id, since, failures}, which the caller frees. It is valid while this process
 * lives: write it again at each on_state. */
json_t *child_record(const struct child *c);
/* In GONE: adopts what a record names. ALIVE: the state is READY, without on_state. DEAD: the process ended unseen, or the child was
 * backing off; call child_mourn. NONE: there is no record, or it is of another boot. */
enum child_found child_adopt(struct child *c, const json_t *record);
/* Handles an end that no supervisor saw, with verdict and on_state, as if it was seen now. */
void child_mourn(struct child *c);

#endif
