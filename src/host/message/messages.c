#include "host/message/messages.h"

#include <stdio.h>

#include "host/kernel/proc.h"
#include "host/message/notice.h"
#include "host/observe/observed.h"
#include "lucid/clock.h"
#include "lucid/fault.h"
#include "lucid/log.h"
#include "lucid/str.h"
#include "lucid/text.h"

#define PENDING_MAX 64 /* of the host: processes that are about to show their window */
/* Of one desktop: windows, and processes that are about to replace one of them. */
#define PROCESSES_MAX (2 * NOTICE_WINDOWS_MAX)

struct messages {
	struct list shown; /* struct message */
	size_t n;
	struct message_rate rate;
};

struct message {
	struct list node; /* messages->shown */
	struct messages *of;
	struct host *host;
	char server_id[ID_UUID_SIZE];
	int display;
	unsigned seconds;
	struct notice *notice;
	host_done done; /* NULL: it is from the supervisor itself */
	void *arg;
};

static size_t pending; /* of this process, which has one host */

/* --- bounds */

int64_t message_rate_take(struct message_rate *r, int64_t now_ms)
{
	int64_t full = MAX(r->full_ms, now_ms), wait = full + MESSAGES_EACH_MS - now_ms - (int64_t)MESSAGES_BURST * MESSAGES_EACH_MS;
	if (wait > 0)
		return wait;
	r->full_ms = full + MESSAGES_EACH_MS;
	return 0;
}

bool message_text_ok(const char *text)
{
	for (const char *p = text; *p; p++) {
		char one[8] = { *p };
		size_t n = 1;
		while (n < 4 && ((unsigned char)p[n] & 0xc0) == 0x80)
			n++;
		memcpy(one, p, n);
		if (*p != '\n' && *p != '\t' && !text_blank_ends(one))
			return true;
		p += n - 1;
	}
	return false;
}

/* --- the windows of a desktop */

static void message_free(struct message *m)
{
	list_remove(&m->node);
	m->of->n--;
	free(m);
}

static void on_shown(void *arg, int err, const char *message, int missing)
{
	struct message *m = arg;
	json_t *out = NULL;
	pending--;
	if (!err) {
		int64_t now = clock_wall_ms();
		out = json_object();
		doc_set_int(out, "display", m->display);
		doc_set_time(out, "shown_at", now);
		doc_set_time(out, "closes_at", now + (int64_t)m->seconds * 1000);
		doc_set_int(out, "missing_characters", missing);
		log_info("host", "a message is shown on desktop :%d of server %s", m->display, m->server_id);
	}
	if (err && !m->done)
		log_warn("host", "a warning cannot be shown on desktop :%d of server %s: %s", m->display, m->server_id, message ? message : "");
	if (m->done)
		host_answer(m->host, m->done, m->arg, err, message, out);
	else
		json_decref(out);
}

static void on_notice_ended(void *arg)
{
	message_free(arg);
}

static void messages_drop(struct desktop *d, void (*drop)(struct notice *))
{
	struct messages *all = TAKE_PTR(d->messages);
	if (!all)
		return;
	while (!list_empty(&all->shown)) {
		struct message *m = CONTAINER_OF(all->shown.next, struct message, node);
		drop(m->notice);
		message_free(m);
	}
	free(all);
}

void messages_close(struct desktop *d)
{
	messages_drop(d, notice_close);
}

void messages_leave(struct desktop *d)
{
	messages_drop(d, notice_leave);
}

/* --- the entry */

static enum notice_level level_of(const json_t *in)
{
	static const char *const names[NOTICE_LEVELS] = { [NOTICE_INFO] = "info", [NOTICE_WARNING] = "warning", [NOTICE_CRITICAL] = "critical" };
	int level = NOTICE_INFO;
	for (int n = 0; n < NOTICE_LEVELS; n++)
		if (str_eq(doc_str(in, "level", "info"), names[n]))
			level = n;
	return (enum notice_level)level;
}

static unsigned seconds_shown(void)
{
	int64_t ms = fault_delay_ms("message.shown");
	return ms > 0 ? (unsigned)MAX(ms / 1000, 1) : NOTICE_SECONDS_MAX;
}

