#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "app/doctor/doctor.h"
#include "host/desktop/missing.h"
#include "host/xrdp_config/profiles.h"
#include "lucid/clock.h"
#include "lucid/str.h"

#define RUN_MS 5000

extern char **environ;

/* Known vulnerabilities and the first version with the fix: upstream, and N of Debian 12's 0.9.21.1-1+deb12uN (0: never affected). From
 * xrdp's release notes and the changelog of the package. */
static const struct {
	int fixed[4];
	int deb12;
	enum doctor_state state; /* DOCTOR_FAIL: can be exploited from the network before a login */
	const char *names;
} known[] = {
	{ { 0, 10, 6, 1 }, 3, DOCTOR_FAIL,
	  "CVE-2026-41252, CVE-2026-41521, CVE-2026-44178, CVE-2026-44978, CVE-2026-54538, CVE-2026-55238, CVE-2026-55639, CVE-2026-55645" },
	{ { 0, 10, 6, 0 }, 3, DOCTOR_FAIL, "CVE-2026-32105, CVE-2026-32107, CVE-2026-32623, CVE-2026-32624, CVE-2026-33516, CVE-2026-33689" },
	{ { 0, 10, 5, 0 }, 2, DOCTOR_FAIL, "CVE-2025-68670" },
	{ { 0, 10, 0, 0 }, 1, DOCTOR_WARN, "CVE-2024-39917" },
	{ { 0, 9, 23, 1 }, 1, DOCTOR_WARN, "CVE-2023-42822" },
	{ { 0, 9, 23, 0 }, 1, DOCTOR_WARN, "CVE-2023-40184" },
	{ { 0, 9, 21, 0 }, 0, DOCTOR_FAIL, "CVE-2022-23468, CVE-2022-23477 to 23484, CVE-2022-23493" },
	{ { 0, 9, 18, 1 }, 0, DOCTOR_FAIL, "CVE-2022-23613" },
	{ { 0, 9, 13, 1 }, 0, DOCTOR_FAIL, "CVE-2020-4044" },
};

static bool is_before(const char *version, const int fixed[4])
{
	int v[4] = { 0 };
	sscanf(version, "%d.%d.%d.%d", &v[0], &v[1], &v[2], &v[3]);
	for (size_t i = 0; i < 4; i++)
		if (v[i] != fixed[i])
			return v[i] < fixed[i];
	return false;
}

enum doctor_state doctor_known_faults(const char *version, const char *package, char *names, size_t size)
{
	enum doctor_state worst = DOCTOR_OK;
	int deb12 = 0;
	size_t len = 0;
	bool bookworm = str_starts(package, "0.9.21.1-1");
	if (bookworm)
		sscanf(package, "0.9.21.1-1+deb12u%d", &deb12);
	*names = 0;
	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		if (bookworm ? known[i].deb12 <= deb12 : !is_before(version, known[i].fixed))
			continue;
		worst = MAX(worst, known[i].state);
		int n = snprintf(names + len, size - len, "%s%s", len ? ", " : "", known[i].names);
		len = MIN(len + (size_t)n, size - 1);
	}
	return worst;
}

