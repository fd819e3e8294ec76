/* Observation of a real instance: a real account logs in with a real client, and the host must report it correctly. Needs root, xrdp, xorgxrdp,
 * xfreerdp and Xvfb; otherwise it is skipped with a message. */
#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pwd.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "host/core.h"
#include "host/host.h"
#include "host/instance/instance.h"
#include "host/kernel/proc.h"
#include "host/observe/observed.h"
#include "lucid/clock.h"
#include "lucid/str.h"
#include "test/lib/cgroup_rig.h"

#define PASSWORD "Lrdp-4-test"
#define PATIENCE_MS 120000 /* a bound, for machines that are busy with other tests */
/* The command of the test's desktops; the sleeper leaves its session, as users' daemons do. */
#define SLEEPER "31536001"
#define PROFILE "lrdp=setsid sleep " SLEEPER " & exec xterm"

static struct loop *loop;
static struct host *host;
static char dir[64], user[32], id[ID_UUID_SIZE], program[4096];
static char x_display[16];
static const char *session = "xorg";
static pid_t xvfb, clients[4];
static int port;
static json_t *events; /* [{topic, data}] */

/* --- helpers */

static char desktop_owner[129]; /* owner of the last reported desktop */

static void on_event(UNUSED void *arg, const char *topic, const char *server_id, const char *user_id, json_t *data)
{
	json_t *e = json_object();
	if (str_eq(topic, "xrdp.desktop.started"))
		str_copy(desktop_owner, sizeof desktop_owner, user_id);
	doc_set_str(e, "topic", topic);
	doc_set_str(e, "server_id", server_id);
	doc_set(e, "data", data);
	json_array_append_new(events, e);
}

static json_t *event_of(const char *topic)
{
	json_t *e;
	size_t n;
	json_array_foreach(events, n, e)
		if (str_eq(doc_str(e, "topic", ""), topic))
			return json_object_get(e, "data");
	return NULL;
}

struct turn {
	bool (*cond)(void);
	struct loop_timer *poll;
	int64_t until;
	pid_t *client; /* a client that must run until then; NULL: none */
	bool met;
};

static void on_poll(void *arg)
{
	struct turn *t = arg;
	t->met = t->cond && t->cond();
	bool gone = !t->met && t->client && waitpid(*t->client, NULL, WNOHANG) == *t->client;
	if (gone)
		*t->client = 0;
	if (t->met || gone || clock_mono_ms() > t->until)
		loop_stop(loop);
	else
		loop_timer_set(t->poll, 10);
}

static bool wait_with(bool (*cond)(void), int64_t ms, pid_t *client)
{
	struct turn t = { .cond = cond, .until = clock_mono_ms() + ms, .client = client };
	t.poll = loop_timer_new(loop, on_poll, &t);
	loop_timer_set(t.poll, 0);
	loop_run(loop);
	loop_timer_free(t.poll);
	return t.met;
}

/* Runs the loop until the condition is true. */
static bool wait_until(bool (*cond)(void), int64_t ms)
{
	return wait_with(cond, ms, NULL);
}

static struct {
	bool done;
	int err;
	char message[300];
	json_t *out;
} answer;

static void on_done(UNUSED void *arg, int err, const char *message, json_t *out)
{
	assert_false(answer.done);
	answer.done = true;
	answer.err = err;
	snprintf(answer.message, sizeof answer.message, "%s", message ? message : "");
	answer.out = out;
}

static bool is_done(void)
{
	return answer.done;
}

/* Calls one operation and waits; `in` is consumed, the answer is borrowed until the next call. */
static json_t *call(const char *op, json_t *in)
{
	json_decref(answer.out);
	memset(&answer, 0, sizeof answer);
	for (size_t i = 0; i < host_entries_n; i++) {
		if (!str_eq(host_entries[i].op, op))
			continue;
		host_entries[i].fn(host, in, on_done, NULL);
		assert_true(wait_until(is_done, PATIENCE_MS));
		json_decref(in);
		return answer.out;
	}
	fail_msg("no entry %s", op);
	return NULL;
}

static json_t *of_server(void)
{
	return json_pack("{s:s}", "server_id", id);
}

