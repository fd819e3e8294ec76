#include "host/recording/recordings.h"

#include <stdio.h>
#include <unistd.h>

#include "host/observe/observed.h"
#include "host/recording/recording.h"
#include "host/recording/recording_hold.h"
#include "host/recording/recording_storage.h"
#include "lucid/log.h"
#include "lucid/str.h"
#include "sys/child/job.h"

#define RECORDINGS_MAX 4096
#define STARTING_MAX 4
#define LOOK_MS 2000
#define MISSING_MAX 3 /* looks: a desktop may be missing for a moment while its instance is adopted */
#define SWEEP_MS 600000

struct recordings {
	struct host *host;
	struct list all;
	size_t n;
	struct loop_timer *look;
	struct recording_storage *storage;
	struct recording_roots roots; /* of the sweep */
	struct job *sweep;
};

/* --- the set */

static struct recording *recording_find(struct host *h, const char *id)
{
	struct recording *r;
	LIST_FOREACH (r, &h->recordings->all, node)
		if (str_eq(r->dirs.id, id))
			return r;
	return NULL;
}

static void recordings_add(struct host *h, struct recording *r)
{
	list_append(&h->recordings->all, &r->node);
	h->recordings->n++;
	recordings_look_soon(h);
}

void recordings_remove(struct recording *r)
{
	recording_record_remove(r);
	list_remove(&r->node);
	r->host->recordings->n--;
	recording_free(r);
}

/* The oldest that is over makes room; true if there is some. */
static bool recordings_room(struct recordings *rs)
{
	struct recording *r;
	if (rs->n < RECORDINGS_MAX)
		return true;
	LIST_FOREACH (r, &rs->all, node)
		if (recording_is_over(r)) {
			recordings_remove(r);
			return true;
		}
	return false;
}

bool recordings_forget(struct host *h, const char *id)
{
	struct recording *r = recording_find(h, id);
	if (r && !recording_is_over(r))
		return false;
	if (r)
		recordings_remove(r);
	return true;
}

/* --- looking: space, and desktops that ended unseen */

void recordings_look_soon(struct host *h)
{
	if (!loop_timer_pending(h->recordings->look))
		loop_timer_set(h->recordings->look, LOOK_MS);
}

static void look_at(struct recording *r)
{
	if (recording_is_over(r) || r->ending)
		return;
	r->missing = recording_desktop(r) ? 0 : r->missing + 1;
	if (r->missing >= MISSING_MAX)
		recording_desktop_over(r);
}

static void on_recordings_look(void *arg)
{
	struct recordings *rs = arg;
	struct recording *r, *next;
	bool any = false;
	LIST_FOREACH_SAFE (r, next, &rs->all, node) {
		any |= !recording_is_over(r);
		look_at(r);
	}
	if (!any)
		return;
	recording_storage_look(rs->storage);
	loop_timer_set(rs->look, LOOK_MS);
}

static void on_storage_looked(void *arg)
{
	struct recordings *rs = arg;
	struct recording *r, *next;
	enum recording_space space = recording_storage_space(rs->storage);
	int64_t now = clock_mono_ms();
	LIST_FOREACH_SAFE (r, next, &rs->all, node) {
		if (recording_is_over(r) || r->ending || r->state == RECORDING_INTERRUPTED)
			continue;
		if (space == SPACE_LOW)
			recording_full(r);
		else if (space == SPACE_ENOUGH && r->paused & PAUSE_DISK && now >= r->retry_full_ms)
			recording_resume(r, PAUSE_DISK);
	}
}

void recordings_desktop_gone(const struct desktop *d)
{
	struct recording *r, *next;
	struct recordings *rs = d->instance->host->recordings;
	if (!rs)
		return;
	recording_hold_end(d->instance->host, d->instance->id, d->display);
	LIST_FOREACH_SAFE (r, next, &rs->all, node)
		if (r->display == d->display && str_eq(r->server_id, d->instance->id))
			recording_desktop_over(r);
}

/* --- life */

static void on_swept(void *arg, int code, const char *text, UNUSED size_t len)
{
	struct recordings *rs = arg;
	rs->sweep = NULL;
	if (code > 0)
		log_warn("host", "removed recordings are still on the disk: %s", text);
}

struct recordings *recordings_new(struct host *h)
{
	struct recordings *rs = XNEW(struct recordings);
	rs->host = h;
	list_init(&rs->all);
	rs->look = loop_timer_new(h->loop, on_recordings_look, rs);
	rs->roots = (struct recording_roots){ xstrdup(h->set.session_storage), xstrdup(h->set.chunk_storage), false };
	rs->storage = recording_storage_new(h, on_storage_looked, rs);
	return rs;
}

