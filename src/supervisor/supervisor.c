#include "supervisor/supervisor.h"

#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "bus/pair.h"
#include "host/host.h"
#include "lucid/clock.h"
#include "lucid/log.h"
#include "lucid/loop.h"
#include "supervisor/host_ops.h"
#include "supervisor/reaper.h"
#include "supervisor/server_process.h"
#include "sys/child/child.h"
#include "sys/log.h"
#include "sys/notify.h"

/* A server that died is restarted at once, at most RESTARTS_MAX times in RESTARTS_WINDOW_MS: one that dies at every start would otherwise
 * keep a core busy. */
#define RESTARTS_MAX 5
#define RESTARTS_WINDOW_MS 10000
#define NO_START_MS 1000 /* delay after a failed fork */
#define KILL_AFTER_MS 5000 /* in addition to SHUTDOWN_GRACE, which the server has to drain */

#define RELOAD_MS 10000

/* Bound on pending calls of the server, which may be compromised. MAX_CONCURRENT_SERVERS is at most 1000, and all may start together. */
#define CALLS_MAX 1024
#define CLOSED_MS 2000 /* for the server to exit after it closed the pair */

enum life { RUNNING, DRAINING, STOPPING_INSTANCES };

struct supervisor {
	const struct supervisor_env *env;
	struct loop *loop;
	struct bus *bus;
	struct host *host;
	struct reaper *reaper;
	struct pair *pair; /* NULL while no server runs */
	struct children *children;
	struct child_desc desc;
	struct child *server;
	struct server_process process;
	enum life life;
	int code;
	struct loop_timer *reload_late;
	bool reloading, reload_again; /* the server has not confirmed a reload yet; another SIGHUP has arrived since */
	char status[160]; /* status line of the server for the service manager */
	struct loop_signal *signals[4];
};

static void on_reload(int signo, void *arg);
static void reload_over(struct supervisor *s, bool taken);

/* --- messages of the server */

static bool log_through_pair(const char *line, size_t len, void *arg)
{
	struct supervisor *s = arg;
	return s->pair && pair_log(s->pair, line, len);
}

/* The server cannot create files in the log's directory. The size is checked here: a compromised server could otherwise rotate until its
 * traces are gone. */
static void rotate_log(struct supervisor *s)
{
	int fd = s->env->more_log && log_is_full() ? s->env->more_log(s->env->more_log_arg) : -1;
	if (fd < 0)
		return;
	pair_descriptor(s->pair, "log", fd);
	log_replace(fd);
}

static void on_word(const char *word, const json_t *doc, void *arg)
{
	struct supervisor *s = arg;
	if (!strcmp(word, "ready") && s->life == RUNNING) {
		child_ready(s->server);
		snprintf(s->status, sizeof s->status, "%s", doc_str(doc, "status", "ready"));
		notify_ready(s->status);
	} else if (!strcmp(word, "reloaded"))
		reload_over(s, doc_bool(doc, "taken", false));
	else if (!strcmp(word, "beat"))
		notify_watchdog();
	else if (!strcmp(word, "log_full"))
		rotate_log(s);
}

/* The pair usually closes just before the process exits; the exit then starts the next server. A server that breaks the protocol is
 * compromised or faulty, and is killed. A server that does not exit without its pair is useless, and is killed after CLOSED_MS. */
static void on_pair_closed(void *arg)
{
	struct supervisor *s = arg;
	const char *fault = pair_fault(s->pair);
	if (fault && child_pid(s->server)) {
		log_error("supervisor", "the server process (pid %d) violated the socket pair protocol: %s; killing it", (int)child_pid(s->server), fault);
		child_signal(s->server, SIGKILL);
	} else if (s->life == RUNNING) {
		child_expect_end(s->server, CLOSED_MS);
	}
	bus_carry_events(s->bus, NULL);
	pair_free(TAKE_PTR(s->pair));
	if (s->reloading)
		log_error("supervisor", "the server process exited during a reload; the previous settings stay in force");
	reload_over(s, false);
}