static json_t *desktops(void)
{
	json_t *out = call("host.desktops", of_server());
	assert_int_equal(answer.err, 0);
	return json_object_get(out, "desktops");
}

static json_t *connections(void)
{
	json_t *out = call("host.connections", of_server());
	assert_int_equal(answer.err, 0);
	return json_object_get(out, "connections");
}

static struct instance *instance(void)
{
	struct instance *i = instance_find(host, id);
	assert_non_null(i);
	return i;
}

static pid_t spawn(const char *const *argv, int keep_fd)
{
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid)
		return pid;
	_cleanup_(xfreep) char *said = xasprintf("%s/clients.log", dir);
	int null = open("/dev/null", O_RDWR), out = open(said, O_WRONLY | O_CREAT | O_APPEND, 0600);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	dup2(null, 0);
	for (int i = 1; i < 3; i++)
		dup2(out < 0 ? null : out, i);
	if (keep_fd >= 0)
		dup2(keep_fd, 3);
	close_range(keep_fd >= 0 ? 4 : 3, ~0U, 0);
	setenv("DISPLAY", x_display, 1);
	execvp(argv[0], (char *const *)(uintptr_t)argv);
	_exit(127);
}

static int run(const char *command)
{
	const char *const argv[] = { "sh", "-c", command, NULL };
	int status;
	assert_int_equal(waitpid(spawn(argv, -1), &status, 0) > 0, 1);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* The X server on which clients show their windows. It does not exit when its first client does. */
static void x_start(void)
{
	char digits[16] = "";
	int fds[2];
	assert_int_equal(pipe(fds), 0);
	const char *const x[] = { "Xvfb", "-displayfd", "3", "-noreset", "-screen", "0", "1024x768x24", "-nolisten", "tcp", NULL };
	xvfb = spawn(x, fds[1]);
	close(fds[1]);
	/* to the end of the line, which is a separate write: without a reader the X server would be killed by it */
	for (size_t n = 0; !strchr(digits, '\n'); n++) {
		assert_true(n < sizeof digits - 1);
		assert_int_equal(read(fds[0], digits + n, 1), 1);
	}
	close(fds[0]);
	snprintf(x_display, sizeof x_display, ":%d", atoi(digits));
}

static void client_start(size_t n)
{
	_cleanup_(xfreep) char *v = xasprintf("/v:127.0.0.1:%d", port), *u = xasprintf("/u:%s", user);
	const char *const argv[] = { "xfreerdp", v, u, "/p:" PASSWORD, "/cert:ignore", "/size:800x600", "+clipboard", NULL };
	clients[n] = spawn(argv, -1);
}

static void client_stop(size_t n)
{
	if (!clients[n])
		return;
	kill(clients[n], SIGKILL);
	waitpid(clients[n], NULL, 0);
	clients[n] = 0;
}

/* Log in and wait for the condition; false also if the client has exited. */
static bool client_until(size_t n, bool (*cond)(void))
{
	client_start(n);
	return wait_with(cond, PATIENCE_MS, &clients[n]);
}

/* The number of processes of the account, or of sleepers. */
/* One that is exiting and has left its namespaces already is not counted: it can do nothing any more. */
static int processes(uid_t uid)
{
	DIR *d = opendir("/proc");
	struct dirent *e;
	int n = 0;
	while ((e = readdir(d))) {
		pid_t pid = atoi(e->d_name);
		uid_t owner;
		n += pid > 0 && proc_alive(pid, 0) && proc_uid(pid, &owner, NULL) && owner == uid && ns_inode_of(pid);
	}
	closedir(d);
	return n;
}

static uid_t uid_of_user(void)
{
	struct passwd *p = getpwnam(user);
	assert_non_null(p);
	return p->pw_uid;
}

static bool has_sleeper(void)
{
	DIR *d = opendir("/proc");
	struct dirent *e;
	bool found = false;
	while (!found && (e = readdir(d))) {
		char args[64];
		size_t n = proc_cmdline(atoi(e->d_name), args, sizeof args);
		uid_t uid;
		/* another run of this test may have the same */
		found = n > 6 && str_eq(args, "sleep") && str_eq(args + 6, SLEEPER) && proc_alive(atoi(e->d_name), 0) &&
			proc_uid(atoi(e->d_name), &uid, NULL) && uid == uid_of_user();
	}
	closedir(d);
	return found;
}

/* --- setting up */

static int free_port(void)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	struct sockaddr_in a = { .sin_family = AF_INET };
	socklen_t len = sizeof a;
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
	getsockname(fd, (struct sockaddr *)&a, &len);
	close(fd);
	return ntohs(a.sin_port);
}