/* Runs a program and returns the first bytes that it prints within RUN_MS; "" if it cannot be run. */
static void run(char *const argv[], char *ret, size_t size)
{
	int fds[2];
	pid_t pid;
	posix_spawn_file_actions_t acts;
	*ret = 0;
	if (pipe2(fds, O_CLOEXEC) < 0)
		return;
	posix_spawn_file_actions_init(&acts);
	posix_spawn_file_actions_adddup2(&acts, fds[1], STDOUT_FILENO);
	posix_spawn_file_actions_addopen(&acts, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
	posix_spawn_file_actions_addopen(&acts, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	int rc = posix_spawnp(&pid, argv[0], &acts, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&acts);
	close(fds[1]);
	int64_t end = clock_mono_ms() + RUN_MS;
	size_t len = 0;
	ssize_t n = 1;
	while (rc == 0 && n > 0 && len < size - 1) {
		struct pollfd p = { .fd = fds[0], .events = POLLIN };
		if (poll(&p, 1, (int)MAX(end - clock_mono_ms(), 0)) <= 0)
			break;
		n = read(fds[0], ret + len, size - 1 - len);
		len += n > 0 ? (size_t)n : 0;
	}
	ret[len] = 0;
	close(fds[0]);
	if (rc == 0) {
		kill(pid, SIGKILL); /* its output was read, or it is late */
		waitpid(pid, NULL, 0);
	}
}

/* The path of a program, from its setting or the usual directories; the caller frees. NULL: not found. */
static char *find_program(const char *given, const char *name)
{
	static const char *const places[] = { "/usr/sbin", "/usr/bin", "/usr/local/sbin", "/usr/local/bin" };
	if (*given)
		return access(given, X_OK) == 0 ? xstrdup(given) : NULL;
	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		char *path = xasprintf("%s/%s", places[i], name);
		if (access(path, X_OK) == 0)
			return path;
		free(path);
	}
	return NULL;
}

static char *version_of(const struct config *c, char *ret, size_t size)
{
	char text[512];
	char *path = find_program(config_str(c, "XRDP_BINARY"), "xrdp");
	*ret = 0;
	if (!path)
		return NULL;
	run((char *[]){ path, (char[]){ "--version" }, NULL }, text, sizeof text);
	const char *v = strstr(text, "xrdp ");
	if (v)
		str_copy(ret, size, strtok(text + (v - text) + 5, " \n"));
	return path;
}

static const char install[] = "install the packages xrdp and xorgxrdp";

void doctor_xrdp(const struct config *c, struct finding *f)
{
	char version[64];
	_cleanup_(xfreep) char *path = version_of(c, version, sizeof version);
	if (!path)
		doctor_say(f, DOCTOR_FAIL, install, "xrdp is not installed on this host");
	else if (!*version)
		doctor_say(f, DOCTOR_FAIL, "check that XRDP_BINARY is xrdp, and that it can be run", "%s does not print its version", path);
	else
		doctor_say(f, DOCTOR_OK, "", "%s, version %s", path, version);
}

void doctor_vulnerabilities(const struct config *c, struct finding *f)
{
	char version[64], package[128] = "", names[400];
	_cleanup_(xfreep) char *path = version_of(c, version, sizeof version);
	if (!path || !*version) {
		doctor_say(f, DOCTOR_WARN, install, "the version of xrdp is unknown");
		return;
	}
	if (str_eq(path, "/usr/sbin/xrdp"))
		run((char *[]){ (char[]){ "dpkg-query" }, (char[]){ "-W" }, (char[]){ "-f=${Version}" }, (char[]){ "xrdp" }, NULL }, package,
		    sizeof package);
	enum doctor_state state = doctor_known_faults(version, package, names, sizeof names);
	const char *which = *package ? package : version;
	if (state == DOCTOR_OK)
		doctor_say(f, state, "", "no known vulnerabilities in xrdp %s", which);
	else
		doctor_say(f, state, "upgrade xrdp (0.10.6.1, or Debian 12's 0.9.21.1-1+deb12u3), unless your distribution has backported the fixes",
			   "xrdp %s: %s", which, names);
}

void doctor_sesman(const struct config *c, struct finding *f)
{
	_cleanup_(xfreep) char *path = find_program(config_str(c, "XRDP_SESMAN_BINARY"), "xrdp-sesman");
	if (path)
		doctor_say(f, DOCTOR_OK, "", "%s", path);
	else
		doctor_say(f, DOCTOR_FAIL, install, "xrdp-sesman is not installed on this host");
}

void doctor_xorgxrdp(UNUSED const struct config *c, struct finding *f)
{
	const char *path = xorgxrdp_module();
	if (path) {
		doctor_say(f, DOCTOR_OK, "", "%s", path);
		return;
	}
	doctor_say(f, DOCTOR_FAIL, "install the package xorgxrdp", "the module libxorgxrdp.so was not found: desktops cannot start");
}

void doctor_pam(UNUSED const struct config *c, struct finding *f)
{
	static const char path[] = "/etc/pam.d/xrdp-sesman";
	if (access(path, R_OK) == 0)
		doctor_say(f, DOCTOR_OK, "", "%s", path);
	else
		doctor_say(f, DOCTOR_FAIL, "reinstall the package xrdp, or create that file: without it no login succeeds", "%s: %s", path, strerror(errno));
}

void doctor_desktops(const struct config *c, struct finding *f)
{
	const char *const *given = config_list(c, "DESKTOP_PROFILES");
	struct profiles *p = profiles_new(given && given[0] ? given : NULL, config_str(c, "DESKTOP_DEFAULT"));
	struct strbuf names = { 0 };
	for (size_t i = 0; i < profiles_count(p); i++)
		if (profiles_at(p, i)->installed)
			strbuf_printf(&names, "%s%s", names.len ? ", " : "", profiles_at(p, i)->name);
	const char *usual = profiles_default(p);
	if (names.len && *usual && profiles_find(p, usual)->installed)
		doctor_say(f, DOCTOR_OK, "", "%s", names.s);
	else if (names.len)
		doctor_say(f, DOCTOR_FAIL, "install a desktop (xfce4), or name one that is installed in DESKTOP_DEFAULT",
			   "servers without a profile have no desktop; installed: %s", names.s);
	else
		doctor_say(f, DOCTOR_FAIL, "install a desktop (xfce4), or name one in DESKTOP_PROFILES", "no desktop environment is installed");
	strbuf_done(&names);
	profiles_free(p);
}
