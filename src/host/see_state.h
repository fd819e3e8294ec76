/*
 * see_state: what the files of the seeing half share. Floor F3, supervisor only, loop thread. Not for the running half (see.h)
 * nor for anybody outside the room.
 */
#ifndef HOST_SEE_STATE_H
#define HOST_SEE_STATE_H

#include "host/see.h"

enum desktop_state { DESKTOP_ACTIVE, DESKTOP_DISCONNECTED, DESKTOP_ORPHANED };

#define DESKTOP_USER_MAX 128
struct ending;

/* One desktop session: a leader (child of sesman), an X server, and what the user runs, in a group of its own. */
struct desktop {
	struct list node; /* see_instance->desktops */
	struct instance *instance;
	int display;
	char user[DESKTOP_USER_MAX]; /* "" until it is known; told of from then on */
	bool told;
	pid_t leader; /* 0: not known */
	uint64_t leader_start;
	pid_t x_pid; /* 0: not seen yet */
	uint64_t x_start;
	uid_t uid; /* of the X server */
	gid_t gid;
	bool vnc;
	struct cgroup *cgroup; /* NULL where there are none */
	int64_t started_ms;
	enum desktop_state state;
	int64_t idle_seconds; /* -1: the X server did not say */
	int64_t over_ms;      /* since when leader and X server are both gone, though others are left; 0: they are not */
	int wd;		      /* inotify watch on the group's events, or -1 */
	bool naming;	      /* the account's name is being looked up */
	bool was_active;      /* desktop_limits.c: somebody was connected */
	int64_t gone_ms;      /* monotonic: since when nobody is; 0: somebody is */
	int64_t idle_ask_ms;  /* monotonic: no sooner is its X server asked; 0: not set */
	const char *end_reason; /* static: why it is ended by ourselves; NULL: on request */
	struct ending *ending;
};

struct connection {
	struct list node; /* see_instance->connections */
	struct instance *instance;
	uint64_t cookie, inode;
	char id[17];
	char peer[46];
	uint16_t peer_port;
	pid_t pid; /* the xrdp child that has it; 0: not found yet */
	uint64_t pid_start;
	int display; /* 0: not on a desktop yet */
	char user[DESKTOP_USER_MAX];
	uint64_t bytes_in, bytes_out;
	int64_t started_ms;
	int64_t closing_ms; /* since when the client has closed while the child has not; 0: it has not */
	bool told, seen;
	struct list cuts; /* struct cut: who waits for it to go */
};

/* Of one instance; instance->see. */
struct see_instance {
	struct list desktops, connections;
	uint64_t closed_in, closed_out; /* bytes of connections that are gone */
	uint64_t group_print;		/* of the pids last looked at, so that an unchanged group costs one read */
	uint64_t stirred_print;		/* the same, for `stirred` */
	bool stirred;			/* the daemons' processes are others than when connections were last looked at */
	bool idle_asking;		/* desktop_limits.c: a question is under way */
	int64_t idle_ms;		/* monotonic time of the last question to the X servers; 0: never */
};

/* Of the host; host->see. */
struct see {
	struct loop_timer *sweep;
	int hook_fd, inotify_fd;
	struct loop_io *hook_io, *inotify_io;
	struct list hook_peers; /* hook.c */
	size_t hook_peers_n;
	uint64_t cpu_busy, cpu_total; /* ticks at the sample before the last, stats.c */
	uint64_t last_busy, last_total;
	int64_t cpu_sampled_ms;
	int64_t dumped_ms; /* monotonic time of the last look at the kernel's connections */
};

/* desktops.c: the table. Every change of state goes through desktop_enter. */
struct desktop *desktop_find(struct instance *i, int display);
struct desktop *desktop_new(struct instance *i, int display); /* writes nothing, tells nothing */
void desktop_enter(struct desktop *d, enum desktop_state s);
void desktop_started(struct desktop *d); /* its user is known: write the record, tell of it, once */
/* All of it is gone: clean up after the X server, remove group and record, tell of it. Frees d. */
void desktop_gone(struct desktop *d, const char *reason, size_t processes, size_t forced);
void desktop_free(struct desktop *d); /* forgets only */
json_t *desktop_doc(struct desktop *d);
void desktops_restore(struct instance *i); /* from records, groups and /proc */
void desktops_sweep(struct instance *i);
void desktops_inotify(struct host *h); /* on_readable of see->inotify_fd */
void desktops_judge(struct instance *i); /* set each desktop's state anew, now */

/* desktop_scan.c: processes. */
#define DESKTOP_PIDS 4096
/* The pids of the group in which daemons, and logins that no hook told of, live; all of the namespace without groups. */
size_t daemon_pids(const struct instance *i, pid_t *dst, size_t max);
size_t desktop_pids(const struct desktop *d, pid_t *dst, size_t max);
void desktop_find_x(struct desktop *d);	  /* sets x_pid and what goes with it when the X server is there */
void desktops_catch_up(struct instance *i); /* find desktops that no hook told of; give them a group */
bool desktop_alive(const struct desktop *d); /* its leader or its X server lives */

/* desktop_end.c */
typedef void (*desktop_ended)(void *arg, int err, json_t *consume_doc, size_t processes, size_t forced);
void desktop_end(struct desktop *d, desktop_ended done, void *arg);
void ending_step(struct desktop *d); /* something changed: look at once */
void ending_drop(struct ending *e);  /* the instance goes: answer, forget */
void desktops_end_all(struct instance *i, void (*done)(void *arg, json_t *consume_ended), void *arg);

/* connections.c */
void connections_sweep(struct host *h);
/* The same, when there may be something new: each connection is a child of xrdp, so that it comes and goes with a process. */
void connections_look(struct host *h);
json_t *connection_doc(const struct connection *c);
struct connection *connection_of_display(struct instance *i, int display); /* the newest; NULL */
void connections_forget(struct instance *i); /* tells of none */

/* hook.c */
void hook_open(struct host *h);
void hook_close(struct host *h);

/* stats.c */
void stats_sample(struct see *s);

/* The instance a request names, or NULL after having answered. */
struct instance *see_instance_of(struct host *h, const json_t *in, host_done done, void *arg);

#endif
