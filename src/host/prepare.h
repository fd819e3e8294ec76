/* prepare: everything an instance needs before its daemons start, done in a job: directories, files, certificate, keys,
 * namespace. Floor F3. Also what is cleaned up after the last process of an instance has gone. */
#ifndef HOST_PREPARE_H
#define HOST_PREPARE_H

#include "host/ini.h"
#include "host/instance.h"
#include "host/watch.h"

struct prepare_in {
	struct host *host;
	struct instance *instance;
	const json_t *spec;
	const char *command; /* of the profile */
	bool make_ns;	     /* else only the files are written anew */
	pid_t parent; /* a successor begins with these files where it finds them: we write none after our parent's end */
};
/* Job functions. prepare_run passes the namespace and prints "fingerprint HEX" or, failing, one line that says why. */
int prepare_run(void *in, int out);
enum { PREPARE_OK = 0, PREPARE_FILES = 10, PREPARE_NAMESPACE = 11 };

struct cleanup_in {
	struct instance *instance;
	bool remove; /* also what is kept for the next start, and the logs */
	pid_t parent;
};
int prepare_cleanup(void *in, int out);

/* The texts of the two ini files for a specification, also for a server that never ran. */
void prepare_ini_in(struct host *h, const struct instance *i, const json_t *spec, struct ini_in *ret);

#endif
