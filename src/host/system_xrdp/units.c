#include "host/system_xrdp/units.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <systemd/sd-bus.h>
#include <unistd.h>

#include "lucid/clock.h"
#include "lucid/log.h"
#include "lucid/str.h"

#define NAME "org.freedesktop.systemd1"
#define PATH "/org/freedesktop/systemd1"
#define MANAGER NAME ".Manager"
#define JOB_PATH_SIZE 128
#define ASKS_MAX 64

struct units {
	struct loop *loop;
	char *address;
	sd_bus *bus; /* NULL: not connected */
	struct loop_io *io;
	struct loop_timer *timer;
	bool inside; /* sd_bus_process is running; the descriptor is armed afterwards */
	struct list asks;
	size_t n;
};

struct unit_ask {
	struct list node;
	struct units *units;
	struct loop_timer *timer; /* its deadline, or the next turn if the request cannot be sent */
	sd_bus_slot *slot;
	char *unit;
	enum unit_verb verb;
	char job[JOB_PATH_SIZE];
	char fault[400];
	unit_done done;
	unit_seen seen;
	void *arg;
};

static const struct {
	const char *method, *to;
} verbs[] = {
	[UNIT_START] = { "StartUnit", "start" },
	[UNIT_STOP] = { "StopUnit", "stop" },
	[UNIT_HANGUP] = { "KillUnit", "reload" },
};

bool units_booted(void)
{
	return access("/run/systemd/system", F_OK) == 0;
}

void units_cancel(struct unit_ask *a)
{
	if (!a)
		return;
	list_remove(&a->node);
	a->units->n--;
	sd_bus_slot_unref(a->slot);
	loop_timer_free(a->timer);
	free(a->unit);
	free(a);
}

/* Frees the request before it calls back, because the callback may start another one. */
static void ask_answer(struct unit_ask *a, const struct unit_state *s)
{
	unit_done done = a->done;
	unit_seen seen = a->seen;
	void *arg = a->arg;
	char fault[sizeof a->fault];
	str_copy(fault, sizeof fault, a->fault);
	units_cancel(a);
	if (done)
		done(arg, fault[0] ? fault : NULL);
	else
		seen(arg, s, fault[0] ? fault : NULL);
}

static void ask_refuse(struct unit_ask *a, const char *fmt, ...) PRINTF(2, 3);
static void ask_refuse(struct unit_ask *a, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(a->fault, sizeof a->fault, fmt, ap);
	va_end(ap);
	ask_answer(a, NULL);
}

static void on_deadline(void *arg)
{
	struct unit_ask *a = arg;
	if (a->fault[0])
		ask_answer(a, NULL);
	else if (a->done)
		ask_refuse(a, "systemd did not finish with %s in time; see systemctl status %s", a->unit, a->unit);
	else
		ask_refuse(a, "systemd did not report on %s", a->unit);
}

/* --- the connection */

static void arm(struct units *u)
{
	uint64_t until;
	int events = u->bus ? sd_bus_get_events(u->bus) : -1;
	if (events < 0 || u->inside)
		return;
	loop_io_set(u->io, (events & POLLIN ? LOOP_READ : 0) | (events & POLLOUT ? LOOP_WRITE : 0));
	if (sd_bus_get_timeout(u->bus, &until) < 0 || until == UINT64_MAX) {
		loop_timer_clear(u->timer);
		return;
	}
	int64_t wait = (int64_t)until - clock_mono_us();
	loop_timer_set_us(u->timer, MAX(wait, 0));
}

static void hang_up(struct units *u)
{
	struct unit_ask *a, *tmp;
	LIST_FOREACH_SAFE (a, tmp, &u->asks, node) {
		sd_bus_slot_unref(a->slot);
		a->slot = NULL;
	}
	loop_io_free(u->io);
	loop_timer_clear(u->timer);
	u->io = NULL;
	u->bus = sd_bus_close_unref(u->bus);
}

static void process(struct units *u)
{
	int r;
	u->inside = true;
	while ((r = sd_bus_process(u->bus, NULL)) > 0)
		;
	u->inside = false;
	if (r >= 0) {
		arm(u);
		return;
	}
	log_warn("host", "the connection to systemd was lost: %s", strerror(-r));
	hang_up(u);
	/* answered on a later turn, because a callback may append another request to this list */
	struct unit_ask *a;
	LIST_FOREACH (a, &u->asks, node)
		if (!a->fault[0]) {
			snprintf(a->fault, sizeof a->fault,
				 "the connection to systemd was lost; the outcome of the request is unknown");
			loop_timer_set(a->timer, 0);
		}
}

