#include "app/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/doctor/port_holders.h"
#include "app/roles.h"
#include "app/server.h"
#include "app/tls_ready.h"
#include "lucid/clock.h"
#include "lucid/str.h"
#include "net/listen.h"
#include "supervisor/supervisor.h"
#include "sys/log.h"
#include "sys/log_file.h"
#include "sys/notify.h"
#include "sys/privileges.h"

#define PREDECESSOR_MS 5000 /* how long the start waits for ports that a previous daemon has not released yet */

/* --- directories and log: root owns what it trusts, and the server owns only its own directories */

static bool make_dir(const struct config *c, const char *option, const char *below, mode_t mode, const struct run_user *owner)
{
	_cleanup_(xfreep) char *path = xasprintf("%s%s%s", config_str(c, option), *below ? "/" : "", below);
	if (privileges_make_dir(path, mode, owner) == 0)
		return true;
	log_error("daemon", "%s: cannot create the directory %s: %s; name a writable directory", option, path, strerror(errno));
	return false;
}

/* Hands the directories that the server writes over to RUN_USER, for example after root copied them or RUN_USER was changed; and DATA_DIR/xrdp to
 * root, two levels deep: below the files of each server are files of users. */
static bool take_over(const struct config *c, const struct run_user *u)
{
	const struct run_user self = { geteuid(), getegid() }, root = { 0, 0 };
	const struct run_user *server = self.uid == 0 ? u : &self;
	const struct {
		const char *option, *below;
		const struct run_user *owner;
		unsigned depth;
	} trees[] = {
		{ "DATA_DIR", "store", server, 8 },
		{ "DATA_DIR", "sessions", server, 8 },
		{ "LOG_DIR", "server", server, 8 },
		{ "DATA_DIR", "xrdp", self.uid == 0 ? &root : &self, 2 },
	};
	char why[1024];
	bool ok = true;
	for (size_t i = 0; i < ARRAY_LEN(trees); i++) {
		_cleanup_(xfreep) char *path = xasprintf("%s/%s", config_str(c, trees[i].option), trees[i].below);
		if (privileges_hand_over(path, trees[i].owner, trees[i].depth, why, sizeof why))
			continue;
		log_error("daemon", "%s: %s", trees[i].option, why);
		ok = false;
	}
	return ok;
}

static bool make_dirs(const struct config *c, const struct run_user *u)
{
	const struct run_user root = { 0, 0 };
	const struct {
		const char *option, *below;
		mode_t mode;
		const struct run_user *owner;
	} dirs[] = {
		{ "DATA_DIR", "", 0755, &root },	{ "LOG_DIR", "", 0755, &root },	     { "RUNTIME_DIR", "", 0755, &root },
		{ "DATA_DIR", "store", 0700, u },	{ "DATA_DIR", "sessions", 0700, u }, { "LOG_DIR", "server", 0750, u },
		{ "DATA_DIR", "xrdp", 0755, &root },
	};
	for (size_t i = 0; i < ARRAY_LEN(dirs); i++)
		if (!make_dir(c, dirs[i].option, dirs[i].below, dirs[i].mode, dirs[i].owner))
			return false;
	return true;
}

/* The log file and its owner, for rotation. */
static struct log_place {
	const char *path;
	struct run_user user;
} log_place;

static int make_log(void *arg)
{
	const struct log_place *p = arg;
	int fd = log_file_rotate(p->path, &p->user);
	return MAX(fd, -1);
}

static int open_log(const char *path, const struct run_user *u)
{
	int fd = log_file_open(path, u);
	if (fd < 0)
		log_error("daemon", "LOG_TARGET: cannot open %s: %s", path, strerror(-fd));
	return fd;
}

/* Whether RUN_USER may create files in the log's directory. If so, a process without a supervisor can rotate the log itself. */
static bool may_rotate(const char *path, const struct run_user *u)
{
	_cleanup_(xfreep) char *dir = xstrdup(path);
	*strrchr(dir, '/') = '\0';
	struct stat st;
	if (geteuid() != 0)
		return access(*dir ? dir : "/", W_OK) == 0;
	return stat(*dir ? dir : "/", &st) == 0 && st.st_uid == u->uid && (st.st_mode & S_IWUSR);
}

