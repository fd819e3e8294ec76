#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/observe/observe.h"
#include "host/system_xrdp/service.h"
#include "host/kernel/proc.h"
#include "host/observe/observed.h"
#include "host/system_xrdp/units.h"
#include "lucid/str.h"

/* The state of the host's own xrdp and sesman: from systemd if it has units for them, else from their pid files and /proc. Instances never
 * count, because they are in namespaces of their own. */

struct part {
	const char *name, *program, *pid_file, *unit;
};

static const char *const states[] = { "running", "stopped", "failed", "not-installed" };
#define RUNNING SERVICE_RUNNING
#define STOPPED SERVICE_STOPPED
#define FAILED SERVICE_FAILED
#define NOT_INSTALLED SERVICE_NOT_INSTALLED

static bool installed(const char *program)
{
	return program && *program && access(program, X_OK) == 0;
}

static struct part part_of(const struct host *h, enum service_part p)
{
	return p == SERVICE_XRDP ?
		       (struct part){ "xrdp", h->set.xrdp, SERVICE_RUN "/xrdp.pid", "xrdp.service" } :
		       (struct part){ "xrdp-sesman", h->set.sesman, SERVICE_RUN "/xrdp-sesman.pid", "xrdp-sesman.service" };
}

/* The state of one part; `why` explains it. */
static enum service_state state_of(const struct part *p, struct proc_stat *ret, char *why, size_t size)
{
	char text[32];
	int64_t pid = 0;
	if (!installed(p->program)) {
		snprintf(why, size, "%s: not installed", p->name);
		return NOT_INSTALLED;
	}
	ssize_t n = proc_read_file(p->pid_file, text, sizeof text);
	if (n <= 0) {
		snprintf(why, size, "%s: no %s", p->name, p->pid_file);
		return STOPPED;
	}
	text[strcspn(text, "\r\n ")] = 0;
	if (!str_int(text, 1, 1 << 22, &pid)) {
		snprintf(why, size, "%s: %s holds no process id", p->name, p->pid_file);
		return FAILED;
	}
	if (!proc_stat((pid_t)pid, ret) || !str_starts(ret->comm, p->name)) {
		snprintf(why, size, "%s: %s names process %lld, which does not exist: it ended without cleaning up", p->name,
			 p->pid_file, (long long)pid);
		return FAILED;
	}
	snprintf(why, size, "%s: process %lld runs", p->name, (long long)pid);
	return RUNNING;
}

static const char *unit_of(const struct part *p)
{
	static const char *const dirs[] = { "/etc/systemd/system", "/lib/systemd/system", "/usr/lib/systemd/system" };
	char path[128];
	for (size_t i = 0; i < ARRAY_LEN(dirs); i++) {
		snprintf(path, sizeof path, "%s/%s", dirs[i], p->unit);
		if (access(path, F_OK) == 0)
			return p->unit;
	}
	return NULL;
}

enum service_state service_look(const struct host *h, enum service_part which, struct proc_stat *ret, char *why, size_t size)
{
	const struct part p = part_of(h, which);
	return state_of(&p, ret, why, size);
}

const char *service_unit(const struct host *h, enum service_part which)
{
	const struct part p = part_of(h, which);
	return unit_of(&p);
}

static json_t *part_doc(const struct part *p, enum service_state *ret_state, char *why, size_t size)
{
	struct proc_stat s = { 0 };
	json_t *doc = json_object();
	enum service_state state = state_of(p, &s, why, size);
	doc_set_str(doc, "status", states[state]);
	doc_set(doc, "pid", state == RUNNING ? json_integer(s.pid) : NULL);
	doc_set_time(doc, "since", state == RUNNING ? proc_start_wall_ms(s.start_ticks) : 0);
	doc_set(doc, "memory_bytes", state == RUNNING ? json_integer(s.rss_bytes) : NULL);
	doc_set_str(doc, "unit", unit_of(p));
	*ret_state = state;
	return doc;
}

