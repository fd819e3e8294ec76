/*
 * bench/history: fills a store with the history of servers as it is after a year: samples of a day, 5 minutes of 30 days, hours of a year.
 *   history FILE SERVERS STEP
 * FILE: of the embedded store, which may exist; STEP: seconds between two samples. The figures follow the time of day, with noise. Prints the id
 * of each server on a line.
 */
#include <math.h>
#include <stdio.h>

#include "lucid/clock.h"
#include "lucid/id.h"
#include "roles/rdp-resource-monitor/history/level.h"
#include "roles/rdp-resource-monitor/history/pack.h"
#include "store/open.h"

#define BATCH 64
#define DAY_MS (24 * 3600 * 1000.0)
#define SPREAD 0.3 /* of a slot: minimum and maximum around the mean, as a part of it */

static struct {
	struct loop *loop;
	struct store *store;
	struct store_op op[BATCH];
	char id[BATCH][STORE_ID_MAX];
	size_t n;
	uint64_t random;
} t;

static void fail(const char *what)
{
	fprintf(stderr, "history: %s\n", what);
	exit(1);
}

/* 0 to 1; the same in each run. */
static double noise(void)
{
	t.random = t.random * 6364136223846793005ULL + 1442695040888963407ULL;
	return (double)(t.random >> 40) / (double)(1 << 24);
}

/* The figures of a server in use, and their scale at the busiest time of day. */
static const struct {
	enum resource resource;
	double most;
} figures[] = {
	{ RES_CPU, 40 },	   { RES_CPU_CORE, 160 },    { RES_MEMORY, 2e9 }, { RES_MEMORY_PERCENT, 50 }, { RES_NET_IN, 200 },
	{ RES_NET_OUT, 4000 },	   { RES_IO_READ, 1e6 },     { RES_IO_WRITE, 2e6 }, { RES_TASKS, 300 },	      { RES_SESSIONS, 4 },
	{ RES_PRESSURE_CPU, 5 }, { RES_PRESSURE_MEMORY, 1 }, { RES_PRESSURE_IO, 2 },
};

static void point_make(struct point *p, int64_t time_ms, uint32_t samples)
{
	double day = 0.55 - 0.45 * cos(2 * M_PI * fmod((double)time_ms, DAY_MS) / DAY_MS);
	*p = (struct point){ .time_ms = time_ms, .n = samples };
	for (int r = 0; r < RES_COUNT; r++)
		p->of[r] = (struct reading){ NAN, NAN, NAN };
	for (size_t i = 0; i < ARRAY_LEN(figures); i++) {
		double mean = figures[i].most * day * (0.8 + 0.4 * noise()), around = samples > 1 ? SPREAD * noise() : 0;
		p->of[figures[i].resource] = (struct reading){ mean, mean * (1 - around), mean * (1 + around) };
	}
}

static void on_written(enum store_result result, UNUSED size_t index, UNUSED int err, UNUSED void *arg)
{
	if (result != STORE_OK)
		fail("a write failed");
	loop_stop(t.loop);
}

static void write_batch(void)
{
	if (!t.n)
		return;
	store_write(t.store, t.op, t.n, on_written, NULL);
	loop_run(t.loop);
	while (t.n)
		json_decref((json_t *)(uintptr_t)t.op[--t.n].doc);
}

static void bucket_make(const char *server, enum level l, int64_t start_ms, int64_t now_ms, int64_t step_ms)
{
	char series[SERIES_MAX];
	struct pack *pack = pack_new(start_ms, l != LEVEL_RAW);
	uint32_t samples = l == LEVEL_RAW ? 1 : (uint32_t)(levels[l].step_ms / step_ms);
	int64_t each_ms = l == LEVEL_RAW ? step_ms : levels[l].step_ms;
	for (int64_t at = start_ms; at < MIN(start_ms + levels[l].bucket_ms, now_ms); at += each_ms) {
		struct point p;
		point_make(&p, at, samples);
		pack_add(pack, &p);
	}
	level_series(l, SAMPLE_SERVER, server, series);
	level_id(series, start_ms, t.id[t.n]);
	json_t *doc = level_doc(l, series, "bench", start_ms, 1);
	pack_write(pack, doc);
	pack_free(pack);
	t.op[t.n] = (struct store_op){ STORE_INSERT, COL_RESOURCES, t.id[t.n], 0, doc };
	if (++t.n == BATCH)
		write_batch();
}

static void server_make(int64_t now_ms, int64_t step_ms)
{
	char id[ID_UUID_SIZE];
	id_uuid(id);
	for (enum level l = 0; l < LEVELS; l++)
		for (int64_t at = level_bucket(l, now_ms - levels[l].keep_ms); at < now_ms; at += levels[l].bucket_ms)
			bucket_make(id, l, at, now_ms, step_ms);
	puts(id);
}

static void opened(int err, const char *why, UNUSED void *arg)
{
	if (err)
		fail(why);
	loop_stop(t.loop);
}

int main(int argc, char **argv)
{
	if (argc != 4)
		fail("usage: history FILE SERVERS STEP");
	int64_t now_ms = clock_wall_ms();
	t.loop = loop_new();
	t.store = store_open_embedded(t.loop, &(struct store_options){ argv[1], 4096, 30000, 0 }, opened, NULL);
	loop_run(t.loop);
	for (int n = atoi(argv[2]); n > 0; n--)
		server_make(now_ms, atoll(argv[3]) * 1000);
	write_batch();
	store_close(t.store);
	loop_free(t.loop);
	return 0;
}
