#include "host/recording/recording.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "host/instance/instance.h"
#include "host/kernel/proc.h"
#include "host/recording/recording_hold.h"
#include "lucid/log.h"
#include "lucid/record_keys.h"
#include "lucid/str.h"
#include "sys/child/job.h"

#define PREPARE_MS 12000
#define RECOVER_MS 60000 /* when it is over: nobody waits, and a chunk may be large */
#define RETRY_MS 50	 /* between two attempts to connect to an X server, at first: a desktop that has just started may not have one yet */
#define RETRY_MOST_MS 300
#define RETRIES_MAX 40	 /* of them, before the recorder is replaced */
#define HOUR_MS 3600000

static const char *const state_names[RECORDING_STATES] = {
	[RECORDING_STARTING] = "starting", [RECORDING_RUNNING] = "recording",	  [RECORDING_PAUSED] = "paused",
	[RECORDING_LOST] = "lost",	   [RECORDING_STOPPING] = "stopping",	  [RECORDING_INTERRUPTED] = "interrupted",
	[RECORDING_COMPLETE] = "complete", [RECORDING_TRUNCATED] = "truncated", [RECORDING_FAILED] = "failed",
};

const char *recording_state_to_string(enum recording_state s)
{
	return state_names[s];
}

bool recording_state_from_string(const char *s, enum recording_state *ret)
{
	for (int n = 0; n < RECORDING_STATES; n++)
		if (str_eq(state_names[n], s)) {
			*ret = (enum recording_state)n;
			return true;
		}
	return false;
}

/* --- documents and states */

json_t *recording_state_doc(const struct recording *r)
{
	json_t *d = json_object();
	doc_set_str(d, "recording_id", r->dirs.id);
	doc_set_str(d, "state", state_names[r->state]);
	doc_set_str(d, "reason", r->reason);
	doc_set_int(d, "chunks", r->found.chunks);
	doc_set_str(d, "head", r->found.head[0] ? r->found.head : NULL);
	doc_set_int(d, "bytes", r->found.bytes);
	doc_set_int(d, "width", r->width);
	doc_set_int(d, "height", r->height);
	doc_set_time(d, "zero_at", r->zero_ms);
	doc_set_time(d, "first_picture_at", r->first_picture_ms);
	doc_set_str(d, "cipher", doc_str(r->config, "cipher", NULL));
	return d;
}

json_t *recording_doc(const struct recording *r)
{
	json_t *d = recording_state_doc(r);
	doc_set_str(d, "server_id", r->server_id);
	doc_set_int(d, "display", r->display);
	doc_set_str(d, "username", r->user[0] ? r->user : NULL);
	doc_set_str(d, "started_at", r->started_at);
	doc_set_int(d, "lost", r->lost);
	doc_set_int(d, "restarts", r->restarts);
	doc_set(d, "figures", json_incref(r->figures));
	return d;
}

static void recording_publish(const struct recording *r)
{
	json_t *d = recording_state_doc(r);
	doc_set_str(d, "server_id", r->server_id);
	doc_set_int(d, "display", r->display);
	doc_set_str(d, "username", r->user[0] ? r->user : NULL);
	doc_set_time(d, "at", clock_wall_ms());
	host_tell_of(r->host, "xrdp.recording.state", r->server_id, d);
}

void recording_enter(struct recording *r, enum recording_state s, const char *reason)
{
	static const bool is_told[RECORDING_STATES] = {
		[RECORDING_RUNNING] = true, [RECORDING_PAUSED] = true, [RECORDING_LOST] = true, [RECORDING_COMPLETE] = true,
		[RECORDING_TRUNCATED] = true, [RECORDING_FAILED] = true,
	};
	if (recording_is_over(r))
		return;
	bool same = r->state == s && r->reason == reason;
	r->state = s;
	r->reason = reason;
	if (same && s != RECORDING_LOST)
		return;
	log_info("host", "recording %s of desktop :%d of server %s: %s%s%s", r->dirs.id, r->display, r->server_id, state_names[s], reason ? ", " : "",
		 reason ? reason : "");
	recording_record_write(r);
	if (is_told[s])
		recording_publish(r);
}

struct desktop *recording_desktop(const struct recording *r)
{
	struct instance *i = instance_find(r->host, r->server_id);
	struct desktop *d = i ? desktop_find(i, r->display) : NULL;
	return d && desktop_started_at(d, r->started_at) ? d : NULL;
}

