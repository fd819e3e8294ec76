#include "recorder/report.h"

#include <time.h>

#include "recorder/control.h"

static const char *const stages[RECORD_STAGES] = { "recording", "compression", "encryption", "storage" };

static void figures_add(struct record_figures *sum, const struct record_figures *more)
{
	sum->items += more->items;
	sum->bytes_in += more->bytes_in;
	sum->bytes_out += more->bytes_out;
	sum->ns_sum += more->ns_sum;
	sum->ns_max = MAX(sum->ns_max, more->ns_max);
	sum->errors += more->errors;
	sum->last_us = MAX(sum->last_us, more->last_us);
}

void report_keep(struct recorder *r)
{
	const struct record_figures *f = record_writer_figures(r->writer);
	for (size_t k = 0; k < RECORD_STAGES; k++)
		figures_add(&r->gone[k], &f[k]);
}

static struct record_figures total(const struct recorder *r, enum record_stage stage)
{
	struct record_figures sum = r->gone[stage];
	if (r->writer)
		figures_add(&sum, &record_writer_figures(r->writer)[stage]);
	if (stage == RECORD_STAGE_RECORDING && r->eye) { /* the writer knows its frames, the eye what they cost */
		const struct eye_figures *e = eye_figures(r->eye);
		sum.bytes_in = e->bytes_read;
		sum.bytes_out = e->bytes_changed;
		sum.ns_sum = e->ns_sum;
		sum.ns_max = e->ns_max;
	}
	return sum;
}

uint64_t report_bytes(const struct recorder *r)
{
	return total(r, RECORD_STAGE_STORAGE).bytes_out;
}

bool report_is_due(const struct recorder *r, int64_t now_us)
{
	return total(r, RECORD_STAGE_RECORDING).items != r->reported_items || now_us - r->reported_us >= FIGURES_MS * 1000;
}

static int64_t process_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

struct report_load report_load(struct recorder *r, int64_t now_us)
{
	int64_t cpu_us = process_us(), passed_us = now_us - r->loaded_us;
	struct report_load load = { passed_us > 0 ? (unsigned)((cpu_us - r->cpu_us) * 1000 / passed_us) : 0 };
	r->cpu_us = cpu_us;
	r->loaded_us = now_us;
	return load;
}

static json_t *stage_doc(const struct record_figures *f)
{
	json_t *doc = json_object();
	doc_set_int(doc, "items", (int64_t)f->items);
	doc_set_int(doc, "bytes_in", (int64_t)f->bytes_in);
	doc_set_int(doc, "bytes_out", (int64_t)f->bytes_out);
	doc_set_int(doc, "ns_sum", (int64_t)f->ns_sum);
	doc_set_int(doc, "ns_max", (int64_t)f->ns_max);
	doc_set_int(doc, "errors", (int64_t)f->errors);
	doc_set_int(doc, "last_us", f->last_us);
	return doc;
}

static const char *state_of(const struct recorder *r)
{
	return r->ended ? "ended" : r->full ? "full" : r->paused ? "paused" : r->lost ? "lost" : "recording";
}

static void add_eye(const struct recorder *r, json_t *body, int64_t now_us)
{
	const struct eye_figures *e = eye_figures(r->eye);
	int64_t since_us = eye_waits_since_us(r->eye);
	doc_set_int(body, "captures", (int64_t)e->captures);
	doc_set_int(body, "late", (int64_t)e->late);
	doc_set_int(body, "waiting_ms", since_us == EYE_NEVER ? 0 : MAX(now_us - since_us, (int64_t)0) / 1000);
}

void report_send(struct recorder *r, int64_t now_us)
{
	struct record_written written = r->end;
	json_t *body = json_object();
	if (r->writer)
		record_writer_written(r->writer, &written);
	for (size_t k = 0; k < RECORD_STAGES; k++) {
		struct record_figures f = total(r, (enum record_stage)k);
		doc_set(body, stages[k], stage_doc(&f));
	}
	doc_set_str(body, "state", state_of(r));
	doc_set_str(body, "quality", quality_to_string(r->quality));
	doc_set_int(body, "level", r->level);
	if (r->eye)
		add_eye(r, body, now_us);
	doc_set_int(body, "cpu_us", process_us());
	doc_set_int(body, "next_seq", written.next_seq);
	doc_set_int(body, "chunk_bytes", written.open ? written.open_bytes : 0);
	control_send(r->control, "figures", body);
	r->reported_us = now_us;
	r->reported_items = total(r, RECORD_STAGE_RECORDING).items;
}
