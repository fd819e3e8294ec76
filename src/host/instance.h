/*
 * instance: one running xrdp and its sesman. Floor F3, supervisor only, loop thread.
 *
 * The joint of the room: instance.c, launch.c, supervise.c and record.c run instances; the seeing half finds them here,
 * reads what it needs, and hangs its own list of desktops and connections on `see`. Only instance_enter changes `state`.
 *
 * An instance that was stopped is freed at the end of the loop's turn after hooks.closed; keep ids, not pointers, over
 * anything that waits.
 */
#ifndef HOST_INSTANCE_H
#define HOST_INSTANCE_H

#include <sys/types.h>

#include "host/cgroup.h"
#include "host/core.h"
#include "host/ns.h"
#include "lucid/id.h"

enum instance_state { INSTANCE_STARTING, INSTANCE_RUNNING, INSTANCE_STOPPING, INSTANCE_FAILED, INSTANCE_GONE };
const char *instance_state_to_string(enum instance_state s);

/* One daemon of an instance: xrdp or sesman. */
struct daemon {
	struct instance *of;
	const char *name; /* "xrdp", "xrdp-sesman" */
	pid_t pid;	  /* 0: not running */
	uint64_t start;	  /* proc_start */
	int64_t since_ms; /* wall clock of the start */
	struct watch *watch;
	unsigned failures; /* in a row, without a healthy life between them */
	struct loop_timer *again; /* back-off before it is started anew */
};

struct instance {
	struct list node; /* host->instances */
	struct host *host;
	char id[ID_UUID_SIZE]; /* server_id */
	char *user_id;	       /* owner; "" when nobody's */
	json_t *spec;	       /* InstanceSpec, checked, defaults filled in; not changed */
	enum instance_state state;
	const char *reason; /* static text; NULL unless failed */
	int64_t started_ms, since_ms; /* wall clock: of the instance, of its present state */
	unsigned restarts;
	bool shared;  /* isolation "shared": no namespace, the host's sesman */
	bool adopted; /* found again, not started by this process */

	int port;			  /* RDP */
	int sesman_port;		  /* on loopback */
	int display_first, display_count; /* X displays that are this instance's alone */

	struct daemon xrdp, sesman;
	struct cgroup *cgroup;	/* of the whole instance; NULL where there are none */
	struct cgroup *daemons; /* the leaf for xrdp and sesman */
	struct cgroup_enforced enforced;
	int ns_fd;	/* mount namespace; -1 when shared or failed */
	ino_t ns_inode; /* 0 when shared */

	char *dir;	 /* DATA_DIR/xrdp/servers/{id}; root's */
	char *etc, *run; /* over /etc/xrdp and /run/xrdp; X and chansrv sockets in run/sockdir */
	char *pam;	 /* the PAM file */
	char *log;	 /* LOG_DIR/xrdp/servers/{id}: xrdp.log, sesman.log, xrdp.out, sesman.out */
	char fingerprint[65];
	json_t *last_exit; /* obituary of the daemon that died last, or NULL */

	struct see_instance *see; /* the seeing half's: desktops, connections */

	/* the running half's own */
	struct list waiters;	/* callers of start or stop that wait for an answer */
	struct job *job;	/* what is being done right now in a child: prepare, clean up */
	struct job *heal;	/* binds being put back */
	struct ready *ready;
	struct loop_timer *timer; /* of the start or stop under way */
	int64_t until_ms;	  /* monotonic end of what is under way */
	bool replacing;		  /* new files are in place or on their way, a new listener follows */
	int64_t replaced_ms;	  /* wall clock of the last begin of a replacing */
	bool begin_again;	  /* failed, and to be started as next_spec says when the last daemon is dead */
	bool remove;		  /* stopping for good: generated files and logs go too */
	bool ending;		  /* stopping: desktops are being ended */
	json_t *ended;		  /* stopping: desktops that were */
	json_t *next_spec;	  /* replacing, begin_again: what comes */
	struct loop_task reap;
};

struct instance *instance_find(struct host *h, const char *server_id);
/* Whose process is it? By the group it is in (any depth), by its namespace; NULL: nobody's. */
struct instance *instance_of_cgroup(struct host *h, const char *path);
struct instance *instance_of_ns(struct host *h, ino_t inode);
struct instance *instance_of_pid(struct host *h, pid_t pid);
/* Whose display, port? */
struct instance *instance_of_display(struct host *h, int display);
struct instance *instance_of_port(struct host *h, int port);
#define INSTANCE_FOREACH(i, h) LIST_FOREACH (i, &(h)->instances, node)

/* The one place where a state changes: refuses what may not follow, tells of it, writes the record. */
void instance_enter(struct instance *i, enum instance_state s, const char *static_reason);

/* As shape_instance; the caller's. */
json_t *instance_doc(struct instance *i);

/* Source ports that our own probe of readiness uses: not a client's connection. */
bool ready_is_probe(int source_port);

/* Remove what a dead X server left: /tmp/.X11-unix/XN, /tmp/.XN-lock, and the sockets of N in run/sockdir. Does nothing while its pid lives. */
void display_clean(const struct instance *i, int display);

#endif