/* --- answers */

void recording_wait(struct list *waiters, host_done done, void *arg)
{
	struct recording_waiter *w = XNEW(struct recording_waiter);
	w->done = done;
	w->arg = arg;
	list_append(waiters, &w->node);
}

void recording_fail(struct recording *r, int err, const char *fmt, ...)
{
	va_list ap;
	if (r->fail_err)
		return;
	va_start(ap, fmt);
	r->fail_err = err;
	r->fail_message = fmt ? xvasprintf(fmt, ap) : NULL;
	va_end(ap);
	if (list_empty(&r->start_waiters))
		log_warn("host", "recording %s: %s", r->dirs.id, r->fail_message ? r->fail_message : err_text(err));
}

static void recording_answer_start(struct recording *r)
{
	struct list *n;
	bool runs = r->state == RECORDING_RUNNING || r->state == RECORDING_PAUSED;
	if (!runs && !list_empty(&r->start_waiters))
		recording_hold_failed(r->host, r->server_id, r->display);
	while ((n = list_take_first(&r->start_waiters))) {
		struct recording_waiter *w = CONTAINER_OF(n, struct recording_waiter, node);
		if (runs)
			host_answer(r->host, w->done, w->arg, 0, NULL, recording_state_doc(r));
		else
			host_answer(r->host, w->done, w->arg, r->fail_err ? r->fail_err : ERR_PIPELINE, r->fail_message, NULL);
		free(w);
	}
}

void recording_answer_stop(struct recording *r)
{
	struct list *n;
	while ((n = list_take_first(&r->stop_waiters))) {
		struct recording_waiter *w = CONTAINER_OF(n, struct recording_waiter, node);
		host_answer(r->host, w->done, w->arg, 0, NULL, recording_state_doc(r));
		free(w);
	}
}

/* --- pausing */

void recording_pause(struct recording *r, unsigned why)
{
	unsigned before = r->paused;
	r->paused |= why;
	if (r->state != RECORDING_RUNNING && r->state != RECORDING_PAUSED)
		return; /* it is paused when it records */
	if (!before)
		recording_send_word(r, "pause");
	recording_enter(r, RECORDING_PAUSED, r->paused & PAUSE_DISK ? "disk_full" : "requested");
}

void recording_resume(struct recording *r, unsigned why)
{
	if (!(r->paused & why))
		return;
	r->paused &= ~why;
	if (r->state != RECORDING_PAUSED)
		return;
	if (r->paused) {
		recording_enter(r, RECORDING_PAUSED, r->paused & PAUSE_DISK ? "disk_full" : "requested");
		return;
	}
	r->full = false;
	recording_send_word(r, "resume");
	recording_enter(r, RECORDING_RUNNING, NULL);
}

static void on_session_ended(UNUSED void *arg, UNUSED int err, json_t *consume_doc, UNUSED size_t processes, UNUSED size_t forced)
{
	json_decref(consume_doc);
}

void recording_end_session(struct recording *r, const char *reason)
{
	struct desktop *d = recording_desktop(r);
	if (!d || d->ending)
		return;
	log_warn("host", "ending desktop :%d of server %s, because it can no longer be recorded (%s)", r->display, r->server_id, reason);
	d->end_reason = reason;
	desktop_end(d, on_session_ended, NULL);
}

void recording_full(struct recording *r)
{
	if (recording_is_over(r) || r->ending || r->paused & PAUSE_DISK)
		return;
	recording_pause(r, PAUSE_DISK);
	if (str_eq(doc_str(r->config, "on_full", "pause"), "terminate_session"))
		recording_end_session(r, "recording_storage_full");
}

/* A picture was captured: at the start, or after the connection was lost. */
void recording_running(struct recording *r)
{
	r->tries = 0;
	r->recorded = true;
	recorder_ready(r->recorder);
	recording_hold_end(r->host, r->server_id, r->display);
	if (r->state != RECORDING_STARTING && r->state != RECORDING_LOST)
		return;
	if (r->paused) {
		recording_send_word(r, "pause");
		recording_enter(r, RECORDING_PAUSED, r->paused & PAUSE_DISK ? "disk_full" : "requested");
	} else {
		recording_enter(r, RECORDING_RUNNING, NULL);
	}
	recording_answer_start(r);
}

/* --- the X server */

