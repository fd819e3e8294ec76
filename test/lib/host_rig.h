/* host_rig: src/host without a supervisor process, with the real xrdp: started, called, and waited for by a test. As root. */
#ifndef HOST_RIG_H
#define HOST_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/kernel/fs.h"
#include "host/instance/instance.h"
#include "host/host.h"
#include "host/kernel/port.h"
#include "lucid/clock.h"
#include "lucid/id.h"
#include "lucid/str.h"
#include "sys/child/process.h"

#define PATIENCE_MS 120000

static char dir[64];
static struct loop *loop;
static struct host *host;
static const char *xrdp_program, *sesman_program; /* NULL: the host's */

struct answer {
	bool come;
	int err;
	char message[400];
	json_t *out;
};

static unsigned started_events, exited_events;

static void on_event(UNUSED void *arg, const char *topic, const char *server_id, UNUSED const char *user, json_t *consume_data)
{
	started_events += str_eq(topic, "xrdp.instance.started");
	exited_events += str_eq(topic, "xrdp.instance.exited");
	assert_true(id_is_uuid(server_id));
	assert_true(json_is_object(consume_data));
	json_decref(consume_data);
}

static void on_done(void *arg, int err, const char *message, json_t *consume_out)
{
	struct answer *a = arg;
	assert_false(a->come);
	a->come = true;
	a->err = abs(err);
	snprintf(a->message, sizeof a->message, "%s", message ? message : "");
	a->out = consume_out;
	loop_stop(loop);
}

static void on_time(UNUSED void *arg)
{
	loop_stop(loop);
}

/* Runs the loop until `f` is true, or the time limit is over. */
static inline bool wait_for(bool (*f)(void *), void *arg)
{
	struct loop_timer *t = loop_timer_new(loop, on_time, NULL);
	int64_t until = clock_mono_ms() + PATIENCE_MS;
	bool ok;
	while (!(ok = f(arg)) && clock_mono_ms() < until) {
		loop_timer_set(t, 10);
		loop_run(loop);
	}
	loop_timer_free(t);
	return ok;
}

static inline bool has_come(void *arg)
{
	return ((struct answer *)arg)->come;
}

static inline host_fn entry(const char *op)
{
	for (size_t n = 0; n < host_entries_n; n++)
		if (str_eq(host_entries[n].op, op))
			return host_entries[n].fn;
	fail_msg("no entry %s", op);
	return NULL;
}

/* Call without waiting; `a` must stay valid. */
static inline void ask_begin(const char *op, json_t *in, struct answer *a)
{
	assert_non_null(in);
	*a = (struct answer){ 0 };
	entry(op)(host, in, on_done, a);
	json_decref(in);
}

static inline struct answer ask(const char *op, json_t *in)
{
	struct answer a;
	ask_begin(op, in, &a);
	assert_false(a.come); /* never within the call */
	assert_true(wait_for(has_come, &a));
	return a;
}

static inline struct host *open_host(const char *data)
{
	_cleanup_(xfreep) char *d = xasprintf("%s/%s", dir, data), *logs = xasprintf("%s/log", dir), *run = xasprintf("%s/run", dir);
	const struct host_settings s = { .data_dir = d,
					 .log_dir = logs,
					 .runtime_dir = run,
					 .program = "/bin/true",
					 .xrdp = xrdp_program,
					 .sesman = sesman_program,
					 .desktop_profiles = (const char *const[]){ "test=sleep 1000", NULL },
					 .port_start = 13389,
					 .port_end = 14389 };
	struct host *h = host_new_with(loop, &s, on_event, NULL);
	host_adopt(h);
	return h;
}

/* The supervisor dies and another one starts: what runs continues. */
static inline void reopen_host(void)
{
	host_free(host);
	host = open_host("data");
}

static inline int free_port(void)
{
	for (int tries = 0; tries < 200; tries++) {
		unsigned char r[2];
		id_random(r, sizeof r);
		int port = 15000 + (r[0] << 8 | r[1]) % 5000;
		if (port_is_free(port))
			return port;
	}
	fail_msg("no free port");
	return 0;
}

static inline json_t *spec_of(const char *id, int port)
{
	json_t *spec = json_pack("{s:s,s:s,s:s,s:i,s:{s:i},s:{s:s,s:i},s:{s:s,s:s,s:s,s:[],s:[]},s:{s:i,s:i,s:i},s:s}", "server_id", id, "name",
				 "test", "user_id", "alice", "port", port, "display", "color_depth", 24, "desktop", "session", "xorg",
				 "max_sessions", 5, "security", "layer", "negotiate", "min_tls", "1.2", "crypt_level", "high",
				 "allowed_users", "allowed_groups", "limits", "cpu_percent", 50, "memory_mb", 256, "tasks", 64, "restart_policy", "on-failure");
	assert_non_null(spec);
	return spec;
}

static inline json_t *start_doc(const char *id, int port)
{
	return json_pack("{s:o}", "spec", spec_of(id, port));
}

static inline json_t *stop_doc(const char *id, bool remove)
{
	return json_pack("{s:s,s:b,s:b}", "server_id", id, "force", 1, "remove", remove);
}

static inline void done_with(struct answer *a)
{
	json_decref(a->out);
	a->out = NULL;
}

static inline void must_run(const struct answer *a)
{
	if (a->err || !str_eq(doc_str(a->out, "status", ""), "running")) {
		_cleanup_(xfreep) char *text = a->out ? doc_text(a->out) : NULL;
		fail_msg("error %s, %s: %s", err_name(a->err), a->message, text ? text : "");
	}
}

/* A running server, with an id and a port of its own. */
static inline struct instance *start_one(char id[ID_UUID_SIZE], int *ret_port)
{
	id_uuid(id);
	*ret_port = free_port();
	struct answer a = ask("host.instance.start", start_doc(id, *ret_port));
	must_run(&a);
	done_with(&a);
	return instance_find(host, id);
}

static inline void stop_one(const char *id)
{
	struct answer a = ask("host.instance.stop", stop_doc(id, true));
	assert_int_equal(a.err, 0);
	done_with(&a);
}

static inline bool is_gone(void *arg)
{
	return proc_start(*(pid_t *)arg) == 0;
}

/* False, with a message, if instances cannot run here. */
static inline bool host_rig_dir(void)
{
	snprintf(dir, sizeof dir, "/tmp/lrdp-host-XXXXXX");
	bool ok = geteuid() == 0 && mkdtemp(dir) && chmod(dir, 0755) == 0;
	if (!ok)
		fprintf(stderr, "instances need root\n");
	return ok;
}

/* Runs the tests on a host of their own. */
static inline int host_rig_group(const char *name, const struct CMUnitTest *tests, size_t n)
{
	loop = loop_new();
	host = open_host("data");
	int r = _cmocka_run_group_tests(name, tests, n, NULL, NULL);
	host_free(host);
	loop_free(loop);
	return r;
}

/* The same, and removes what they left. */
static inline int host_rig_run(const struct CMUnitTest *tests, size_t n)
{
	if (!host_rig_dir())
		return 1;
	int r = host_rig_group("host", tests, n);
	fs_remove_tree(dir);
	return r;
}

#endif