void recordings_free(struct recordings *rs)
{
	struct recording *r, *next;
	if (!rs)
		return;
	LIST_FOREACH_SAFE (r, next, &rs->all, node) {
		list_remove(&r->node);
		recording_free(r);
	}
	job_cancel(rs->sweep);
	recording_storage_free(rs->storage);
	loop_timer_free(rs->look);
	free(rs->roots.session);
	free(rs->roots.chunks);
	free(rs);
}

void recordings_adopt(struct host *h)
{
	struct recordings *rs = h->recordings;
	recording_records_read(h, recordings_add);
	recording_storage_look(rs->storage);
	if (access(rs->roots.session, F_OK) == 0 || access(rs->roots.chunks, F_OK) == 0)
		rs->sweep = job_start(h->children, recording_sweep_run, &rs->roots, SWEEP_MS, on_swept, rs);
}

/* --- entries */

static const char unknown_recording[] = "no recording with this id runs or ended on this host; GET …/recordings lists those that do";

static struct recording *recording_of_request(struct host *h, const json_t *in, host_done done, void *arg)
{
	struct recording *r = recording_find(h, doc_str(in, "recording_id", ""));
	if (!r)
		host_answer(h, done, arg, ERR_RECORDING_NOT_FOUND, unknown_recording, NULL);
	return r;
}

static size_t recordings_starting(const struct recordings *rs)
{
	const struct recording *r;
	size_t n = 0;
	LIST_FOREACH (r, &rs->all, node)
		n += r->state == RECORDING_STARTING;
	return n;
}

static struct recording *recording_of_desktop(struct recordings *rs, const struct desktop *d, const char *but_id)
{
	struct recording *r;
	LIST_FOREACH (r, &rs->all, node)
		if (!recording_is_over(r) && r->display == d->display && str_eq(r->server_id, d->instance->id) && !str_eq(r->dirs.id, but_id))
			return r;
	return NULL;
}

/* The desktop that the request names, or NULL after an answer. */
static struct desktop *desktop_of_request(struct host *h, const json_t *in, host_done done, void *arg)
{
	struct instance *i = instance_of_request(h, in, done, arg);
	if (!i)
		return NULL;
	desktops_catch_up(i);
	struct desktop *d = desktop_find(i, (int)doc_int(in, "display", 0));
	const char *user = doc_str(in, "username", NULL);
	if (d && desktop_started_at(d, doc_str(in, "started_at", "")) && (!user || str_eq(user, d->user)))
		return d;
	host_answer(h, done, arg, ERR_INSTANCE_NOT_FOUND,
		    d ? "the desktop that is to be recorded has ended, and another one has its display" :
			"no desktop has this display; GET …/desktops lists the live desktops",
		    NULL);
	return NULL;
}

/* Why this recording cannot start now, as an error with its text; 0: it can. */
static int start_refusal(struct host *h, const struct desktop *d, const char *id, char why[256])
{
	struct recordings *rs = h->recordings;
	const struct recording *r = recording_find(h, id), *other = recording_of_desktop(rs, d, id);
	int most = h->set.recording.starting_max ? h->set.recording.starting_max : STARTING_MAX;
	why[0] = 0;
	if (r && r->state != RECORDING_INTERRUPTED) {
		snprintf(why, 256, "the recording %s is %s", id, recording_state_to_string(r->state));
		return ERR_RECORDING_STATE;
	}
	if (r && (r->ending || r->display != d->display || !str_eq(r->server_id, d->instance->id) || !desktop_started_at(d, r->started_at))) {
		snprintf(why, 256, "the recording %s is of another desktop, which has ended", id);
		return ERR_RECORDING_STATE;
	}
	if (other) {
		snprintf(why, 256, "the desktop on display :%d is recorded already, by recording %s", d->display, other->dirs.id);
		return ERR_RECORDING_STATE;
	}
	if (d->ending) {
		snprintf(why, 256, "the desktop on display :%d is being ended", d->display);
		return ERR_RECORDING_STATE;
	}
	if (!*h->set.recorder) {
		snprintf(why, 256, "desktops cannot be recorded on this host: " RECORDER_FILE " is missing; install it again");
		return ERR_UNAVAILABLE;
	}
	if (recording_storage_space(rs->storage) == SPACE_LOW || recording_storage_is_over(rs->storage))
		return ERR_DISK_FULL;
	if (recordings_starting(rs) >= (size_t)most) {
		snprintf(why, 256, "%d recordings are starting already (PIPELINE_WORKER_COUNT); retry in a few seconds", most);
		return ERR_BUSY;
	}
	return recordings_room(rs) ? 0 : ERR_BUSY;
}

static bool is_key(const char *s)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	return strlen(s) == RECORDER_KEY_TEXT && strspn(s, digits) == RECORDER_KEY_TEXT - 1 && s[RECORDER_KEY_TEXT - 1] == '=';
}

