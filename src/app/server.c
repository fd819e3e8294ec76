#include "app/server.h"

#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "api/api.h"
#include "app/commands/as_owner.h"
#include "app/settings/checks_ready.h"
#include "app/cluster.h"
#include "app/settings/keys.h"
#include "app/peers.h"
#include "app/redis.h"
#include "app/roles.h"
#include "app/tls_ready.h"
#include "auth/token.h"
#include "bus/pair.h"
#include "lucid/clock.h"
#include "store/open.h"
#include "supervisor/supervisor.h"
#include "sys/log.h"
#include "sys/notify.h"
#include "sys/watchdog.h"

struct running_role {
	const struct role *role;
	void *state;
};

struct server {
	const struct server_env *env;
	struct loop *loop;
	struct bus *bus;
	struct pair *pair;
	struct token_keys *keys;
	struct seal *seal;
	struct store *store;
	struct api *api;
	struct peers *peers;
	struct redis *redis; /* NULL: none is set */
	struct cluster *cluster;
	struct running_role roles[ROLES_N];
	size_t nroles, draining;
	struct loop_signal *signals[3];
	struct loop_timer *grace, *beat;
	int64_t beat_ms; /* interval of beats for the service manager's watchdog; 0: it has none */
	bool started, leaving;
	int code;
};

static void leave(struct server *s, int code)
{
	s->code = code;
	loop_stop(s->loop);
}

/* --- stop */

static void on_role_drained(void *arg)
{
	struct server *s = arg;
	if (s->draining && --s->draining == 0)
		leave(s, 0);
}

static void on_api_drained(void *arg)
{
	struct server *s = arg;
	s->draining = 1; /* counts this loop itself, so that a role that is drained at once does not end it early */
	for (size_t i = 0; i < s->nroles; i++) {
		if (!s->roles[i].role->drain || !s->started)
			continue;
		s->draining++;
		s->roles[i].role->drain(s->roles[i].state, on_role_drained, s);
	}
	on_role_drained(s);
}

static void on_grace_over(void *arg)
{
	log_warn("server", "some requests did not finish within SHUTDOWN_GRACE; exiting anyway");
	leave(arg, 0);
}

static void server_drain(struct server *s)
{
	if (s->leaving)
		return;
	s->leaving = true;
	int64_t grace_ms = config_int(s->env->config, "SHUTDOWN_GRACE") * 1000;
	log_info("server", "stopping: new requests are refused; requests in flight have up to %lld s", (long long)grace_ms / 1000);
	loop_timer_set(s->grace, grace_ms + 1000);
	cluster_leave(s->cluster);
	api_drain(s->api, grace_ms, on_api_drained, s);
}

static void on_signal(int signo, void *arg)
{
	struct server *s = arg;
	if (s->leaving) {
		leave(s, 128 + signo);
		return;
	}
	notify_stopping();
	server_drain(s);
}

/* --- reload */

static void tell_ready(struct server *s);

/* Checks the changes on a copy of the settings, so that all of them are applied or none. */
static int check_settings(struct server *s, const json_t *doc, struct token_keys **ret_keys, struct seal **ret_seal, char *why, size_t size)
{
	struct strbuf faults = { 0 };
	struct config *next = config_clone(s->env->config);
	int rc = reload_values(next, doc, &faults) ? 0 : -ERR_INVALID;
	if (rc == 0 && (!(*ret_keys = keys_make(next, why, size)) || !(*ret_seal = keys_make_seal(next, why, size)))) {
		strbuf_puts(&faults, why);
		rc = -ERR_INVALID;
	}
	snprintf(why, size, "%s", faults.s ? faults.s : "");
	for (size_t i = 0; rc == 0 && i < s->nroles; i++)
		if (s->roles[i].role->reload)
			rc = s->roles[i].role->reload(s->roles[i].state, next, false, why, size);
	_cleanup_(tls_files_done) struct tls_files tls = { 0 };
	reload_tls(doc, &tls);
	if (rc == 0 && tls.cert)
		rc = peers_tls(s->peers, &tls.pem, why, size);
	if (rc == 0 && tls.cert)
		rc = api_tls(s->api, &tls.pem, why, size);
	if (rc == 0 && tls.cert)
		tls_ready_take(&tls.pem);
	strbuf_done(&faults);
	config_free(next);
	return rc;
}

static bool take_settings(struct server *s, const json_t *doc)
{
	char why[512] = "";
	struct config *c = s->env->config;
	struct token_keys *keys = NULL;
	struct seal *seal = NULL;
	struct strbuf ignored = { 0 };
	int rc = check_settings(s, doc, &keys, &seal, why, sizeof why);
	if (rc < 0) {
		token_keys_free(keys);
		seal_free(seal);
		why[strcspn(why, "\n")] = 0;
		log_error("reload", "%s; the previous settings stay in force", *why ? why : err_text(rc));
		return false;
	}
	reload_values(c, doc, &ignored);
	strbuf_done(&ignored);
	token_keys_replace(s->keys, keys);
	seal_replace(s->seal, seal);
	api_reload(s->api, c, s->keys);
	for (size_t i = 0; i < s->nroles; i++)
		if (s->roles[i].role->reload)
			s->roles[i].role->reload(s->roles[i].state, c, true, why, sizeof why);
	log_set_level(LOG_INFO_); /* so that the next line is logged at every LOG_LEVEL */
	log_info("reload", "settings applied: %s", doc_str(doc, "names", ""));
	log_use_level(c);
	return true;
}

