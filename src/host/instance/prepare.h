/* prepare: makes what an instance needs before its daemons start: directories, files, certificate, keys, namespace; and removes it after
 * its last process has ended. Floor F3; runs in jobs. */
#ifndef HOST_INSTANCE_PREPARE_H
#define HOST_INSTANCE_PREPARE_H

#include "host/xrdp_config/ini.h"
#include "host/instance/instance.h"

struct prepare_in {
	struct host *host;
	struct instance *instance;
	const json_t *spec;
	const char *profile, *command; /* its name, and what it runs */
	bool make_ns;	     /* else only the files are rewritten */
	pid_t parent; /* the supervisor: the job ends with it, because the next supervisor may work on the same files */
};
/* Job functions. prepare_run passes the descriptor of the namespace and prints lines "note …" (pam_session.h), then "certificate HEX FROM
 * UNTIL WAS" (times in ms, WAS may be missing) or, on failure, a reason (reasons.h). It replaces all files of a running instance, or none.
 * */
int prepare_run(void *in, int out);
enum { PREPARE_OK = 0, PREPARE_FILES = 10, PREPARE_NAMESPACE = 11 };

struct cleanup_in {
	struct instance *instance;
	bool remove; /* also removes the logs and what is kept for the next start */
	pid_t parent;
};
int prepare_cleanup(void *in, int out);

/* What its namespace is made of and restored from; borrows the paths of the instance. */
void prepare_ns_plan(const struct instance *i, struct ns_plan *ret);

/* The input of ini.h and pam_file.h for a definition; also for a server that never ran. */
void prepare_ini_in(struct host *h, const struct instance *i, const json_t *spec, struct ini_in *ret);

#endif