static void host_begin(void)
{
	static const char *const profiles[] = { PROFILE, NULL };
	char data[80], log[80], runtime[80];
	snprintf(data, sizeof data, "%s/data", dir);
	snprintf(log, sizeof log, "%s/log", dir);
	snprintf(runtime, sizeof runtime, "%s/run", dir);
	mkdir(data, 0755);
	mkdir(log, 0755);
	mkdir(runtime, 0755);
	static char mapped[160];
	snprintf(mapped, sizeof mapped, "anna@example.org=%s", user);
	const char *const map[] = { "other=nobody", mapped, NULL };
	struct host_settings s = {
		.data_dir = data, .log_dir = log, .runtime_dir = runtime, .program = program, .desktop_profiles = profiles,
		.desktop_default = "lrdp", .node = "test", .port_start = port, .port_end = port, .user_map = map,
	};
	host = host_new_with(loop, &s, on_event, NULL);
	assert_non_null(host);
	host_adopt(host);
}

static bool is_running(void)
{
	struct instance *i = instance_find(host, id);
	return i && i->state == INSTANCE_RUNNING;
}

static json_t *spec(void)
{
	return json_pack("{s:s, s:s, s:s, s:i, s:{s:i,s:i,s:i}, s:{s:s,s:s,s:i,s:i,s:i,s:b}, s:{s:s,s:s,s:s,s:[],s:[]}, "
			 "s:{s:b,s:b,s:b,s:b,s:b}, s:s}",
			 "server_id", id, "name", "seen", "user_id", "", "port", port, "display", "width", 800, "height", 600,
			 "color_depth", 24, "desktop", "session", session, "profile", "lrdp", "max_sessions", 3, "idle_timeout", 0,
			 "disconnected_timeout", 0, "kill_disconnected", 0, "security", "layer", "negotiate", "min_tls", "1.2",
			 "crypt_level", "high", "allowed_users", "allowed_groups", "channels", "clipboard", 1, "drive", 1,
			 "sound", 1, "rail", 1, "dynamic", 1, "restart_policy", "never");
}

static void instance_begin(void)
{
	call("host.instance.start", json_pack("{s:o, s:b}", "spec", spec(), "replace", 0));
	if (answer.err)
		print_error("start: %s\n", answer.message);
	assert_int_equal(answer.err, 0);
	if (!str_eq(doc_str(answer.out, "status", ""), "running")) {
		_cleanup_(xfreep) char *text = doc_text(answer.out);
		fail_msg("the instance does not run: %s", text);
	}
}

static bool hook_told(void);

/* Prints the end of the output of xrdp, sesman and the clients, and the host's events. */
static void print_what_was_seen(void)
{
	_cleanup_(xfreep) char *told = json_dumps(events, JSON_COMPACT);
	_cleanup_(xfreep) char *tail = xasprintf("find %s/log %s/clients.log -type f -exec tail -n 40 {} + >&2", dir, dir);
	print_error("events: %s\n", told ? told : "");
	if (system(tail) != 0)
		print_error("the logs of the instance cannot be read\n");
}

/* Not the tests themselves: without desktops, each would wait for its whole time limit. */
static int first_login(void)
{
	if (client_until(0, hook_told))
		return 0;
	print_error("the first login came to nothing: no xrdp.desktop.started, and %s\n",
		    clients[0] ? "the client still waits" : "the client has given up");
	print_what_was_seen();
	return -1;
}

static int setup(UNUSED void **state)
{
	loop = loop_new();
	events = json_array();
	snprintf(dir, sizeof dir, "/tmp/lrdp-seeing-XXXXXX");
	assert_non_null(mkdtemp(dir));
	chmod(dir, 0755);
	snprintf(user, sizeof user, "lrdps%d", (int)getpid());
	_cleanup_(xfreep) char *add = xasprintf("useradd -m -s /bin/sh %s && echo %s:%s | chpasswd", user, user, PASSWORD);
	assert_int_equal(run(add), 0);
	x_start();
	id_uuid(id);
	port = free_port();
	host_begin();
	instance_begin();
	return first_login();
}

