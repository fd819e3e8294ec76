/* The store on MongoDB: the common suite, and faults of a remote server. On mongod if it is on the PATH, otherwise on FerretDB
 * (test/lib/ferretdb): it is killed and frozen, so it is never a server that others use. */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <mongoc/mongoc.h>

#include "lucid/clock.h"
#include "lucid/str.h"
#include "store/migrations.h"
#include "store/open.h"
#include "test/contract/mongo_server.h"
#include "test/contract/store_suite.h"

/* --- the suite */

#define FROZEN_MS 5000 /* timeout of requests that must end by it */

static struct store *open_for_suite(struct loop *l, const char *name, const struct store_suite_options *o)
{
	_cleanup_(xfreep) char *url = url_of(name);
	return store_open_mongo(l, &(struct store_options){ .queue_limit = o->queue_limit, .timeout_ms = o->timeout_ms, .cache_bytes = o->cache_bytes,
							     .url = url, .min_clients = 1, .max_clients = 8 }, NULL, NULL);
}

/* --- one database */

struct database {
	struct loop *l;
	struct store *s;
	bool told;
	int err;
	char why[600];
};

static void on_open(int err, const char *why, void *arg)
{
	struct database *d = arg;
	d->err = err;
	snprintf(d->why, sizeof d->why, "%s", why);
	d->told = true;
}

static struct database *open_database(const char *url, unsigned timeout_ms)
{
	struct database *d = XNEW(struct database);
	d->l = loop_new();
	d->s = store_open_mongo(d->l, &(struct store_options){ .queue_limit = 4096, .timeout_ms = timeout_ms, .url = url, .min_clients = 2, .max_clients = 8 }, on_open, d);
	suite_until(d->l, &d->told);
	return d;
}

static void close_database(struct database *d)
{
	store_close(d->s);
	loop_free(d->l);
	free(d);
}

static bool has(struct database *d, const char *id)
{
	struct suite_answer a;
	suite_get(d->l, d->s, COL_SERVERS, id, &a);
	free(a.text);
	return a.result == STORE_OK;
}

static struct suite_answer put(struct database *d, const char *id, enum store_verb verb)
{
	struct suite_answer a;
	json_t *doc = suite_doc(id, 1);
	suite_write(d->l, d->s, &(struct store_op){ verb, COL_SERVERS, id, 0, doc }, 1, &a);
	json_decref(doc);
	return a;
}

static void wait_up(struct database *d, bool up)
{
	int64_t until = clock_mono_ms() + 2 * PATIENCE_MS;
	while (store_healthy(d->s, NULL) != up && clock_mono_ms() < until)
		suite_turn(d->l, 20);
	assert_int_equal(store_healthy(d->s, NULL), up);
}

/* Killed and restarted: acknowledged writes are there, requests meanwhile are refused, and the store recovers without help. */
static void store_recovers_from_a_killed_server(void **state)
{
	_cleanup_(xfreep) char *url = url_of("killed");
	struct database *d = open_database(url, PATIENCE_MS);
	assert_int_equal(d->err, 0);
	for (int round = 0; round < 3; round++) {
		char id[16];
		snprintf(id, sizeof id, "k%d", round);
		assert_int_equal(put(d, id, STORE_INSERT).result, STORE_OK);
		end_server();
		struct suite_answer a = put(d, "lost", STORE_PUT);
		assert_int_equal(a.result, STORE_FAILED);
		assert_true(a.err == -ERR_UNAVAILABLE || a.err == -ERR_UNCERTAIN);
		wait_up(d, false);
		a = put(d, "lost", STORE_PUT); /* refused by the breaker: certain, while the outcome of a sent request may be uncertain */
		assert_int_equal(a.err, -ERR_UNAVAILABLE);
		start_server();
		wait_up(d, true);
		assert_true(has(d, id));
		assert_int_equal(put(d, id, STORE_INSERT).result, STORE_EXISTS);
	}
	close_database(d);
}