/* The sender saw a desktop on this display; another one may have it by now. */
static bool is_meant(const struct desktop *d, const json_t *in)
{
	const char *started = doc_str(in, "started_at", NULL), *user = doc_str(in, "username", NULL);
	if (started && !desktop_started_at(d, started))
		return false;
	return !user || str_eq(user, d->user);
}

/* Why the message cannot be shown now, as an error with its text; 0: it can. */
static int message_refusal(struct desktop *d, const char *text, char why[256])
{
	why[0] = 0;
	if (!message_text_ok(text) || strlen(text) > NOTICE_BYTES_MAX) {
		snprintf(why, 256, "the text of the message is blank or longer than %d bytes; send 1 to %d characters", NOTICE_BYTES_MAX, NOTICE_CHARS_MAX);
		return ERR_INVALID;
	}
	if (d->ending) {
		snprintf(why, 256, "the desktop on display :%d is being ended", d->display);
		return ERR_CONFLICT;
	}
	if (!d->x_pid) {
		snprintf(why, 256, "the desktop on display :%d has no X server yet; retry in a few seconds", d->display);
		return ERR_UNAVAILABLE;
	}
	if (pending >= PENDING_MAX || d->messages->n >= PROCESSES_MAX) {
		snprintf(why, 256, "%zu messages are about to be shown on this host, %zu on display :%d; retry in a few seconds", pending, d->messages->n,
			 d->display);
		return ERR_BUSY;
	}
	return 0;
}

/* The same, because of the rate of messages; counts this one. */
static int rate_refusal(struct desktop *d, char why[256])
{
	int64_t wait = message_rate_take(&d->messages->rate, clock_mono_ms());
	if (wait)
		snprintf(why, 256, "too many messages for display :%d; retry in %lld s", d->display, (long long)(wait + 999) / 1000);
	return wait ? ERR_RATE_LIMITED : 0;
}

static void message_show(struct desktop *d, const char *text, enum notice_level level, unsigned seconds, host_done done, void *arg)
{
	struct message *m = XNEW(struct message);
	struct host *h = d->instance->host;
	m->of = d->messages;
	m->host = h;
	str_copy(m->server_id, sizeof m->server_id, d->instance->id);
	m->display = d->display;
	m->seconds = MIN(seconds, seconds_shown());
	m->done = done;
	m->arg = arg;
	list_append(&m->of->shown, &m->node);
	m->of->n++;
	pending++;
	const struct notice_request r = {
		.host = h, .x = { d->display, d->x_pid, d->x_start, d->uid, d->gid }, .cgroup = d->cgroup, .level = level,
		.text = text, .seconds = m->seconds, .shown = on_shown, .ended = on_notice_ended, .arg = m
	};
	m->notice = notice_start(&r);
}

static void messages_prepare(struct desktop *d)
{
	if (!d->x_pid || !proc_alive(d->x_pid, d->x_start))
		desktop_find_x(d);
	if (!d->messages) {
		d->messages = XNEW(struct messages);
		list_init(&d->messages->shown);
	}
}

void messages_warn(struct desktop *d, const char *text, unsigned seconds)
{
	char why[256];
	messages_prepare(d);
	if (!message_refusal(d, text, why))
		message_show(d, text, NOTICE_WARNING, MAX(seconds, 1), NULL, NULL);
	else
		log_warn("host", "a warning cannot be shown on desktop :%d of server %s: %s", d->display, d->instance->id, why);
}

void host_desktop_message(struct host *h, const json_t *in, host_done done, void *arg)
{
	struct instance *i = instance_of_request(h, in, done, arg);
	const char *text = doc_str(in, "text", "");
	char why[256];
	if (!i)
		return;
	desktops_catch_up(i);
	struct desktop *d = desktop_find(i, (int)doc_int(in, "display", 0));
	if (!d) {
		host_answer(h, done, arg, ERR_INSTANCE_NOT_FOUND, "no desktop has this display; GET …/desktops lists the live desktops", NULL);
		return;
	}
	if (!is_meant(d, in)) {
		host_answer(h, done, arg, ERR_INSTANCE_NOT_FOUND, "the desktop that the message is for has ended, and another one has its display", NULL);
		return;
	}
	messages_prepare(d);
	int err = message_refusal(d, text, why);
	if (!err)
		err = rate_refusal(d, why);
	if (err)
		host_answer(h, done, arg, err, why, NULL);
	else
		message_show(d, text, level_of(in), NOTICE_SECONDS_MAX, done, arg);
}
