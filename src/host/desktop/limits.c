#include "host/desktop/limits.h"

#include <stdio.h>
#include <unistd.h>

#include "host/desktop/xprobe.h"
#include "host/message/messages.h"
#include "lucid/clock.h"
#include "lucid/log.h"
#include "lucid/str.h"
#include "sys/child/job.h"

/* A client that reconnects within this time does not count as gone. */
#define KILL_GRACE_MS 3000
/* How long a new desktop may wait for its first client. */
#define FIRST_MS 60000
/* When the X server is asked again after a client could not be disconnected. */
#define AGAIN_MS 5000
/* How often the X server is asked after an announcement, so that input takes it back soon. */
#define ANNOUNCED_MS 3000

/* What a limit does when it has expired, and what it is called. */
struct limit_row {
	const char *limit;	 /* in the event */
	const char *reason;	 /* of the end of the desktop; NULL: only its client is disconnected */
	const char *log;	 /* followed by "for N s" */
	const char *text, *then; /* on the desktop, before and after "in N seconds."; NULL: nobody can read it */
};
static const struct limit_row rows[LIMIT_KINDS] = {
	[LIMIT_IDLE] = { "idle", "idle_timeout", "no input", "There has been no input for a while. This session ends",
			 " Unsaved work is lost.\nMove the mouse or press a key to continue." },
	[LIMIT_DISCONNECTED] = { "disconnected", "disconnected_timeout", "no client was connected", NULL, NULL },
	[LIMIT_MAX_DURATION] = { "max_duration", "max_duration", "it has lasted", "This session reaches its maximum duration and ends",
				 " Save your work now." },
};
static const struct limit_row row_idle_of_server = { "idle", NULL, "no input", "There has been no input for a while. You will be disconnected",
						     "\nMove the mouse or press a key to stay connected." };

static struct limits limits_of_server(const struct instance *i)
{
	const json_t *desktop = doc_get(i->spec, "desktop");
	return (struct limits){ .ms = { [LIMIT_IDLE] = doc_int(desktop, "idle_timeout", 0) * 1000,
					[LIMIT_DISCONNECTED] = doc_int(desktop, "disconnected_timeout", 0) * 1000 } };
}

static int64_t limit_of(const struct desktop *d, enum limit_kind kind)
{
	return limit_shorter(limits_of_server(d->instance).ms[kind], d->own.ms[kind]);
}

static const struct limit_row *row_of(const struct desktop *d, enum limit_kind kind)
{
	bool of_server = kind == LIMIT_IDLE && limit_of(d, kind) != d->own.ms[kind];
	return of_server ? &row_idle_of_server : &rows[kind];
}

/* --- announcing and applying */

static void announce(struct desktop *d, enum limit_kind kind, int64_t left_ms)
{
	const struct limit_row *row = row_of(d, kind);
	long long seconds = (left_ms + 999) / 1000;
	json_t *doc = json_object();
	doc_set_int(doc, "display", d->display);
	doc_set_str(doc, "username", d->user);
	doc_set_time(doc, "started_at", d->started_ms);
	doc_set_str(doc, "limit", row->limit);
	doc_set_int(doc, "seconds", seconds);
	doc_set_str(doc, "action", row->reason ? "end" : "disconnect");
	log_info("host", "the limit %s of desktop :%d of server %s expires in %lld s", row->limit, d->display, d->instance->id, seconds);
	if (d->told)
		host_tell(d->instance->host, "xrdp.desktop.expiring", d->instance, doc);
	else
		json_decref(doc);
	if (row->text && connection_of_display(d->instance, d->display)) {
		_cleanup_(xfreep) char *text = xasprintf("%s in %lld seconds.%s", row->text, seconds, row->then);
		messages_warn(d, text, (unsigned)seconds);
	}
}

static void on_ended(UNUSED void *arg, UNUSED int err, json_t *doc, UNUSED size_t processes, UNUSED size_t forced)
{
	json_decref(doc);
}

static void on_cut(UNUSED void *arg, UNUSED int err, UNUSED const char *message, json_t *consume_out)
{
	json_decref(consume_out);
}

static void apply(struct desktop *d, enum limit_kind kind, int64_t passed_ms)
{
	const struct limit_row *row = row_of(d, kind);
	struct connection *c = connection_of_display(d->instance, d->display);
	log_info("host", "%s desktop :%d of server %s: %s for %lld s", row->reason ? "ending" : "disconnecting the client of", d->display,
		 d->instance->id, row->log, (long long)passed_ms / 1000);
	if (row->reason) {
		d->end_reason = row->reason;
		desktop_end(d, on_ended, NULL);
	} else if (c) {
		connection_cut(c, on_cut, NULL);
	}
}

/* Returns when there may be more to do; 0: not foreseen. */
static int64_t look_at_limit(struct desktop *d, enum limit_kind kind, int64_t limit_ms, int64_t due_ms, int64_t now)
{
	struct limit_notice *n = &d->notices[kind];
	int64_t said_ms = n->said_ms, next_ms = 0;
	enum limit_step step = limit_step(n, limit_ms, due_ms, now, &next_ms);
	if (n->said_ms != said_ms)
		desktop_record(d);
	if (step == LIMIT_ANNOUNCE)
		announce(d, kind, next_ms - now);
	else if (step == LIMIT_APPLY)
		apply(d, kind, now - due_ms + limit_ms);
	return next_ms;
}

