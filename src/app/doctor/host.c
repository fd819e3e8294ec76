#include <errno.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <sys/wait.h>
#include <unistd.h>

#include "app/commands/as_owner.h"
#include "app/doctor/doctor.h"
#include "host/cgroup/cgroup.h"
#include "host/kernel/ns.h"
#include "lucid/clock.h"
#include "lucid/str.h"
#include "store/open.h"
#include "sys/privileges.h"

#define MIB (1024 * 1024)
#define OLDEST_MS 1767225600000 /* 2026-01-01: a correct clock cannot be earlier */

void doctor_namespaces(UNUSED const struct config *c, struct finding *f)
{
	int status = 0;
	pid_t pid = fork();
	if (pid == 0)
		_exit(-ns_try() & 0x7f);
	if (pid < 0 || waitpid(pid, &status, 0) < 0 || !WIFEXITED(status)) {
		doctor_say(f, DOCTOR_FAIL, "check the limits on processes", "the check could not be started");
		return;
	}
	int err = WEXITSTATUS(status);
	if (!err)
		doctor_say(f, DOCTOR_OK, "", "mount namespaces are permitted");
	else if (err == NS_CHROOT)
		doctor_say(f, DOCTOR_WARN, "run it in a container, or enter the directory with pivot_root; otherwise instances are shared",
			   "this is a chroot: mount namespaces cannot be entered again from it");
	else
		doctor_say(f, geteuid() == 0 ? DOCTOR_FAIL : DOCTOR_WARN,
			   geteuid() == 0 ? "give the container CAP_SYS_ADMIN and a seccomp profile that permits mounts" : "run as root; otherwise instances are shared",
			   "mount namespaces are refused: %s", strerror(err));
}

void doctor_cgroups(UNUSED const struct config *c, struct finding *f)
{
	struct cgroups *g = cgroups_new();
	_cleanup_(xfreep) char *name = xasprintf("lucid-doctor-%d", (int)getpid());
	struct cgroup *group = cgroup_make(g, name);
	struct cgroup_enforced held = { 0 };
	if (group) {
		cgroup_limit(group, &(struct cgroup_limits){ 50, 256, 64 }, &held);
		cgroup_remove(group);
		cgroup_free(group);
	}
	const char *mode = cgroups_mode(g);
	if (held.cpu && held.memory && held.tasks)
		doctor_say(f, DOCTOR_OK, "", "%s; limits on CPU, memory and tasks are enforced", mode);
	else
		doctor_say(f, DOCTOR_WARN, geteuid() == 0 ? "make the control groups writable and enable their controllers cpu, memory and pids; otherwise servers have no limits" : "run as root",
			   "%s; limits on CPU: %s, memory: %s, tasks: %s", mode, held.cpu ? "enforced" : "not enforced", held.memory ? "enforced" : "not enforced",
			   held.tasks ? "enforced" : "not enforced");
	cgroups_free(g);
}

/* The file system of a directory, or of its nearest parent that exists, as the first start creates it. NULL: none is accessible. */
static char *disk_of(const char *directory, struct statvfs *ret)
{
	char *path = xstrdup(directory), *slash;
	int rc;
	while ((rc = statvfs(path, ret)) < 0 && (slash = strrchr(path, '/')) && slash != path)
		*slash = 0;
	if (rc == 0)
		return path;
	free(path);
	return NULL;
}

static enum doctor_state disk_state(const struct statvfs *s, uint64_t *ret_free_mib, unsigned *ret_inodes)
{
	*ret_free_mib = (uint64_t)s->f_bavail * s->f_frsize / MIB;
	*ret_inodes = s->f_files ? (unsigned)(s->f_favail * 100 / s->f_files) : 100;
	if (*ret_free_mib < 100 || *ret_inodes < 1 || s->f_flag & ST_RDONLY)
		return DOCTOR_FAIL;
	return *ret_free_mib < 1024 || *ret_inodes < 5 ? DOCTOR_WARN : DOCTOR_OK;
}

/* Reports the worst of the directories that grow. */
void doctor_disk(const struct config *c, struct finding *f)
{
	static const char *const growing[] = { "DATA_DIR", "LOG_DIR" };
	bool said = false;
	for (size_t i = 0; i < ARRAY_LEN(growing); i++) {
		struct statvfs s;
		uint64_t free_mib;
		unsigned inodes;
		_cleanup_(xfreep) char *path = disk_of(config_str(c, growing[i]), &s);
		_cleanup_(xfreep) char *advice = xasprintf("%s %s", path ? "free some space there, or move" : "make accessible the directory of", growing[i]);
		enum doctor_state state = path ? disk_state(&s, &free_mib, &inodes) : DOCTOR_FAIL;
		if (said && state <= f->state)
			continue;
		said = true;
		if (!path)
			doctor_say(f, state, advice, "%s: %s", config_str(c, growing[i]), strerror(errno));
		else
			doctor_say(f, state, s.f_flag & ST_RDONLY ? "mount it for writing" : advice, "%s: %llu MiB and %u %% of the inodes are free%s", path,
				   (unsigned long long)free_mib, inodes, s.f_flag & ST_RDONLY ? "; it is read-only" : "");
	}
}

