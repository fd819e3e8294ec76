#include "app/commands/as_owner.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sys/privileges.h"

#define IOPRIO_IDLE (3 << 13)

struct outcome {
	int rc;
	struct backup_facts facts;
	char why[OWNER_WHY_SIZE];
};

char *store_path(const struct config *c)
{
	return xasprintf("%s/store/lucid.db", config_str(c, "DATA_DIR"));
}

char *backup_dir(const struct config *c)
{
	const char *dir = config_str(c, "BACKUP_DIR");
	return *dir ? xstrdup(dir) : xasprintf("%s/backups", config_str(c, "DATA_DIR"));
}

/* The owner of the store, or of the store that the program would create. */
static bool find_owner(const struct config *c, struct run_user *ret)
{
	_cleanup_(xfreep) char *dir = xasprintf("%s/store", config_str(c, "DATA_DIR"));
	struct stat st;
	if (stat(dir, &st) == 0 && st.st_uid != 0) {
		*ret = (struct run_user){ st.st_uid, st.st_gid };
		return true;
	}
	return run_user_find(config_str(c, "RUN_USER"), ret);
}

bool owner_make_dirs(const struct config *c, char why[OWNER_WHY_SIZE])
{
	const struct run_user root = { 0, 0 };
	struct run_user u;
	_cleanup_(xfreep) char *dir = xasprintf("%s/store", config_str(c, "DATA_DIR"));
	if (find_owner(c, &u) && privileges_make_dir(config_str(c, "DATA_DIR"), 0755, &root) == 0 && privileges_make_dir(dir, 0700, &u) == 0)
		return true;
	snprintf(why, OWNER_WHY_SIZE, "cannot create %s: %s", dir, strerror(errno));
	return false;
}

static void lower_priority(void)
{
	/* the program's own reads and writes come first; failure is no error */
	if (setpriority(PRIO_PROCESS, 0, 19) < 0 || syscall(SYS_ioprio_set, 1, 0, IOPRIO_IDLE) < 0)
		errno = 0;
}

int as_owner(const struct config *c, bool gently, int (*work)(void *arg, struct backup_facts *ret, char *why, size_t size), void *arg,
	     struct backup_facts *ret, char why[OWNER_WHY_SIZE])
{
	struct run_user u;
	struct outcome o = { 0 };
	int fds[2];
	snprintf(why, OWNER_WHY_SIZE, "cannot start its process: %s", "check the limits on processes and open files");
	if (!find_owner(c, &u) || pipe2(fds, O_CLOEXEC) < 0)
		return -ERR_INTERNAL;
	pid_t pid = fork();
	if (pid == 0) {
		if (gently)
			lower_priority();
		if (privileges_drop(&u) < 0) {
			o.rc = -ERR_INTERNAL;
			snprintf(o.why, sizeof o.why, "cannot switch to the account that owns the store: %s", strerror(errno));
		} else {
			o.rc = work(arg, &o.facts, o.why, sizeof o.why);
		}
		_exit(write(fds[1], &o, sizeof o) == sizeof o ? 0 : 1);
	}
	close(fds[1]);
	size_t len = 0;
	ssize_t n;
	while (pid > 0 && len < sizeof o && (n = read(fds[0], (char *)&o + len, sizeof o - len)) > 0)
		len += (size_t)n;
	close(fds[0]);
	if (pid < 0)
		return -ERR_INTERNAL;
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	if (len < sizeof o) {
		snprintf(why, OWNER_WHY_SIZE, "its process died before it finished");
		return -ERR_INTERNAL;
	}
	o.why[sizeof o.why - 1] = 0;
	memcpy(why, o.why, OWNER_WHY_SIZE);
	if (o.rc == 0)
		*ret = o.facts;
	return o.rc;
}
