#include "host/desktop/limits.h"

#include <stdio.h>
#include <unistd.h>

#include "host/desktop/xprobe.h"
#include "lucid/clock.h"
#include "lucid/log.h"
#include "lucid/str.h"
#include "sys/child/job.h"

/* A client that reconnects within this time does not count as gone. */
#define KILL_GRACE_MS 3000
/* How long a new desktop may wait for its first client. */
#define FIRST_MS 60000

struct limits {
	int64_t idle_ms, gone_ms; /* 0: no limit; gone_ms is at least KILL_GRACE_MS */
};

static struct limits limits_of(const struct instance *i)
{
	const json_t *desktop = doc_get(i->spec, "desktop");
	int64_t gone = doc_int(desktop, "disconnected_timeout", 0) * 1000;
	if (doc_bool(desktop, "kill_disconnected", false))
		gone = KILL_GRACE_MS;
	return (struct limits){ doc_int(desktop, "idle_timeout", 0) * 1000, gone };
}

/* --- no client is connected */

static void on_ended(UNUSED void *arg, UNUSED int err, json_t *doc, UNUSED size_t processes, UNUSED size_t forced)
{
	json_decref(doc);
}

static void disconnected_check(struct desktop *d, int64_t limit_ms, int64_t now)
{
	int64_t allowed = d->was_active ? limit_ms : MAX(limit_ms, FIRST_MS);
	if (!limit_ms || !d->gone_ms || now - d->gone_ms < allowed)
		return;
	log_info("host", "ending desktop :%d of server %s: no client was connected for %lld s", d->display, d->instance->id,
		 (long long)(now - d->gone_ms) / 1000);
	d->end_reason = "disconnected_timeout";
	desktop_end(d, on_ended, NULL);
}

/* --- no input */

struct asking {
	struct host *host;
	char server_id[ID_UUID_SIZE];
	struct xprobes *probes;
};

static void on_cut(UNUSED void *arg, UNUSED int err, UNUSED const char *message, json_t *consume_out)
{
	json_decref(consume_out);
}

/* A client that reconnects to an idle desktop has the whole limit again. */
static int64_t connected_since(const struct connection *c, int64_t now)
{
	return c && c->pid_start ? (int64_t)c->pid_start * 1000 / sysconf(_SC_CLK_TCK) : now;
}

static void idle_apply(struct instance *i, struct desktop *d, int64_t idle_ms, int64_t limit_ms, int64_t now)
{
	struct connection *c = connection_of_display(i, d->display);
	d->idle_seconds = idle_ms / 1000;
	idle_ms = MIN(idle_ms, MAX(now - connected_since(c, now), 0));
	if (idle_ms < limit_ms || !c) {
		d->idle_ask_ms = now + MAX(limit_ms - idle_ms, 1000);
		return;
	}
	d->idle_ask_ms = now + limit_ms;
	log_info("host", "disconnecting the client of desktop :%d of server %s: no input for %lld s", d->display, i->id,
		 (long long)idle_ms / 1000);
	connection_cut(c, on_cut, NULL);
}

static void on_idle_times(void *arg, UNUSED int code, const char *text, size_t len)
{
	struct asking *a = arg;
	struct instance *i = instance_find(a->host, a->server_id);
	const char *end = text + len;
	int64_t now = clock_boot_ms();
	if (i && i->observed) {
		struct limits l = limits_of(i);
		i->observed->idle_asking = false;
		for (const char *p = text, *line_end; p < end && (line_end = memchr(p, '\n', (size_t)(end - p))); p = line_end + 1) {
			int display;
			long long seconds;
			struct desktop *d;
			if (sscanf(p, "%d %lld", &display, &seconds) == 2 && (d = desktop_find(i, display)) && l.idle_ms)
				idle_apply(i, d, seconds * 1000, l.idle_ms, now);
		}
	}
	free(a->probes);
	free(a);
}

/* Asks the X servers of desktops that may have reached the limit, all in one job, one job at a time. */
static void idle_check(struct instance *i, int64_t limit_ms, int64_t now)
{
	struct desktop *d;
	struct xprobes *p = NULL;
	LIST_FOREACH (d, &i->observed->desktops, node) {
		if (d->state != DESKTOP_ACTIVE || !d->x_pid || d->ending) {
			d->idle_ask_ms = 0;
			continue;
		}
		if (!d->idle_ask_ms)
			d->idle_ask_ms = connected_since(connection_of_display(i, d->display), now) + limit_ms;
		if (d->idle_ask_ms > now + limit_ms) /* the limit was lowered */
			d->idle_ask_ms = now;
		if (now < d->idle_ask_ms || i->observed->idle_asking)
			continue;
		if (!p)
			p = xcalloc(1, sizeof *p + XPROBE_MAX * sizeof p->probe[0]);
		if (p->n < XPROBE_MAX)
			p->probe[p->n++] = (struct xprobe){ d->display, d->x_pid, d->x_start, d->uid, d->gid };
		d->idle_ask_ms = now + 1000; /* if it does not answer */
	}
	if (!p)
		return;
	struct asking *a = XNEW(struct asking);
	a->host = i->host;
	str_copy(a->server_id, sizeof a->server_id, i->id);
	a->probes = p;
	i->observed->idle_asking = true;
	job_start(i->host->children, xprobe_question, p, XPROBE_DEADLINE_MS, on_idle_times, a);
}

void desktop_limits_sweep(struct instance *i)
{
	struct limits l = limits_of(i);
	int64_t now = clock_boot_ms();
	struct desktop *d;
	if (i->state != INSTANCE_RUNNING)
		return;
	/* desktop_end never frees a desktop itself */
	LIST_FOREACH (d, &i->observed->desktops, node)
		if (!d->ending)
			disconnected_check(d, l.gone_ms, now);
	if (l.idle_ms)
		idle_check(i, l.idle_ms, now);
}