void doctor_clock(UNUSED const struct config *c, struct finding *f)
{
	struct timex t = { 0 };
	char now[CLOCK_ISO_SIZE];
	clock_iso(now, clock_wall_ms());
	int rc = adjtimex(&t);
	if (clock_wall_ms() < OLDEST_MS)
		doctor_say(f, DOCTOR_FAIL, "set the clock: the validity of tokens and certificates depends on it", "%s is in the past", now);
	else if (rc == TIME_ERROR || t.status & STA_UNSYNC)
		doctor_say(f, DOCTOR_WARN, "run a time service (systemd-timesyncd, chrony), unless the hypervisor synchronises the clock", "%s, not synchronised", now);
	else
		doctor_say(f, DOCTOR_OK, "", "%s%s", now, rc < 0 ? "; synchronisation unknown" : ", synchronised");
}

void doctor_entropy(UNUSED const struct config *c, struct finding *f)
{
	char byte;
	if (getrandom(&byte, 1, GRND_NONBLOCK) == 1)
		doctor_say(f, DOCTOR_OK, "", "the kernel's random source is ready");
	else
		doctor_say(f, DOCTOR_FAIL, "wait, or add a random device to the machine (virtio-rng)", "the kernel's random source is not ready: the start would block");
}

void doctor_descriptors(const struct config *c, struct finding *f)
{
	struct rlimit r;
	int64_t wanted = config_int(c, "MAX_CONNECTIONS") + 256;
	if (getrlimit(RLIMIT_NOFILE, &r) < 0)
		doctor_say(f, DOCTOR_WARN, "check ulimit -n", "the limit on open files is unknown");
	else if ((int64_t)r.rlim_max < wanted && r.rlim_max != RLIM_INFINITY)
		doctor_say(f, DOCTOR_WARN, "raise the limit (LimitNOFILE, ulimit -n), or lower MAX_CONNECTIONS", "the limit is %llu, but MAX_CONNECTIONS needs %lld",
			   (unsigned long long)r.rlim_max, (long long)wanted);
	else
		doctor_say(f, DOCTOR_OK, "", "%lld open files are needed; the limit permits them", (long long)wanted);
}

void doctor_user(const struct config *c, struct finding *f)
{
	struct run_user u;
	const char *name = config_str(c, "RUN_USER");
	if (!run_user_find(name, &u))
		doctor_say(f, DOCTOR_FAIL, "create the account (useradd --system), or set RUN_USER to another one", "no account \"%s\" exists", name);
	else if (u.uid == 0)
		doctor_say(f, DOCTOR_FAIL, "set RUN_USER to an unprivileged account", "the process that reads the network would run as root");
	else
		doctor_say(f, DOCTOR_OK, "", "%s, uid %u", *name ? name : "by default", (unsigned)u.uid);
}

static int look_at_backup(void *arg, struct backup_facts *ret, char *why, size_t size)
{
	return backup_look(arg, ret, why, size);
}

void doctor_store(const struct config *c, struct finding *f)
{
	_cleanup_(xfreep) char *path = store_path(c), *backups = backup_dir(c), *newest = backup_newest(backups);
	struct backup_facts facts;
	char why[OWNER_WHY_SIZE];
	if (config_given(c, "MONGODB_URL"))
		doctor_say(f, DOCTOR_OK, "", "in MongoDB (MONGODB_URL); /health/ready of the running program reports whether it is reachable");
	else if (access(path, F_OK) < 0 && errno == ENOENT)
		doctor_say(f, DOCTOR_OK, "", "%s does not exist yet; the first start creates it", path);
	else if (as_owner(c, false, look_at_backup, path, &facts, why) < 0)
		doctor_say(f, DOCTOR_FAIL, "if it is damaged, stop the program and restore a backup (lucid-rdp restore); otherwise correct the reported cause", "%s", why);
	else
		doctor_say(f, newest ? DOCTOR_OK : DOCTOR_WARN, "make a backup each day: lucid-rdp backup", "%s: schema %d, %lld servers; newest backup %s", path, facts.schema,
			   (long long)facts.counts[COL_SERVERS], newest ? newest : "none");
}
