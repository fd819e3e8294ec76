/*
 * bench/store: the throughput of the embedded store, through store_write and store_get as the roles use them.
 *   build/release/bench/store [DIRECTORY]      on this disk, then again with every fsync 5 ms slower
 * DIRECTORY is where the files are created (default /var/tmp; on a tmpfs the result is meaningless). Prints one line for each figure.
 */
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "lucid/clock.h"
#include "store/open.h"

#define RUN_US 1500000

struct bench {
	struct loop *l;
	struct store *s;
	int64_t next, stored, answered, until_us, started_us;
	int in_flight;
	bool lists, reads; /* lists: writes of three documents, as for the creation of a server; reads: gets */
	char *pad;
};

static void ask(struct bench *b);

static void again(struct bench *b)
{
	b->answered++;
	b->in_flight--;
	if (clock_mono_us() < b->until_us)
		ask(b);
	else if (!b->in_flight)
		loop_stop(b->l);
}

static void on_write(enum store_result result, UNUSED size_t i, int err, void *arg)
{
	if (result != STORE_OK) {
		fprintf(stderr, "a write failed: %d %d\n", result, err);
		exit(1);
	}
	again(arg);
}

static void on_get(UNUSED enum store_result result, UNUSED const struct store_doc *doc, UNUSED int err, void *arg)
{
	again(arg);
}

static json_t *document(struct bench *b, const char *id)
{
	json_t *doc = json_object();
	doc_set_str(doc, "server_id", id);
	doc_set_int(doc, "version", 1);
	doc_set_str(doc, "name", id);
	doc_set_str(doc, "status", "stopped");
	doc_set_str(doc, "user_id", "alice");
	doc_set_str(doc, "node", "here");
	doc_set_int(doc, "port", b->next % 60000);
	doc_set_str(doc, "created_at", "2026-11-21T10:00:00.000Z");
	doc_set_str(doc, "description", b->pad);
	return doc;
}

static void ask(struct bench *b)
{
	char id[32], port[32], name[32];
	int64_t n = b->next++;
	if (b->reads) /* in a loop over all documents: more is stored than the cache holds */
		n %= b->stored;
	snprintf(id, sizeof id, "%016llx", (long long)((uint64_t)n * 0x9e3779b97f4a7c15ULL));
	snprintf(port, sizeof port, "here:%lld", (long long)n);
	snprintf(name, sizeof name, "alice:%lld", (long long)n);
	b->in_flight++;
	if (b->reads) {
		store_get(b->s, COL_SERVERS, id, on_get, b);
		return;
	}
	json_t *doc = document(b, id), *claim = json_pack("{s:i,s:s,s:s,s:i}", "version", 1, "node", "here", "server_id", id,
							  "port", (int)(n % 60000));
	struct store_op ops[] = {
		{ STORE_INSERT, COL_SERVERS, id, 0, doc },
		{ STORE_INSERT, COL_PORTS, port, 0, claim },
		{ STORE_INSERT, COL_NAMES, name, 0, claim },
	};
	store_write(b->s, ops, b->lists ? 3 : 1, on_write, b);
	json_decref(doc);
	json_decref(claim);
}

static double run(struct bench *b, const char *what, int in_flight, bool lists, bool reads)
{
	b->lists = lists;
	b->reads = reads;
	b->answered = 0;
	b->started_us = clock_mono_us();
	b->until_us = b->started_us + RUN_US;
	if (reads) {
		b->stored = b->next;
		b->next = 0;
	}
	for (int i = 0; i < in_flight; i++)
		ask(b);
	loop_run(b->l);
	double rate = (double)b->answered * 1e6 / (double)(clock_mono_us() - b->started_us);
	printf("%-44s %10.0f /s\n", what, rate);
	fflush(stdout);
	return rate;
}

static void on_open(int err, const char *why, void *arg)
{
	if (err) {
		fprintf(stderr, "%s\n", why);
		exit(1);
	}
	loop_stop(arg);
}

static void all(const char *dir)
{
	struct bench b = { .pad = xcalloc(1, 801) };
	_cleanup_(xfreep) char *path = xasprintf("%s/lucid-bench-%d.db", dir, (int)getpid());
	memset(b.pad, 'p', 800);
	b.l = loop_new();
	b.s = store_open_embedded(b.l, &(struct store_options){ path, 4096, 30000, 0 }, on_open, b.l);
	loop_run(b.l);
	double one = run(&b, "inserts of 1 KiB, 1 in flight", 1, false, false);
	double many = run(&b, "inserts of 1 KiB, 64 in flight", 64, false, false);
	printf("%-44s %10.1f x\n", "ratio", many / one);
	run(&b, "lists of 3 inserts, 1 in flight", 1, true, false);
	run(&b, "lists of 3 inserts, 64 in flight", 64, true, false);
	run(&b, "gets past the cache, 64 in flight", 64, false, true);
	store_close(b.s);
	loop_free(b.l);
	static const char *const beside[] = { "", "-wal", "-shm", ".lock" };
	for (size_t i = 0; i < ARRAY_LEN(beside); i++) {
		_cleanup_(xfreep) char *p = xasprintf("%s%s", path, beside[i]);
		unlink(p);
	}
	free(b.pad);
}

/* Executes this program again with the shim preloaded. */
static void slowly(const char *self, const char *dir)
{
	char shim[] = "/tmp/lucid-slow-XXXXXX";
	int fd = mkstemp(shim);
	if (fd < 0)
		return;
	close(fd);
	_cleanup_(xfreep) char *command =
		xasprintf("${CC:-cc} -O1 -shared -fPIC -o %s bench/slow_fsync.c && LD_PRELOAD=%s SLOW_FSYNC_MS=5 %s '%s' again", shim,
			  shim, self, dir);
	if (system(command) != 0)
		fprintf(stderr, "the slow run failed; start it from the top of the sources\n");
	unlink(shim);
}

int main(int argc, char **argv)
{
	const char *dir = argc > 1 ? argv[1] : "/var/tmp";
	bool again_slowly = argc > 2;
	printf("store, %s\n", again_slowly ? "every fsync 5 ms slower" : "this disk as it is");
	fflush(stdout);
	all(dir);
	if (!again_slowly)
		slowly(argv[0], dir);
	return 0;
}