/* The supervisor has read the settings and waits for the answer. */
static void on_settings(struct server *s, const json_t *doc)
{
	_cleanup_(doc_unrefp) json_t *answer = json_pack("{s:b}", "taken", take_settings(s, doc));
	pair_word(s->pair, "reloaded", answer);
}

static void on_reload(UNUSED int signo, void *arg)
{
	struct server *s = arg;
	notify_reloading();
	json_t *doc = reload_read(s->env->reload);
	if (doc)
		reload_end(s->env->reload, take_settings(s, doc));
	doc_unref_secret(doc);
	tell_ready(s);
}

/* --- the supervisor */

static void on_beat(void *arg)
{
	struct server *s = arg;
	if (s->pair)
		pair_word(s->pair, "beat", NULL);
	else
		notify_watchdog();
	loop_timer_set(s->beat, s->beat_ms);
}

static void beat_every(struct server *s, int64_t ms)
{
	s->beat_ms = MAX(ms, 10);
	loop_timer_set(s->beat, 0);
}

static void on_word(const char *word, const json_t *doc, void *arg)
{
	if (!strcmp(word, "drain"))
		server_drain(arg);
	else if (!strcmp(word, "beat"))
		beat_every(arg, doc_int(doc, "ms", 1000));
	else if (!strcmp(word, "reload"))
		on_settings(arg, doc);
}

/* Requests a new log file from the supervisor. ask_log is called on any thread, so the request is posted to the loop. */
static struct {
	struct server *server;
	struct loop_task ask;
} log_file;

static void on_ask_log(UNUSED struct loop_task *t)
{
	if (log_file.server->pair)
		pair_word(log_file.server->pair, "log_full", NULL);
}

static int ask_log(UNUSED void *arg)
{
	loop_post(log_file.server->loop, &log_file.ask);
	return -1;
}

static void on_descriptor(const char *what, int fd, UNUSED void *arg)
{
	if (fd >= 0 && !strcmp(what, "log"))
		log_replace(TAKE_FD(fd));
	fd_close(&fd);
}

static void on_log(const char *line, size_t len, UNUSED void *arg)
{
	log_raw(line, len);
}

/* Exits without draining: without the supervisor no host operation works. Every acknowledged write is in the store. */
static void on_supervisor_gone(UNUSED void *arg)
{
	log_error("server", "the supervisor exited; exiting too; desktops are not affected");
	log_flush();
	_exit(1);
}

/* --- start */

static void tell_ready(struct server *s)
{
	char status[128];
	snprintf(status, sizeof status, "%zu role%s ready", s->nroles, s->nroles == 1 ? "" : "s");
	log_info("server", "%s", status);
	if (!s->pair) {
		notify_ready(status);
		return;
	}
	_cleanup_(doc_unrefp) json_t *doc = json_object();
	doc_set_str(doc, "status", status);
	pair_word(s->pair, "ready", doc);
}

static void on_store_open(int err, const char *why, void *arg)
{
	struct server *s = arg;
	if (err) {
		log_error("server", "cannot open the store: %s", why);
		if (err == -ERR_INVALID) /* not a store of this program, or of a newer version: see store/open.h */
			leave(s, EXIT_FINAL);
		return;
	}
	if (s->started || s->leaving)
		return;
	s->started = true;
	cluster_begin(s->cluster);
	for (size_t i = 0; i < s->nroles; i++)
		if (s->roles[i].role->start)
			s->roles[i].role->start(s->roles[i].state);
	tell_ready(s);
}

static struct store *open_store(struct server *s)
{
	const struct config *c = s->env->config;
	_cleanup_(xfreep) char *path = store_path(c);
	_cleanup_(xfreep) char *backups = backup_dir(c);
	struct store_options o = {
		.path = path,
		.backup_dir = backups,
		.queue_limit = (size_t)config_int(c, "STORE_QUEUE_LIMIT"),
		.timeout_ms = (unsigned)config_int(c, "STORE_TIMEOUT_MS"),
		.url = config_str(c, "MONGODB_URL"),
		.min_clients = (unsigned)config_int(c, "MONGODB_MIN_POOL_SIZE"),
		.max_clients = (unsigned)config_int(c, "MONGODB_MAX_POOL_SIZE"),
	};
	return *o.url ? store_open_mongo(s->loop, &o, on_store_open, s) : store_open_embedded(s->loop, &o, on_store_open, s);
}

