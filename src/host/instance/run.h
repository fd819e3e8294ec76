/* run: functions that the files of host/instance share. Floor F3, supervisor only, loop thread. */
#ifndef HOST_INSTANCE_RUN_H
#define HOST_INSTANCE_RUN_H

#include "host/core.h"

/* A request that is answered when a start or stop is complete. */
struct waiter {
	struct list node;
	host_done done;
	void *arg;
	bool start; /* else stop */
	json_t *again; /* of a start that waits for the end of a stop: the request, repeated then */
};
void waiter_add(struct instance *i, bool start, host_done done, void *arg);
void waiter_add_again(struct instance *i, const json_t *in, host_done done, void *arg);
/* Answers all requests that wait for a start (or stop); each gets a copy of `out`. */
void waiters_answer(struct instance *i, bool start, int err, const char *message, const json_t *out);

/* instance.c */
struct instance *instance_new(struct host *h, const json_t *spec);
void instance_free(struct instance *i); /* its processes keep running */
size_t instance_desktops_live(struct instance *i);

/* start.c: requests for a start */
void host_instance_start(struct host *h, const json_t *in, host_done done, void *arg);
void start_renew(struct instance *i); /* restarts it in place, for a new certificate */
void start_recover(struct instance *i); /* retries a failed start whose cause has passed */
void start_after(struct host *h, struct list *consume_waiters); /* repeats starts that waited for the end of a stop */
void start_call_off(struct host *h, const char *id); /* refuses the starts of this server that wait for a stop: it was stopped again */
extern const char start_called_off[]; /* the message of that refusal */

/* start_steps.c: the steps of a start: files, daemons, readiness */
void start_begin(struct instance *i);
void start_replace(struct instance *i, const json_t *spec); /* restart in place: new files, a new xrdp; connections and desktops stay */
void start_daemon_ready(struct instance *i); /* one of its daemons listens */
void start_daemon_died(struct instance *i, const char *static_reason); /* before the instance was ready */
void start_abandon(struct instance *i); /* a stop was requested meanwhile */
void start_when_dead(struct instance *i); /* a daemon of a failed instance has ended */
void replace_listener_gone(struct instance *i);
void replace_sesman_gone(struct instance *i); /* the old sesman died during the restart in place */

/* stop.c */
void host_instance_stop(struct host *h, const json_t *in, host_done done, void *arg);
void stop_begin(struct instance *i, bool remove);
/* Sends SIGKILL to its daemons and its control group; returns how many processes there were. */
size_t stop_kill(struct instance *i);
/* The same for all other processes in its namespaces, in a job whose end is not awaited. */
void stop_kill_strays(struct instance *i);

/* supervise.c */
void supervise_tick(void *host);
void supervise_start(struct host *h); /* watches /run */
void supervise_stop(struct host *h);

/* record.c */
void record_write(struct instance *i);
void record_remove(struct instance *i);
void record_adopt_all(struct host *h);
/* An instance for the processes of a server whose record is lost, found by control group and namespace, so that they can be ended; NULL:
 * there are none. */
struct instance *record_remains(struct host *h, const char *id);
struct instance *record_remains_group(struct host *h, const char *id); /* by control group only, which is fast */
void record_sweep_groups(struct host *h); /* removes empty control groups without an instance */

/* spare_keys.c: rsakeys.ini, generated in advance */
struct spares *spares_new(struct host *h);
void spares_free(struct spares *s); /* takes NULL; the files stay */
void spares_fill(struct spares *s);
bool spares_take(struct spares *s, const char *to); /* moves one to that path; false: there is none yet */
int rsa_keys_make(const char *to); /* in a job: generates one now, for some 300 ms; 0 or a negative errno */

#endif
