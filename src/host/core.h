/*
 * core: the host and its settings, shared by the files of src/host. Floor F3, supervisor only, loop thread. Not for: code outside src/host,
 * which includes host.h.
 */
#ifndef HOST_CORE_H
#define HOST_CORE_H

#include "host/callbacks.h"
#include "lucid/errs.h"
#include "lucid/list.h"
#include "lucid/loop.h"
#include "sys/child/process.h"

struct cgroups;
struct profiles;
struct spares;
struct observer;
struct service_run;
struct trash;
struct deleted_logs;
struct units;
struct instance;
struct children;
struct job;
struct cert_watch;
struct recover;
struct mounts;
struct recordings;

/* Bounds on RDP connections and logins; 0: none. A reload may change all of them. */
struct login_settings {
	int timeout_s;	  /* LOGIN_TIMEOUT: a connection without a user is closed after this time */
	int per_server;	  /* MAX_CONNECTIONS_PER_SERVER */
	int per_address;  /* RDP_CONNECTIONS_PER_ADDRESS: from one client address to one server */
	int max_failures; /* LOGIN_MAX_FAILURES: failed logins from one address before it is blocked */
	int block_s;	  /* LOGIN_BLOCK_SECONDS: how long a failure counts, and how long a block lasts */
};

/* Bounds and defaults of recordings. A reload may change all of them. Sizes and counts of 0: no bound, or a usual value. */
struct recording_settings {
	int64_t high_water, low_water, max_bytes; /* STORAGE_HIGH_WATER_MB, STORAGE_LOW_WATER_MB, MAX_STORAGE_SIZE_GB, in bytes */
	int frame_rate;				  /* DEFAULT_FRAME_RATE */
	char quality[16], compression[16];	  /* DEFAULT_QUALITY, DEFAULT_COMPRESSION */
	int starting_max;			  /* PIPELINE_WORKER_COUNT: recorders that start at the same time */
	int timeout_s;				  /* PIPELINE_TIMEOUT_SECONDS: a recorder's silence before it is replaced */
	int segment_records;			  /* PIPELINE_BUFFER_SIZE */
};

/* The settings as plain values, so that tests need no configuration file. host_new_with copies the strings. NULL or "" selects the default
 * named here. */
struct host_settings {
	const char *data_dir;		/* instances live in DATA_DIR/xrdp/servers/{id} */
	const char *log_dir;		/* their logs in LOG_DIR/xrdp/servers/{id} */
	const char *runtime_dir;	/* hook socket, copies of records; root's */
	const char *xrdp, *sesman;	/* programs; found in /usr/sbin, /usr/local/sbin … */
	const char *xrdp_config;	/* the host's own configuration: /etc/xrdp */
	const char *xrdp_log;		/* where the host's own xrdp logs: /var/log */
	const char *cert_file, *key_file; /* PEM; if not given, generated once per host */
	const char *program;		/* this program, for pam_exec: /proc/self/exe */
	const char *preload;		/* the preload library: found beside this program; "" if it is missing */
	const char *const *desktop_profiles; /* "name=command", NULL-ended; NULL: found on the host */
	const char *desktop_default;	/* name; the first that is installed */
	const char *const *pam_session_exclude; /* modules of the host's PAM session stack that are left out; NULL: none */
	const char *node;
	const char *const *user_map; /* "user=account", NULL-ended: who owns the desktop of an account; NULL: the user of that name */
	int port_start, port_end;	/* range of RDP ports: no display of an instance may need one of them */
	const int *other_ports;		/* further ports of this program (those of the roles), 0-ended; NULL: none */
	struct login_settings login;
	const char *session_storage; /* SESSION_STORAGE_PATH: DATA_DIR/recordings */
	const char *chunk_storage;   /* CHUNK_STORAGE_PATH: the same as session_storage */
	const char *recorder;	     /* program that records: found beside this program; "" if it is missing */
	struct recording_settings recording;
	int64_t log_retention_days; /* how long the logs of a deleted server are kept; 0: not at all */
};
struct host *host_new_with(struct loop *l, const struct host_settings *s, host_event on_event, void *arg);