/* It keeps its connections and does not answer: each request ends within its time limit, then all are refused at once. */
static void store_recovers_from_a_frozen_server(void **state)
{
	_cleanup_(xfreep) char *url = url_of("frozen");
	struct database *d = open_database(url, FROZEN_MS);
	assert_int_equal(put(d, "before", STORE_INSERT).result, STORE_OK);
	kill(server, SIGSTOP);
	assert_int_equal(waitpid(server, NULL, WUNTRACED), server); /* reported when the last of its threads has stopped */
	struct suite_answer a = put(d, "during", STORE_INSERT);
	assert_int_equal(a.result, STORE_FAILED);
	assert_true(a.err == -ERR_UNCERTAIN || a.err == -ERR_UNAVAILABLE);
	wait_up(d, false);
	assert_int_equal(put(d, "during", STORE_INSERT).err, -ERR_UNAVAILABLE);
	kill(server, SIGCONT);
	wait_up(d, true);
	assert_true(has(d, "before"));
	a = put(d, "during", STORE_INSERT);
	assert_true(a.result == STORE_OK || a.result == STORE_EXISTS);
	close_database(d);
}

static void store_waits_for_an_absent_server(void **state)
{
	_cleanup_(xfreep) char *url = url_of("absent");
	end_server();
	struct database *d = open_database(url, PATIENCE_MS);
	assert_int_equal(d->err, -ERR_UNAVAILABLE);
	assert_non_null(strstr(d->why, "is unreachable"));
	assert_int_equal(put(d, "a", STORE_INSERT).err, -ERR_UNAVAILABLE);
	d->told = false;
	start_server();
	suite_until(d->l, &d->told);
	assert_int_equal(d->err, 0);
	assert_int_equal(put(d, "a", STORE_INSERT).result, STORE_OK);
	close_database(d);
}

/* --- a lost answer: a process between store and server, which cuts the connection when the server answers a deletion */

#define RELAY_PAIRS 64
struct relay {
	int port, *cut; /* cut: shared; 1: cut at the next answer to a deletion; 2: it was cut */
	pid_t pid;
};

static int connected(int to)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((uint16_t)to) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (connect(fd, (struct sockaddr *)&a, sizeof a) < 0)
		_exit(3);
	return fd;
}

/* Forwards available data; false: this side is closed, or cut. */
static bool pass_on(int from, int to, bool asks, bool *doomed, const struct relay *r)
{
	static char buf[1 << 16];
	ssize_t n = read(from, buf, sizeof buf);
	if (n <= 0 || (!asks && *doomed))
		return false;
	if (asks && *r->cut == 1 && memmem(buf, (size_t)n, "\x02""delete\0", 8)) {
		*r->cut = 2;
		*doomed = true;
	}
	return write(to, buf, (size_t)n) == n;
}

static void relay_main(int listener, const struct relay *r)
{
	struct pollfd p[1 + 2 * RELAY_PAIRS];
	bool doomed[RELAY_PAIRS] = { false };
	nfds_t n = 1;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	p[0] = (struct pollfd){ .fd = listener, .events = POLLIN };
	while (poll(p, n, -1) > 0) {
		for (nfds_t i = 1; i + 1 < n; i += 2)
			for (nfds_t side = 0; side < 2 && p[i].fd >= 0; side++)
				if (p[i + side].revents && !pass_on(p[i + side].fd, p[i + 1 - side].fd, side == 0, &doomed[i / 2], r)) {
					close(p[i].fd);
					close(p[i + 1].fd);
					p[i].fd = p[i + 1].fd = -1;
				}
		if (p[0].revents && n + 2 <= ARRAY_LEN(p)) {
			p[n] = (struct pollfd){ .fd = accept(listener, NULL, NULL), .events = POLLIN };
			p[n + 1] = (struct pollfd){ .fd = connected(port), .events = POLLIN };
			n += 2;
		}
	}
	_exit(0);
}

static void relay_start(struct relay *r)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	r->port = free_port();
	a.sin_port = htons((uint16_t)r->port);
	r->cut = mmap(NULL, sizeof *r->cut, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
	assert_int_equal(listen(fd, 64), 0);
	r->pid = fork();
	if (r->pid == 0)
		relay_main(fd, r);
	close(fd);
}

