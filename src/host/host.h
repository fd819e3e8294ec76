/*
 * host: xrdp instances and everything else that is done to a host. Floor F3. Runs in the supervisor only: as root, or with reduced
 * isolation as an ordinary user; one thread. The loop never blocks; slow work runs in a short-lived child with a deadline.
 *
 * Each entry takes a checked document and answers later, exactly once, through `done`. The supervisor binds the entries by name to the rows
 * host.* of roles/contract/host.c. No text of a document becomes a path, a configuration line or a command.
 */
#ifndef HOST_HOST_H
#define HOST_HOST_H

#include "host/callbacks.h"
#include "lucid/config.h"
#include "lucid/doc.h"
#include "lucid/errs.h"
#include "lucid/loop.h"

struct host;

typedef void (*host_fn)(struct host *h, const json_t *in, host_done done, void *arg);
/* For an answer too large for a document: returns a descriptor that the caller reads to its end and closes, or a negated error code, with a
 * static sentence or NULL for the text of the code. Answers at once. */
typedef int (*host_open_fn)(struct host *h, const json_t *in, const char **ret_why);
struct host_entry {
	const char *op; /* "host.instance.start" */
	host_fn fn;	/* one of the two */
	host_open_fn open;
	bool ends; /* it ends something: not refused when too many jobs run */
	const char *media; /* of `open`; NULL: text */
};
extern const struct host_entry host_entries[];
extern const size_t host_entries_n;

struct host *host_new(struct loop *l, const struct config *c, host_event on_event, void *arg);
/* Applies the settings that may change without a restart: RDP_USER_MAP from the next event on, login bounds, and the certificate of
 * instances if its files were renewed. */
void host_reload(struct host *h, const struct config *c);
/* Adopts the running instances from their records and starts to observe. Called once, before the first entry. */
void host_adopt(struct host *h);
/* Stops every instance with its desktops (--stop-servers), then calls `done`. */
void host_stop_all(struct host *h, void (*done)(void *arg), void *arg);
/* Frees the host; instances and desktops keep running. */
void host_free(struct host *h);

/* Bounds that the supervisor keeps whatever the server requests: jobs, and instances (fewer if the limit on open files is low). Calls
 * beyond them fail with ERR_BUSY. */
#define HOST_JOBS_MAX 1024
#define HOST_INSTANCES_MAX 1000
size_t host_jobs(const struct host *h); /* running now */

/* For a supervisor that is init (PID 1) or a subreaper, and so reaps every child: reports a child that the supervisor itself did not start.
 * */
void host_child_exited(struct host *h, int pid, int status);

/* The sub-command that pam_exec runs (argv after "pam-hook"); returns the exit code. Needs neither loop nor configuration. */
int host_pam_hook(int argc, char **argv);

#endif
