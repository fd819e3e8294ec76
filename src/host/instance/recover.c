#include "host/instance/recover.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "host/instance/cert_watch.h"
#include "host/instance/instance.h"
#include "host/kernel/fs.h"
#include "host/reasons.h"
#include "host/instance/run.h"
#include "lucid/clock.h"
#include "lucid/log.h"
#include "lucid/str.h"
#include "sys/child/job.h"

#define LOOK_EVERY_MS 60000
#define WANTED_EVERY_MS 3000 /* after a request for readiness, or while a server waits for a retry */
#define JOB_MS 5000
#define TRY_MS 3000 /* until the first retry; doubles up to TRY_MAX_MS */
#define TRY_MAX_MS 60000

struct recover {
	struct host *host;
	struct job *job;
	int64_t looked_ms; /* monotonic; 0: never */
	bool wanted;
	struct reason why; /* word "": all directories are writable */
};

struct recover *recover_new(struct host *h)
{
	struct recover *r = XNEW(struct recover);
	r->host = h;
	return r;
}

void recover_free(struct recover *r)
{
	if (r)
		job_cancel(r->job);
	free(r);
}

/* Writes a file, because the free space does not show a quota or the blocks that the file system reserves. */
static int write_one(const char *dir)
{
	static char text[4097];
	_cleanup_(xfreep) char *path = xasprintf("%s/.probe-%d", dir, getpid());
	memset(text, '\n', sizeof text - 1);
	int r = fs_write(path, text, 0600, 0);
	unlink(path);
	return r;
}

static int check_directories(void *arg, int out)
{
	const struct host *h = arg;
	_cleanup_(xfreep) char *data = xasprintf("%s/xrdp", h->set.data_dir);
	const char *const dirs[] = { data, h->set.log_dir, h->set.runtime_dir };
	struct reason why = { 0 };
	int err = 0;
	for (size_t n = 0; n < ARRAY_LEN(dirs) && !err; n++) {
		err = -write_one(dirs[n]);
		if (err == ENOENT) /* it is created when it is needed */
			err = 0;
		if (err)
			reason_of_path(h, dirs[n], err, &why);
	}
	if (!err && access("/tmp", W_OK) < 0) {
		err = errno;
		reason_of_path(h, "/tmp", err, &why);
	}
	if (err)
		reason_print(&why, out);
	return err ? 1 : 0;
}

static void on_looked(void *arg, int code, const char *text, UNUSED size_t len)
{
	struct recover *r = arg;
	struct reason why = { 0 };
	r->job = NULL;
	r->looked_ms = clock_mono_ms();
	if (code != 0 && (code != 1 || !reason_parse(text, &why)))
		return;
	if (!str_eq(why.line, r->why.line)) {
		if (why.word[0])
			log_error("host", "%s: servers cannot be started or changed", why.line);
		else
			log_info("host", "all directories can be written again");
	}
	r->why = why;
}

/* Whether the cause seems to have passed. */
static bool may_try(const struct recover *r, const struct instance *i)
{
	return reason_is_of_certificate(i->reason) ? !cert_watch_fault(r->host->cert_watch) : r->looked_ms && !r->why.word[0];
}

static void recover_one(struct recover *r, struct instance *i)
{
	int64_t now = clock_mono_ms();
	if (!i->recover_ms) {
		i->recover_ms = now + MIN((int64_t)TRY_MS << MIN(i->recover_tries, 5U), TRY_MAX_MS);
		r->wanted = true;
		return;
	}
	r->wanted = true;
	if (now < i->recover_ms || !may_try(r, i))
		return;
	i->recover_ms = 0;
	i->recover_tries++;
	log_info("host", "server %s: restarting, because the cause of its failure (%s) is gone", i->id, i->reason);
	start_recover(i);
}

void recover_tick(struct recover *r)
{
	struct instance *i;
	int64_t age = clock_mono_ms() - r->looked_ms;
	INSTANCE_FOREACH(i, r->host) {
		if (i->state == INSTANCE_RUNNING)
			i->recover_ms = i->recover_tries = 0;
		else if (i->state == INSTANCE_FAILED && i->reason && reason_heals(i->reason) && !i->begin_again && !i->job &&
			 !str_eq(doc_str(i->spec, "restart_policy", ""), "never"))
			recover_one(r, i);
	}
	if (r->job || age < (r->wanted ? WANTED_EVERY_MS : LOOK_EVERY_MS))
		return;
	r->wanted = false;
	r->job = job_start(r->host->children, check_directories, r->host, JOB_MS, on_looked, r);
}

void recover_look(struct recover *r)
{
	r->looked_ms = 0;
	r->wanted = true;
}

const char *recover_fault(struct recover *r)
{
	r->wanted = true;
	return r->why.word[0] ? r->why.told : NULL;
}
