/*
 * desktop: one desktop session of an instance. Floor F3, supervisor only, loop thread. Implemented by the files of host/desktop; only
 * desktop_enter changes its state.
 */
#ifndef HOST_DESKTOP_DESKTOP_H
#define HOST_DESKTOP_DESKTOP_H

#include <sys/types.h>

#include "host/desktop/limit_due.h"
#include "lucid/account.h"
#include "lucid/doc.h"
#include "lucid/list.h"

struct ending;
struct host;
struct instance;
struct messages;

enum desktop_state { DESKTOP_ACTIVE, DESKTOP_DISCONNECTED, DESKTOP_ORPHANED };

#define DESKTOP_USER_MAX (ACCOUNT_MAX + 1)

/* A session leader (child of sesman), an X server, and the processes of the user, in a control group of their own. */
struct desktop {
	struct list node; /* observed->desktops */
	struct instance *instance;
	int display;
	char user[DESKTOP_USER_MAX]; /* "" until it is known; then its start is published */
	bool told;		     /* its start was published */
	pid_t leader;		     /* 0: not known */
	uint64_t leader_start;
	pid_t x_pid; /* 0: not found yet */
	uint64_t x_start;
	uid_t uid; /* of the X server */
	gid_t gid;
	bool vnc;
	struct cgroup *cgroup; /* NULL if the host offers none */
	int64_t started_ms;
	enum desktop_state state;
	int64_t idle_seconds; /* -1: the X server did not answer */
	int64_t over_ms;      /* since when leader and X server have ended while other processes remain; 0: they have not */
	int wd;		      /* inotify watch on the events of its control group, or -1 */
	bool naming;	      /* the name of its account is being looked up */
	bool unrecorded;      /* its record could not be written; retried at each sweep */
	bool was_active;      /* a client was connected */
	int64_t gone_ms;      /* clock_boot_ms: since when no client is connected; 0: one is. In the record, so that a restart goes on counting */
	int64_t idle_ask_ms;  /* clock_boot_ms: earliest next question to its X server; 0: not set */
	struct limits own;    /* of its session, in the record; session_limits.h */
	struct limit_notice notices[LIMIT_KINDS]; /* clock_boot_ms; in the record */
	char *report;	      /* start_report.h, sent by the hook when the session closed; NULL: none */
	const char *end_reason; /* static: why the supervisor ends it; NULL: on request */
	struct ending *ending;
	struct messages *messages; /* message/messages.h; NULL: none was shown */
};

/* desktops.c */
struct desktop *desktop_find(struct instance *i, int display);
/* True if that is the time of its start, which tells it from others on its display. */
bool desktop_started_at(const struct desktop *d, const char *time);
struct desktop *desktop_new(struct instance *i, int display); /* writes no record, publishes nothing */
void desktop_enter(struct desktop *d, enum desktop_state s);
void desktop_started(struct desktop *d); /* its user is known: writes the record and publishes the start, once */
/* It has ended: cleans up after the X server, removes group and record, publishes the end, frees d. `reason` NULL: it ended by itself. */
void desktop_gone(struct desktop *d, const char *reason, size_t processes, size_t forced);
void desktop_free(struct desktop *d); /* its processes keep running */
json_t *desktop_doc(struct desktop *d);
void desktop_record(struct desktop *d); /* writes the record, if its start was published; otherwise it is written then */
void desktops_restore(struct instance *i); /* from records, groups and /proc */
void desktops_sweep(struct instance *i);
void desktops_inotify(struct host *h); /* observer->inotify_fd is readable */
void desktops_judge(struct instance *i); /* determines the state of each desktop now */

/* start_fault.c */
void desktop_report(struct desktop *d, const char *report); /* keeps what the hook found */
/* Why a desktop ended by itself: "logout", or "start_failed" if it never came up. The findings are then written to the server's logs;
 * *ret_detail is their first line, which the caller frees, or NULL. */
const char *desktop_own_end(struct desktop *d, char **ret_detail);

/* scan.c: processes */
#define DESKTOP_PIDS 4096
/* The pids of the group of the daemons, in which logins without a hook also run; without groups, all of the namespace. */
size_t daemon_pids(const struct instance *i, pid_t *dst, size_t max);
size_t desktop_pids(const struct desktop *d, pid_t *dst, size_t max);
void desktop_find_x(struct desktop *d);	  /* sets x_pid and related fields if the X server runs */
void desktop_find_leader(struct desktop *d); /* from its X server, if no record names it */
void desktops_catch_up(struct instance *i); /* finds desktops that no hook announced, and gives them a group */
bool desktop_alive(const struct desktop *d); /* its leader or its X server runs */

/* binds.c: restores bind mounts that desktops lost because their mount point was removed on the host. */
void desktop_binds_look(struct instance *i);

/* end.c */
typedef void (*desktop_ended)(void *arg, int err, json_t *consume_doc, size_t processes, size_t forced);
void desktop_end(struct desktop *d, desktop_ended done, void *arg);
void ending_step(struct desktop *d); /* something changed: checks at once */
void ending_drop(struct ending *e);  /* the instance ends: answers and frees */
void desktops_end_all(struct instance *i, void (*done)(void *arg, json_t *consume_ended), void *arg);

/* taken_names.c: displays whose abstract X name is held by a process outside the instance, so that sesman cannot use them. Checked when
 * sesman skipped a display, when a login failed, and periodically while one is known. */
void taken_names_given(struct instance *i, int display); /* a new desktop has this display */
/* Checks. True if each display that sesman may use is in use or taken, and at least one is taken. */
bool taken_names_exhausted(struct instance *i);
void taken_names_sweep(struct instance *i);
json_t *taken_names_doc(const struct instance *i); /* array of displays; the caller frees */

#endif
