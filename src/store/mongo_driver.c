/*
 * mongo_driver: MongoDB behind the store's front. A pool of threads works off what is asked, each with a client of the driver's
 * pool; those that a burst made end when they have been idle for a while, with their connections. One thread more keeps an eye on
 * the server. When a request finds the server away, all others are refused at once (a breaker), until that eye sees it again:
 * nobody waits for what will not come. Others write to the same database, so nothing is cached here.
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>

#include "lucid/clock.h"
#include "lucid/fault.h"
#include "lucid/log.h"
#include "lucid/pool.h"
#include "lucid/str.h"
#include "store/mongo_db.h"
#include "store/mongo_module.h"
#include "store/mongo_order.h"

#define DEFAULT_DATABASE "lucid_rdp"
#define LOOK_MS 500	    /* between looks at a server that is away */
#define LOOK_UP_MS 2000	    /* between looks at one that is there, so that its going is noticed though nobody asks */
#define SELECTION_MS 2000
#define CONNECT_MS 1000
#define HEARTBEAT_MS 5000
#define WAIT_QUEUE_MS 500
#define KEEP_THREADS 2
#define IDLE_MS 60000 /* a thread beyond those that had no work for so long ends, and its connection with it */

enum state { OPENING, UP, DOWN, FINAL };

struct store_driver {
	struct store *store;
	struct loop *loop;
	mongoc_uri_t *uri;
	mongoc_client_pool_t *clients;
	char *database;
	struct pool *pool;
	struct mongo_order *order; /* this and the jobs: loop thread */
	struct list jobs;
	unsigned min_clients;
	pthread_t eye;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	enum state state;
	bool closing, opened;
};

struct job {
	struct pool_job pool;
	struct list node;
	struct mongo_turn turn;
	struct store_driver *d;
	struct store_request *r;
	bool sent; /* the pool has it, or had */
};

/* --- how the server is */

/* Waits while the first look is under way. */
static enum state state_now(struct store_driver *d)
{
	pthread_mutex_lock(&d->lock);
	while (d->state == OPENING && !d->closing)
		pthread_cond_wait(&d->changed, &d->lock);
	enum state s = d->state;
	pthread_mutex_unlock(&d->lock);
	return s;
}

static void went_away(struct store_driver *d, const struct mongo_fault *f)
{
	pthread_mutex_lock(&d->lock);
	bool first = d->state == UP;
	if (first)
		d->state = DOWN;
	pthread_cond_broadcast(&d->changed);
	pthread_mutex_unlock(&d->lock);
	if (first)
		store_driver_report(d->store, -ERR_UNAVAILABLE, f->why, false);
}

/* --- requests */

static bool run_writes(mongoc_client_t *c, struct store_driver *d, struct store_request *r, struct mongo_fault *f)
{
	r->result = STORE_OK;
	for (size_t i = 0; i < r->nops && r->result == STORE_OK; i++) {
		r->failed_index = i;
		if (!mongo_write(c, d->database, &r->ops[i], &r->result, f))
			return false;
	}
	return true;
}

static void run_request(mongoc_client_t *c, struct store_driver *d, struct store_request *r)
{
	struct mongo_fault f = { 0 };
	bool ok = r->kind == STORE_KIND_WRITE ? run_writes(c, d, r, &f) :
		  r->kind == STORE_KIND_GET   ? mongo_get(c, d->database, r, &f) :
						mongo_list(c, d->database, r, &f);
	if (ok)
		return;
	store_request_fail(r, r->kind == STORE_KIND_WRITE && f.uncertain ? -ERR_UNCERTAIN : f.err);
	if (f.away)
		went_away(d, &f);
	else
		log_warn("store", "%s", f.why);
}

/* A thread of the pool, with a client from its first request to its end. The library's own pool closes what is given back to it
 * beyond min_clients. */
struct hand {
	struct store_driver *d;
	mongoc_client_t *client;
};