/* The outcome is reported as uncertain. It is not retried: by then the id could belong to another document. */
static void lost_answer_is_uncertain(void **state)
{
	struct relay r;
	relay_start(&r);
	_cleanup_(xfreep) char *direct = url_of("lost");
	_cleanup_(xfreep) char *through = xasprintf("mongodb://127.0.0.1:%d/lrdp_%d_lost", r.port, (int)getpid());
	struct database *d = open_database(through, PATIENCE_MS), *other = open_database(direct, PATIENCE_MS);
	assert_int_equal(put(d, "x", STORE_INSERT).result, STORE_OK);
	*r.cut = 1;
	struct suite_answer a;
	suite_write(d->l, d->s, &(struct store_op){ STORE_DELETE, COL_SERVERS, "x", 1, NULL }, 1, &a);
	assert_int_equal(*r.cut, 2);
	assert_int_equal(a.result, STORE_FAILED);
	assert_int_equal(a.err, -ERR_UNCERTAIN);
	assert_false(has(other, "x"));
	assert_int_equal(put(other, "x", STORE_INSERT).result, STORE_OK);
	wait_up(d, true);
	assert_true(has(d, "x"));
	close_database(d);
	close_database(other);
	kill(r.pid, SIGKILL);
	waitpid(r.pid, NULL, 0);
	munmap(r.cut, sizeof *r.cut);
}

/* Without any request the store notices that the server is gone. */
static void lost_server_is_noticed_without_a_request(void **state)
{
	_cleanup_(xfreep) char *url = url_of("idle");
	struct database *d = open_database(url, PATIENCE_MS);
	wait_up(d, true);
	end_server();
	wait_up(d, false);
	start_server();
	wait_up(d, true);
	close_database(d);
}

/* --- after a burst */

static unsigned threads_of_the_store(void)
{
	char path[300], name[32];
	unsigned n = 0;
	DIR *tasks = opendir("/proc/self/task");
	for (struct dirent *e; (e = readdir(tasks));) {
		snprintf(path, sizeof path, "/proc/self/task/%s/comm", e->d_name);
		FILE *f = fopen(path, "re");
		n += f && fgets(name, sizeof name, f) && !strncmp(name, "store-mongo", 11);
		if (f)
			fclose(f);
	}
	closedir(tasks);
	return n;
}

static unsigned connections(void)
{
	unsigned n = 0;
	for (int fd = 3; fd < 200; fd++) {
		struct sockaddr_in a;
		socklen_t size = sizeof a;
		n += getpeername(fd, (struct sockaddr *)&a, &size) == 0 && a.sin_family == AF_INET && ntohs(a.sin_port) == port;
	}
	return n;
}

struct burst {
	int left;
	bool over;
	unsigned threads, connections; /* maximum values */
};

static void on_listed(enum store_result result, UNUSED struct blob *const *docs, UNUSED size_t n, UNUSED int64_t total, UNUSED int err, void *arg)
{
	struct burst *b = arg;
	suite_answered();
	assert_int_equal(result, STORE_OK);
	b->threads = MAX(b->threads, threads_of_the_store());
	b->connections = MAX(b->connections, connections());
	b->over = --b->left == 0;
}

static struct burst burst(struct database *d)
{
	struct store_query q = { .sort = { "id", false }, .limit = 10 };
	struct burst b = { .left = 400 };
	for (int i = 0; i < 400; i++) {
		q.offset = (size_t)i; /* different queries, because equal ones would be coalesced */
		store_list(d->s, COL_SERVERS, &q, on_listed, &b);
	}
	suite_until(d->l, &b.over);
	return b;
}

#define IDLE_MS 3000 /* longer than any pause of a busy machine in a burst, after which they would be closed already */

