#include "supervisor/supervisor.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bus/pair.h"
#include "host/host.h"
#include "lucid/clock.h"
#include "lucid/log.h"
#include "lucid/loop.h"
#include "supervisor/host_ops.h"
#include "supervisor/reaper.h"
#include "supervisor/spawn.h"
#include "sys/log.h"
#include "sys/notify.h"

/* At once, but not more often than this: a server that dies at every start would otherwise burn a core. */
#define RESTARTS_MAX 5
#define RESTARTS_WINDOW_MS 10000
#define KILL_AFTER_MS 5000 /* beyond the grace that the server has for its drain */

#define RELOAD_MS 10000

enum life { RUNNING, DRAINING, STOPPING_INSTANCES };

struct supervisor {
	const struct supervisor_env *env;
	struct loop *loop;
	struct bus *bus;
	struct host *host;
	struct reaper *reaper;
	struct pair *pair; /* NULL while there is no server */
	pid_t server;
	enum life life;
	int code;
	int64_t starts[RESTARTS_MAX]; /* when the last servers were started; a ring */
	size_t nstarts;
	struct loop_timer *restart, *kill, *reload_late;
	bool reloading, reload_again; /* the server was handed settings; another SIGHUP came since */
	char status[160]; /* the server's own words, for the service manager */
	struct loop_signal *signals[4];
};

static void start_server(struct supervisor *s);
static void on_reload(int signo, void *arg);
static void reload_over(struct supervisor *s, bool taken);

/* --- talking with the server */

static bool log_through_pair(const char *line, size_t len, void *arg)
{
	struct supervisor *s = arg;
	return s->pair && pair_log(s->pair, line, len);
}

static void on_word(const char *word, const json_t *doc, void *arg)
{
	struct supervisor *s = arg;
	if (!strcmp(word, "ready") && s->life == RUNNING) {
		snprintf(s->status, sizeof s->status, "%s", doc_str(doc, "status", "ready"));
		notify_ready(s->status);
	} else if (!strcmp(word, "reloaded"))
		reload_over(s, doc_bool(doc, "taken", false));
	else if (!strcmp(word, "beat"))
		notify_watchdog();
}

/* The pair closes a moment before the process is gone; what follows comes with its exit. */
static void on_pair_closed(void *arg)
{
	struct supervisor *s = arg;
	bus_carry_events(s->bus, NULL);
	pair_free(TAKE_PTR(s->pair));
	if (s->reloading)
		log_error("supervisor", "the server went before it took up the settings; those of before stay");
	reload_over(s, false);
}

static void on_host_event(void *arg, const char *topic, const char *server_id, const char *user_id, json_t *consume_data)
{
	struct supervisor *s = arg;
	bus_publish(s->bus, topic, server_id, user_id, consume_data);
}

/* --- the server's lives */

static void on_restart(void *arg)
{
	start_server(arg);
}

static void start_server(struct supervisor *s)
{
	static const struct pair_events events = { on_word, NULL, on_pair_closed };
	int fd;
	s->starts[s->nstarts++ % RESTARTS_MAX] = clock_mono_ms();
	s->server = spawn_server(s->env, &fd);
	if (s->server < 0) {
		log_error("supervisor", "cannot start the server: %s; trying again in a second", strerror(errno));
		s->server = 0;
		loop_timer_set(s->restart, 1000);
		return;
	}
	s->pair = pair_new(s->loop, s->bus, fd, &events, s);
	bus_carry_events(s->bus, pair_transport(s->pair));
	/* the watchdog hears of us only when both loops turn: the server beats, and it is passed on here */
	uint64_t watchdog_us = notify_watchdog_us();
	if (watchdog_us) {
		_cleanup_(doc_unrefp) json_t *doc = json_pack("{s:I}", "ms", (json_int_t)(watchdog_us / 4000));
		pair_word(s->pair, "beat", doc);
	}
}

static void restart_server(struct supervisor *s)
{
	int64_t oldest = s->nstarts >= RESTARTS_MAX ? s->starts[s->nstarts % RESTARTS_MAX] : 0;
	int64_t wait = oldest ? oldest + RESTARTS_WINDOW_MS - clock_mono_ms() : 0;
	if (wait <= 0) {
		start_server(s);
		return;
	}
	log_error("supervisor", "the server died %d times within %d s; the next start waits %lld ms", RESTARTS_MAX,
		  RESTARTS_WINDOW_MS / 1000, (long long)wait);
	loop_timer_set(s->restart, wait);
}

static void leave(struct supervisor *s, int code)
{
	s->code = code;
	loop_stop(s->loop);
}

static void on_instances_stopped(void *arg)
{
	leave(arg, 0);
}

