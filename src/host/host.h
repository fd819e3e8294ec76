/*
 * host: all that is done to a host. Floor F3; lives in the supervisor's process alone: root (or, degraded, an ordinary
 * user), one thread, the loop never blocks: what takes long runs in a short-lived child with a deadline.
 *
 * Every entry takes a checked document and answers later, exactly once, through `done`. The supervisor binds the entries to
 * the rows host.* of roles/contract/host.c by name. Nothing in a document can become a path, a line or a command.
 */
#ifndef HOST_HOST_H
#define HOST_HOST_H

#include "lucid/config.h"
#include "lucid/doc.h"
#include "lucid/errs.h"
#include "lucid/loop.h"

struct host;

/* err 0: `out` is the answer (consumed by done's callee; may be NULL). Else `message` says what to do (NULL: the code's
 * text) and `out`, if any, is the details array. */
typedef void (*host_done)(void *arg, int err, const char *message, json_t *consume_out);
typedef void (*host_fn)(struct host *h, const json_t *in, host_done done, void *arg);
/* Of what is too large for a document: a descriptor, the caller's, to be read to its end; or a negated code, with a sentence
 * (static) or NULL for the code's own. Answers at once. */
typedef int (*host_open_fn)(struct host *h, const json_t *in, const char **ret_why);
struct host_entry {
	const char *op; /* "host.instance.start" */
	host_fn fn;	/* one of the two */
	host_open_fn open;
};
extern const struct host_entry host_entries[];
extern const size_t host_entries_n;

/* Something happened: topic "xrdp.…", server id, owner (user_id of the spec or ""), data consumed. */
typedef void (*host_event)(void *arg, const char *topic, const char *server_id, const char *user_id, json_t *consume_data);

struct host *host_new(struct loop *l, const struct config *c, host_event on_event, void *arg);
/* Take up what may change live: whose a desktop is (RDP_USER_MAP), from the next event on. */
void host_reload(struct host *h, const struct config *c);
/* Find running instances again from their records, adopt them, begin to watch. Called once, before the first entry. */
void host_adopt(struct host *h);
/* End every instance and its desktops (--stop-servers), then done. */
void host_stop_all(struct host *h, void (*done)(void *arg), void *arg);
/* Forget everything, touch nothing: what runs goes on. */
void host_free(struct host *h);

/* As init (PID 1) or subreaper the supervisor reaps; it tells of each child that is not its own here. */
void host_child_exited(struct host *h, int pid, int status);

/* The sub-command that pam_exec runs (argv after "pam-hook"); returns the exit code. Needs no loop, no configuration. */
int host_pam_hook(int argc, char **argv);

#endif
