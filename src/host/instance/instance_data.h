/*
 * instance_data: what the supervisor knows of one instance. Floor F3, supervisor only, loop thread. Only instance_enter (instance.h)
 * changes `state`.
 */
#ifndef HOST_INSTANCE_INSTANCE_DATA_H
#define HOST_INSTANCE_INSTANCE_DATA_H

#include <sys/types.h>

#include "host/cgroup/cgroup.h"
#include "host/core.h"
#include "lucid/id.h"

enum instance_state { INSTANCE_STARTING, INSTANCE_RUNNING, INSTANCE_STOPPING, INSTANCE_FAILED, INSTANCE_GONE };

/* One daemon of an instance: xrdp or sesman. */
struct daemon {
	struct instance *of;
	const char *name; /* "xrdp", "xrdp-sesman" */
	struct child *child; /* launch.h; NULL in an instance that is never started */
	pid_t pid; /* 0: not running */
	char tag[17]; /* identifies the program file it was started from (programs.h) */
	char *out; /* path of the file with its output; NULL before its first start */
};

struct instance {
	struct list node; /* host->instances */
	struct host *host;
	char id[ID_UUID_SIZE]; /* server_id */
	char *user_id;	       /* owner; "" if it has none */
	json_t *spec;	       /* InstanceSpec, checked, with defaults; replaced, never changed */
	enum instance_state state;
	const char *reason; /* static text; NULL unless failed */
	int64_t started_ms, since_ms; /* wall clock: start of the instance, and of its present state */
	unsigned restarts;
	bool shared;  /* isolation "shared": no namespace, the host's sesman */
	bool desks;   /* each desktop has a mount namespace of its own; false if shared, or started by an older version */
	bool adopted; /* started by an earlier supervisor */

	uid_t uid; /* of its xrdp: an unused number; if shared, the account xrdp. Its sesman accepts no other account (sesman_peer.h) */
	gid_t gid;

	int port;			  /* RDP */
	int sesman_port;		  /* on loopback */
	int display_first, display_count; /* its range of X displays (displays.h) */
	int reserved[2];		  /* of the two above while the instance exists (kernel/reserve.h); -1 */

	struct daemon xrdp, sesman;
	struct cgroup *cgroup;	/* of the whole instance; NULL if the host offers none */
	/* Below it (groups.h): sesman; xrdp with its process for each connection; the desktops, each in a group of its own. */
	struct cgroup *daemons, *connections, *desktops;
	struct cgroup_enforced enforced;
	int ns_fd;	/* mount namespace; -1 if shared, or after a failed start */
	ino_t ns_inode; /* 0 if shared */

	char *dir;	 /* DATA_DIR/xrdp/servers/{id}; root's */
	char *etc, *run; /* mounted over /etc/xrdp and /run/xrdp; the tmpfs of the namespace is anchored at `run` (ns.h) */
	char *bin;	 /* its programs, with names that "killall xrdp" does not match (programs.h) */
	char *pam;	 /* its PAM file */
	char *log;	 /* LOG_DIR/xrdp/servers/{id}: xrdp.log, sesman.log, xrdp.out, sesman.out */
	char fingerprint[65];
	int64_t cert_from_ms, cert_until_ms; /* of its certificate; 0: not known */
	json_t *last_exit; /* obituary of the daemon that died last, or NULL */

	struct observed *observed; /* desktops and connections; NULL: not observed */

	/* private to the files of host/instance */
	struct list waiters;	/* requests for a start or stop that are not answered yet */
	struct job *job;	/* the job in progress: prepare, clean up */
	struct job *heal;	/* restores mounts in its namespace */
	bool awaits_ready;	/* its daemons were started, and not all of them listen yet */
	struct loop_timer *timer; /* of the start or stop in progress */
	int64_t until_ms;	  /* monotonic deadline of the start or stop in progress */
	bool replacing;		  /* restart in place: new files, then a new xrdp; connections and desktops stay */
	int64_t replaced_boot_ms; /* begin of the last restart in place */
	int64_t started_boot_ms;  /* of the instance's start */
	bool begin_again;	  /* failed; starts with next_spec when its last daemon has ended */
	bool silent;		  /* never ran on this host; its files are removed without events or a record */
	unsigned kill_poll_ms;	  /* stopping: until the next check for processes */
	bool remove;		  /* stopping: generated files and logs are removed too */
	bool ending;		  /* stopping: its desktops are being ended */
	json_t *ended;		  /* stopping: desktops that were ended */
	json_t *next_spec;	  /* replacing, begin_again: the new definition */
	struct loop_task reap;
	bool unrecorded;	   /* its record could not be written; retried once a second */
	bool cert_due;		   /* it is to get a new certificate (cert_watch.c) */
	int64_t recover_ms;	   /* monotonic: earliest retry of a failed start (recover.c); 0: not set */
	unsigned recover_tries;
};
#define INSTANCE_FOREACH(i, h) LIST_FOREACH (i, &(h)->instances, node)

#endif
