#include "host/observe/deleted_logs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/instance/instance.h"
#include "host/kernel/fs.h"
#include "host/instance/run.h"
#include "host/kernel/trash.h"
#include "lucid/clock.h"
#include "lucid/id.h"
#include "lucid/log.h"
#include "lucid/str.h"
#include "sys/child/job.h"
#include "sys/files.h"

#define ABOUT "server.json" /* beside the logs: server_id, name, user_id */
#define ABOUT_MAX 8192
#define SWEEP_EVERY_MS (3600 * 1000)
#define SWEEP_MS 60000
#define LIST_MS 10000
#define LIST_BYTES (JOB_MAX_OUT - 4096)
#define DAY_MS (24 * 3600 * 1000LL)

struct deleted_logs {
	struct host *host;
	struct loop_timer *timer;
	struct job *job;
};

static char *root_of(const struct host *h)
{
	return xasprintf("%s/xrdp/deleted", h->set.log_dir);
}

char *deleted_logs_dir(const struct host *h, const char *server_id)
{
	return xasprintf("%s/xrdp/deleted/%s", h->set.log_dir, server_id);
}

int deleted_logs_about(const struct instance *i, const json_t *spec)
{
	static const char *const members[] = { "server_id", "name", "user_id" };
	_cleanup_(doc_unrefp) json_t *doc = json_object();
	for (size_t n = 0; n < ARRAY_LEN(members); n++)
		doc_set_str(doc, members[n], doc_str(spec, members[n], NULL));
	_cleanup_(xfreep) char *path = xasprintf("%s/" ABOUT, i->log), *text = doc_text(doc);
	return fs_write(path, text, 0600, 0);
}

/* --- the logs that are kept, in a job */

struct kept {
	char id[ID_UUID_SIZE];
	int64_t deleted_ms, bytes;
};
struct kept_list {
	struct kept *v;
	size_t n;
};

static int64_t bytes_in(const char *dir)
{
	int64_t bytes = 0;
	DIR *d = opendir(dir);
	struct dirent *e;
	struct stat st;
	while (d && (e = readdir(d)))
		if (fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode))
			bytes += (int64_t)st.st_blocks * 512;
	if (d)
		closedir(d);
	return bytes;
}

static int newest_first(const void *a, const void *b)
{
	const struct kept *x = a, *y = b;
	return x->deleted_ms != y->deleted_ms ? (x->deleted_ms < y->deleted_ms ? 1 : -1) : strcmp(x->id, y->id);
}

/* The modification time of a directory here is when its server was deleted. */
static struct kept_list kept_list_read(const struct host *h)
{
	struct kept_list l = { 0 };
	_cleanup_(xfreep) char *root = root_of(h);
	DIR *d = opendir(root);
	struct dirent *e;
	struct stat st;
	while (d && (e = readdir(d))) {
		if (!id_is_uuid(e->d_name) || fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISDIR(st.st_mode))
			continue;
		_cleanup_(xfreep) char *dir = deleted_logs_dir(h, e->d_name);
		l.v = xrealloc(l.v, (l.n + 1) * sizeof *l.v);
		struct kept *k = &l.v[l.n++];
		str_copy(k->id, sizeof k->id, e->d_name);
		k->deleted_ms = (int64_t)st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000;
		k->bytes = bytes_in(dir);
	}
	if (d)
		closedir(d);
	if (l.n)
		qsort(l.v, l.n, sizeof *l.v, newest_first);
	return l;
}

static int sweep_begin(const struct host *h)
{
	struct kept_list l = kept_list_read(h);
	int64_t oldest_ms = clock_wall_ms() - h->set.log_retention_days * DAY_MS, bytes = 0;
	int code = 0;
	for (size_t n = 0; n < l.n; n++) {
		bytes += l.v[n].bytes;
		if (n < DELETED_LOGS_MAX && bytes <= DELETED_LOGS_BYTES && l.v[n].deleted_ms > oldest_ms)
			continue;
		_cleanup_(xfreep) char *dir = deleted_logs_dir(h, l.v[n].id);
		bytes -= l.v[n].bytes;
		code |= fs_remove_tree(dir) < 0;
	}
	free(l.v);
	return code;
}