/* Threads and connections of a burst are closed when idle; the next burst gets as many as it needs. */
static void burst_leaves_no_threads_and_connections(void **state)
{
	_cleanup_(xfreep) char *url = url_of("burst");
	struct database d = { .l = loop_new() };
	d.s = store_open_mongo(d.l, &(struct store_options){ .queue_limit = 4096, .timeout_ms = PATIENCE_MS, .url = url, .min_clients = 1,
							      .max_clients = 16, .idle_ms = IDLE_MS }, on_open, &d);
	suite_until(d.l, &d.told);
	assert_int_equal(d.err, 0);
	unsigned others = connections(); /* connections of the test itself and of the library's server monitoring */
	for (int round = 0; round < 2; round++) {
		struct burst b = burst(&d);
		if (b.threads <= 4 || b.connections <= others + 3)
			fail_msg("a burst had %u threads and %u connections, %u of them before it", b.threads, b.connections, others);
		for (int i = 0; i < PATIENCE_MS / 20 && (threads_of_the_store() > 2 || connections() > others + 3); i++) {
			suite_turn(d.l, 20);
			if (i % 10 == 0)
				assert_false(has(&d, "nobody")); /* a little work must not keep the others open */
		}
		assert_int_equal(threads_of_the_store(), 2);
		assert_in_range(connections(), 1, others + 3);
	}
	store_close(d.s);
	loop_free(d.l);
}

/* --- ownership of a database */

static void set_schema(const char *url, const char *application, int number)
{
	mongoc_client_t *c = mongoc_client_new(url);
	mongoc_uri_t *u = mongoc_uri_new(url);
	mongoc_collection_t *meta = mongoc_client_get_collection(c, mongoc_uri_get_database(u), "store_meta");
	bson_t *which = BCON_NEW("_id", "schema"), *opts = BCON_NEW("upsert", BCON_BOOL(true));
	bson_t *doc = BCON_NEW("_id", "schema", "application", BCON_UTF8(application), "number", BCON_INT32(number));
	assert_true(mongoc_collection_replace_one(meta, which, doc, opts, NULL, NULL));
	bson_destroy(doc);
	bson_destroy(opts);
	bson_destroy(which);
	mongoc_collection_destroy(meta);
	mongoc_uri_destroy(u);
	mongoc_client_destroy(c);
}

static void a_newer_or_foreign_database_is_refused(void **state)
{
	static const struct {
		const char *application;
		int above;
		const char *said;
	} cases[] = { { "lucid-rdp", 1, "newer version" }, { "something else", 0, "another program" } };
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char name[16];
		snprintf(name, sizeof name, "theirs%zu", i);
		_cleanup_(xfreep) char *url = url_of(name);
		set_schema(url, cases[i].application, store_schema_newest() + cases[i].above);
		struct database *d = open_database(url, PATIENCE_MS);
		assert_int_equal(d->err, -ERR_INVALID);
		assert_non_null(strstr(d->why, cases[i].said));
		assert_int_equal(put(d, "a", STORE_INSERT).err, -ERR_UNAVAILABLE);
		close_database(d);
	}
}

/* Two programs start at the same time on a new database: one prepares it, both work. */
static void two_programs_prepare_a_database_at_once(void **state)
{
	_cleanup_(xfreep) char *url = url_of("two");
	struct loop *l = loop_new();
	struct database d[2] = { { .l = l }, { .l = l } };
	for (int i = 0; i < 2; i++)
		d[i].s = store_open_mongo(l, &(struct store_options){ .queue_limit = 64, .timeout_ms = PATIENCE_MS, .url = url, .min_clients = 1, .max_clients = 2 }, on_open, &d[i]);
	for (int i = 0; i < 2; i++)
		suite_until(l, &d[i].told);
	assert_int_equal(d[0].err, 0);
	assert_int_equal(d[1].err, 0);
	assert_int_equal(put(&d[0], "x", STORE_INSERT).result, STORE_OK);
	assert_int_equal(put(&d[1], "x", STORE_INSERT).result, STORE_EXISTS);
	assert_true(has(&d[1], "x"));
	for (int i = 0; i < 2; i++)
		store_close(d[i].s);
	loop_free(l);
}

/* --- fields that a later version declares as filtered */

/* A client beside the store, for what the store cannot do. */
struct raw {
	mongoc_client_t *c;
	char *database;
};

