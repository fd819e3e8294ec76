/* run: the running half's own functions, between its files. Floor F3, supervisor only, loop thread. */
#ifndef HOST_RUN_H
#define HOST_RUN_H

#include "host/instance.h"

/* Somebody who waits for the end of a start or stop. */
struct waiter {
	struct list node;
	host_done done;
	void *arg;
	bool start; /* else stop */
	json_t *again; /* of a start that came while it, or who had the port, was being stopped: what is asked again when that is gone */
};
void waiter_add(struct instance *i, bool start, host_done done, void *arg);
void waiter_add_again(struct instance *i, const json_t *in, host_done done, void *arg);
/* Answer those that wait for a start (or stop): err 0 with a document each, made by instance_doc or `out`. */
void waiters_answer(struct instance *i, bool start, int err, const char *message, const json_t *out);

/* instance.c */
struct instance *instance_new(struct host *h, const json_t *spec);
void instance_free(struct instance *i); /* forgets; what runs goes on */
size_t instance_desktops_live(struct instance *i);

/* start.c */
void host_instance_start(struct host *h, const json_t *in, host_done done, void *arg);
void start_daemon_died(struct instance *i, const char *static_reason); /* before it was ready */
void start_abandon(struct instance *i); /* a stop came in between */
void start_apply_limits(struct instance *i);
void start_make_group(struct instance *i);
void replace_listener_gone(struct instance *i);
void replace_sesman_gone(struct instance *i); /* the old one, by chance just now */
void start_when_dead(struct instance *i); /* a daemon of a failed one has gone */
void start_after(struct host *h, struct list *consume_waiters); /* what they waited for is gone */
void start_call_off(struct host *h, const char *id); /* starts of it that wait for that: it is stopped */

/* stop.c */
void host_instance_stop(struct host *h, const json_t *in, host_done done, void *arg);
void stop_begin(struct instance *i, bool remove);
/* SIGKILL to whatever is still of it, by group and by namespace; how many were found. */
size_t stop_kill(struct instance *i);

/* supervise.c */
void supervise_tick(void *host);
void supervise_obituary(struct instance *i, const char *process, pid_t pid, bool known, int status);
void supervise_start(struct host *h); /* watch /run */
void supervise_stop(struct host *h);

/* record.c */
void record_write(struct instance *i);
void record_remove(struct instance *i);
void record_adopt_all(struct host *h);
void record_sweep_groups(struct host *h); /* empty control groups that nobody has */

/* spares.c: rsakeys.ini made ahead */
struct spares *spares_new(struct host *h);
void spares_free(struct spares *s); /* takes NULL; the files stay for the next time */
void spares_fill(struct spares *s);
bool spares_take(struct spares *s, const char *to); /* moved there; false: there is none yet */

#endif