static void on_host_event(void *arg, const char *topic, const char *server_id, const char *user_id, json_t *consume_data)
{
	struct supervisor *s = arg;
	bus_publish(s->bus, topic, server_id, user_id, consume_data);
}

/* --- the server process */

static int server_plan(void *arg, struct child_plan *ret)
{
	struct supervisor *s = arg;
	return server_process_plan(&s->process, ret);
}

static void tell_to_drain(void *arg)
{
	struct supervisor *s = arg;
	if (s->pair)
		pair_word(s->pair, "drain", NULL);
}

static enum child_verdict server_verdict(UNUSED void *arg, const struct child_end *e)
{
	return e->obituary.code == EXIT_FINAL ? CHILD_GIVE_UP : CHILD_AGAIN;
}

static void server_started(struct supervisor *s, UNUSED const struct child_end *e)
{
	static const struct pair_events events = { .on_word = on_word, .on_closed = on_pair_closed, .served_max = CALLS_MAX };
	s->pair = pair_new(s->loop, s->bus, server_process_take_pair(&s->process), &events, s);
	bus_carry_events(s->bus, pair_transport(s->pair));
	/* the service manager's watchdog is notified only while both loops run: the server sends beats, and on_word passes them on */
	uint64_t watchdog_us = notify_watchdog_us();
	if (watchdog_us) {
		_cleanup_(doc_unrefp) json_t *doc = json_pack("{s:I}", "ms", (json_int_t)(watchdog_us / 4000));
		pair_word(s->pair, "beat", doc);
	}
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

static void server_comes_again(struct supervisor *s, const struct child_end *e)
{
	const struct obituary *o = &e->obituary;
	if (s->pair)
		on_pair_closed(s);
	if (e->cause == CHILD_NOT_BORN) {
		log_error("supervisor", "cannot start the server process: %s; retrying in 1 s", strerror(e->err));
		return;
	}
	log_error("supervisor", "the server process %s %d; restarting it; desktops are not affected",
		  o->signal ? "was killed by signal" : "exited with code",
		  o->signal ? o->signal : o->code);
	if (e->wait_ms)
		log_error("supervisor", "the server process died %d times within %d s; the next start is delayed by %lld ms", RESTARTS_MAX,
			  RESTARTS_WINDOW_MS / 1000, (long long)e->wait_ms);
}

/* The server has drained and exited, or none was running. */
static void server_gone(struct supervisor *s, UNUSED const struct child_end *e)
{
	if (s->pair)
		on_pair_closed(s);
	s->life = STOPPING_INSTANCES;
	if (s->env->stop_servers || config_bool(s->env->config, "STOP_SERVERS_ON_EXIT"))
		host_stop_all(s->host, on_instances_stopped, s);
	else
		leave(s, 0);
}

static void server_final(struct supervisor *s, UNUSED const struct child_end *e)
{
	if (s->pair)
		on_pair_closed(s);
	leave(s, EXIT_FINAL);
}

static void server_mute(UNUSED struct supervisor *s, UNUSED const struct child_end *e)
{
	log_warn("supervisor", "the server process closed its socket pair but did not exit; killing it");
}

static void server_late(UNUSED struct supervisor *s, UNUSED const struct child_end *e)
{
	log_warn("supervisor", "the server process did not exit within SHUTDOWN_GRACE; killing it");
}

static void on_server_state(void *arg, enum child_state now, const struct child_end *e)
{
	static void (*const entered[CHILD_STATES])(struct supervisor *s, const struct child_end *e) = {
		[CHILD_STARTING] = server_started, [CHILD_BACKING_OFF] = server_comes_again, [CHILD_GONE] = server_gone,
		[CHILD_GAVE_UP] = server_final,	   [CHILD_BROKEN] = server_mute,	     [CHILD_KILLED] = server_late,
	};
	if (entered[now])
		entered[now](arg, e);
}

static void server_new(struct supervisor *s)
{
	s->desc = (struct child_desc){
		.name = "server", .plan = server_plan, .verdict = server_verdict, .on_state = on_server_state, .readiness = CHILD_READY_TOLD,
		.stop = tell_to_drain, .free_failures = UINT_MAX, .back_off_ms = NO_START_MS, .back_off_most_ms = NO_START_MS,
		.burst = RESTARTS_MAX, .burst_ms = RESTARTS_WINDOW_MS,
	};
	s->children = children_new(s->loop);
	s->server = child_new(s->children, &s->desc, s);
	server_process_init(&s->process, s->env);
}

/* --- signals */

static void on_child(UNUSED int signo, void *arg)
{
	struct supervisor *s = arg;
	reaper_wake(s->reaper);
}

static void on_orphan(int pid, int status, void *arg)
{
	struct supervisor *s = arg;
	if (!children_told(s->children, pid, status))
		host_child_exited(s->host, pid, status);
}

static void on_end(int signo, void *arg)
{
	struct supervisor *s = arg;
	if (s->life != RUNNING) { /* a second signal: exit at once */
		child_signal(s->server, SIGKILL);
		leave(s, 128 + signo);
		return;
	}
	s->life = DRAINING;
	notify_stopping();
	/* a reload may have changed the grace since the start */
	s->desc.stop_ms = (unsigned)config_int(s->env->config, "SHUTDOWN_GRACE") * 1000 + KILL_AFTER_MS;
	child_stop(s->server);
}

/* --- reload */

/* Ends a reload; called once for each. */
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
	log_error("supervisor", "the server process did not confirm the reload in time; send SIGHUP again");
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
		host_reload(s->host, s->env->config); /* no setting changed, but the content of files that settings name may have */
		notify_ready(s->status);
		return;
	}
	s->reloading = true;
	if (!s->pair) { /* no server runs now: the next one starts with the new settings */
		reload_over(s, true);
		return;
	}
	loop_timer_set(s->reload_late, RELOAD_MS);
	pair_word_secret(s->pair, "reload", doc);
}

