#include "host/recording/recording_storage.h"

#include <stdio.h>

#include "host/recording/recording_dirs.h"
#include "lucid/clock.h"
#include "lucid/fault.h"
#include "lucid/log.h"
#include "sys/child/job.h"

#define LOOK_JOB_MS 15000
#define COUNT_EVERY_MS 60000
#define LOOK_OFTEN_MS 2000
#define LOOK_SELDOM_MS 15000
#define PLENTY (4ll << 30) /* bytes above the high-water mark */
#define RESUME_PERCENT 97 /* of the maximum size: above it, what was paused for it stays paused */

struct recording_storage {
	struct host *host;
	struct recording_roots roots;
	void (*looked)(void *arg);
	void *arg;
	struct job *job;
	int64_t free_bytes, used_bytes; /* -1: unknown */
	int64_t looked_ms, counted_ms;	/* monotonic; 0: never */
	bool told;			/* that it does not respond */
};

struct recording_storage *recording_storage_new(struct host *h, void (*looked)(void *arg), void *arg)
{
	struct recording_storage *s = XNEW(struct recording_storage);
	*s = (struct recording_storage){ .host = h, .looked = looked, .arg = arg, .free_bytes = -1, .used_bytes = -1 };
	s->roots = (struct recording_roots){ xstrdup(h->set.session_storage), xstrdup(h->set.chunk_storage), false };
	return s;
}

void recording_storage_free(struct recording_storage *s)
{
	job_cancel(s->job);
	free(s->roots.session);
	free(s->roots.chunks);
	free(s);
}

static void on_storage_job(void *arg, int code, const char *text, UNUSED size_t len)
{
	struct recording_storage *s = arg;
	long long left, used;
	s->job = NULL;
	if (code != 0 || sscanf(text, "%lld %lld", &left, &used) != 2) {
		if (!s->told)
			log_error("host", "the storage of recordings (%s) does not respond", s->host->set.chunk_storage);
		s->told = true;
		s->free_bytes = -1;
		return;
	}
	s->told = false;
	s->free_bytes = fault_hit("recording.full") ? 0 : left;
	if (s->roots.count) {
		s->used_bytes = used;
		s->counted_ms = clock_mono_ms();
	}
	s->looked(s->arg);
}

bool recording_storage_is_over(const struct recording_storage *s)
{
	int64_t max = s->host->set.recording.max_bytes;
	return max && s->used_bytes >= max;
}

static bool is_near_max(const struct recording_storage *s)
{
	int64_t max = s->host->set.recording.max_bytes;
	return max && s->used_bytes >= max / 100 * RESUME_PERCENT;
}

enum recording_space recording_storage_space(const struct recording_storage *s)
{
	const struct recording_settings *set = &s->host->set.recording;
	if (s->free_bytes < 0)
		return SPACE_UNKNOWN;
	if (s->free_bytes < set->low_water || recording_storage_is_over(s))
		return SPACE_LOW;
	return s->free_bytes < set->high_water || is_near_max(s) ? SPACE_BETWEEN : SPACE_ENOUGH;
}

/* A look is a process. Far from the marks, no number of recorders fills the disk between two looks. */
static int64_t look_every_ms(const struct recording_storage *s)
{
	return recording_storage_space(s) == SPACE_ENOUGH && s->free_bytes - s->host->set.recording.high_water > PLENTY ? LOOK_SELDOM_MS : LOOK_OFTEN_MS;
}

void recording_storage_look(struct recording_storage *s)
{
	int64_t now = clock_mono_ms();
	if (s->job || (s->looked_ms && now - s->looked_ms < look_every_ms(s)))
		return;
	s->looked_ms = now;
	s->roots.count = !s->counted_ms || clock_mono_ms() - s->counted_ms > COUNT_EVERY_MS;
	s->job = job_start(s->host->children, recording_storage_run, &s->roots, LOOK_JOB_MS, on_storage_job, s);
}

json_t *recording_storage_doc(const struct recording_storage *s)
{
	const struct recording_settings *set = &s->host->set.recording;
	json_t *d = json_object();
	doc_set(d, "free_bytes", s->free_bytes < 0 ? NULL : json_integer(s->free_bytes));
	doc_set(d, "used_bytes", s->used_bytes < 0 ? NULL : json_integer(s->used_bytes));
	doc_set_int(d, "max_bytes", set->max_bytes);
	doc_set_int(d, "high_water_bytes", set->high_water);
	doc_set_int(d, "low_water_bytes", set->low_water);
	doc_set_bool(d, "full", (s->free_bytes >= 0 && s->free_bytes < set->high_water) || recording_storage_is_over(s));
	return d;
}