static void *hand_new(void *driver)
{
	struct hand *h = XNEW(struct hand);
	h->d = driver;
	return h;
}

static void hand_free(void *hand)
{
	struct hand *h = hand;
	if (h->client)
		mongoc_client_pool_push(h->d->clients, h->client);
	free(h);
}

static void serve(struct hand *h, struct store_request *r)
{
	enum state s = state_now(h->d);
	if (!store_request_start(r))
		return;
	if (s == UP && !h->client)
		h->client = mongoc_client_pool_pop(h->d->clients);
	if (s == UP && h->client)
		run_request(h->client, h->d, r);
	else
		store_request_fail(r, s == UP ? -ERR_BUSY : -ERR_UNAVAILABLE);
}

static void give_back(struct store_driver *d, struct store_request *r)
{
	struct list batch;
	list_init(&batch);
	list_append(&batch, &r->node);
	store_driver_done(d->store, &batch, r->kind == STORE_KIND_WRITE);
}

static void job_run(struct pool_job *p, void *worker)
{
	struct job *j = CONTAINER_OF(p, struct job, pool);
	serve(worker, j->r);
	give_back(j->d, j->r);
}

static void refuse(struct store_driver *d, struct store_request *r, int err)
{
	store_request_start(r);
	store_request_fail(r, err);
	give_back(d, r);
}

static void job_go(struct mongo_turn *t);

static void job_end(struct job *j)
{
	mongo_order_leave(j->d->order, &j->turn, job_go);
	list_remove(&j->node);
	free(j);
}

static void job_done(struct pool_job *p)
{
	job_end(CONTAINER_OF(p, struct job, pool));
}

static void job_go(struct mongo_turn *t)
{
	struct job *j = CONTAINER_OF(t, struct job, turn);
	j->sent = pool_submit(j->d->pool, &j->pool) == 0;
	if (j->sent)
		return;
	refuse(j->d, j->r, -ERR_BUSY);
	job_end(j);
}

static void submit(struct store_driver *d, struct store_request *r)
{
	struct job *j = XNEW(struct job);
	j->pool.run = job_run;
	j->pool.done = job_done;
	j->d = d;
	j->r = r;
	list_append(&d->jobs, &j->node);
	if (mongo_order_enter(d->order, &j->turn, r))
		job_go(&j->turn);
}

/* --- the eye */

static bool wait_ms(struct store_driver *d, int64_t ms)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	ts.tv_nsec += ms % 1000 * 1000000;
	ts.tv_sec += ms / 1000 + ts.tv_nsec / 1000000000;
	ts.tv_nsec %= 1000000000;
	return pthread_cond_timedwait(&d->changed, &d->lock, &ts) == 0;
}

/* Connections that are there before the first request wants one. */
static void warm_up(struct store_driver *d)
{
	mongoc_client_t *held[64];
	unsigned n = 0;
	bson_t *ping = BCON_NEW("ping", BCON_INT32(1));
	for (; n < MIN(d->min_clients, ARRAY_LEN(held)) && (held[n] = mongoc_client_pool_try_pop(d->clients)); n++)
		mongoc_client_command_simple(held[n], d->database, ping, NULL, NULL, NULL);
	while (n)
		mongoc_client_pool_push(d->clients, held[--n]);
	bson_destroy(ping);
}

static int look(struct store_driver *d, mongoc_client_t *c, struct mongo_fault *f)
{
	bson_t *ping = BCON_NEW("ping", BCON_INT32(1)), reply;
	bool there = mongo_command(c, d->database, ping, &reply, f);
	bson_destroy(&reply);
	bson_destroy(ping);
	return there ? mongo_schema(c, d->database, &d->closing, f) : f->err;
}