static struct raw raw_open(const char *url)
{
	mongoc_uri_t *u = mongoc_uri_new(url);
	struct raw r = { mongoc_client_new(url), xstrdup(mongoc_uri_get_database(u)) };
	mongoc_uri_destroy(u);
	return r;
}

static void raw_close(struct raw *r)
{
	mongoc_client_destroy(r->c);
	free(r->database);
}

static bson_t *json_bson(const char *text)
{
	bson_error_t e;
	bson_t *b = bson_new_from_json((const uint8_t *)text, -1, &e);
	if (!b)
		fail_msg("%s: %s", text, e.message);
	return b;
}

static int64_t raw_count(struct raw *r, const char *collection, const char *filter)
{
	mongoc_collection_t *col = mongoc_client_get_collection(r->c, r->database, collection);
	bson_t *which = json_bson(filter);
	int64_t n = mongoc_collection_count_documents(col, which, NULL, NULL, NULL, NULL);
	bson_destroy(which);
	mongoc_collection_destroy(col);
	return n;
}

static void raw_update(struct raw *r, const char *collection, const char *filter, const char *change)
{
	mongoc_collection_t *col = mongoc_client_get_collection(r->c, r->database, collection);
	bson_t *which = json_bson(filter), *update = json_bson(change);
	assert_true(mongoc_collection_update_many(col, which, update, NULL, NULL, NULL));
	bson_destroy(update);
	bson_destroy(which);
	mongoc_collection_destroy(col);
}

/* As a version wrote it whose collection had neither status nor tags, and another field of that name. */
static void unfill(struct raw *r)
{
	raw_update(r, "rdp_servers", "{\"json\": {\"$exists\": true}}", "{\"$unset\": {\"status\": 1, \"tags\": 1}, \"$set\": {\"port\": \"a text\"}}");
	raw_update(r, "store_meta", "{\"_id\": \"fields\"}", "{\"$set\": {\"rdp_servers\": \"user_id:text port:text\"}}");
}

static void put_server(struct database *d, const char *id, const char *status)
{
	struct suite_answer a;
	json_t *doc = json_pack("{s:s, s:s, s:s, s:i, s:[s, s], s:b}", "server_id", id, "status", status, "user_id", "ann", "version", 1, "tags", "a", "ö",
				"auto_start", 1);
	suite_write(d->l, d->s, &(struct store_op){ STORE_PUT, COL_SERVERS, id, 0, doc }, 1, &a);
	assert_int_equal(a.result, STORE_OK);
	json_decref(doc);
}

static int64_t found(struct database *d, const char *path, enum store_cmp cmp, const char *text)
{
	struct suite_answer a;
	struct store_query q = { .filters = { { .path = path, .cmp = cmp, .text = text } }, .nfilters = 1, .want_total = true };
	suite_list(d->l, d->s, COL_SERVERS, &q, &a);
	return a.total;
}