static int teardown(UNUSED void **state)
{
	for (size_t n = 0; n < ARRAY_LEN(clients); n++)
		client_stop(n);
	if (host && instance_find(host, id)) {
		call("host.instance.stop", json_pack("{s:s, s:b, s:b}", "server_id", id, "force", 1, "remove", 1));
		if (answer.err)
			print_error("stop: %s\n", answer.message);
	}
	host_free(host);
	json_decref(answer.out);
	json_decref(events);
	if (xvfb) {
		kill(xvfb, SIGTERM);
		waitpid(xvfb, NULL, 0);
	}
	_cleanup_(xfreep) char *clean = xasprintf("userdel -r %s; rm -rf %s", user, dir);
	run(clean);
	loop_free(loop);
	return 0;
}

/* --- conditions */

static bool one_active(void)
{
	struct instance_sessions s;
	host->hooks.sessions(instance(), &s);
	return s.active == 1;
}

static bool one_disconnected(void)
{
	struct instance_sessions s;
	host->hooks.sessions(instance(), &s);
	return s.disconnected == 1 && s.active == 0;
}

static bool one_orphaned(void)
{
	struct instance_sessions s;
	host->hooks.sessions(instance(), &s);
	return s.orphaned == 1;
}

static bool none_left(void)
{
	struct instance_sessions s;
	host->hooks.sessions(instance(), &s);
	return s.active + s.disconnected + s.orphaned == 0;
}

static bool hook_told(void)
{
	return event_of("xrdp.desktop.started") != NULL;
}

static bool opened_told(void)
{
	return event_of("xrdp.connection.opened") != NULL;
}

static bool closed_told(void)
{
	return event_of("xrdp.connection.closed") != NULL;
}

static void events_forget(void)
{
	json_array_clear(events);
}

/* A complete desktop. */
static void log_in(size_t client)
{
	events_forget();
	if (client_until(client, one_active) && wait_until(has_sleeper, PATIENCE_MS))
		return;
	print_what_was_seen();
	fail_msg("a login came to nothing: %s", clients[client] ? "the client still waits" : "the client has given up");
}

static void end_desktop(int display, bool expect)
{
	call("host.desktop.end", json_pack("{s:s, s:i}", "server_id", id, "display", display));
	assert_int_equal(answer.err, expect ? 0 : -ERR_INSTANCE_NOT_FOUND);
}

static void assert_no_trace(int display)
{
	char path[3][4200];
	snprintf(path[0], sizeof path[0], "/tmp/.X11-unix/X%d", display);
	snprintf(path[1], sizeof path[1], "/tmp/.X%d-lock", display);
	snprintf(path[2], sizeof path[2], "%s/sockdir/xrdp_display_%d", instance()->run, display);
	struct stat st;
	/* a file in /tmp may belong to another account, and is not removed then */
	for (size_t i = 0; i < 3; i++)
		if (lstat(path[i], &st) == 0 && st.st_uid == uid_of_user())
			fail_msg("%s is still there", path[i]);
	assert_false(has_sleeper());
	assert_int_equal(processes(uid_of_user()), 0);
}

/* --- tests */

static int display;