static void on_display(void *arg, int fd, const char *cookie)
{
	struct recording *r = arg;
	_cleanup_(closep) int x = fd;
	if (x < 0) {
		if (++r->tries < RETRIES_MAX) {
			loop_timer_set(r->retry, MIN(RETRY_MS * r->tries, RETRY_MOST_MS));
			return;
		}
		recording_fail(r, ERR_UNAVAILABLE, "the X server of the desktop on display :%d cannot be reached as its user; it is stopped, or the desktop has just ended",
			       r->display);
		recorder_replace(r->recorder);
	} else if (!r->sent) {
		recording_send_start(r, x, cookie);
	} else {
		recording_send_display(r, x, cookie);
	}
}

void recording_open_display(struct recording *r)
{
	struct desktop *d = recording_desktop(r);
	if (!d) {
		recording_desktop_over(r);
		return;
	}
	if (!d->x_pid || !proc_alive(d->x_pid, d->x_start))
		desktop_find_x(d);
	const struct xprobe x = { d->display, d->x_pid, d->x_start, d->uid, d->gid };
	if (r->opening.job)
		return;
	if (d->x_pid)
		display_open(&r->opening, r->host->children, &x, on_display, r);
	else
		on_display(r, -1, "");
}

static void on_retry(void *arg)
{
	recording_open_display(arg);
}

/* --- the directory */

static void recording_refuse(struct recording *r, int code, const char *text)
{
	static const char shared[] = "another host, or an earlier recording with this id, has its directory";
	switch (code) {
	case PREPARE_FULL:
		recording_fail(r, ERR_DISK_FULL, NULL);
		return;
	case PREPARE_EXISTS:
		recording_fail(r, ERR_RECORDING_STATE, "the recording %s exists already: %s", r->dirs.id, shared);
		return;
	case PREPARE_LOCKED:
		recording_fail(r, ERR_RECORDING_STATE, "another recorder is still writing to the recording %s; retry in a few seconds", r->dirs.id);
		return;
	case PREPARE_DAMAGED:
		recording_fail(r, ERR_RECORDING_STORAGE, "the recording %s cannot be continued: %s", r->dirs.id, text);
		return;
	case -ERR_DEADLINE:
		recording_fail(r, ERR_RECORDING_STORAGE, "the storage of recordings does not respond; check SESSION_STORAGE_PATH and CHUNK_STORAGE_PATH");
		return;
	default:
		recording_fail(r, ERR_RECORDING_STORAGE, "the storage of recordings cannot be used: %s", *text ? text : "the job failed");
	}
}

static void on_prepared(void *arg, int code, const char *text, UNUSED size_t len)
{
	struct recording *r = arg;
	struct recording_found found;
	r->job = NULL;
	fd_close(&r->dir_fd);
	r->dir_fd = job_take_fd(r->host->children);
	if (code == 0 && (r->dir_fd < 0 || !recording_prepare_parse(text, &found)))
		code = PREPARE_FAILED;
	if (code) {
		recording_refuse(r, code, text);
		recorder_replace(r->recorder);
		return;
	}
	r->found = found;
	free(TAKE_PTR(r->manifest)); /* it is written */
	r->old_pid = 0;
	recording_record_write(r);
	recording_open_display(r);
}

static void recording_prepare(struct recording *r, bool over, unsigned ms, void (*done)(void *arg, int code, const char *text, size_t len))
{
	struct recording_prepare p = {
		.dirs = r->dirs, .manifest = over ? NULL : r->manifest, .over = over, .high_water = r->host->set.recording.high_water,
		.old_pid = r->old_pid, .old_start = r->old_start
	};
	r->job = job_start(r->host->children, recording_prepare_run, &p, ms, done, r);
}

/* --- the recorder */

static void on_begun(void *arg)
{
	struct recording *r = arg;
	r->sent = r->over = r->full = false;
	r->tries = 0;
	recording_prepare(r, false, PREPARE_MS, on_prepared);
}

static bool restarts_spent(const struct recording *r)
{
	return r->restarts >= RECORDING_RESTARTS_MAX &&
	       clock_mono_ms() - r->restarted_ms[r->restarts % RECORDING_RESTARTS_MAX] < HOUR_MS; /* the oldest of the ring */
}