static void on_bus_io(UNUSED int events, void *arg)
{
	process(arg);
}

static void on_bus_timer(void *arg)
{
	process(arg);
}

static int on_job_removed(sd_bus_message *m, void *arg, UNUSED sd_bus_error *e)
{
	struct units *u = arg;
	struct unit_ask *a;
	uint32_t id;
	const char *job, *unit, *result;
	if (sd_bus_message_read(m, "uoss", &id, &job, &unit, &result) < 0)
		return 0;
	LIST_FOREACH (a, &u->asks, node)
		if (a->job[0] && str_eq(a->job, job)) {
			if (str_eq(result, "done") || str_eq(result, "skipped"))
				ask_answer(a, NULL);
			else
				ask_refuse(a, "systemd could not %s %s (%s); journalctl -u %s has the reason", verbs[a->verb].to, a->unit,
				       result, a->unit);
			break;
		}
	return 0;
}

static int on_nothing(UNUSED sd_bus_message *m, UNUSED void *arg, UNUSED sd_bus_error *e)
{
	return 0;
}

static int open_bus(struct units *u)
{
	if (!u->address)
		return sd_bus_open_system(&u->bus);
	int r = sd_bus_new(&u->bus);
	r = r < 0 ? r : sd_bus_set_address(u->bus, u->address);
	r = r < 0 ? r : sd_bus_set_bus_client(u->bus, true);
	return r < 0 ? r : sd_bus_start(u->bus);
}

static int connect_bus(struct units *u)
{
	if (u->n > ASKS_MAX)
		return -EBUSY;
	if (u->bus)
		return 0;
	int r = open_bus(u);
	r = r < 0 ? r : sd_bus_match_signal_async(u->bus, NULL, NAME, PATH, MANAGER, "JobRemoved", on_job_removed, on_nothing, u);
	/* sent before any job, so that the end of no job is missed */
	r = r < 0 ? r : sd_bus_call_method_async(u->bus, NULL, NAME, PATH, MANAGER, "Subscribe", on_nothing, u, "");
	if (r < 0) {
		u->bus = sd_bus_close_unref(u->bus);
		return r;
	}
	u->io = loop_io_new(u->loop, sd_bus_get_fd(u->bus), LOOP_READ, on_bus_io, u);
	return 0;
}

struct units *units_new(struct loop *l, const char *address)
{
	struct units *u = XNEW(struct units);
	u->loop = l;
	u->address = address ? xstrdup(address) : NULL;
	u->timer = loop_timer_new(l, on_bus_timer, u);
	list_init(&u->asks);
	return u;
}

void units_free(struct units *u)
{
	if (!u)
		return;
	while (!list_empty(&u->asks))
		ask_refuse(CONTAINER_OF(u->asks.next, struct unit_ask, node), "the program is stopping");
	hang_up(u);
	loop_timer_free(u->timer);
	free(u->address);
	free(u);
}

/* --- requests */

static struct unit_ask *ask_new(struct units *u, const char *unit, unsigned deadline_ms, void *arg)
{
	struct unit_ask *a = XNEW(struct unit_ask);
	a->units = u;
	a->unit = xstrdup(unit);
	a->arg = arg;
	a->timer = loop_timer_new(u->loop, on_deadline, a);
	loop_timer_set(a->timer, deadline_ms);
	list_append(&u->asks, &a->node);
	u->n++;
	return a;
}

static struct unit_ask *asked(struct unit_ask *a, int r)
{
	if (r < 0) {
		snprintf(a->fault, sizeof a->fault, "systemd is unreachable over D-Bus: %s; check that dbus is installed and running", strerror(-r));
		loop_timer_set(a->timer, 0);
	}
	arm(a->units);
	return a;
}