static void test_hook_tells(UNUSED void **state)
{
	struct stat st;
	assert_int_equal(stat(host->hook_socket, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	json_t *d = event_of("xrdp.desktop.started");
	assert_non_null(d);
	assert_string_equal(doc_str(d, "username", ""), user);
	assert_string_equal(desktop_owner, "anna@example.org"); /* the user of the account, not the owner of the server */
	display = (int)doc_int(d, "display", 0);
	assert_ptr_equal(instance_of_display(host, display), instance());
}

static void test_desktop_listed(UNUSED void **state)
{
	assert_true(wait_until(one_active, PATIENCE_MS));
	assert_true(wait_until(has_sleeper, PATIENCE_MS));
	json_t *list = desktops(), *d = json_array_get(list, 0);
	assert_int_equal(json_array_size(list), 1);
	assert_string_equal(doc_str(d, "username", ""), user);
	assert_int_equal(doc_int(d, "display", 0), display);
	assert_string_equal(doc_str(d, "status", ""), "active");
	assert_string_equal(doc_str(d, "session", ""), "xorg");
	assert_string_equal(doc_str(d, "client_address", ""), "127.0.0.1");
	assert_true(doc_int(d, "processes", 0) >= 4); /* leader, Xorg, xterm, its shell, chansrv, the sleeper */
	assert_true(doc_int(d, "memory_bytes", 0) > 1024 * 1024);
	/* known once the X server has answered, which may take longer than the probe's deadline on a busy machine */
	for (int64_t end = clock_mono_ms() + PATIENCE_MS; doc_int(d, "idle_seconds", -1) < 0 && clock_mono_ms() < end;) {
		wait_until(NULL, 200);
		d = json_array_get(desktops(), 0);
	}
	assert_true(doc_int(d, "idle_seconds", -1) >= 0);
}

static int64_t painted;
static bool more_came(void)
{
	struct instance *i = instance();
	struct connection *c;
	LIST_FOREACH (c, &i->observed->connections, node)
		if (c->display == display && (int64_t)c->bytes_out > painted)
			return true;
	return false;
}

static void test_connection_listed(UNUSED void **state)
{
	assert_true(wait_until(opened_told, PATIENCE_MS));
	json_t *c = json_array_get(connections(), 0);
	char conn[32];
	assert_string_equal(doc_str(c, "username", ""), user);
	assert_int_equal(doc_int(c, "display", 0), display);
	assert_string_equal(doc_str(c, "client_address", ""), "127.0.0.1");
	assert_true(doc_int(c, "client_port", 0) > 0);
	str_copy(conn, sizeof conn, doc_str(c, "id", ""));
	int64_t in = doc_int(c, "bytes_in", 0), out = doc_int(c, "bytes_out", 0);
	assert_true(in > 0 && out > 0);
	/* something to draw: the background changes */
	_cleanup_(xfreep) char *paint = xasprintf(
		"nsenter -t %d -m su %s -c 'cd; for c in 1 2 3 4 5 6 7 8; do DISPLAY=:%d xsetroot -solid \"#${c}0${c}0${c}0\"; sleep 0.2; done'", (int)desktop_find(instance(), display)->x_pid, user, display);
	run(paint);
	painted = out;
	assert_true(wait_until(more_came, PATIENCE_MS));
	c = json_array_get(connections(), 0);
	assert_string_equal(doc_str(c, "id", ""), conn);
	json_t *s = call("host.instance.stats", of_server());
	assert_true(doc_int(s, "bytes_out", 0) > out);
	assert_true(doc_int(s, "tasks", 0) > 4);
	assert_true(doc_int(s, "memory_bytes", 0) > 0);
}

static void test_takeover(UNUSED void **state)
{
	events_forget();
	assert_int_equal(json_array_size(desktops()), 1);
	client_start(1);
	assert_true(wait_until(closed_told, PATIENCE_MS)); /* the first client is disconnected */
	assert_true(wait_until(opened_told, PATIENCE_MS)); /* the second one is on the same desktop */
	assert_int_equal(doc_int(event_of("xrdp.connection.opened"), "display", 0), display);
	assert_string_equal(doc_str(event_of("xrdp.connection.opened"), "username", ""), user);
	assert_null(event_of("xrdp.desktop.started"));
	assert_int_equal(json_array_size(desktops()), 1);
	client_stop(0);
}

static void test_cut(UNUSED void **state)
{
	events_forget();
	assert_true(wait_until(one_active, PATIENCE_MS));
	json_t *c = json_array_get(connections(), 0);
	call("host.connection.cut", json_pack("{s:s, s:s}", "server_id", id, "id", doc_str(c, "id", "")));
	assert_int_equal(answer.err, 0);
	assert_string_equal(doc_str(json_object_get(answer.out, "cut"), "username", ""), user);
	assert_non_null(event_of("xrdp.connection.closed"));
	assert_int_equal(json_array_size(connections()), 0);
	assert_true(wait_until(one_disconnected, PATIENCE_MS));
	assert_true(has_sleeper()); /* the desktop is kept */
	call("host.connection.cut", json_pack("{s:s, s:s}", "server_id", id, "id", "0123456789abcdef"));
	assert_int_equal(answer.err, -ERR_INSTANCE_NOT_FOUND);
	client_stop(1);
}

static void test_restart_finds_it(UNUSED void **state)
{
	host_free(host);
	events_forget();
	host_begin();
	assert_true(wait_until(is_running, PATIENCE_MS));
	json_t *list = desktops();
	assert_int_equal(json_array_size(list), 1);
	assert_int_equal(doc_int(json_array_get(list, 0), "display", 0), display);
	assert_string_equal(doc_str(json_array_get(list, 0), "username", ""), user);
	assert_string_equal(doc_str(json_array_get(list, 0), "status", ""), "disconnected");
	assert_null(event_of("xrdp.desktop.started"));
	assert_true(client_until(0, one_active)); /* and its user reconnects to it */
	assert_int_equal(json_array_size(desktops()), 1);
	client_stop(0);
	assert_true(wait_until(one_disconnected, PATIENCE_MS));
}

static void test_end(UNUSED void **state)
{
	events_forget();
	end_desktop(display, true);
	assert_int_equal(doc_int(json_object_get(answer.out, "ended"), "display", 0), display);
	assert_string_equal(doc_str(json_object_get(answer.out, "ended"), "username", ""), user);
	assert_true(doc_int(answer.out, "processes", 0) >= 4);
	assert_no_trace(display);
	assert_non_null(event_of("xrdp.desktop.ended"));
	assert_int_equal(json_array_size(desktops()), 0);
	end_desktop(display, false);
}

static void test_display_used_again(UNUSED void **state)
{
	log_in(0);
	/* a block is not skipped; an earlier one may have become free, if another process had one of its ports */
	int now = (int)doc_int(json_array_get(desktops(), 0), "display", 0);
	assert_true(now > 0 && now <= display);
	display = now;
}

static void test_stopped_x_server_blocks_nothing(UNUSED void **state)
{
	char args[512];
	pid_t x = 0;
	DIR *d = opendir("/proc");
	struct dirent *e;
	while ((e = readdir(d)) && !x) {
		int n;
		bool vnc;
		size_t len = proc_cmdline(atoi(e->d_name), args, sizeof args);
		if (len && proc_is_x_server(args, len, &n, &vnc) && n == display)
			x = atoi(e->d_name);
	}
	closedir(d);
	assert_true(x > 0);
	kill(x, SIGSTOP);
	wait_until(NULL, 1200); /* the cached answer has expired */
	json_t *list = desktops();
	assert_int_equal(json_array_size(list), 1);
	assert_true(json_is_null(json_object_get(json_array_get(list, 0), "idle_seconds")));
	/* and it can be ended in this state, with force */
	end_desktop(display, true);
	assert_true(doc_int(answer.out, "forced", 0) > 0);
	assert_no_trace(display);
	client_stop(0);
}

static void test_logout(UNUSED void **state)
{
	log_in(0);
	display = (int)doc_int(json_array_get(desktops(), 0), "display", 0);
	DIR *d = opendir("/proc");
	struct dirent *e;
	while ((e = readdir(d))) {
		struct proc_stat s;
		uid_t uid;
		if (proc_stat(atoi(e->d_name), &s) && str_eq(s.comm, "xterm") && proc_uid(s.pid, &uid, NULL) &&
		    uid == uid_of_user())
			kill(s.pid, SIGTERM);
	}
	closedir(d);
	assert_true(wait_until(none_left, PATIENCE_MS)); /* the sleeper is ended some seconds later */
	assert_non_null(event_of("xrdp.desktop.ended"));
	assert_no_trace(display);
	client_stop(0);
}

static void test_nobody_listens(UNUSED void **state)
{
	host_free(host); /* no supervisor runs */
	host = NULL;
	client_start(0);
	int64_t until = clock_mono_ms() + PATIENCE_MS;
	while (!has_sleeper() && clock_mono_ms() < until)
		usleep(50000);
	assert_true(has_sleeper()); /* the login succeeded */
	events_forget();
	host_begin();
	assert_true(wait_until(hook_told, PATIENCE_MS));
	assert_string_equal(doc_str(event_of("xrdp.desktop.started"), "username", ""), user);
	assert_true(wait_until(one_active, PATIENCE_MS));
	json_t *list = desktops();
	assert_int_equal(json_array_size(list), 1);
	assert_true(doc_int(json_array_get(list, 0), "processes", 0) >= 4);
	display = (int)doc_int(json_array_get(list, 0), "display", 0);
	end_desktop(display, true);
	assert_no_trace(display);
	client_stop(0);
}

static void test_orphan(UNUSED void **state)
{
	log_in(0);
	pid_t sesman = instance()->sesman.pid;
	assert_true(sesman > 0);
	kill(sesman, SIGKILL);
	assert_true(wait_until(one_orphaned, PATIENCE_MS));
	json_t *list = desktops();
	assert_string_equal(doc_str(json_array_get(list, 0), "status", ""), "orphaned");
	assert_true(has_sleeper());
	display = (int)doc_int(json_array_get(list, 0), "display", 0);
	end_desktop(display, true);
	assert_no_trace(display);
	client_stop(0);
}

/* Both daemons die while no supervisor runs: the next one finds the desktop, an orphan, and can end it. */
static void test_orphan_found(UNUSED void **state)
{
	if (instance()->state != INSTANCE_RUNNING)
		instance_begin(); /* its sesman was killed before */
	log_in(0);
	display = (int)doc_int(json_array_get(desktops(), 0), "display", 0);
	pid_t pids[] = { instance()->sesman.pid, instance()->xrdp.pid };
	host_free(host);
	host = NULL;
	for (size_t n = 0; n < ARRAY_LEN(pids); n++) {
		kill(pids[n], SIGKILL);
		while (proc_alive(pids[n], 0))
			usleep(1000);
	}
	client_stop(0);
	assert_true(has_sleeper());
	events_forget();
	host_begin();
	assert_true(wait_until(one_orphaned, PATIENCE_MS));
	json_t *list = desktops();
	assert_int_equal(json_array_size(list), 1);
	assert_string_equal(doc_str(json_array_get(list, 0), "status", ""), "orphaned");
	assert_string_equal(doc_str(json_array_get(list, 0), "username", ""), user);
	assert_int_equal(doc_int(json_array_get(list, 0), "display", 0), display);
	end_desktop(display, true);
	assert_string_equal(doc_str(json_object_get(answer.out, "ended"), "username", ""), user);
	assert_no_trace(display);
	assert_non_null(event_of("xrdp.desktop.ended"));
	assert_true(none_left());
}

/* The other kind of X server: between xrdp and desktop there is no socket file but a port, 5900 plus the display. */
static void test_xvnc(UNUSED void **state)
{
	assert_int_equal(access("/usr/bin/Xvnc", X_OK), 0); /* install-packages test */
	call("host.instance.stop", json_pack("{s:s, s:b, s:b}", "server_id", id, "force", 1, "remove", 1));
	assert_int_equal(answer.err, 0);
	session = "xvnc";
	instance_begin();
	log_in(0);
	json_t *list = desktops(), *d = json_array_get(list, 0);
	assert_int_equal(json_array_size(list), 1);
	display = (int)doc_int(d, "display", 0);
	assert_ptr_equal(instance_of_display(host, display), instance());
	assert_string_equal(doc_str(d, "session", ""), "xvnc");
	assert_string_equal(doc_str(d, "status", ""), "active");
	assert_string_equal(doc_str(d, "username", ""), user);
	assert_true(doc_int(d, "idle_seconds", -1) >= 0);
	json_t *c = json_array_get(connections(), 0);
	assert_int_equal(doc_int(c, "display", 0), display);
	assert_string_equal(doc_str(c, "username", ""), user);
	client_stop(0);
	assert_true(wait_until(one_disconnected, PATIENCE_MS));
	end_desktop(display, true);
	assert_no_trace(display);
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)(5900 + display)),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
	close(fd);
	assert_true(none_left());
}