static bool lacks_program(const struct child_end *e)
{
	return (e->cause == CHILD_NOT_BORN && e->err == ENOENT) || (e->obituary.known && e->obituary.code == CHILD_NO_PROGRAM);
}

static enum child_verdict on_verdict(void *arg, const struct child_end *e)
{
	const struct recording *r = arg;
	if (r->ending || r->over || !r->recorded || lacks_program(e))
		return CHILD_NO_MORE;
	return restarts_spent(r) ? CHILD_GIVE_UP : CHILD_AGAIN;
}

static void recorder_drop(struct recording *r)
{
	job_cancel(TAKE_PTR(r->job));
	display_open_cancel(&r->opening);
	loop_timer_clear(r->retry);
	fd_close(&r->dir_fd);
}

static void recording_wipe(struct recording *r)
{
	mem_wipe(r->key, sizeof r->key);
}

/* Nothing remains to be done but to tell. */
static void recording_over(struct recording *r, enum recording_state s, const char *reason)
{
	recording_wipe(r);
	recording_enter(r, s, reason);
	recording_answer_start(r);
	if (!list_empty(&r->stop_waiters)) {
		recording_answer_stop(r);
		recordings_remove(r);
	}
}

static void on_repaired(void *arg, int code, const char *text, UNUSED size_t len)
{
	struct recording *r = arg;
	struct recording_found found;
	r->job = NULL;
	if (code == 0 && recording_prepare_parse(text, &found))
		r->found = found;
	else
		log_error("host", "recording %s: the index could not be completed (%s); lucid-rdp verify says what is there", r->dirs.id,
			  code == PREPARE_LOCKED ? "a recorder still writes to it" : *text ? text : "the job failed");
	const char *reason = r->reason;
	if (reason && str_eq(reason, "recorder_failed"))
		recording_over(r, RECORDING_FAILED, reason);
	else
		recording_over(r, r->was_stopping && code == 0 && !r->found.torn ? RECORDING_COMPLETE : RECORDING_TRUNCATED, reason);
}

/* The recorder did not end in order: the index is completed first. */
static void recording_repair(struct recording *r, const char *reason)
{
	recording_wipe(r);
	recording_enter(r, RECORDING_STOPPING, reason);
	recording_prepare(r, true, RECOVER_MS, on_repaired);
}

static void on_dropped(void *arg, int code, const char *text, UNUSED size_t len)
{
	struct recording *r = arg;
	r->job = NULL;
	if (code)
		log_warn("host", "the directory of recording %s, which did not start, could not be removed: %s", r->dirs.id, text);
	recording_answer_start(r);
	recording_answer_stop(r);
	recordings_remove(r);
}

/* A new recording without a picture. Its directory must not stand in the way of another attempt; one that exists is another's. */
static void recording_give_up_start(struct recording *r)
{
	recording_wipe(r);
	recording_enter(r, RECORDING_FAILED, "start_failed");
	if (r->manifest)
		on_dropped(r, 0, "", 0); /* nothing was made, or it was not made by us */
	else
		r->job = job_start(r->host->children, recording_remove_run, &r->dirs, RECOVER_MS, on_dropped, r);
}

static void obituary_log(const struct recording *r, const struct child_end *e)
{
	const struct obituary *o = &e->obituary;
	if (r->ending || r->over)
		return;
	if (lacks_program(e))
		log_error("host", "recording %s: " RECORDER_FILE " cannot be run; install it again, with its libraries", r->dirs.id);
	else if (e->cause == CHILD_NOT_BORN)
		log_error("host", "recording %s: the recorder cannot be started: %s", r->dirs.id, strerror(e->err));
	else
		log_warn("host", "recording %s: the recorder %s %d%s", r->dirs.id, o->signal ? "was ended by signal" : "exited with code",
			 o->signal ? o->signal : o->code, e->cause == CHILD_LATE ? ", because it did not begin to record in time" : "");
}