/* --- no client is connected, and the whole time */

static void disconnected_check(struct desktop *d, int64_t now)
{
	bool kill = doc_bool(doc_get(d->instance->spec, "desktop"), "kill_disconnected", false);
	int64_t limit_ms = kill ? KILL_GRACE_MS : limit_of(d, LIMIT_DISCONNECTED);
	if (limit_ms && !d->was_active)
		limit_ms = MAX(limit_ms, FIRST_MS);
	if (!kill)
		look_at_limit(d, LIMIT_DISCONNECTED, limit_ms, d->gone_ms ? d->gone_ms + limit_ms : 0, now);
	else if (d->gone_ms && now - d->gone_ms >= limit_ms) /* expected at once, so nothing is announced */
		apply(d, LIMIT_DISCONNECTED, now - d->gone_ms);
}

static int64_t ticks_ms(uint64_t ticks)
{
	return (int64_t)ticks * 1000 / sysconf(_SC_CLK_TCK);
}

static void duration_check(struct desktop *d, int64_t now)
{
	int64_t limit_ms = limit_of(d, LIMIT_MAX_DURATION), started_ms = ticks_ms(d->leader ? d->leader_start : d->x_start);
	look_at_limit(d, LIMIT_MAX_DURATION, limit_ms, started_ms ? started_ms + limit_ms : 0, now);
}

/* --- no input */

struct asking {
	struct host *host;
	char server_id[ID_UUID_SIZE];
	struct xprobes *probes;
};

/* A client that reconnects to an idle desktop has the whole limit again. */
static int64_t connected_since(const struct connection *c, int64_t now)
{
	return c->pid_start ? ticks_ms(c->pid_start) : now;
}

static void idle_apply(struct instance *i, struct desktop *d, int64_t idle_ms, int64_t now)
{
	const struct connection *c = connection_of_display(i, d->display);
	int64_t limit_ms = limit_of(d, LIMIT_IDLE);
	d->idle_seconds = idle_ms / 1000;
	if (!c || !limit_ms || d->ending)
		return;
	int64_t since_ms = MAX(now - idle_ms, connected_since(c, now));
	int64_t next_ms = look_at_limit(d, LIMIT_IDLE, limit_ms, since_ms + limit_ms, now);
	if (d->notices[LIMIT_IDLE].said_ms)
		next_ms = MIN(next_ms, now + ANNOUNCED_MS);
	d->idle_ask_ms = next_ms > now ? next_ms : now + AGAIN_MS;
}

static void on_idle_times(void *arg, UNUSED int code, const char *text, size_t len)
{
	struct asking *a = arg;
	struct instance *i = instance_find(a->host, a->server_id);
	const char *end = text + len;
	int64_t now = clock_boot_ms();
	if (i && i->observed) {
		i->observed->idle_asking = false;
		for (const char *p = text, *line_end; p < end && (line_end = memchr(p, '\n', (size_t)(end - p))); p = line_end + 1) {
			int display;
			long long idle_ms;
			struct desktop *d;
			if (sscanf(p, "%d %lld", &display, &idle_ms) == 2 && (d = desktop_find(i, display)))
				idle_apply(i, d, idle_ms, now);
		}
	}
	free(a->probes);
	free(a);
}

/* True if the X server of the desktop is to be asked now. */
static bool idle_due(struct desktop *d, int64_t now)
{
	const struct connection *c = connection_of_display(d->instance, d->display);
	int64_t limit_ms = limit_of(d, LIMIT_IDLE);
	if (!limit_ms || !c || !d->x_pid || d->ending) {
		d->idle_ask_ms = 0;
		look_at_limit(d, LIMIT_IDLE, limit_ms, 0, now);
		return false;
	}
	if (!d->idle_ask_ms)
		d->idle_ask_ms = connected_since(c, now) + limit_ms - limit_lead_ms(limit_ms);
	if (d->idle_ask_ms > now + limit_ms) /* the limit was lowered */
		d->idle_ask_ms = now;
	return now >= d->idle_ask_ms;
}

/* Asks the X servers of desktops that may have reached the limit, all in one job, one job at a time. */
static void idle_check(struct instance *i, int64_t now)
{
	struct desktop *d;
	struct xprobes *p = NULL;
	LIST_FOREACH (d, &i->observed->desktops, node) {
		if (!idle_due(d, now) || i->observed->idle_asking)
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
	i->observed->idle_asking = job_start(i->host->children, xprobe_question, p, XPROBE_DEADLINE_MS, on_idle_times, a);
	if (!i->observed->idle_asking) {
		free(p);
		free(a);
	}
}

void desktop_limits_sweep(struct instance *i)
{
	int64_t now = clock_boot_ms();
	struct desktop *d;
	if (i->state != INSTANCE_RUNNING && i->state != INSTANCE_FAILED)
		return;
	/* desktop_end never frees a desktop itself */
	LIST_FOREACH (d, &i->observed->desktops, node)
		if (!d->ending)
			disconnected_check(d, now);
	LIST_FOREACH (d, &i->observed->desktops, node)
		if (!d->ending)
			duration_check(d, now);
	idle_check(i, now);
}