static void answer_status(struct host *h, json_t *consume_xrdp, json_t *consume_sesman, const char *const why[2], host_done done, void *arg)
{
	json_t *out = consume_xrdp;
	bool running = str_eq(doc_str(out, "status", ""), states[RUNNING]);
	/* xrdp without sesman, or sesman without xrdp, does not work */
	if (running && !str_eq(doc_str(consume_sesman, "status", ""), states[RUNNING]))
		doc_set_str(out, "status", states[FAILED]);
	_cleanup_(xfreep) char *raw = xasprintf("%s; %s", why[0], why[1]);
	bool failed = str_eq(doc_str(out, "status", ""), states[FAILED]);
	doc_set_str(out, "version", h->xrdp_version[0] ? h->xrdp_version : NULL);
	doc_set(out, "memory", json_incref(json_object_get(out, "memory_bytes")));
	json_object_del(out, "memory_bytes");
	doc_set_str(out, "raw_output", raw);
	doc_set_str(out, "error", failed ? (running ? why[1] : why[0]) : NULL);
	json_decref(consume_sesman);
	host_answer(h, done, arg, 0, NULL, out);
}

/* --- from systemd */

#define LOOK_MS 3000 /* for both parts, of the call's five seconds */

struct look {
	struct host *host;
	enum service_part part; /* the one that is queried */
	json_t *doc[2];
	char why[2][256];
	host_done done;
	void *arg;
};

struct units *service_units(struct host *h)
{
	if (!h->units && units_booted() && service_unit(h, SERVICE_XRDP))
		h->units = units_new(h->loop, NULL);
	return h->units;
}

/* "activating" and "deactivating" count as stopped; a unit without a main process does not work. */
static enum service_state unit_state(const struct unit_state *s)
{
	static const char *const up[] = { "active", "reloading" };
	for (size_t k = 0; k < ARRAY_LEN(up); k++)
		if (str_eq(s->active, up[k]))
			return s->pid ? RUNNING : FAILED;
	return str_eq(s->active, "failed") ? FAILED : STOPPED;
}

static void part_inspect(struct look *l, const struct unit_state *s, const char *fault)
{
	const struct part p = part_of(l->host, l->part);
	char *why = l->why[l->part];
	enum service_state state;
	/* systemd did not answer, or has no such unit: the pid files are used */
	json_t *doc = part_doc(&p, &state, why, sizeof l->why[0]);
	if (s && s->loaded && state != NOT_INSTALLED) {
		state = unit_state(s);
		snprintf(why, sizeof l->why[0], "%s: %s (%s)", p.unit, s->active, s->sub);
		doc_set_str(doc, "status", states[state]);
		doc_set(doc, "pid", state == RUNNING ? json_integer(s->pid) : NULL);
		doc_set_time(doc, "since", state == RUNNING ? s->since_ms : 0);
		if (state != RUNNING || s->memory_bytes >= 0)
			doc_set(doc, "memory_bytes", state == RUNNING ? json_integer(s->memory_bytes) : NULL);
	} else if (fault) {
		size_t len = strlen(why);
		snprintf(why + len, sizeof l->why[0] - len, " (%s)", fault);
	}
	l->doc[l->part++] = doc;
}

static void look_on(struct look *l);
static void on_seen(void *arg, const struct unit_state *s, const char *fault)
{
	part_inspect(arg, s, fault);
	look_on(arg);
}

static void look_on(struct look *l)
{
	struct units *u = service_units(l->host);
	while (l->part <= SERVICE_SESMAN) {
		if (u) {
			units_look(u, part_of(l->host, l->part).unit, LOOK_MS / 2, on_seen, l);
			return;
		}
		part_inspect(l, NULL, NULL);
	}
	answer_status(l->host, l->doc[SERVICE_XRDP], l->doc[SERVICE_SESMAN], (const char *const[]){ l->why[0], l->why[1] }, l->done, l->arg);
	free(l);
}

void host_service(struct host *h, UNUSED const json_t *in, host_done done, void *arg)
{
	struct look *l = XNEW(struct look);
	*l = (struct look){ .host = h, .part = SERVICE_XRDP, .done = done, .arg = arg };
	look_on(l);
}
