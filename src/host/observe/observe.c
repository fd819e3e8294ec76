#include "host/observe/observe.h"

#include <stdio.h>
#include <sys/inotify.h>

#include "host/desktop/limits.h"
#include "host/login/login_guard.h"
#include "host/login/quota_statement.h"
#include "host/observe/observed.h"
#include "host/desktop/xprobe.h"
#include "lucid/clock.h"
#include "lucid/log.h"
#include "lucid/str.h"
#include "sys/child/job.h"

#define SWEEP_MS 1000
/* While a login is in progress, so that its session is soon known. */
#define LOGIN_SWEEP_MS 200
/* At least between two sweeps, when a process has ended. */
#define SOON_MS 50
/* How long the answers of the X servers are reused. */
#define IDLE_FRESH_MS 1000

struct instance *instance_of_request(struct host *h, const json_t *in, host_done done, void *arg)
{
	struct instance *i = instance_find(h, doc_str(in, "server_id", ""));
	if (i && i->observed)
		return i;
	host_answer(h, done, arg, -ERR_INSTANCE_NOT_FOUND, "no instance of this server runs here; start the server first", NULL);
	return NULL;
}

/* --- hooks for the files that run instances */

static void instance_opened(struct instance *i)
{
	if (i->observed)
		return;
	i->observed = XNEW(struct observed);
	list_init(&i->observed->desktops);
	list_init(&i->observed->connections);
	list_init(&i->observed->logins);
	desktops_restore(i);
	loop_timer_set(i->host->observer->sweep, 0);
}

static void instance_closed(struct instance *i)
{
	struct desktop *d, *next;
	if (!i->observed)
		return;
	connections_forget(i);
	logins_forget(i);
	job_cancel(i->observed->binding);
	LIST_FOREACH_SAFE (d, next, &i->observed->desktops, node)
		desktop_free(d);
	free(TAKE_PTR(i->observed));
}

static void sesman_lost(struct instance *i)
{
	if (!i->observed)
		return;
	i->observed->pids_hash = 0;
	desktops_catch_up(i);
	desktops_judge(i);
}

static void sessions(struct instance *i, struct instance_sessions *ret)
{
	struct desktop *d;
	*ret = (struct instance_sessions){ 0 };
	if (!i->observed)
		return;
	LIST_FOREACH (d, &i->observed->desktops, node) {
		size_t *of[] = { &ret->active, &ret->disconnected, &ret->orphaned };
		(*of[d->state])++;
	}
}

static size_t desktops_live(struct instance *i)
{
	struct instance_sessions s;
	if (i->observed)
		desktops_catch_up(i);
	sessions(i, &s);
	return s.active + s.disconnected + s.orphaned;
}

static json_t *desktops_list(struct instance *i)
{
	json_t *list = json_array();
	struct desktop *d;
	if (!i->observed)
		return list;
	LIST_FOREACH (d, &i->observed->desktops, node)
		json_array_append_new(list, desktop_doc(d));
	return list;
}

/* --- the sweep */

static void on_desktops_sweep(void *arg)
{
	struct host *h = arg;
	struct instance *i, *next;
	bool any = false, login = false;
	h->observer->swept_ms = clock_mono_ms();
	LIST_FOREACH_SAFE (i, next, &h->instances, node) {
		if (!i->observed)
			continue;
		any = true;
		desktops_sweep(i);
	}
	if (!any)
		return;
	connections_look(h);
	INSTANCE_FOREACH (i, h)
		if (i->observed) {
			desktops_judge(i);
			desktop_limits_sweep(i);
			logins_sweep(i);
			taken_names_sweep(i);
			login = login || logins_expected(i);
		}
	logins_cut_strangers(h);
	stats_sample(h->observer);
	loop_timer_set(h->observer->sweep, login ? LOGIN_SWEEP_MS : SWEEP_MS);
}

void observe_soon(struct host *h)
{
	loop_timer_set(h->observer->sweep, MAX(h->observer->swept_ms + SOON_MS - clock_mono_ms(), 0));
}

static void on_rush(void *arg)
{
	connections_sweep(arg);
}

static void on_inotify(UNUSED int events, void *arg)
{
	desktops_inotify(arg);
}

void observe_init(struct host *h)
{
	struct observer *s = h->observer = XNEW(struct observer);
	h->hooks = (struct instance_hooks){
		.opened = instance_opened,
		.closed = instance_closed,
		.sesman_lost = sesman_lost,
		.desktops_live = desktops_live,
		.desktops_list = desktops_list,
		.desktops_end_all = desktops_end_all,
		.sessions = sessions,
		.connections = connection_bounds_doc,
		.displays_taken = taken_names_doc,
	};
	s->sweep = loop_timer_new(h->loop, on_desktops_sweep, h);
	s->rush = loop_timer_new(h->loop, on_rush, h);
	s->login_poll = loop_timer_new(h->loop, logins_poll, h);
	s->guard = login_guard_new();
	s->quotas = quota_statement_new();
	s->inotify_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (s->inotify_fd >= 0)
		s->inotify_io = loop_io_new(h->loop, s->inotify_fd, LOOP_READ, on_inotify, h);
	hook_open(h);
}

