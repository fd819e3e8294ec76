/*
 * core: what the files of this room share: the host, its settings, where things lie. Floor F3, supervisor only, loop thread.
 * Not for anybody outside src/host; they see host.h.
 */
#ifndef HOST_CORE_H
#define HOST_CORE_H

#include "host/host.h"
#include "lucid/list.h"

struct cgroups;
struct profiles;
struct spares;
struct see;
struct service_run;
struct units;
struct instance;
struct job;

/* All that comes from configuration, as plain values, so that tests need no configuration. Strings are borrowed for the
 * length of host_new_with, which copies them; NULL or "" takes the default that is named. */
struct host_settings {
	const char *data_dir;		/* instances live in DATA_DIR/xrdp/servers/{id} */
	const char *log_dir;		/* their logs in LOG_DIR/xrdp/servers/{id} */
	const char *runtime_dir;	/* hook socket and the like; root's */
	const char *xrdp, *sesman;	/* programs; found in /usr/sbin, /usr/local/sbin … */
	const char *xrdp_config;	/* the host's own configuration: /etc/xrdp */
	const char *xrdp_log;		/* where the host's own xrdp logs: /var/log */
	const char *cert_file, *key_file; /* PEM; made once per host when not given */
	const char *program;		/* this program, for pam_exec: /proc/self/exe */
	const char *const *desktop_profiles; /* "name=command", NULL-ended; NULL: found on the host */
	const char *desktop_default;	/* name; the first that is installed */
	const char *node;
	const char *const *user_map; /* "user=account", NULL-ended: whose a found desktop is; NULL: everybody's own name */
	int port_start, port_end;	/* of RDP ports: no display of ours may need one of them */
	const int *other_ports;		/* further ports of ours (the roles'), 0-ended; NULL: none */
};
struct host *host_new_with(struct loop *l, const struct host_settings *s, host_event on_event, void *arg);

/* What the seeing half (connections, desktops) does for the running half. Set by see_init; any may be NULL until then. */
struct instance_sessions {
	size_t active, disconnected, orphaned;
};
struct instance_hooks {
	void (*opened)(struct instance *i);  /* the instance runs or was adopted: begin to watch it */
	void (*closed)(struct instance *i);  /* everything of it is gone: forget it; i->see is freed here */
	void (*sesman_lost)(struct instance *i); /* its sesman died: desktops that are there are orphans from now on */
	size_t (*desktops_live)(struct instance *i);
	json_t *(*desktops_list)(struct instance *i); /* array of DesktopSession, the caller's */
	/* End them all (gently, then by force; bounded in time), then done with the array of those ended. */
	void (*desktops_end_all)(struct instance *i, void (*done)(void *arg, json_t *consume_ended), void *arg);
	void (*sessions)(struct instance *i, struct instance_sessions *ret);
};

struct host {
	struct loop *loop;
	host_event on_event;
	void *event_arg;
	struct host_settings set; /* own copies, defaults filled in */
	const char *why_not;	  /* settings that cannot work: a sentence; else NULL */
	char boot_id[40];
	char *hook_socket; /* RUNTIME_DIR/xrdp/hook.sock: named in the PAM files; bound by the seeing half */
	bool can_isolate;  /* mount namespaces are permitted */
	bool is_root;
	uid_t xrdp_uid;
	gid_t xrdp_gid;
	int cores;
	int64_t memory_mb;
	struct list instances; /* struct instance, node */
	struct list watches;   /* watch.h */
	struct list answers;   /* host_answer */
	struct list jobs;      /* watch.h */
	int passed_fd;	       /* watch.c: what a job handed over, during its done */
	struct cgroups *cgroups;
	struct profiles *profiles;
	struct spares *spares;
	struct loop_timer *tick; /* once a second, for all instances together */
	unsigned ticks;
	int run_inotify; /* /run: somebody may remove /run/xrdp under us */
	struct loop_io *run_io;
	void (*stopped)(void *arg); /* host_stop_all */
	void *stopped_arg;
	struct instance_hooks hooks;
	struct see *see; /* the seeing half's own */
	struct service_run *service_run; /* hostcfg_steps.c: what is being done to the host's own xrdp */
	struct units *units; /* systemd's; made when first needed */
	struct job *version_job;
	char cert_fingerprint[65];
	char xrdp_version[32];
};

/* Answer an entry at the end of the loop's turn, so that no answer arrives inside its call. `message` is copied. */
void host_answer(struct host *h, host_done done, void *arg, int err, const char *message, json_t *consume_out);
/* Tell of an event; data is consumed. */
void host_tell(struct host *h, const char *topic, const struct instance *i, json_t *consume_data);

#endif