static void new_fields_are_filled(void **state)
{
	_cleanup_(xfreep) char *url = url_of("fields");
	struct database *d = open_database(url, PATIENCE_MS);
	struct suite_answer a;
	char id[16];
	for (int i = 0; i < 30; i++) {
		snprintf(id, sizeof id, "s%02d", i);
		put_server(d, id, i % 3 ? "stopped" : "running");
	}
	assert_int_equal(put(d, "bare", STORE_INSERT).result, STORE_OK); /* a document without these fields */
	json_t *key = json_pack("{s:i, s:I}", "version", 1, "expires_at", (json_int_t)4102444800000);
	suite_write(d->l, d->s, (struct store_op[]){ { STORE_PUT, COL_IDEMPOTENCY, "k", 0, key }, { STORE_PUT, COL_SESSIONS, "s", 0, key } }, 2, &a);
	assert_int_equal(a.result, STORE_OK);
	json_decref(key);
	close_database(d);
	struct raw r = raw_open(url);
	unfill(&r);
	raw_update(&r, "idempotency_keys", "{}", "{\"$unset\": {\"expires_at\": 1, \"expires\": 1}}");
	raw_update(&r, "store_meta", "{\"_id\": \"fields\"}", "{\"$unset\": {\"idempotency_keys\": 1}}");
	raw_update(&r, "rdp_sessions", "{}", "{\"$set\": {\"status\": \"wrong\"}}");
	mongoc_collection_t *servers = mongoc_client_get_collection(r.c, r.database, "rdp_servers");
	bson_t *foreign = json_bson("{\"_id\": 7, \"status\": \"theirs\"}");
	assert_true(mongoc_collection_insert_one(servers, foreign, NULL, NULL, NULL));
	bson_destroy(foreign);
	mongoc_collection_destroy(servers);

	d = open_database(url, PATIENCE_MS);
	if (d->err)
		fail_msg("%s", d->why);
	assert_int_equal(found(d, "status", STORE_EQ, "running"), 10);
	assert_int_equal(found(d, "status", STORE_EQ, "stopped"), 20);
	assert_int_equal(found(d, "tags", STORE_HAS, "ö"), 30);
	assert_int_equal(raw_count(&r, "rdp_servers", "{\"port\": {\"$exists\": true}}"), 0); /* no document has one */
	assert_int_equal(raw_count(&r, "idempotency_keys", "{\"expires_at\": 4102444800000, \"expires\": {\"$date\": 4102444800000}}"), 1);
	assert_int_equal(raw_count(&r, "rdp_servers", "{\"_id\": 7, \"status\": \"theirs\"}"), 1);
	/* documents with these fields are not examined, and no progress is stored any more */
	assert_int_equal(raw_count(&r, "rdp_sessions", "{\"status\": \"wrong\"}"), 1);
	assert_int_equal(raw_count(&r, "store_meta", "{\"_id\": {\"$in\": [\"refill\", \"lease\"]}}"), 0);
	close_database(d);
	raw_close(&r);
}

/* A start that has nothing to prepare does not wait for a process that was killed while it prepared the database. */
static void a_prepared_database_is_opened_while_another_process_has_the_lease(void **state)
{
	_cleanup_(xfreep) char *url = url_of("prepared");
	close_database(open_database(url, PATIENCE_MS));
	struct raw r = raw_open(url);
	mongoc_collection_t *meta = mongoc_client_get_collection(r.c, r.database, "store_meta");
	bson_t *lease = json_bson("{\"_id\": \"lease\", \"holder\": \"another\", \"until\": {\"$date\": 4102444800000}}");
	assert_true(mongoc_collection_insert_one(meta, lease, NULL, NULL, NULL));
	bson_destroy(lease);
	mongoc_collection_destroy(meta);
	struct database *d = open_database(url, PATIENCE_MS);
	if (d->err)
		fail_msg("%s", d->why);
	assert_int_equal(put(d, "a", STORE_INSERT).result, STORE_OK);
	assert_int_equal(raw_count(&r, "store_meta", "{\"_id\": \"lease\", \"holder\": \"another\"}"), 1);
	close_database(d);
	raw_close(&r);
}

#define MANY 300 /* five batches */

static pid_t open_elsewhere(const char *url, const char *faults)
{
	pid_t pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		setenv("LUCID_FAULTS", faults, 1);
		execl("/proc/self/exe", "test_store_mongo", "--open", url, (char *)NULL);
		_exit(127);
	}
	return pid;
}

static int open_and_leave(const char *url)
{
	struct database *d = open_database(url, PATIENCE_MS);
	int err = d->err;
	if (err)
		fprintf(stderr, "%s\n", d->why);
	close_database(d);
	return err != 0;
}

static void refill_slowly(const char *faults, int pause_ms)
{
	FILE *f = fopen(faults, "we");
	assert_non_null(f);
	fprintf(f, "store.refill delay %d\n", pause_ms);
	fclose(f);
}

