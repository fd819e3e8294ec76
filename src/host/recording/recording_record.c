#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "host/kernel/fs.h"
#include "host/recording/recording.h"
#include "lucid/log.h"
#include "lucid/str.h"
#include "sys/files.h"

#define RECORD_TEXT_MAX 16384

/* Reasons in records become static texts again. */
static const char *reason_static(const char *s)
{
	static const char *const known[] = { "requested", "disk_full", "connection_lost", "recorder_failed", "stopped", "desktop_ended", "start_failed" };
	for (size_t n = 0; n < ARRAY_LEN(known); n++)
		if (str_eq(known[n], s))
			return known[n];
	return NULL;
}

static char *records_dir(const struct host *h)
{
	return xasprintf("%s/xrdp/recordings", h->set.data_dir);
}

static char *record_file(const struct recording *r)
{
	_cleanup_(xfreep) char *dir = records_dir(r->host);
	return xasprintf("%s/%s.json", dir, r->dirs.id);
}

void recording_record_write(const struct recording *r)
{
	pid_t pid = r->recorder ? recorder_pid(r->recorder) : r->old_pid;
	_cleanup_(xfreep) char *dir = records_dir(r->host), *path = record_file(r);
	_cleanup_(doc_unrefp) json_t *d = recording_state_doc(r);
	doc_set_str(d, "boot_id", r->host->boot_id);
	doc_set_str(d, "server_id", r->server_id);
	doc_set_int(d, "display", r->display);
	doc_set_str(d, "username", r->user);
	doc_set_str(d, "desktop_started_at", r->started_at);
	doc_set_int(d, "start_us", r->start_us);
	doc_set_int(d, "zero_ms", r->zero_ms);
	doc_set_int(d, "first_picture_ms", r->first_picture_ms);
	doc_set_int(d, "pid", pid);
	doc_set_int(d, "pid_start", pid ? (int64_t)proc_start(pid) : 0);
	doc_set_int(d, "lost", r->lost);
	doc_set_int(d, "restarts", r->restarts);
	doc_set_bool(d, "made", !r->manifest);
	doc_set_bool(d, "paused", r->paused & PAUSE_REQUESTED);
	doc_set(d, "config", json_incref(r->config));
	_cleanup_(xfreep) char *text = doc_text(d);
	int e = fs_mkdirs(dir, 0700);
	if (e == 0)
		e = fs_write(path, text, 0600, 0);
	if (e < 0)
		log_error("host", "%s cannot be written: %s; after a restart, recording %s is not continued", path, strerror(-e), r->dirs.id);
}

void recording_record_remove(const struct recording *r)
{
	_cleanup_(xfreep) char *path = record_file(r);
	unlink(path);
}

static void state_read(struct recording *r, const json_t *d)
{
	enum recording_state s;
	r->state = recording_state_from_string(doc_str(d, "state", ""), &s) && s >= RECORDING_COMPLETE ? s : RECORDING_INTERRUPTED;
	r->reason = reason_static(doc_str(d, "reason", ""));
	r->found.chunks = (uint32_t)doc_int(d, "chunks", 0);
	r->found.bytes = doc_int(d, "bytes", 0);
	if (!str_copy(r->found.head, sizeof r->found.head, doc_str(d, "head", "")))
		r->found.head[0] = 0;
	r->width = (int)doc_int(d, "width", 0);
	r->height = (int)doc_int(d, "height", 0);
	r->first_picture_ms = doc_int(d, "first_picture_ms", 0);
	r->start_us = doc_int(d, "start_us", r->start_us);
	r->zero_ms = doc_int(d, "zero_ms", r->zero_ms);
	r->lost = (unsigned)doc_int(d, "lost", 0);
	r->paused = doc_bool(d, "paused", false) ? PAUSE_REQUESTED : 0;
	r->continued = true;
	r->was_stopping = str_eq(doc_str(d, "state", ""), recording_state_to_string(RECORDING_STOPPING));
}

static struct recording *record_parse(struct host *h, const char *id, const json_t *d)
{
	if (!id_is_uuid(doc_str(d, "server_id", "")) || !doc_bool(d, "made", false))
		return NULL;
	struct recording *r = recording_new(h, id, json_object_get(d, "config"));
	str_copy(r->server_id, sizeof r->server_id, doc_str(d, "server_id", ""));
	str_copy(r->user, sizeof r->user, doc_str(d, "username", ""));
	str_copy(r->started_at, sizeof r->started_at, doc_str(d, "desktop_started_at", ""));
	r->display = (int)doc_int(d, "display", 0);
	state_read(r, d);
	if (str_eq(doc_str(d, "boot_id", ""), h->boot_id)) {
		r->old_pid = (pid_t)doc_int(d, "pid", 0);
		r->old_start = (uint64_t)doc_int(d, "pid_start", 0);
	} else {
		r->started_at[0] = 0; /* no desktop of an earlier boot lives */
	}
	return r;
}

void recording_records_read(struct host *h, void (*fn)(struct host *h, struct recording *consume))
{
	_cleanup_(xfreep) char *dir = records_dir(h);
	DIR *d = opendir(dir);
	struct dirent *e;
	while (d && (e = readdir(d))) {
		char id[ID_UUID_SIZE];
		if (strlen(e->d_name) != ID_UUID_SIZE - 1 + strlen(".json") || !str_ends(e->d_name, ".json"))
			continue;
		snprintf(id, sizeof id, "%.36s", e->d_name);
		_cleanup_(xfreep) char *path = xasprintf("%s/%s", dir, e->d_name), *text = file_read(path, RECORD_TEXT_MAX, NULL);
		_cleanup_(doc_unrefp) json_t *doc = text && id_is_uuid(id) ? doc_parse(text, strlen(text), NULL, 0) : NULL;
		struct recording *r = doc ? record_parse(h, id, doc) : NULL;
		if (r)
			fn(h, r);
		else
			unlink(path); /* damaged, or of a start that made nothing */
	}
	if (d)
		closedir(d);
}