static int on_verb_reply(sd_bus_message *m, void *arg, UNUSED sd_bus_error *e)
{
	struct unit_ask *a = arg;
	const sd_bus_error *error = sd_bus_message_get_error(m);
	const char *job;
	if (error)
		ask_refuse(a, "systemd refused to %s %s: %s", verbs[a->verb].to, a->unit, error->message ? error->message : error->name);
	else if (a->verb == UNIT_HANGUP)
		ask_answer(a, NULL);
	else if (sd_bus_message_read(m, "o", &job) < 0 || !str_copy(a->job, sizeof a->job, job))
		ask_refuse(a, "systemd sent an unexpected answer about %s", a->unit);
	return 0;
}

struct unit_ask *units_do(struct units *u, const char *unit, enum unit_verb verb, unsigned deadline_ms, unit_done fn, void *arg)
{
	struct unit_ask *a = ask_new(u, unit, deadline_ms, arg);
	a->verb = verb;
	a->done = fn;
	int r = connect_bus(u);
	if (r >= 0 && verb == UNIT_HANGUP)
		r = sd_bus_call_method_async(u->bus, &a->slot, NAME, PATH, MANAGER, verbs[verb].method, on_verb_reply, a, "ssi", unit, "main",
					     SIGHUP);
	else if (r >= 0)
		r = sd_bus_call_method_async(u->bus, &a->slot, NAME, PATH, MANAGER, verbs[verb].method, on_verb_reply, a, "ss", unit,
					     "replace");
	return asked(a, r);
}

static int read_property(sd_bus_message *m, const char *name, struct unit_state *s)
{
	const char *text;
	uint64_t n;
	uint32_t pid;
	int r;
	if (str_eq(name, "LoadState") || str_eq(name, "ActiveState") || str_eq(name, "SubState")) {
		r = sd_bus_message_read(m, "v", "s", &text);
		if (r < 0)
			return r;
		if (name[0] == 'L')
			s->loaded = str_eq(text, "loaded");
		else
			snprintf(name[0] == 'A' ? s->active : s->sub, name[0] == 'A' ? sizeof s->active : sizeof s->sub, "%s", text);
	} else if (str_eq(name, "MainPID")) {
		r = sd_bus_message_read(m, "v", "u", &pid);
		s->pid = r < 0 ? 0 : (pid_t)pid;
	} else if (str_eq(name, "ExecMainStartTimestamp") || str_eq(name, "MemoryCurrent")) {
		r = sd_bus_message_read(m, "v", "t", &n);
		if (r >= 0 && name[0] == 'E')
			s->since_ms = (int64_t)(n / 1000);
		else if (r >= 0)
			s->memory_bytes = n > INT64_MAX ? -1 : (int64_t)n;
	} else {
		r = sd_bus_message_skip(m, "v");
	}
	return r;
}

static int read_state(sd_bus_message *m, struct unit_state *s)
{
	const char *name;
	int r = sd_bus_message_enter_container(m, 'a', "{sv}");
	while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
		r = sd_bus_message_read(m, "s", &name);
		r = r < 0 ? r : read_property(m, name, s);
		r = r < 0 ? r : sd_bus_message_exit_container(m);
	}
	if (!s->pid)
		s->since_ms = 0;
	return r;
}

static int on_look_reply(sd_bus_message *m, void *arg, UNUSED sd_bus_error *e)
{
	struct unit_ask *a = arg;
	struct unit_state s = { .memory_bytes = -1 };
	const sd_bus_error *error = sd_bus_message_get_error(m);
	if (error)
		ask_refuse(a, "systemd did not report on %s: %s", a->unit, error->message ? error->message : error->name);
	else if (read_state(m, &s) < 0)
		ask_refuse(a, "systemd sent an unexpected answer about %s", a->unit);
	else
		ask_answer(a, &s);
	return 0;
}

struct unit_ask *units_look(struct units *u, const char *unit, unsigned deadline_ms, unit_seen fn, void *arg)
{
	struct unit_ask *a = ask_new(u, unit, deadline_ms, arg);
	_cleanup_(xfreep) char *path = NULL;
	a->seen = fn;
	int r = connect_bus(u);
	r = r < 0 ? r : sd_bus_path_encode(PATH "/unit", unit, &path);
	/* the properties of all its interfaces */
	r = r < 0 ? r : sd_bus_call_method_async(u->bus, &a->slot, NAME, path, "org.freedesktop.DBus.Properties", "GetAll", on_look_reply, a,
						 "s", "");
	return asked(a, r);
}