void deleted_logs_keep(const struct instance *i)
{
	const struct host *h = i->host;
	_cleanup_(xfreep) char *root = root_of(h), *to = deleted_logs_dir(h, i->id), *trash = trash_of_logs(h);
	if (access(i->log, F_OK) < 0)
		return;
	if (h->set.log_retention_days <= 0 || fs_mkdirs(root, 0700) < 0 || chmod(root, 0700) < 0) {
		fs_discard(i->log, trash);
		return;
	}
	fs_discard(to, trash); /* of an earlier server with that id */
	if (rename(i->log, to) < 0)
		fs_discard(i->log, trash);
	else if (chmod(to, 0700) == 0)
		utimensat(AT_FDCWD, to, NULL, 0);
	sweep_begin(h);
}

/* --- the sweep */

static int run_sweep(void *arg, UNUSED int out)
{
	return sweep_begin(arg);
}

static void on_swept(void *arg, int code, UNUSED const char *text, UNUSED size_t len)
{
	struct deleted_logs *d = arg;
	d->job = NULL;
	if (code)
		log_warn("host", "some logs of deleted servers in LOG_DIR/xrdp/deleted could not be removed; retrying in an hour");
}

void deleted_logs_sweep(struct deleted_logs *d)
{
	loop_timer_set(d->timer, SWEEP_EVERY_MS);
	if (!d->job)
		d->job = job_start(d->host->children, run_sweep, d->host, SWEEP_MS, on_swept, d);
}

static void on_sweep_due(void *arg)
{
	deleted_logs_sweep(arg);
}

struct deleted_logs *deleted_logs_new(struct host *h)
{
	struct deleted_logs *d = XNEW(struct deleted_logs);
	d->host = h;
	d->timer = loop_timer_new(h->loop, on_sweep_due, d);
	return d;
}

void deleted_logs_free(struct deleted_logs *d)
{
	if (!d)
		return;
	job_cancel(d->job);
	loop_timer_free(d->timer);
	free(d);
}

/* --- the list */

static json_t *log_doc(const struct host *h, const struct kept *k)
{
	_cleanup_(xfreep) char *path = xasprintf("%s/xrdp/deleted/%s/" ABOUT, h->set.log_dir, k->id), *text = file_read(path, ABOUT_MAX, NULL);
	_cleanup_(doc_unrefp) json_t *about = text ? doc_parse(text, strlen(text), NULL, 0) : NULL;
	json_t *row = json_object();
	doc_set_str(row, "server_id", k->id);
	doc_set_str(row, "name", doc_str(about, "name", NULL));
	doc_set_str(row, "user_id", doc_str(about, "user_id", NULL));
	doc_set_time(row, "deleted_at", k->deleted_ms);
	doc_set_int(row, "size_bytes", k->bytes);
	return row;
}

static int run_list(void *arg, int out)
{
	const struct host *h = arg;
	struct kept_list l = kept_list_read(h);
	size_t bytes = 0, n = 0;
	dprintf(out, "{\"logs\":[");
	for (; n < l.n; n++) {
		_cleanup_(doc_unrefp) json_t *row = log_doc(h, &l.v[n]);
		_cleanup_(xfreep) char *text = doc_text(row);
		bytes += strlen(text) + 1;
		if (bytes > LIST_BYTES)
			break;
		dprintf(out, "%s%s", n ? "," : "", text);
	}
	dprintf(out, "],\"truncated\":%s}", n < l.n ? "true" : "false");
	free(l.v);
	return 0;
}

struct listing {
	struct host *host;
	host_done done;
	void *arg;
};

static void on_listed(void *arg, int code, const char *text, size_t len)
{
	_cleanup_(xfreep) struct listing *w = arg;
	json_t *doc = code == 0 ? doc_parse(text, len, NULL, 0) : NULL;
	if (doc)
		host_answer(w->host, w->done, w->arg, ERR_OK, NULL, doc);
	else
		host_answer(w->host, w->done, w->arg, code == -ERR_DEADLINE ? ERR_DEADLINE : ERR_INTERNAL,
			    "the logs of deleted servers could not be listed; the log has the cause", NULL);
}

void host_deleted_logs(struct host *h, UNUSED const json_t *in, host_done done, void *arg)
{
	struct listing *w = XNEW(struct listing);
	*w = (struct listing){ h, done, arg };
	job_start(h->children, run_list, h, LIST_MS, on_listed, w);
}
