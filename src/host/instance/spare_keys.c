#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host/kernel/fs.h"
#include "host/instance/run.h"
#include "sys/child/job.h"
#include "sys/child/spawn.h"

/* xrdp-keygen takes 200 to 400 ms: two files lie ready, the next are made as they are taken, one at a time. */
#define KEEP 2
#define KEYGEN_MS 20000
#define AFTER_MS 1000 /* a start that took one has its processor to itself first */

struct spares {
	struct host *host;
	struct job *job;
	struct loop_timer *soon;
	char *path[KEEP];
	bool ready[KEEP];
	size_t making;
	pid_t parent; /* of the job: this process */
	bool broken; /* no xrdp-keygen, or it cannot write: starts make do without */
};

struct spares *spares_new(struct host *h)
{
	struct spares *s = XNEW(struct spares);
	s->host = h;
	for (size_t n = 0; n < KEEP; n++) {
		s->path[n] = xasprintf("%s/xrdp/spare/rsakeys-%zu.ini", h->set.data_dir, n);
		s->ready[n] = access(s->path[n], R_OK) == 0;
	}
	return s;
}

void spares_free(struct spares *s)
{
	if (!s)
		return;
	job_cancel(s->job);
	loop_timer_free(s->soon);
	for (size_t n = 0; n < KEEP; n++)
		free(s->path[n]);
	free(s);
}

int rsa_keys_make(const char *to)
{
	pid_t pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL); /* with its job, which ends with the supervisor */
		execlp("xrdp-keygen", "xrdp-keygen", "xrdp", to, (char *)NULL);
		_exit(127);
	}
	int status = 0;
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		return -errno;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -ENOENT;
}

static int spare_generate(void *arg, UNUSED int out)
{
	const struct spares *s = arg;
	_cleanup_(xfreep) char *dir = xasprintf("%s/xrdp/spare", s->host->set.data_dir);
	_cleanup_(xfreep) char *tmp = xasprintf("%s.new", s->path[s->making]);
	child_tie(s->parent); /* nobody waits for the file if the supervisor is killed */
	setpriority(PRIO_PROCESS, 0, 10);
	if (fs_mkdirs(dir, 0700) < 0)
		return 1;
	unlink(tmp);
	return rsa_keys_make(tmp) < 0 || rename(tmp, s->path[s->making]) < 0;
}

static void on_soon(void *arg);

static void on_made(void *arg, int code, UNUSED const char *text, UNUSED size_t len)
{
	struct spares *s = arg;
	s->job = NULL;
	s->broken = code != 0;
	s->ready[s->making] = code == 0;
	on_soon(s);
}

static void on_soon(void *arg)
{
	struct spares *s = arg;
	if (s->job || s->broken || !s->host->can_isolate)
		return;
	for (size_t n = 0; n < KEEP; n++)
		if (!s->ready[n]) {
			s->making = n;
			s->parent = getpid();
			s->job = job_start(s->host->children, spare_generate, s, KEYGEN_MS, on_made, s);
			return;
		}
}

void spares_fill(struct spares *s)
{
	if (!s->soon)
		s->soon = loop_timer_new(s->host->loop, on_soon, s);
	loop_timer_set(s->soon, AFTER_MS);
}

bool spares_take(struct spares *s, const char *to)
{
	for (size_t n = 0; s && n < KEEP; n++)
		if (s->ready[n]) {
			s->ready[n] = false;
			if (rename(s->path[n], to) == 0)
				return true;
		}
	return false;
}