/* Opens the two older log files as root, because the server cannot. */
static bool open_old_logs(const char *path, const struct run_user *u)
{
	int fds[LOG_OLD];
	for (int i = 0; i < LOG_OLD; i++) {
		_cleanup_(xfreep) char *name = xasprintf("%s.%d", path, i + 1);
		fds[i] = open_log(name, u);
		if (fds[i] < 0)
			return false;
	}
	log_setup_old(fds);
	return true;
}

static bool set_up_log(const struct config *c, const struct run_user *u, bool supervised)
{
	const char *target = config_str(c, "LOG_TARGET");
	enum log_level level = LOG_INFO_;
	struct stat st;
	log_level_from_string(config_str(c, "LOG_LEVEL"), &level);
	bool file = *target == '/';
	int fd = file ? open_log(target, u) : STDERR_FILENO;
	if (fd < 0)
		return false;
	const char *format = config_str(c, "LOG_FORMAT");
	bool text = str_eq(format, "text") || (!*format && isatty(fd));
	log_setup(level, text ? LOG_TEXT : LOG_JSON, fd);
	if (!file || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) /* a pipe or terminal is not rotated */
		return true;
	log_place = (struct log_place){ target, *u };
	if (!supervised && !may_rotate(target, u))
		return open_old_logs(target, u);
	log_setup_more(make_log, &log_place);
	return true;
}

/* --- listeners */

static bool has_role(const struct server_env *env, const char *name)
{
	for (const struct role *const *r = env->roles; *r; r++)
		if (str_eq((*r)->name, name))
			return true;
	return false;
}

static bool has_supervisor(const struct server_env *env)
{
	for (const struct role *const *r = env->roles; *r; r++)
		if ((*r)->supervised)
			return true;
	return false;
}

static const char *unix_path(const char *address)
{
	return str_starts(address, "unix:") ? address + 5 : NULL;
}

static bool has_room(const struct server_env *env)
{
	if (env->nlisteners >= MAX_LISTENERS)
		log_error("daemon", "BIND_ADDRESS: more than %d sockets to listen on; name fewer addresses", MAX_LISTENERS);
	return env->nlisteners < MAX_LISTENERS;
}

/* Waits a moment for an address in use; logs that once, with the process that uses it. False after give_up_ms. */
static bool wait_for(const char *option, const char *what, const char *holder, bool *said, int64_t give_up_ms)
{
	int64_t left = give_up_ms - clock_mono_ms();
	if (left <= 0)
		return false;
	if (!*said)
		log_warn("daemon", "%s: %s is in use by %s; waiting up to %lld ms for it to be released", option, what, holder, (long long)left);
	*said = true;
	usleep(20000);
	return true;
}

static const char *holder_of_port(const char *address, int port, char dst[PORT_HOLDER_SIZE])
{
	struct port_holder h = { 0 };
	port_holders(address, port, port, &h, 1);
	return port_holder_text(&h, dst);
}

static const char *holder_of_socket(const char *path, char dst[PORT_HOLDER_SIZE])
{
	struct port_holder h = { 0 };
	port_holder_of_socket(path, &h);
	return port_holder_text(&h, dst);
}

/* All roles share one Unix socket, because each listener serves the routes of all roles. It belongs to the first role. */
static bool listen_local(struct server_env *env, const char *path, const struct run_user *u, int64_t give_up_ms)
{
	char why[256], holder[PORT_HOLDER_SIZE] = "";
	int fd, rc;
	bool said = false;
	if (!has_room(env))
		return false;
	_cleanup_(xfreep) char *what = xasprintf("the socket %s", path);
	while ((rc = listen_unix(path, u->gid, &fd, why, sizeof why)) == -EADDRINUSE &&
	       wait_for("BIND_ADDRESS", what, said ? "" : holder_of_socket(path, holder), &said, give_up_ms))
		;
	if (rc == -EADDRINUSE)
		log_error("daemon", "BIND_ADDRESS: %s; it is in use by %s", why, holder_of_socket(path, holder));
	else if (rc < 0)
		log_error("daemon", "BIND_ADDRESS: %s", why);
	if (rc < 0)
		return false;
	env->listeners[env->nlisteners++] = (struct listener){ fd, env->roles[0] };
	return true;
}