static void test_figures(UNUSED void **state)
{
	json_t *out = call("host.stats", json_object()), *h = json_object_get(out, "host");
	assert_int_equal(answer.err, 0);
	assert_int_equal(doc_int(h, "cores", 0), sysconf(_SC_NPROCESSORS_ONLN));
	assert_true(doc_int(h, "memory_total_bytes", 0) > doc_int(h, "memory_used_bytes", 0));
	assert_true(doc_int(json_object_get(h, "disk"), "total_bytes", 0) > 0);
	assert_int_equal(json_array_size(json_object_get(h, "load")), 3);
	assert_string_equal(doc_str(json_array_get(json_object_get(out, "instances"), 0), "server_id", ""), id);
	out = call("host.logs", json_pack("{s:s, s:i}", "server_id", id, "lines", 5));
	assert_int_equal(answer.err, 0);
	assert_int_equal(json_array_size(json_object_get(out, "lines")), 5);
	out = call("host.profiles", json_object());
	assert_string_equal(doc_str(json_array_get(json_object_get(out, "desktops"), 0), "name", ""), "lrdp");
	out = call("host.service", json_object());
	assert_non_null(doc_str(out, "status", NULL));
	assert_true(str_starts(doc_str(out, "version", ""), "0."));
	call("host.connections", json_pack("{s:s}", "server_id", "00000000-0000-4000-8000-000000000000"));
	assert_int_equal(answer.err, -ERR_INSTANCE_NOT_FOUND);
}