static void look_and_tell(struct store_driver *d, mongoc_client_t *c)
{
	struct mongo_fault f = { 0 };
	int err = look(d, c, &f);
	bool opening = !d->opened;
	if (!err && opening)
		warm_up(d);
	pthread_mutex_lock(&d->lock);
	d->state = !err ? UP : err == -ERR_INVALID ? FINAL : DOWN;
	d->opened |= !err;
	pthread_cond_broadcast(&d->changed);
	pthread_mutex_unlock(&d->lock);
	store_driver_report(d->store, err, f.why, opening || err == -ERR_INVALID);
}

/* Whether it still answers; a request that finds out first has said so itself. */
static void look_again(struct store_driver *d, mongoc_client_t *c)
{
	struct mongo_fault f = { 0 };
	bson_t *ping = BCON_NEW("ping", BCON_INT32(1)), reply;
	if (!mongo_command(c, d->database, ping, &reply, &f) && f.away)
		went_away(d, &f);
	bson_destroy(&reply);
	bson_destroy(ping);
}

/* With the lock held, and let go for the look. A client of the pool's: one of its own would not look again for five seconds after a
 * connection failed, while the pool's threads see a server come back within half a second. */
static void look_now(struct store_driver *d)
{
	bool up = d->state == UP;
	pthread_mutex_unlock(&d->lock);
	mongoc_client_t *c = mongoc_client_pool_pop(d->clients); /* there is one more than there are workers */
	if (c && up)
		look_again(d, c);
	else if (c)
		look_and_tell(d, c);
	if (c)
		mongoc_client_pool_push(d->clients, c);
	pthread_mutex_lock(&d->lock);
}

static void *eye_main(void *arg)
{
	struct store_driver *d = arg;
	pthread_setname_np(pthread_self(), "store-eye");
	pthread_mutex_lock(&d->lock);
	while (!d->closing) {
		if (d->state == FINAL)
			pthread_cond_wait(&d->changed, &d->lock);
		else if (d->state != UP || !wait_ms(d, LOOK_UP_MS))
			look_now(d);
		if (d->state == DOWN && !d->closing)
			wait_ms(d, LOOK_MS);
	}
	pthread_mutex_unlock(&d->lock);
	return NULL;
}

/* --- life */

static void end(struct store_driver *d)
{
	pthread_mutex_lock(&d->lock);
	__atomic_store_n(&d->closing, true, __ATOMIC_RELAXED);
	pthread_cond_broadcast(&d->changed);
	pthread_mutex_unlock(&d->lock);
	pthread_join(d->eye, NULL);
	pool_free(d->pool);
	struct list *n;
	while ((n = list_take_first(&d->jobs))) { /* done and not told yet, or never begun */
		struct job *j = CONTAINER_OF(n, struct job, node);
		if (j->sent)
			loop_unpost(d->loop, &j->pool.task);
		else
			refuse(d, j->r, -ERR_UNAVAILABLE);
		free(j->turn.places);
		free(j);
	}
	mongo_order_free(d->order);
	mongoc_client_pool_destroy(d->clients);
	mongoc_uri_destroy(d->uri);
	pthread_cond_destroy(&d->changed);
	pthread_mutex_destroy(&d->lock);
	free(d->database);
	free(d);
}

/* By default it writes two lines to the terminal for each heartbeat that fails. */
static void on_log(mongoc_log_level_t level, UNUSED const char *domain, const char *message, UNUSED void *arg)
{
	if (level <= MONGOC_LOG_LEVEL_WARNING)
		log_debug("store", "libmongoc: %s", message);
}

static void library_end(void)
{
	mongoc_cleanup();
}

static void library_begin(void)
{
	mongoc_init();
	mongoc_log_set_handler(on_log, NULL);
	atexit(library_end);
}

/* What the URL does not say itself. */
static void set_default(mongoc_uri_t *u, const char *option, int64_t value)
{
	if (!mongoc_uri_has_option(u, option))
		mongoc_uri_set_option_as_int32(u, option, (int32_t)value);
}