/* Takes the key out of the request, in which no copy remains. */
static bool key_take(struct recording *r, const json_t *in)
{
	json_t *key = json_object_get(in, "key");
	const char *text = json_string_value(key);
	bool ok = text && is_key(text) && str_copy(r->key, sizeof r->key, text);
	if (text)
		mem_wipe((void *)(uintptr_t)text, json_string_length(key));
	return ok;
}

static struct recording *recording_for(struct host *h, const struct desktop *d, const json_t *in)
{
	const char *id = doc_str(in, "recording_id", "");
	struct recording *r = recording_find(h, id);
	if (r) {
		free(TAKE_PTR(r->fail_message));
		r->fail_err = 0;
		return r;
	}
	r = recording_new(h, id, json_object_get(in, "config"));
	str_copy(r->server_id, sizeof r->server_id, d->instance->id);
	str_copy(r->user, sizeof r->user, d->user);
	r->display = d->display;
	clock_iso(r->started_at, d->started_ms);
	r->manifest = xstrdup(doc_str(in, "manifest", ""));
	recordings_add(h, r);
	return r;
}

/* The same request again, because its answer was lost: it gets the same answer. */
static bool start_is_repeated(struct host *h, const struct desktop *d, const char *id, host_done done, void *arg)
{
	struct recording *r = recording_find(h, id);
	if (!r || r->ending || recording_desktop(r) != d)
		return false;
	if (r->state == RECORDING_STARTING)
		recording_wait(&r->start_waiters, done, arg);
	else if (r->state <= RECORDING_LOST)
		host_answer(h, done, arg, ERR_OK, NULL, recording_state_doc(r));
	else
		return false;
	return true;
}

void host_recording_start(struct host *h, const json_t *in, host_done done, void *arg)
{
	struct desktop *d = desktop_of_request(h, in, done, arg);
	const char *id = doc_str(in, "recording_id", "");
	char why[256];
	if (!d || start_is_repeated(h, d, id, done, arg))
		return;
	int err = id_is_uuid(id) ? start_refusal(h, d, id, why) : ERR_INVALID;
	if (err) {
		host_answer(h, done, arg, err, id_is_uuid(id) && why[0] ? why : NULL, NULL);
		return;
	}
	struct recording *r = recording_for(h, d, in);
	if (!key_take(r, in)) {
		if (!r->continued)
			recordings_remove(r);
		host_answer(h, done, arg, ERR_RECORDING, "the key must be 32 bytes in base64", NULL);
		return;
	}
	recording_wait(&r->start_waiters, done, arg);
	recording_start(r);
}

void host_recording_stop(struct host *h, const json_t *in, host_done done, void *arg)
{
	struct recording *r = recording_of_request(h, in, done, arg);
	if (!r)
		return;
	if (recording_is_over(r)) {
		host_answer(h, done, arg, ERR_OK, NULL, recording_state_doc(r));
		recordings_remove(r);
		return;
	}
	recording_wait(&r->stop_waiters, done, arg);
	recording_end(r, "stopped");
}

/* Whether it runs; otherwise the request is answered. */
static struct recording *running_of_request(struct host *h, const json_t *in, host_done done, void *arg)
{
	struct recording *r = recording_of_request(h, in, done, arg);
	char why[100];
	if (!r || (r->state <= RECORDING_LOST && !r->ending))
		return r;
	snprintf(why, sizeof why, "the recording is %s", recording_state_to_string(r->state));
	host_answer(h, done, arg, ERR_RECORDING_STATE, why, NULL);
	return NULL;
}

void host_recording_pause(struct host *h, const json_t *in, host_done done, void *arg)
{
	struct recording *r = running_of_request(h, in, done, arg);
	if (!r)
		return;
	recording_pause(r, PAUSE_REQUESTED);
	host_answer(h, done, arg, ERR_OK, NULL, recording_state_doc(r));
}

void host_recording_resume(struct host *h, const json_t *in, host_done done, void *arg)
{
	struct recording *r = running_of_request(h, in, done, arg);
	if (!r)
		return;
	recording_resume(r, PAUSE_REQUESTED);
	host_answer(h, done, arg, ERR_OK, NULL, recording_state_doc(r));
}

void host_recording_list(struct host *h, UNUSED const json_t *in, host_done done, void *arg)
{
	json_t *out = json_object(), *list = json_array();
	struct recording *r;
	LIST_FOREACH (r, &h->recordings->all, node)
		json_array_append_new(list, recording_doc(r));
	doc_set(out, "recordings", list);
	doc_set(out, "storage", recording_storage_doc(h->recordings->storage));
	recording_storage_look(h->recordings->storage); /* for the next request */
	host_answer(h, done, arg, ERR_OK, NULL, out);
}