static void change(struct raw *r, int i, int version)
{
	char id[16], json[160];
	mongoc_collection_t *col = mongoc_client_get_collection(r->c, r->database, "rdp_servers");
	snprintf(id, sizeof id, "s%04d", i);
	snprintf(json, sizeof json, "{\"server_id\":\"%s\",\"status\":\"changed\",\"user_id\":\"ann\",\"version\":%d}", id, version);
	bson_t *which = BCON_NEW("_id", BCON_UTF8(id));
	bson_t *doc = BCON_NEW("_id", BCON_UTF8(id), "version", BCON_INT64(version), "status", "changed", "user_id", "ann", "json", BCON_UTF8(json));
	assert_true(mongoc_collection_replace_one(col, which, doc, NULL, NULL, NULL));
	bson_destroy(doc);
	bson_destroy(which);
	mongoc_collection_destroy(col);
}

/* A program is killed during it: the next one continues after the completed batches. Writes of others meanwhile are kept. */
static void filling_continues_after_a_kill(void **state)
{
	_cleanup_(xfreep) char *url = url_of("refill"), *faults = xasprintf("%s/faults", root);
	static int versions[MANY];
	char id[16], filter[200];
	struct database *d = open_database(url, PATIENCE_MS);
	for (int i = 0; i < MANY; i++) {
		snprintf(id, sizeof id, "s%04d", i);
		put_server(d, id, "old");
	}
	close_database(d);
	struct raw r = raw_open(url);
	unfill(&r);
	refill_slowly(faults, PATIENCE_MS); /* it is killed after the first batch, whenever that is seen */
	pid_t pid = open_elsewhere(url, faults);
	for (int i = 0; i < PATIENCE_MS / 20 && !raw_count(&r, "store_meta", "{\"_id\": \"refill\"}"); i++)
		usleep(20000);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	assert_int_equal(raw_count(&r, "store_meta", "{\"_id\": \"refill\", \"collection\": \"rdp_servers\", \"after\": {\"$gt\": \"s0050\"}}"), 1);
	int64_t left = raw_count(&r, "rdp_servers", "{\"status\": {\"$exists\": false}}");
	assert_in_range(left, 1, MANY - 1);
	raw_update(&r, "rdp_servers", "{\"_id\": \"s0000\"}", "{\"$unset\": {\"status\": 1}}");
	/* the lease of the killed program expires by itself; that is not tested here */
	raw_update(&r, "store_meta", "{\"_id\": \"lease\"}", "{\"$set\": {\"until\": {\"$date\": 1000}}}");
	refill_slowly(faults, 500);
	pid = open_elsewhere(url, faults);
	int status = -1, changes = 0;
	for (int n = 0; waitpid(pid, &status, WNOHANG) == 0; n++) {
		int i = 1 + (int)((unsigned)n * 2654435761u % (MANY - 1));
		changes += !versions[i];
		versions[i] = n + 2;
		change(&r, i, versions[i]);
	}
	assert_int_equal(status, 0);
	assert_true(changes > 10);
	d = open_database(url, PATIENCE_MS);
	assert_int_equal(d->err, 0);
	assert_int_equal(found(d, "status", STORE_EQ, "changed"), changes);
	assert_int_equal(found(d, "status", STORE_EQ, "old"), MANY - 1 - changes); /* all but the one that was filled and then changed back */
	assert_int_equal(found(d, "tags", STORE_HAS, "a"), MANY - changes);
	for (int i = 0; i < MANY; i++) {
		if (!versions[i])
			continue;
		snprintf(filter, sizeof filter, "{\"_id\": \"s%04d\", \"version\": %d, \"json\": {\"$regex\": \"changed.*:%d}$\"}}", i, versions[i], versions[i]);
		assert_int_equal(raw_count(&r, "rdp_servers", filter), 1);
	}
	close_database(d);
	raw_close(&r);
	unlink(faults);
}

static void bad_url_is_reported(void **state)
{
	static const char *const bad[] = { "", "mongodb://", "http://x/", "mongodb://u:p@ss:w/x", "mongodb://h/admin", "mongodb://h:99999/x" };
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		char why[512] = "";
		assert_int_equal(store_check_mongo_url(bad[i], 5000, why, sizeof why), -ERR_INVALID);
		assert_true(strlen(why) > 20);
		assert_null(strstr(why, "p@ss"));
	}
	assert_int_equal(store_check_mongo_url("mongodb://user:pass@host:27017/lucid_rdp?tls=true", 5000, NULL, 0), 0);
}