static void server_gone(struct supervisor *s, int status)
{
	int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	s->server = 0;
	loop_timer_clear(s->kill);
	if (s->pair)
		on_pair_closed(s);
	if (s->life == DRAINING) {
		s->life = STOPPING_INSTANCES;
		if (s->env->stop_servers || config_bool(s->env->config, "STOP_SERVERS_ON_EXIT"))
			host_stop_all(s->host, on_instances_stopped, s);
		else
			leave(s, 0);
		return;
	}
	if (code == EXIT_FINAL) {
		leave(s, EXIT_FINAL);
		return;
	}
	log_error("supervisor", "the server %s %d; starting it anew, desktops go on", WIFEXITED(status) ? "left with code" : "died of signal",
		  WIFEXITED(status) ? code : WTERMSIG(status));
	restart_server(s);
}

/* --- signals */

static void on_child(UNUSED int signo, void *arg)
{
	struct supervisor *s = arg;
	int status;
	if (s->server && waitpid(s->server, &status, WNOHANG) == s->server)
		server_gone(s, status);
	reaper_wake(s->reaper);
}

static void on_orphan(int pid, int status, void *arg)
{
	struct supervisor *s = arg;
	host_child_exited(s->host, pid, status);
}

static void on_kill(void *arg)
{
	struct supervisor *s = arg;
	if (s->server) {
		log_warn("supervisor", "the server did not finish within its grace; ending it");
		kill(s->server, SIGKILL);
	}
}

static void on_end(int signo, void *arg)
{
	struct supervisor *s = arg;
	if (s->life != RUNNING) { /* a second signal: at once */
		if (s->server)
			kill(s->server, SIGKILL);
		leave(s, 128 + signo);
		return;
	}
	s->life = DRAINING;
	notify_stopping();
	loop_timer_clear(s->restart);
	if (!s->server) {
		server_gone(s, 0);
		return;
	}
	if (s->pair)
		pair_word(s->pair, "drain", NULL);
	loop_timer_set(s->kill, config_int(s->env->config, "SHUTDOWN_GRACE") * 1000 + KILL_AFTER_MS);
}

/* --- other settings */

/* Once for each time that settings were handed over. */
static void reload_over(struct supervisor *s, bool taken)
{
	if (!s->reloading)
		return;
	s->reloading = false;
	loop_timer_clear(s->reload_late);
	s->env->reloaded(taken, s->env->arg);
	if (taken)
		host_reload(s->host, s->env->config);
	notify_ready(s->status);
	if (s->reload_again)
		on_reload(SIGHUP, s);
}

static void on_reload_late(void *arg)
{
	log_error("supervisor", "the server did not say whether it takes up the settings; send SIGHUP again");
	reload_over(arg, false);
}

static void on_reload(UNUSED int signo, void *arg)
{
	struct supervisor *s = arg;
	s->reload_again = s->reloading;
	if (s->reloading || s->life != RUNNING)
		return;
	notify_reloading();
	_cleanup_(doc_unref_secretp) json_t *doc = s->env->reload(s->env->arg);
	if (!doc) {
		notify_ready(s->status);
		return;
	}
	s->reloading = true;
	if (!s->pair) { /* between two lives: the next begins with them */
		reload_over(s, true);
		return;
	}
	loop_timer_set(s->reload_late, RELOAD_MS);
	pair_word_secret(s->pair, "reload", doc);
}

/* --- life */

static void begin(struct supervisor *s)
{
	static const struct {
		int signo;
		void (*fn)(int signo, void *arg);
	} handled[] = { { SIGCHLD, on_child }, { SIGTERM, on_end }, { SIGINT, on_end }, { SIGHUP, on_reload } };
	s->loop = loop_new();
	s->bus = bus_new(s->loop);
	s->restart = loop_timer_new(s->loop, on_restart, s);
	s->kill = loop_timer_new(s->loop, on_kill, s);
	s->reload_late = loop_timer_new(s->loop, on_reload_late, s);
	for (size_t i = 0; i < ARRAY_LEN(handled); i++)
		s->signals[i] = loop_signal_new(s->loop, handled[i].signo, handled[i].fn, s);
	signal(SIGPIPE, SIG_IGN);
	/* the server first: it listens while the host is looked at */
	start_server(s);
	log_attach(s->loop);
	log_redirect(log_through_pair, s);
	s->host = host_new(s->loop, s->env->config, on_host_event, s);
	host_ops_serve(s->loop, s->bus, s->host);
	s->reaper = reaper_new(s->loop, on_orphan, s);
	host_adopt(s->host);
}

static void end(struct supervisor *s)
{
	log_redirect(NULL, NULL);
	log_attach(NULL);
	reaper_free(s->reaper);
	host_free(s->host);
	if (s->pair)
		on_pair_closed(s);
	for (size_t i = 0; i < ARRAY_LEN(s->signals); i++)
		loop_signal_free(s->signals[i]);
	loop_timer_free(s->restart);
	loop_timer_free(s->kill);
	loop_timer_free(s->reload_late);
	/* calls that the host never answered would be touched by bus_free; the process ends here and takes them along */
	if (!bus_calls_open(s->bus)) {
		bus_free(s->bus);
		loop_free(s->loop);
	}
	log_flush();
}

int supervisor_run(const struct supervisor_env *env)
{
	struct supervisor s = { .env = env };
	begin(&s);
	loop_run(s.loop);
	end(&s);
	return s.code;
}