static int make_roles(struct server *s)
{
	struct role_env env = { .loop = s->loop, .bus = s->bus, .store = s->store, .config = s->env->config,
				.node = config_str(s->env->config, "NODE_NAME"), .nodes = cluster_nodes(s->cluster),
				.leases = cluster_leases(s->cluster), .seal = s->seal };
	for (const struct role *const *r = s->env->roles; *r; r++) {
		struct running_role *to = &s->roles[s->nroles];
		int rc = (*r)->init(&env, &to->state);
		if (rc < 0) {
			log_error("server", "cannot start the role %s: %s", (*r)->name, err_text(rc));
			return rc;
		}
		to->role = *r;
		s->nroles++;
	}
	return 0;
}

static int make_api(struct server *s)
{
	struct api_env env = { .loop = s->loop, .bus = s->bus, .config = s->env->config, .keys = s->keys, .store = s->store,
			       .shared_rate = redis_rates(s->redis), .roles = s->env->roles, .all_roles = all_roles };
	char why[256];
	s->api = api_new(&env);
	if (s->env->tls->cert && api_tls(s->api, &s->env->tls->pem, why, sizeof why) < 0) {
		log_error("server", "TLS: %s", why);
		return -ERR_INVALID;
	}
	if (s->env->tls->cert) {
		tls_ready_take(&s->env->tls->pem);
		tls_ready_add(s->api);
	}
	tls_files_done(s->env->tls);
	checks_ready_add(s->api, s->store, *config_str(s->env->config, "MONGODB_URL"), s->redis, s->bus, s->env->roles);
	peers_add_checks(s->peers, s->api);
	cluster_add_checks(s->cluster, s->api);
	for (size_t i = 0; i < s->env->nlisteners; i++) {
		int rc = api_listen(s->api, s->env->listeners[i].fd, s->env->listeners[i].role);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static void make_outside(struct server *s, int pair_fd)
{
	static const struct pair_events events = {
		.on_word = on_word, .on_log = on_log, .on_closed = on_supervisor_gone, .on_descriptor = on_descriptor
	};
	signal(SIGPIPE, SIG_IGN);
	if (pair_fd >= 0) {
		s->pair = pair_new(s->loop, s->bus, pair_fd, &events, s);
		bus_route(s->bus, "host", pair_transport(s->pair));
		log_file.server = s;
		loop_task_init(&log_file.ask, on_ask_log);
		log_setup_more(ask_log, NULL);
		return;
	}
	s->signals[0] = loop_signal_new(s->loop, SIGTERM, on_signal, s);
	s->signals[1] = loop_signal_new(s->loop, SIGINT, on_signal, s);
	s->signals[2] = loop_signal_new(s->loop, SIGHUP, on_reload, s);
	if (notify_watchdog_us())
		beat_every(s, (int64_t)(notify_watchdog_us() / 4000));
}

static void unmake(struct server *s)
{
	api_stop(s->api);
	for (size_t i = s->nroles; i-- > 0;)
		s->roles[i].role->free(s->roles[i].state);
	store_close(s->store);
	cluster_free(s->cluster);
	peers_free(s->peers);
	api_free(s->api);
	redis_free(s->redis);
	/* the connections of pending calls are closed by now; the bus is not freed, because the process exits */
	log_attach(NULL);
	log_setup_more(NULL, NULL);
	if (s->pair) {
		pair_flush(s->pair, 1000);
		pair_free(s->pair);
	}
	token_keys_free(s->keys);
	seal_free(s->seal);
	for (size_t i = 0; i < ARRAY_LEN(s->signals); i++)
		loop_signal_free(s->signals[i]);
	loop_timer_free(s->grace);
	loop_timer_free(s->beat);
	log_flush();
}

static struct server s; /* static, so that leak checkers still see the bus and the loop at exit */

static bool server_make(const struct server_env *env, int pair_fd)
{
	s.env = env;
	s.loop = loop_new();
	log_attach(s.loop);
	s.bus = bus_new(s.loop);
	bus_set_node(s.bus, config_str(env->config, "NODE_NAME"));
	s.grace = loop_timer_new(s.loop, on_grace_over, &s);
	s.beat = loop_timer_new(s.loop, on_beat, &s);
	char why[256];
	if (!(s.keys = keys_make(env->config, why, sizeof why))) {
		log_error("server", "tokens: %s", why);
		return false;
	}
	if (!(s.seal = keys_make_seal(env->config, why, sizeof why))) {
		log_error("server", "secrets: %s", why);
		return false;
	}
	make_outside(&s, pair_fd);
	s.peers = peers_new(s.loop, s.bus, env->config, s.keys, env->roles, &env->tls->pem);
	s.store = open_store(&s);
	s.redis = redis_new(s.loop, s.bus, env->config, env->roles);
	s.cluster = cluster_new(s.loop, s.bus, s.store, env->config, s.peers, env->roles);
	return make_roles(&s) == 0 && make_api(&s) == 0;
}

bool server_make_figures(const struct server_env *env)
{
	if (!server_make(env, -1))
		return false;
	watchdog_start(s.loop);
	watchdog_stop();
	return true;
}

int server_run(const struct server_env *env, int pair_fd)
{
	if (!server_make(env, pair_fd))
		return EXIT_FINAL;
	watchdog_start(s.loop);
	loop_run(s.loop);
	watchdog_stop();
	unmake(&s);
	return s.code;
}
