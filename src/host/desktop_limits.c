#include "host/desktop_limits.h"

#include <stdio.h>

#include "host/watch.h"
#include "host/xprobe.h"
#include "lucid/clock.h"
#include "lucid/log.h"
#include "lucid/str.h"

/* A client that is taken over or comes again at once is not gone. */
#define KILL_GRACE_MS 3000
/* A desktop that began has this long to be connected to for the first time. */
#define FIRST_MS 60000

struct limits {
	int64_t idle_ms, gone_ms; /* 0: none; gone is at least the grace */
};

static struct limits limits_of(const struct instance *i)
{
	const json_t *desktop = doc_get(i->spec, "desktop");
	int64_t gone = doc_int(desktop, "disconnected_timeout", 0) * 1000;
	if (doc_bool(desktop, "kill_disconnected", false))
		gone = KILL_GRACE_MS;
	return (struct limits){ doc_int(desktop, "idle_timeout", 0) * 1000, gone };
}

/* --- nobody is connected */

static void on_ended(UNUSED void *arg, UNUSED int err, json_t *doc, UNUSED size_t processes, UNUSED size_t forced)
{
	json_decref(doc);
}

static void look_at_absence(struct desktop *d, int64_t limit_ms, int64_t now)
{
	if (d->state == DESKTOP_ACTIVE) {
		d->was_active = true;
		d->gone_ms = 0;
		return;
	}
	if (!d->gone_ms)
		d->gone_ms = now;
	int64_t allowed = d->was_active ? limit_ms : MAX(limit_ms, FIRST_MS);
	if (!limit_ms || now - d->gone_ms < allowed)
		return;
	log_info("host", "desktop :%d of server %s ends: nobody was connected to it for %lld s", d->display, d->instance->id,
		 (long long)(now - d->gone_ms) / 1000);
	d->end_reason = "disconnected_timeout";
	desktop_end(d, on_ended, NULL);
}

/* --- nobody touches it */

struct asking {
	struct host *host;
	char server_id[ID_UUID_SIZE];
	struct xprobes *probes;
};

static void on_cut(UNUSED void *arg, UNUSED int err, UNUSED const char *message, json_t *consume_out)
{
	json_decref(consume_out);
}

static void judge_idle(struct instance *i, struct desktop *d, int64_t idle_ms, int64_t limit_ms, int64_t now)
{
	const struct connection *c = connection_of_display(i, d->display);
	d->idle_seconds = idle_ms / 1000;
	if (idle_ms < limit_ms || !c) {
		d->idle_ask_ms = now + MAX(limit_ms - idle_ms, 1000);
		return;
	}
	d->idle_ask_ms = now + limit_ms;
	log_info("host", "desktop :%d of server %s: its client is disconnected, nobody touched it for %lld s", d->display, i->id,
		 (long long)idle_ms / 1000);
	_cleanup_(doc_unrefp) json_t *in = json_pack("{s:s, s:s}", "server_id", i->id, "id", c->id);
	host_connection_cut(i->host, in, on_cut, NULL);
}

static void on_idle(void *arg, UNUSED int code, const char *text, size_t len)
{
	struct asking *a = arg;
	struct instance *i = instance_find(a->host, a->server_id);
	const char *end = text + len;
	int64_t now = clock_mono_ms();
	if (i && i->see) {
		struct limits l = limits_of(i);
		i->see->idle_asking = false;
		for (const char *p = text, *line_end; p < end && (line_end = memchr(p, '\n', (size_t)(end - p))); p = line_end + 1) {
			int display;
			long long seconds;
			struct desktop *d;
			if (sscanf(p, "%d %lld", &display, &seconds) == 2 && (d = desktop_find(i, display)) && l.idle_ms)
				judge_idle(i, d, seconds * 1000, l.idle_ms, now);
		}
	}
	free(a->probes);
	free(a);
}

/* Ask the X servers whose time may have come, all in one job, one job at a time. */
static void look_at_idleness(struct instance *i, int64_t limit_ms, int64_t now)
{
	struct desktop *d;
	struct xprobes *p = NULL;
	LIST_FOREACH (d, &i->see->desktops, node) {
		if (d->state != DESKTOP_ACTIVE || !d->x_pid || d->ending) {
			d->idle_ask_ms = 0;
			continue;
		}
		if (!d->idle_ask_ms)
			d->idle_ask_ms = now + limit_ms; /* from its connection on */
		if (now < d->idle_ask_ms || i->see->idle_asking)
			continue;
		if (!p)
			p = xcalloc(1, sizeof *p + XPROBE_MAX * sizeof p->probe[0]);
		if (p->n < XPROBE_MAX)
			p->probe[p->n++] = (struct xprobe){ d->display, d->x_pid, d->x_start, d->uid, d->gid };
		d->idle_ask_ms = now + 1000; /* where it does not answer */
	}
	if (!p)
		return;
	struct asking *a = XNEW(struct asking);
	a->host = i->host;
	str_copy(a->server_id, sizeof a->server_id, i->id);
	a->probes = p;
	i->see->idle_asking = true;
	job_start(i->host, xprobe_question, p, XPROBE_DEADLINE_MS, on_idle, a);
}

void desktop_limits_sweep(struct instance *i)
{
	struct limits l = limits_of(i);
	int64_t now = clock_mono_ms();
	struct desktop *d;
	if (i->state != INSTANCE_RUNNING)
		return;
	/* an end of one never happens inside desktop_end */
	LIST_FOREACH (d, &i->see->desktops, node)
		if (!d->ending)
			look_at_absence(d, l.gone_ms, now);
	if (l.idle_ms)
		look_at_idleness(i, l.idle_ms, now);
}