static void on_recorder_ended(void *arg, const struct child_end *e, bool again)
{
	struct recording *r = arg;
	recorder_drop(r);
	obituary_log(r, e);
	if (again) {
		free(TAKE_PTR(r->fail_message));
		r->fail_err = 0;
		r->restarted_ms[r->restarts++ % RECORDING_RESTARTS_MAX] = clock_mono_ms();
		recording_enter(r, RECORDING_LOST, "recorder_failed");
		return;
	}
	recorder_free(TAKE_PTR(r->recorder));
	if (lacks_program(e))
		recording_fail(r, ERR_UNAVAILABLE, "desktops cannot be recorded on this host: " RECORDER_FILE " or one of its libraries is missing; install it again");
	else if (!r->over && !r->ending)
		recording_fail(r, ERR_PIPELINE, "the recorder of display :%d %s", r->display,
			       e->cause == CHILD_LATE ? "captured no picture in time; its X server does not answer" : "failed; the log of the host has the cause");
	if (!r->recorded && r->ending)
		recording_fail(r, ERR_RECORDING_STATE, "the recording was stopped, or the desktop ended, before the first picture");
	if (r->over && !r->full)
		recording_over(r, RECORDING_COMPLETE, r->reason ? r->reason : "stopped");
	else if (r->recorded || (r->continued && r->ending))
		recording_repair(r, r->fail_err ? "recorder_failed" : r->reason);
	else if (r->continued) {
		recording_wipe(r);
		recording_enter(r, RECORDING_INTERRUPTED, r->reason);
		recording_answer_start(r);
	} else
		recording_give_up_start(r);
}

/* --- life */

/* A copy of what was asked for, in which nothing is missing. */
static json_t *config_complete(const struct recording_settings *set, const json_t *config)
{
	json_t *c = config ? json_deep_copy(config) : json_object();
	const struct {
		const char *key, *value;
	} texts[] = {
		{ "codec", *set->compression ? set->compression : "zstd" }, { "quality", *set->quality ? set->quality : "high" },
		{ "cipher", "auto" }, { "on_loss", "alert" }, { "on_full", "pause" },
	};
	const struct {
		const char *key;
		int64_t value;
	} numbers[] = {
		{ "level", 3 }, { "frame_rate", set->frame_rate ? set->frame_rate : 30 }, { "chunk_seconds", 30 }, { "max_mb_per_min", 0 },
	};
	for (size_t n = 0; n < ARRAY_LEN(texts); n++)
		if (!json_is_string(json_object_get(c, texts[n].key)))
			doc_set_str(c, texts[n].key, texts[n].value);
	for (size_t n = 0; n < ARRAY_LEN(numbers); n++)
		if (!json_is_integer(json_object_get(c, numbers[n].key)))
			doc_set_int(c, numbers[n].key, numbers[n].value);
	if (str_eq(doc_str(c, "cipher", ""), "auto"))
		doc_set_str(c, "cipher", record_cipher_to_string(record_cipher_here()));
	return c;
}

struct recording *recording_new(struct host *h, const char *id, const json_t *config)
{
	struct recording *r = XNEW(struct recording);
	r->host = h;
	recording_dirs_of(&r->dirs, h, id);
	r->config = config_complete(&h->set.recording, config);
	r->dir_fd = -1;
	r->retry = loop_timer_new(h->loop, on_retry, r);
	r->start_us = clock_mono_us();
	r->zero_ms = clock_wall_ms();
	list_init(&r->start_waiters);
	list_init(&r->stop_waiters);
	return r;
}

void recording_free(struct recording *r)
{
	struct list *n;
	recorder_drop(r);
	recorder_free(r->recorder);
	while ((n = list_take_first(&r->stop_waiters)) || (n = list_take_first(&r->start_waiters)))
		free(CONTAINER_OF(n, struct recording_waiter, node));
	recording_wipe(r);
	loop_timer_free(r->retry);
	recording_dirs_done(&r->dirs);
	json_decref(r->config);
	json_decref(r->figures);
	free(r->manifest);
	free(r->fail_message);
	free(r);
}

void recording_start(struct recording *r)
{
	static const struct recorder_user user = { on_begun, recording_said, on_verdict, on_recorder_ended };
	recording_enter(r, RECORDING_STARTING, NULL);
	r->recorder = recorder_new(r->host, &user, r);
	recorder_begin(r->recorder);
}

void recording_end(struct recording *r, const char *reason)
{
	if (recording_is_over(r) || r->ending)
		return;
	r->ending = true;
	if (r->state == RECORDING_INTERRUPTED) {
		recording_repair(r, reason);
		return;
	}
	recording_enter(r, RECORDING_STOPPING, reason);
	if (r->sent)
		recorder_stop(r->recorder);
	else
		recorder_kill(r->recorder);
}

void recording_desktop_over(struct recording *r)
{
	recording_end(r, "desktop_ended");
}