/* What the observing files (connections, desktops) do for those that run instances. Set by observe_init; NULL until then. */
struct instance_sessions {
	size_t active, disconnected, orphaned;
};
struct instance_hooks {
	void (*opened)(struct instance *i);  /* the instance runs or was adopted: start to observe it */
	void (*closed)(struct instance *i);  /* all its processes and files are gone: free i->observed */
	void (*sesman_lost)(struct instance *i); /* its sesman died: its desktops are orphans from now on */
	size_t (*desktops_live)(struct instance *i);
	json_t *(*desktops_list)(struct instance *i); /* array of DesktopSession; the caller frees */
	/* Ends all desktops, first by SIGTERM, then by SIGKILL, within a bounded time; `done` gets the array of those that ended. */
	void (*desktops_end_all)(struct instance *i, void (*done)(void *arg, json_t *consume_ended), void *arg);
	void (*sessions)(struct instance *i, struct instance_sessions *ret);
	json_t *(*connections)(const struct instance *i); /* counts and bound of its connections; the caller frees; NULL: not observed */
	json_t *(*displays_taken)(const struct instance *i); /* array of displays whose X name another process holds; the caller frees */
};

struct host {
	struct loop *loop;
	host_event on_event;
	void *event_arg;
	struct host_settings set; /* own copies, defaults filled in */
	const char *why_not;	  /* why no instance can be started with these settings: a sentence; else NULL */
	char boot_id[BOOT_ID_SIZE];
	char *hook_socket; /* RUNTIME_DIR/xrdp/hook.sock: named in the PAM files; bound by login/pam_hook.c */
	bool can_isolate;  /* this process may create mount namespaces */
	bool is_root;
	uid_t xrdp_uid;
	gid_t xrdp_gid;
	bool many_uids; /* the whole 32-bit range of uids is mapped in this user namespace */
	ino_t ns_inode; /* of the supervisor's own mount namespace */
	int cores;
	int64_t memory_mb;
	struct list instances; /* struct instance, node */
	size_t instances_n, instances_max;
	struct children *children;
	struct list answers;   /* host_answer */
	struct cgroups *cgroups;
	struct profiles *profiles;
	struct spares *spares;
	struct trash *trash;
	struct deleted_logs *deleted_logs;
	struct loop_timer *tick; /* once a second, for all instances together */
	unsigned ticks;
	int run_inotify; /* on /run: another process may remove /run/xrdp */
	struct loop_io *run_io;
	void (*stopped)(void *arg); /* host_stop_all */
	void *stopped_arg;
	struct instance_hooks hooks;
	struct observer *observer; /* private to the observing files */
	struct service_run *service_run; /* system_xrdp/service_steps.c: the operation on the host's own xrdp that is in progress */
	struct units *units; /* connection to systemd; opened when first needed */
	struct job *version_job;
	struct cert_watch *cert_watch;
	struct recover *recover;
	struct mounts *mounts;
	struct recordings *recordings;
	char xrdp_version[32];
};

/* Answers a request when the loop's turn ends, so that no answer arrives inside its call. Copies `message`. */
void host_answer(struct host *h, host_done done, void *arg, int err, const char *message, json_t *consume_out);
/* The mode of the directories above those of the instances: closed to every account but root, if we run as root. */
mode_t host_closed_mode(const struct host *h);
/* Publishes an event. `i` NULL: it is not about an instance. */
void host_tell(struct host *h, const char *topic, const struct instance *i, json_t *consume_data);
/* The same for a server that may be gone. The owner is the user of data.username; without it, none. */
void host_tell_of(struct host *h, const char *topic, const char *server_id, json_t *consume_data);

#endif
