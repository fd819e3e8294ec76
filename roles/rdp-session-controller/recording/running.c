#include "roles/rdp-session-controller/recording/running.h"

#include <stdio.h>

#include "lucid/clock.h"
#include "roles/rdp-session-controller/agent.h"

/* The index does not list it yet, so its head is read: once, as it does not change. */

struct running {
	struct recordings *all;
	char id[ID_UUID_SIZE];
	const struct call *call;
	running_got got;
	void *arg;
	int64_t seq, bytes;
	struct source *source;
};

static void running_end(struct running *w, const json_t *chunk)
{
	struct objects *set = w->all->objects;
	running_got got = w->got;
	void *arg = w->arg;
	source_close(w->source);
	free(w);
	got(chunk, arg);
	objects_release(set);
}

static void running_tell(struct running *w, const struct recording *r)
{
	const struct record_header *h = &r->running;
	int64_t now_ms = clock_wall_ms() - r->started_ms, t0_ms = (int64_t)h->t0_ms;
	json_t *chunk = json_object();
	static const char *const unknown[] = { "raw_bytes", "frames", "hash", "prev_hash" };
	doc_set_int(chunk, "seq", h->seq);
	doc_set_int(chunk, "t0_ms", t0_ms);
	doc_set_int(chunk, "duration_ms", MIN(MAX(now_ms - t0_ms, 0), RECORD_CHUNK_MS_MAX));
	doc_set_int(chunk, "bytes", w->bytes);
	doc_set_int(chunk, "width", h->width);
	doc_set_int(chunk, "height", h->height);
	doc_set_bool(chunk, "closed", false);
	doc_set_bool(chunk, "torn", false);
	for (size_t i = 0; i < ARRAY_LEN(unknown); i++)
		doc_set(chunk, unknown[i], NULL);
	doc_set(chunk, "activity", json_array());
	running_end(w, chunk);
	json_decref(chunk);
}

static int take_header(void *arg, const struct record_header *h)
{
	*(struct record_header *)arg = *h;
	return 0;
}

static void running_head_got(struct blob *piece, UNUSED int err, UNUSED const char *why, void *arg)
{
	struct running *w = arg;
	struct recording *r = (struct recording *)objects_find(w->all->objects, w->id);
	struct record_header h = { 0 };
	struct record_reader *reader = record_reader_new(&(struct record_reader_args){ .seq = w->seq, .arg = &h, .on_header = take_header });
	bool read = piece && r && record_reader_feed(reader, piece->data, MIN(piece->len, (size_t)RECORD_HEADER_BYTES)) == 0 && record_reader_progress(reader)->header;
	record_reader_free(reader);
	if (!read) {
		running_end(w, NULL);
		return;
	}
	r->running = h;
	r->running_known = true;
	running_tell(w, r);
}

static void running_file_opened(const struct reply *reply, void *arg)
{
	struct running *w = arg;
	if (reply->err || !reply->source) {
		running_end(w, NULL);
		return;
	}
	w->source = source_ref(reply->source);
	source_read(w->source, running_head_got, w);
}

static void running_files_listed(const struct reply *reply, void *arg)
{
	struct running *w = arg;
	struct recording *r = (struct recording *)objects_find(w->all->objects, w->id);
	json_t *chunk;
	size_t i;
	w->seq = -1;
	json_array_foreach(reply->err ? NULL : json_object_get(reply->doc, "chunks"), i, chunk)
	{
		if (doc_bool(chunk, "closed", true) || doc_int(chunk, "bytes", 0) <= RECORD_HEADER_BYTES)
			continue;
		w->seq = doc_int(chunk, "seq", -1);
		w->bytes = doc_int(chunk, "bytes", 0);
	}
	if (!r || w->seq < 0)
		running_end(w, NULL);
	else if (r->running_known && r->running.seq == w->seq)
		running_tell(w, r);
	else
		recording_file_ask(r, w->seq, w->call, running_file_opened, w);
}

void running_chunk(struct recording *r, const struct call *call, running_got got, void *arg)
{
	struct recordings *all = recording_all(r);
	struct running *w = XNEW(struct running);
	*w = (struct running){ .all = all, .call = call, .got = got, .arg = arg };
	memcpy(w->id, r->o.id, sizeof w->id);
	objects_hold(all->objects);
	recording_files_ask(r, r->chunks, call, running_files_listed, w);
}
