/*
 * observed: what the supervisor observes of an instance and of the host, shared by the files of desktop, login and observe. Floor F3,
 * supervisor only, loop thread. Not for: the files that run instances; they include observe.h.
 */
#ifndef HOST_OBSERVE_OBSERVED_H
#define HOST_OBSERVE_OBSERVED_H

#include "host/desktop/desktop.h"
#include "host/instance/instance.h"
#include "host/login/connection.h"

/* Of one instance: instance->observed. */
struct observed {
	struct refusals refusals;
	struct list logins;   /* logins.c: in progress */
	int64_t strangers_ms; /* monotonic: last event about a foreign connection to sesman's port; 0: never */
	struct list desktops, connections;
	uint64_t closed_in, closed_out; /* bytes of ended connections */
	uint64_t pids_hash;		/* hash of the pids at the last check, so that an unchanged group costs one read */
	uint64_t daemons_hash;		/* the same, for `daemons_changed` */
	bool daemons_changed;			/* the processes of the daemons changed since connections were last read */
	struct job *binding;		/* desktop/binds.c */
	bool idle_asking;		/* desktop/limits.c: a question is in progress */
	int64_t idle_ms;		/* monotonic time of the last question to the X servers; 0: never */
	uint64_t taken;			/* desktop/taken_names.c: bit N is display_first + N */
	int64_t taken_ms;		/* monotonic time of its last check; 0: never */
};

/* Of the host: host->observer. */
struct observer {
	struct loop_timer *sweep;
	int hook_fd, inotify_fd;
	struct accepter *hook_accepter;
	bool hook_failed; /* the last attempt to bind it; logged once */
	struct loop_io *inotify_io;
	struct list hook_peers; /* pam_hook.c */
	size_t hook_peers_n;
	uint64_t cpu_busy, cpu_total; /* ticks at the sample before the last, host_figures.c */
	uint64_t last_busy, last_total;
	int64_t cpu_sampled_ms;
	struct login_guard *guard;
	struct quota_statement *quotas;
	struct loop_timer *login_poll;
	struct loop_timer *rush; /* the next sweep of connections, while many arrive */
	int64_t swept_ms;  /* monotonic time of the last sweep */
	int64_t dumped_ms; /* monotonic time of the last dump of the kernel's connections */
};

/* observe.c: the next sweep is made at once, or a little later if there was one just now. */
void observe_soon(struct host *h);

/* login/pam_hook.c */
void hook_open(struct host *h);
void hook_close(struct host *h);

/* host_figures.c */
void stats_sample(struct observer *s);

/* The instance that a request names, or NULL after an answer. */
struct instance *instance_of_request(struct host *h, const json_t *in, host_done done, void *arg);

#endif
