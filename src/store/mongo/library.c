#include "store/mongo/library.h"

#include <pthread.h>

#include "lucid/log.h"

#define SELECTION_MS 2000
#define CONNECT_MS 1000
#define HEARTBEAT_MS 5000
#define WAIT_QUEUE_MS 500

/* By default the library writes two lines to the terminal for each heartbeat that fails. */
static void on_log(mongoc_log_level_t level, UNUSED const char *domain, const char *message, UNUSED void *arg)
{
	if (level <= MONGOC_LOG_LEVEL_WARNING)
		log_debug("store", "libmongoc: %s", message);
}

static void cleanup(void)
{
	mongoc_cleanup();
}

static void init_once(void)
{
	mongoc_init();
	mongoc_log_set_handler(on_log, NULL);
	atexit(cleanup);
}

void mongo_library_init(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_once(&once, init_once);
}

static void set_default(mongoc_uri_t *u, const char *option, int64_t value)
{
	if (!mongoc_uri_has_option(u, option))
		mongoc_uri_set_option_as_int32(u, option, (int32_t)value);
}

mongoc_uri_t *mongo_library_uri(const struct store_options *o)
{
	bson_error_t e; /* not logged: its message could quote the password */
	mongoc_uri_t *u = mongoc_uri_new_with_error(o->url, &e);
	if (!u)
		return NULL;
	int64_t threads = MAX(o->max_clients, 1);
	set_default(u, MONGOC_URI_SERVERSELECTIONTIMEOUTMS, MIN(SELECTION_MS, o->timeout_ms));
	set_default(u, MONGOC_URI_CONNECTTIMEOUTMS, CONNECT_MS);
	set_default(u, MONGOC_URI_SOCKETTIMEOUTMS, MAX(o->timeout_ms * 4 / 5, 200));
	set_default(u, MONGOC_URI_HEARTBEATFREQUENCYMS, HEARTBEAT_MS);
	set_default(u, MONGOC_URI_WAITQUEUETIMEOUTMS, WAIT_QUEUE_MS);
	mongoc_uri_set_option_as_int32(u, MONGOC_URI_MAXPOOLSIZE, (int32_t)threads + 1); /* one for the monitor */
#ifdef MONGOC_URI_MINPOOLSIZE /* how many unused clients are kept; 0 would keep all */
	mongoc_uri_set_option_as_int32(u, MONGOC_URI_MINPOOLSIZE, (int32_t)MIN(MAX(o->min_clients, 1), threads));
#endif
	mongoc_uri_set_appname(u, "lucid-rdp");
	mongoc_write_concern_t *w = mongoc_write_concern_new();
	mongoc_write_concern_set_wmajority(w, (int32_t)MAX(o->timeout_ms * 4 / 5, 200));
	mongoc_write_concern_set_journal(w, true);
	mongoc_uri_set_write_concern(u, w);
	mongoc_write_concern_destroy(w);
	/* whatever the URL prefers: a read that begins after a write was answered must see it */
	mongoc_read_prefs_t *primary = mongoc_read_prefs_new(MONGOC_READ_PRIMARY);
	mongoc_uri_set_read_prefs_t(u, primary);
	mongoc_read_prefs_destroy(primary);
	return u;
}