/* Without any groups: processes of a desktop are found by namespace, parents, display and account. */
static void test_no_groups(UNUSED void **state)
{
	assert_null(instance()->cgroup);
	assert_true(wait_until(opened_told, PATIENCE_MS));
	json_t *c = json_array_get(connections(), 0);
	assert_string_equal(doc_str(c, "username", ""), user);
	assert_int_equal(doc_int(c, "display", 0), display);
	/* one that only the last of these finds */
	struct instance *i = instance();
	uid_t uid = uid_of_user();
	pid_t hidden = fork();
	if (hidden == 0) {
		clearenv();
		close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
		setsid();
		if (ns_enter(i->ns_fd) < 0 || setuid(uid) < 0)
			_exit(1);
		execl("/bin/sleep", "sleep", "3600", (char *)NULL);
		_exit(1);
	}
	end_desktop(display, true);
	assert_no_trace(display);
	assert_false(proc_alive(hidden, 0));
	waitpid(hidden, NULL, 0);
	client_stop(0);
}

static int run_other(const char *kind)
{
	const struct CMUnitTest v2[] = {
		cmocka_unit_test(test_hook_tells),
		cmocka_unit_test(test_desktop_listed),
		cmocka_unit_test(test_end),
	};
	const struct CMUnitTest none[] = {
		cmocka_unit_test(test_hook_tells),
		cmocka_unit_test(test_desktop_listed),
		cmocka_unit_test(test_no_groups),
		cmocka_unit_test(test_orphan_found),
	};
	return str_eq(kind, "v2") ? cmocka_run_group_tests_name("v2", v2, setup, teardown)
				  : cmocka_run_group_tests_name("none", none, setup, teardown);
}

