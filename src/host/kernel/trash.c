#include "host/kernel/trash.h"

#include <stdio.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "host/kernel/fs.h"
#include "lucid/log.h"
#include "lucid/str.h"
#include "sys/child/job.h"

#define EMPTY_MS 600000 /* deadline of a job; the next one continues */
#define IDLE_IO 3 << 13 /* ioprio_set(2): IOPRIO_CLASS_IDLE */

struct trash {
	struct host *host;
	char *dir[2];
	struct job *job;
	bool again, told; /* more was discarded while the job ran; a failure was logged */
};

char *trash_of_data(const struct host *h)
{
	return xasprintf("%s/xrdp/trash", h->set.data_dir);
}

char *trash_of_logs(const struct host *h)
{
	return xasprintf("%s/xrdp/trash", h->set.log_dir);
}

struct trash *trash_new(struct host *h)
{
	struct trash *t = XNEW(struct trash);
	*t = (struct trash){ .host = h, .dir = { trash_of_data(h), trash_of_logs(h) } };
	return t;
}

void trash_free(struct trash *t)
{
	if (!t)
		return;
	job_cancel(t->job);
	for (size_t n = 0; n < ARRAY_LEN(t->dir); n++)
		free(t->dir[n]);
	free(t);
}

static int trash_run(void *arg, int out)
{
	const struct trash *t = arg;
	int code = 0;
	setpriority(PRIO_PROCESS, 0, 19);
	syscall(SYS_ioprio_set, 1, 0, IDLE_IO);
	for (size_t n = 0; n < ARRAY_LEN(t->dir); n++) {
		int r = fs_empty(t->dir[n]);
		if (r < 0)
			dprintf(out, "%s: %s; remove it by hand. ", t->dir[n], strerror(-r));
		code |= r < 0;
	}
	return code;
}

static void on_emptied(void *arg, int code, const char *text, UNUSED size_t len)
{
	struct trash *t = arg;
	t->job = NULL;
	if (code > 0 && !t->told)
		log_warn("host", "files of deleted servers cannot be removed: %s", text);
	t->told = code > 0;
	if (t->again || code == -ERR_DEADLINE)
		trash_empty(t);
}

void trash_empty(struct trash *t)
{
	t->again = t->job != NULL;
	if (t->job || (access(t->dir[0], F_OK) < 0 && access(t->dir[1], F_OK) < 0))
		return;
	t->job = job_start(t->host->children, trash_run, t, EMPTY_MS, on_emptied, t);
}
