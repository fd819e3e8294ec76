#include "app/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/roles.h"
#include "app/server.h"
#include "lucid/clock.h"
#include "lucid/str.h"
#include "net/listen.h"
#include "supervisor/supervisor.h"
#include "sys/log.h"
#include "sys/notify.h"
#include "sys/privileges.h"

#define PREDECESSOR_MS 5000 /* how long ports of a daemon that is just leaving are waited for */

/* --- directories and log: what root trusts stays root's, the server gets its own parts */

static bool make_dir(const struct config *c, const char *option, const char *below, mode_t mode, const struct run_user *owner)
{
	_cleanup_(xfreep) char *path = xasprintf("%s%s%s", config_str(c, option), *below ? "/" : "", below);
	if (privileges_make_dir(path, mode, owner) == 0)
		return true;
	log_error("daemon", "%s: cannot make the directory %s: %s; give a directory that can be written", option, path, strerror(errno));
	return false;
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

static int open_log(const char *path, const struct run_user *u)
{
	int fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0640);
	if (fd < 0)
		log_error("daemon", "LOG_TARGET: cannot open %s: %s", path, strerror(errno));
	else if (geteuid() == 0 && fchown(fd, u->uid, u->gid) < 0)
		log_warn("daemon", "LOG_TARGET: %s stays root's: %s", path, strerror(errno));
	return fd;
}

/* With the two that take what it had before; all are opened while root may, as the server cannot. */
static bool open_logs(const char *path, int ret[1 + LOG_OLD], const struct run_user *u)
{
	struct stat st;
	bool ok = true, file = true;
	for (int i = 0; i <= LOG_OLD && ok && file; i++) {
		_cleanup_(xfreep) char *name = i ? xasprintf("%s.%d", path, i) : xstrdup(path);
		ret[i] = open_log(name, u);
		ok = ret[i] >= 0;
		file = ok && fstat(ret[0], &st) == 0 && S_ISREG(st.st_mode); /* a pipe has no before */
	}
	return ok;
}

static bool set_up_log(const struct config *c, const struct run_user *u)
{
	const char *target = config_str(c, "LOG_TARGET");
	enum log_level level = LOG_INFO_;
	log_level_from_string(config_str(c, "LOG_LEVEL"), &level);
	int fds[1 + LOG_OLD] = { STDERR_FILENO, -1, -1 };
	if (*target == '/' && !open_logs(target, fds, u))
		return false;
	const char *format = config_str(c, "LOG_FORMAT");
	bool text = str_eq(format, "text") || (!*format && isatty(fds[0]));
	log_setup(level, text ? LOG_TEXT : LOG_JSON, fds[0]);
	if (fds[LOG_OLD] >= 0)
		log_setup_old(fds + 1);
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

/* One is enough for all roles: each of them answers for the others too. It is the first one's. */
static bool listen_local(struct server_env *env, const char *path, const struct run_user *u, int64_t give_up_ms)
{
	char why[256];
	int fd, rc;
	if (!has_room(env))
		return false;
	while ((rc = listen_unix(path, u->gid, &fd, why, sizeof why)) == -EADDRINUSE && clock_mono_ms() < give_up_ms)
		usleep(20000);
	if (rc < 0) {
		log_error("daemon", "BIND_ADDRESS: %s", why);
		return false;
	}
	env->listeners[env->nlisteners++] = (struct listener){ fd, env->roles[0] };
	return true;
}

static bool listen_one(struct server_env *env, const char *address, int port, const struct role *role, int64_t give_up_ms)
{
	char why[256];
	int fd, rc;
	if (!has_room(env))
		return false;
	while ((rc = listen_tcp(address, port, &fd, why, sizeof why)) == -EADDRINUSE && clock_mono_ms() < give_up_ms)
		usleep(20000);
	if (rc < 0) {
		if (role)
			log_error("daemon", "%s: %s", role->port_option, why);
		else
			log_warn("daemon", "PROMETHEUS_PORT: %s; the roles' ports serve the same figures", why);
		return !role;
	}
	env->listeners[env->nlisteners++] = (struct listener){ fd, role };
	return true;
}

/* Sockets of a service manager: one named as a role is that role's, whatever addresses are set here. */
static bool take_handed_over(struct server_env *env)
{
	bool secure = env->tls->cert || !config_bool(env->config, "ENFORCE_TLS"), ok = true;
	int fds[NOTIFY_FDS_MAX];
	char *names[NOTIFY_FDS_MAX];
	size_t n = notify_listen_fds(fds, names);
	for (size_t i = 0; i < n; i++) {
		const struct role *role = role_find(names[i]);
		if (!secure && !listen_is_local(fds[i])) {
			log_error("daemon", "ENFORCE_TLS is on, and the socket %s that was handed over is no loopback one; give TLS_CERT_FILE and "
				  "TLS_KEY_FILE", names[i]);
			ok = false;
		} else if (role && has_role(env, role->name) && env->nlisteners < MAX_LISTENERS)
			env->listeners[env->nlisteners++] = (struct listener){ TAKE_FD(fds[i]), role };
		else
			log_warn("daemon", "a socket named %s was handed over, and no role here has that name", names[i]);
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

/* Every fault is said, not only the first. */
static bool listen_all(struct server_env *env, const struct config *c, const struct run_user *u)
{
	const char *const *addresses = config_list(c, "BIND_ADDRESS");
	int64_t give_up_ms = clock_mono_ms() + PREDECESSOR_MS;
	bool ok = take_handed_over(env);
	for (const struct role *const *r = env->roles; *r; r++) {
		bool handed_over = has_listener(env, *r);
		for (const char *const *a = addresses; *a && !handed_over; a++)
			if (!unix_path(*a))
				ok &= listen_one(env, *a, (int)config_int(c, (*r)->port_option), *r, give_up_ms);
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
	if (tls_files_read(c, tls, why, sizeof why))
		return true;
	log_error("daemon", "%s", why);
	return false;
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
	};
	return supervisor_run(&s);
}

static int run_alone(const struct server_env *env, const struct run_user *u)
{
	if (privileges_drop(u) < 0) {
		log_error("daemon", "cannot give up privileges: %s", strerror(errno));
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
		log_error("daemon", "RUN_USER: there is no account \"%s\" on this host", config_str(c, "RUN_USER"));
		return EXIT_FINAL;
	}
	if (!set_up_log(c, &user) || !read_tls(c, &tls) || !make_dirs(c, &user))
		return EXIT_FINAL;
	reload_begin(&reload);
	if (!listen_all(&env, c, &user)) {
		close_all(&env);
		return EXIT_FINAL;
	}
	log_info("daemon", "lucid-rdp %s: %zu sockets open", LUCID_VERSION, env.nlisteners);
	int code = has_role(&env, "xrdp-integration") ? run_supervised(&env, &user, cli->stop_servers) : run_alone(&env, &user);
	close_all(&env);
	return code;
}
