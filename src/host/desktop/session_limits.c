#include "host/desktop/session_limits.h"

#include "host/observe/observed.h"
#include "lucid/log.h"

static const char *const fields[LIMIT_KINDS] = {
	[LIMIT_IDLE] = "idle_timeout",
	[LIMIT_DISCONNECTED] = "disconnected_timeout",
	[LIMIT_MAX_DURATION] = "max_duration",
};

json_t *desktop_limits_doc(const struct desktop *d)
{
	json_t *doc = json_object();
	for (size_t k = 0; k < LIMIT_KINDS; k++)
		doc_set_int(doc, fields[k], d->own.ms[k] / 1000);
	return doc;
}

void desktop_limits_read(struct desktop *d, const json_t *doc)
{
	for (size_t k = 0; k < LIMIT_KINDS; k++)
		d->own.ms[k] = doc_int(doc, fields[k], 0) * 1000;
}

json_t *limit_notices_doc(const struct desktop *d)
{
	json_t *doc = json_object();
	for (size_t k = 0; k < LIMIT_KINDS; k++)
		if (d->notices[k].said_ms)
			doc_set(doc, fields[k], json_pack("{s:I, s:I}", "said_ms", (json_int_t)d->notices[k].said_ms, "due_ms",
							  (json_int_t)d->notices[k].due_ms));
	return doc;
}

void limit_notices_read(struct desktop *d, const json_t *doc)
{
	for (size_t k = 0; k < LIMIT_KINDS; k++) {
		const json_t *n = json_object_get(doc, fields[k]);
		d->notices[k] = (struct limit_notice){ doc_int(n, "said_ms", 0), doc_int(n, "due_ms", 0) };
	}
}

/* --- the entry */

static void limits_take(struct desktop *d, const json_t *in)
{
	struct limits before = d->own;
	desktop_limits_read(d, in);
	if (memcmp(&before, &d->own, sizeof before) == 0)
		return;
	d->idle_ask_ms = 0; /* determined anew from the present limit */
	desktop_record(d);
	log_info("host", "limits of desktop :%d of server %s: %lld s without input, %lld s without a client, %lld s in all (0: none)", d->display,
		 d->instance->id, (long long)d->own.ms[LIMIT_IDLE] / 1000, (long long)d->own.ms[LIMIT_DISCONNECTED] / 1000,
		 (long long)d->own.ms[LIMIT_MAX_DURATION] / 1000);
}

void host_desktop_limits(struct host *h, const json_t *in, host_done done, void *arg)
{
	struct instance *i = instance_of_request(h, in, done, arg);
	if (!i)
		return;
	struct desktop *d = desktop_find(i, (int)doc_int(in, "display", 0));
	if (!d || !desktop_started_at(d, doc_str(in, "started_at", ""))) {
		host_answer(h, done, arg, ERR_INSTANCE_NOT_FOUND,
			    d ? "the desktop on this display started at another time: it is another desktop; GET …/desktops lists the live desktops" :
				"no desktop has this display; GET …/desktops lists the live desktops", NULL);
		return;
	}
	limits_take(d, in);
	json_t *out = desktop_limits_doc(d);
	doc_set_int(out, "display", d->display);
	doc_set_time(out, "started_at", d->started_ms);
	host_answer(h, done, arg, ERR_OK, NULL, out);
}