void observe_free(struct host *h)
{
	struct observer *s = h->observer;
	struct instance *i;
	if (!s)
		return;
	INSTANCE_FOREACH (i, h)
		instance_closed(i);
	hook_close(h);
	loop_timer_free(s->sweep);
	loop_timer_free(s->rush);
	loop_timer_free(s->login_poll);
	login_guard_free(s->guard);
	quota_statement_free(s->quotas);
	loop_io_free(s->inotify_io);
	fd_close(&s->inotify_fd);
	h->observer = NULL;
	free(s);
}

/* --- entries: desktops */

static json_t *desktops_answer(struct instance *i)
{
	json_t *out = json_object();
	doc_set(out, "desktops", desktops_list(i));
	return out;
}

/* A request for the list that waits for the answers of the X servers. */
struct asking {
	struct host *host;
	char server_id[ID_UUID_SIZE];
	struct xprobes *probes;
	host_done done;
	void *arg;
};

static void on_desktops_probed(void *arg, UNUSED int code, const char *text, size_t len)
{
	struct asking *a = arg;
	struct instance *i = instance_find(a->host, a->server_id);
	const char *end = text + len;
	if (!i || !i->observed) {
		host_answer(a->host, a->done, a->arg, -ERR_INSTANCE_NOT_FOUND, NULL, NULL);
	} else {
		struct desktop *d;
		LIST_FOREACH (d, &i->observed->desktops, node)
			d->idle_seconds = -1;
		for (const char *p = text; p < end; p = strchr(p, '\n') + 1) {
			int display;
			long long idle_ms;
			if (!memchr(p, '\n', (size_t)(end - p)) || sscanf(p, "%d %lld", &display, &idle_ms) != 2)
				break;
			d = desktop_find(i, display);
			if (d)
				d->idle_seconds = idle_ms / 1000;
		}
		i->observed->idle_ms = clock_mono_ms();
		host_answer(a->host, a->done, a->arg, 0, NULL, desktops_answer(i));
	}
	free(a->probes);
	free(a);
}

static struct xprobes *probes_of(struct instance *i)
{
	struct xprobes *p = xcalloc(1, sizeof *p + XPROBE_MAX * sizeof p->probe[0]);
	struct desktop *d;
	LIST_FOREACH (d, &i->observed->desktops, node)
		if (d->x_pid && p->n < XPROBE_MAX)
			p->probe[p->n++] = (struct xprobe){ d->display, d->x_pid, d->x_start, d->uid, d->gid };
	return p;
}

void host_desktops(struct host *h, const json_t *in, host_done done, void *arg)
{
	struct instance *i = instance_of_request(h, in, done, arg);
	if (!i)
		return;
	desktops_sweep(i);
	connections_sweep(h);
	desktops_judge(i);
	struct xprobes *probes = probes_of(i);
	if (!probes->n || (i->observed->idle_ms && clock_mono_ms() - i->observed->idle_ms < IDLE_FRESH_MS)) {
		free(probes);
		host_answer(h, done, arg, 0, NULL, desktops_answer(i));
		return;
	}
	struct asking *a = XNEW(struct asking);
	a->host = h;
	str_copy(a->server_id, sizeof a->server_id, i->id);
	a->probes = probes;
	a->done = done;
	a->arg = arg;
	if (!job_start(h->children, xprobe_question, probes, XPROBE_DEADLINE_MS, on_desktops_probed, a)) {
		free(probes);
		free(a);
		host_answer(h, done, arg, 0, NULL, desktops_answer(i));
	}
}

struct ending_one {
	struct host *host;
	host_done done;
	void *arg;
};

static void on_ended(void *arg, int err, json_t *doc, size_t processes, size_t forced)
{
	struct ending_one *e = arg;
	json_t *out = err ? NULL : json_object();
	if (out) {
		doc_set(out, "ended", doc);
		doc_set_int(out, "processes", (int64_t)processes);
		doc_set_int(out, "forced", (int64_t)forced);
	}
	host_answer(e->host, e->done, e->arg, err,
		    err ? "the desktop has processes that do not end even after SIGKILL; check them on the host" : NULL, out);
	free(e);
}

void host_desktop_end(struct host *h, const json_t *in, host_done done, void *arg)
{
	struct instance *i = instance_of_request(h, in, done, arg);
	if (!i)
		return;
	desktops_catch_up(i);
	struct desktop *d = desktop_find(i, (int)doc_int(in, "display", 0));
	if (!d) {
		host_answer(h, done, arg, -ERR_INSTANCE_NOT_FOUND, "no desktop has this display; GET …/desktops lists the live desktops", NULL);
		return;
	}
	struct ending_one *e = XNEW(struct ending_one);
	e->host = h;
	e->done = done;
	e->arg = arg;
	desktop_end(d, on_ended, e);
}