static bool listen_one(struct server_env *env, const char *address, int port, const struct role *role, int64_t give_up_ms)
{
	char why[256], holder[PORT_HOLDER_SIZE] = "";
	int fd, rc;
	bool said = false;
	if (!has_room(env))
		return false;
	const char *option = role ? role->option[ROLE_OPT_PORT] : "PROMETHEUS_PORT";
	_cleanup_(xfreep) char *what = xasprintf("%s port %d", address, port);
	while ((rc = listen_tcp(address, port, &fd, why, sizeof why)) == -EADDRINUSE &&
	       wait_for(option, what, said ? "" : holder_of_port(address, port, holder), &said, give_up_ms))
		;
	if (rc < 0) {
		_cleanup_(xfreep) char *who = rc == -EADDRINUSE ? xasprintf(" by %s; stop it or choose another port", holder_of_port(address, port, holder)) : xstrdup("");
		if (role)
			log_error("daemon", "%s: %s%s", option, why, who);
		else
			log_warn("daemon", "%s: %s%s; the ports of the roles serve the same metrics", option, why, who);
		return !role;
	}
	env->listeners[env->nlisteners++] = (struct listener){ fd, role };
	return true;
}

/* Takes the sockets that a service manager passes. A socket with the name of a role belongs to that role and replaces its addresses. */
static bool take_handed_over(struct server_env *env)
{
	bool secure = env->tls->cert || !config_bool(env->config, "ENFORCE_TLS"), ok = true;
	int fds[NOTIFY_FDS_MAX];
	char *names[NOTIFY_FDS_MAX];
	size_t n = notify_listen_fds(fds, names);
	for (size_t i = 0; i < n; i++) {
		const struct role *role = role_find(names[i]);
		if (!secure && !listen_is_local(fds[i])) {
			log_error("daemon", "ENFORCE_TLS is on, but the inherited socket %s is not a loopback socket; set TLS_CERT_FILE and "
				  "TLS_KEY_FILE", names[i]);
			ok = false;
		} else if (role && has_role(env, role->name) && env->nlisteners < MAX_LISTENERS)
			env->listeners[env->nlisteners++] = (struct listener){ TAKE_FD(fds[i]), role };
		else
			log_warn("daemon", "the inherited socket %s is ignored: no role in this process has that name", names[i]);
		fd_close(&fds[i]);
		free(names[i]);
	}
	return ok;
}

static bool has_listener(const struct server_env *env, const struct role *role)
{
	for (size_t i = 0; i < env->nlisteners; i++)
		if (env->listeners[i].role == role)
			return true;
	return false;
}

/* Logs every fault, not only the first one. */
static bool listen_all(struct server_env *env, const struct config *c, const struct run_user *u)
{
	const char *const *addresses = config_list(c, "BIND_ADDRESS");
	int64_t give_up_ms = clock_mono_ms() + PREDECESSOR_MS;
	bool ok = take_handed_over(env);
	for (const struct role *const *r = env->roles; *r; r++) {
		bool handed_over = has_listener(env, *r);
		for (const char *const *a = addresses; *a && !handed_over; a++)
			if (!unix_path(*a))
				ok &= listen_one(env, *a, (int)config_int(c, (*r)->option[ROLE_OPT_PORT]), *r, give_up_ms);
	}
	for (const char *const *a = addresses; *a; a++)
		if (unix_path(*a))
			ok &= listen_local(env, unix_path(*a), u, give_up_ms);
	for (const char *const *a = addresses; ok && *a && config_bool(c, "PROMETHEUS_ENABLED"); a++)
		if (!unix_path(*a))
			ok &= listen_one(env, *a, (int)config_int(c, "PROMETHEUS_PORT"), NULL, 0);
	return ok;
}