static mongoc_uri_t *make_uri(const struct store_options *o)
{
	bson_error_t e; /* what it says could quote the password */
	mongoc_uri_t *u = mongoc_uri_new_with_error(o->url, &e);
	if (!u)
		return NULL;
	int64_t threads = MAX(o->max_clients, 1);
	set_default(u, MONGOC_URI_SERVERSELECTIONTIMEOUTMS, MIN(SELECTION_MS, o->timeout_ms));
	set_default(u, MONGOC_URI_CONNECTTIMEOUTMS, CONNECT_MS);
	set_default(u, MONGOC_URI_SOCKETTIMEOUTMS, MAX(o->timeout_ms * 4 / 5, 200));
	set_default(u, MONGOC_URI_HEARTBEATFREQUENCYMS, HEARTBEAT_MS);
	set_default(u, MONGOC_URI_WAITQUEUETIMEOUTMS, WAIT_QUEUE_MS);
	mongoc_uri_set_option_as_int32(u, MONGOC_URI_MAXPOOLSIZE, (int32_t)threads + 1);
#ifdef MONGOC_URI_MINPOOLSIZE /* how many unused ones are kept; 0 would be all */
	mongoc_uri_set_option_as_int32(u, MONGOC_URI_MINPOOLSIZE, (int32_t)MIN(MAX(o->min_clients, 1), threads));
#endif
	mongoc_uri_set_appname(u, "lucid-rdp");
	mongoc_write_concern_t *w = mongoc_write_concern_new();
	mongoc_write_concern_set_wmajority(w, (int32_t)MAX(o->timeout_ms * 4 / 5, 200));
	mongoc_write_concern_set_journal(w, true);
	mongoc_uri_set_write_concern(u, w);
	mongoc_write_concern_destroy(w);
	/* what was answered is read by whoever reads next, whatever the URL prefers */
	mongoc_read_prefs_t *primary = mongoc_read_prefs_new(MONGOC_READ_PRIMARY);
	mongoc_uri_set_read_prefs_t(u, primary);
	mongoc_read_prefs_destroy(primary);
	return u;
}

/* Signals belong to the loop. */
static void start_eye(struct store_driver *d)
{
	sigset_t all, old;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	int rc = pthread_create(&d->eye, NULL, eye_main, d);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (rc) {
		fprintf(stderr, "lucid-rdp: the store's thread cannot be started; raise the limit on processes\n");
		abort();
	}
}

/* What open_mongo.c looks for in this module. */
const char store_mongo_version[] = LUCID_VERSION;

struct store *store_mongo_open(struct loop *l, const struct store_options *o, void (*on_open)(int err, const char *why, void *arg), void *arg)
{
	static const struct store_driver_ops ops = { false, submit, end };
	pthread_condattr_t attr;
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_once(&once, library_begin);
	mongoc_uri_t *uri = make_uri(o);
	if (!uri)
		return NULL;
	struct store_driver *d = XNEW(struct store_driver);
	d->loop = l;
	d->uri = uri;
	const char *database = mongoc_uri_get_database(d->uri);
	d->database = xstrdup(database && *database ? database : DEFAULT_DATABASE);
	d->clients = mongoc_client_pool_new(d->uri);
	mongoc_client_pool_set_error_api(d->clients, MONGOC_ERROR_API_VERSION_2);
	d->min_clients = MIN(o->min_clients, o->max_clients);
	list_init(&d->jobs);
	d->order = mongo_order_new();
	pthread_mutex_init(&d->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&d->changed, &attr);
	pthread_condattr_destroy(&attr);
	d->pool = pool_new(l, "store-mongo", MAX(o->max_clients, 1), 2 * o->queue_limit, hand_new, hand_free, d);
	pool_let_end(d->pool, KEEP_THREADS, o->idle_ms ? o->idle_ms : IDLE_MS);
	d->store = store_new(l, o, &ops, d, on_open, arg);
	start_eye(d);
	return d->store;
}
