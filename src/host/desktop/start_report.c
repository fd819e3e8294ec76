#include "host/desktop/start_report.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "lucid/str.h"
#include "sys/files.h"

#define NEED_BYTES 65536 /* free space that a desktop needs for its files */

static bool account_switch(const struct passwd *p)
{
	return geteuid() != 0 || (initgroups(p->pw_name, p->pw_gid) == 0 && setgid(p->pw_gid) == 0 && setuid(p->pw_uid) == 0);
}

static void home_check(struct strbuf *b, const char *home)
{
	struct stat st;
	struct statvfs fs;
	if (stat(home, &st) < 0)
		strbuf_printf(b, "home directory %s: %s\n", home, strerror(errno));
	else if (!S_ISDIR(st.st_mode))
		strbuf_printf(b, "home directory %s is not a directory\n", home);
	else if (access(home, R_OK | W_OK | X_OK) < 0)
		strbuf_printf(b, "home directory %s cannot be written: %s\n", home, strerror(errno));
	else if (statvfs(home, &fs) == 0 && (fs.f_bavail * fs.f_frsize < NEED_BYTES || (fs.f_files && !fs.f_favail)))
		strbuf_printf(b, "home directory %s: the file system is full\n", home);
}

static void shell_check(struct strbuf *b, const char *shell)
{
	if (*shell && access(shell, X_OK) < 0)
		strbuf_printf(b, "login shell %s: %s\n", shell, strerror(errno));
}

/* Reads the file that startwm.sh writes; false if it does not exist, because the script did not run. */
static bool read_script(struct strbuf *b, char *ret_state, uid_t uid, const char *tty)
{
	char path[128], text[START_REPORT_MAX / 2];
	snprintf(path, sizeof path, "/run/xrdp/user/%u-%.8s/start", (unsigned)uid, tty + 1);
	struct stat st;
	_cleanup_(closep) int fd = file_open(path, O_NOFOLLOW, &st);
	if (fd < 0 || st.st_uid != uid)
		return false;
	ssize_t n = read(fd, text, sizeof text - 1);
	text[MAX(n, 0)] = 0;
	bool failed = str_starts(text, "failed ");
	*ret_state = failed ? START_FAILED : str_starts(text, "ended") ? START_ENDED : START_UNKNOWN;
	if (failed)
		strbuf_puts(b, text + strlen("failed "));
	return true;
}

void start_report(char dst[START_REPORT_MAX], const char *user, const char *tty)
{
	struct strbuf b = { .max = START_REPORT_MAX - 2 };
	const struct passwd *p = getpwnam(user);
	char state = START_UNKNOWN;
	dst[0] = 0;
	if (!p || tty[0] != ':' || !account_switch(p))
		return;
	home_check(&b, p->pw_dir);
	shell_check(&b, p->pw_shell);
	if (!read_script(&b, &state, p->pw_uid, tty)) {
		strbuf_puts(&b, "the login script did not run: its X server did not answer, or the runtime directory is full\n");
		state = START_NOT_RUN;
	}
	snprintf(dst, START_REPORT_MAX, "%c%s", state, b.s ? b.s : "");
	strbuf_done(&b);
}