static void close_all(struct server_env *env)
{
	for (const char *const *a = config_list(env->config, "BIND_ADDRESS"); *a; a++)
		for (size_t i = 0; unix_path(*a) && i < env->nlisteners; i++)
			listen_unix_remove(unix_path(*a), env->listeners[i].fd);
	for (size_t i = 0; i < env->nlisteners; i++)
		fd_close(&env->listeners[i].fd);
}

static bool read_tls(const struct config *c, struct tls_files *tls)
{
	char why[512];
	if (!tls_files_read(c, tls, why, sizeof why)) {
		log_error("daemon", "%s", why);
		return false;
	}
	/* no reason to refuse the start: the clock may be wrong and be set soon; until then readiness reports it */
	if (tls->cert && !tls_ready_in_time(&tls->pem, why, sizeof why))
		log_error("daemon", "TLS_CERT_FILE %s: %s", config_str(c, "TLS_CERT_FILE"), why);
	return true;
}

/* --- with a supervisor, or alone */

static int run_below_supervisor(int pair_fd, void *arg)
{
	return server_run(arg, pair_fd);
}

static json_t *read_settings(void *arg)
{
	const struct server_env *env = arg;
	return reload_read(env->reload);
}

static void settings_taken(bool taken, void *arg)
{
	const struct server_env *env = arg;
	reload_end(env->reload, taken);
}

static int run_supervised(const struct server_env *env, const struct run_user *u, bool stop_servers)
{
	int fds[MAX_LISTENERS + 1];
	for (size_t i = 0; i < env->nlisteners; i++)
		fds[i] = env->listeners[i].fd;
	fds[env->nlisteners] = -1;
	struct supervisor_env s = {
		.config = env->config,
		.user = *u,
		.keep_fds = fds,
		.server = run_below_supervisor,
		.arg = (void *)(uintptr_t)env,
		.stop_servers = stop_servers,
		.reload = read_settings,
		.reloaded = settings_taken,
		.more_log = log_place.path ? make_log : NULL,
		.more_log_arg = &log_place,
	};
	return supervisor_run(&s);
}

static int run_alone(const struct server_env *env, const struct run_user *u)
{
	if (privileges_drop(u) < 0) {
		log_error("daemon", "cannot drop privileges: %s", strerror(errno));
		return EXIT_FINAL;
	}
	return server_run(env, -1);
}

int daemon_run(struct config *c, const struct cli *cli)
{
	_cleanup_(tls_files_done) struct tls_files tls = { 0 };
	struct reload reload = { .cli = cli, .config = c, .tls = &tls };
	struct server_env env = { .config = c, .reload = &reload, .tls = &tls };
	struct run_user user;
	char why[512];
	if (!roles_select(config_list(c, "ROLE"), env.roles, why, sizeof why)) {
		log_error("daemon", "ROLE: %s", why);
		return EXIT_FINAL;
	}
	if (!run_user_find(config_str(c, "RUN_USER"), &user)) {
		log_error("daemon", "RUN_USER: no account \"%s\" exists on this host; create it, or name another account", config_str(c, "RUN_USER"));
		return EXIT_FINAL;
	}
	if (!set_up_log(c, &user, has_supervisor(&env)) || !read_tls(c, &tls) || !make_dirs(c, &user) || !take_over(c, &user))
		return EXIT_FINAL;
	reload_begin(&reload);
	if (!listen_all(&env, c, &user)) {
		close_all(&env);
		return EXIT_FINAL;
	}
	log_info("daemon", "lucid-rdp %s: %zu sockets open", LUCID_VERSION, env.nlisteners);
	int code = has_supervisor(&env) ? run_supervised(&env, &user, cli->stop_servers) : run_alone(&env, &user);
	close_all(&env);
	return code;
}