int main(int argc, char **argv)
{
	if (argc > 1 && str_eq(argv[1], "pam-hook"))
		return host_pam_hook(argc - 2, argv + 2);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hook_tells),
		cmocka_unit_test(test_desktop_listed),
		cmocka_unit_test(test_connection_listed),
		cmocka_unit_test(test_takeover),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_restart_finds_it),
		cmocka_unit_test(test_end),
		cmocka_unit_test(test_display_used_again),
		cmocka_unit_test(test_stopped_x_server_blocks_nothing),
		cmocka_unit_test(test_logout),
		cmocka_unit_test(test_nobody_listens),
		cmocka_unit_test(test_figures),
		cmocka_unit_test(test_orphan),
		cmocka_unit_test(test_orphan_found),
		cmocka_unit_test(test_xvnc),
	};
	ssize_t n = readlink("/proc/self/exe", program, sizeof program - 1);
	program[MAX(n, 0)] = 0;
	if (geteuid() != 0 || access("/usr/sbin/xrdp", X_OK) < 0 || access("/usr/bin/xfreerdp", X_OK) < 0) {
		printf("skipped: needs root, xrdp and xfreerdp\n");
		return 0;
	}
	int other = cgroup_rig_run("none", run_other) | cgroup_rig_run("v2", run_other);
	return cmocka_run_group_tests(tests, setup, teardown) | other;
}