/* Timeouts that would block a thread of the store for longer than any request waits, or forever. */
static void times_of_a_url_are_bounded(void **state)
{
	static const struct {
		const char *options;
		unsigned timeout_ms;
		const char *said; /* NULL: it is accepted */
	} cases[] = {
		{ "socketTimeoutMS=0", 5000, "socketTimeoutMS must be 50 to 5000 ms" },
		{ "tls=true&SOCKETTIMEOUTMS=300000", 5000, "at most STORE_TIMEOUT_MS" },
		{ "serverSelectionTimeoutMS=5001&tls=true", 5000, "serverSelectionTimeoutMS must be 50 to 5000 ms" },
		{ "serverSelectionTimeoutMS=5001&tls=true", 6000, NULL },
		{ "connectTimeoutMS=-1", 5000, "connectTimeoutMS must be" },
		{ "connectTimeoutMS", 5000, "connectTimeoutMS must be" },
		{ "connectTimeoutMS=", 5000, "connectTimeoutMS must be" },
		{ "connectTimeoutMS=1000;waitQueueTimeoutMS=soon", 5000, "waitQueueTimeoutMS must be" },
		{ "waitQueueTimeoutMS=99999999999999999999999", 5000, "waitQueueTimeoutMS must be" },
		{ "socketTimeoutMS=500&socketTimeoutMS=0", 5000, "socketTimeoutMS must be" },
		{ "socketTimeoutMS=500&socketTimeoutMS=%36000000", 5000, "socketTimeoutMS must be" }, /* the library would decode it */
		{ "heartbeatFrequencyMS=600000", 5000, "heartbeatFrequencyMS must be 500 to 60000 ms;" },
		{ "socketTimeoutMS=4000&connectTimeoutMS=50&waitQueueTimeoutMS=5000&heartbeatFrequencyMS=10000", 5000, NULL },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		for (int database = 0; database < 2; database++) {
			char why[512] = "";
			_cleanup_(xfreep) char *url = xasprintf("mongodb://user:pass@a:1,b:2/%s?%s", database ? "x" : "", cases[i].options);
			int r = store_check_mongo_url(url, cases[i].timeout_ms, why, sizeof why);
			assert_int_equal(r, cases[i].said ? -ERR_INVALID : 0);
			if (cases[i].said && !strstr(why, cases[i].said))
				fail_msg("wanted \"%s\": %s", cases[i].said, why);
		}
}

int main(int argc, char **argv)
{
	if (argc == 3 && str_eq(argv[1], "--open"))
		return open_and_leave(argv[2]);
	static const struct store_factory factory = { "store: MongoDB", false, open_for_suite, store_close };
	const struct CMUnitTest alone[] = {
		cmocka_unit_test(store_recovers_from_a_killed_server),
		cmocka_unit_test(store_recovers_from_a_frozen_server),
		cmocka_unit_test(store_waits_for_an_absent_server),
		cmocka_unit_test(lost_answer_is_uncertain),
		cmocka_unit_test(lost_server_is_noticed_without_a_request),
		cmocka_unit_test(burst_leaves_no_threads_and_connections),
		cmocka_unit_test(a_newer_or_foreign_database_is_refused),
		cmocka_unit_test(two_programs_prepare_a_database_at_once),
		cmocka_unit_test(a_prepared_database_is_opened_while_another_process_has_the_lease),
		cmocka_unit_test(new_fields_are_filled),
		cmocka_unit_test(filling_continues_after_a_kill),
		cmocka_unit_test(bad_url_is_reported),
		cmocka_unit_test(times_of_a_url_are_bounded),
	};
	if (!mongo_server_begin())
		return 2;
	int failed = store_suite_run(&factory);
	failed += cmocka_run_group_tests_name("store: MongoDB, away and back", alone, NULL, NULL);
	return failed + !mongo_server_end();
}