/* --- start and end */

static void begin(struct supervisor *s)
{
	static const struct {
		int signo;
		void (*fn)(int signo, void *arg);
	} handled[] = { { SIGCHLD, on_child }, { SIGTERM, on_end }, { SIGINT, on_end }, { SIGHUP, on_reload } };
	s->loop = loop_new();
	s->bus = bus_new(s->loop);
	s->reload_late = loop_timer_new(s->loop, on_reload_late, s);
	for (size_t i = 0; i < ARRAY_LEN(handled); i++)
		s->signals[i] = loop_signal_new(s->loop, handled[i].signo, handled[i].fn, s);
	signal(SIGPIPE, SIG_IGN);
	/* the server first: it can listen while the host is examined */
	server_new(s);
	child_start(s->server);
	log_attach(s->loop);
	log_redirect(log_through_pair, s);
	s->host = host_new(s->loop, s->env->config, on_host_event, s);
	host_ops_serve(s->loop, s->bus, s->host);
	s->reaper = reaper_new(s->loop, on_orphan, s);
	host_adopt(s->host);
}

static void supervisor_done(struct supervisor *s)
{
	log_redirect(NULL, NULL);
	log_attach(NULL);
	reaper_free(s->reaper);
	host_free(s->host);
	if (s->pair)
		on_pair_closed(s);
	for (size_t i = 0; i < ARRAY_LEN(s->signals); i++)
		loop_signal_free(s->signals[i]);
	child_free(s->server);
	children_free(s->children);
	loop_timer_free(s->reload_late);
	/* bus_free must not run with calls that the host has not answered; the process exits anyway */
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
	supervisor_done(&s);
	return s.code;
}
