#include <errno.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <sys/wait.h>
#include <unistd.h>

#include "app/as_owner.h"
#include "app/doctor.h"
#include "app/roles.h"
#include "host/cgroup.h"
#include "host/ns.h"
#include "host/ports.h"
#include "lucid/clock.h"
#include "lucid/str.h"
#include "store/open.h"
#include "sys/privileges.h"

#define RANGE_SAMPLE 16
#define MIB (1024 * 1024)
#define OLDEST_MS 1767225600000 /* 2026-01-01: no clock that goes right says less */

static int try_lock(void *arg, UNUSED struct backup_facts *ret, char *why, size_t size)
{
	_cleanup_(closep) int fd = -1;
	return store_lock(arg, &fd, why, size);
}

/* The program of these settings: its store is taken. */
static bool is_running(const struct config *c)
{
	struct backup_facts none;
	char why[OWNER_WHY_SIZE];
	_cleanup_(xfreep) char *path = store_path(c);
	return access(path, F_OK) == 0 && as_owner(c, false, try_lock, path, &none, why) == -ERR_BUSY;
}

static void add_taken(struct strbuf *taken, int64_t port)
{
	if (!port_is_free((int)port))
		strbuf_printf(taken, "%s%d", taken->len ? ", " : "", (int)port);
}

void doctor_ports(const struct config *c, struct finding *f)
{
	const struct role *roles[8];
	char why[512];
	struct strbuf taken = { 0 };
	int64_t start = config_int(c, "PORT_RANGE_START"), end = config_int(c, "PORT_RANGE_END");
	bool running = is_running(c);
	if (!running && roles_select(config_list(c, "ROLE"), roles, why, sizeof why))
		for (const struct role *const *r = roles; *r; r++)
			add_taken(&taken, config_int(c, (*r)->port_option));
	bool own = taken.len;
	for (int64_t i = 0; i < RANGE_SAMPLE; i++)
		add_taken(&taken, start + (end - start) * i / (RANGE_SAMPLE - 1));
	if (own)
		doctor_say(f, DOCTOR_FAIL, "end what listens there (ss -ltnp shows it), or give the roles other ports", "taken: %s", taken.s);
	else if (taken.len && !running)
		doctor_say(f, DOCTOR_WARN, "no server gets these; end what listens there, or move PORT_RANGE_START and PORT_RANGE_END", "taken within the RDP ports: %s", taken.s);
	else
		doctor_say(f, DOCTOR_OK, "", "%s; of the RDP ports %lld to %lld %d were tried", running ? "the program runs and has its ports" : "free", (long long)start,
			   (long long)end, RANGE_SAMPLE);
	strbuf_done(&taken);
}

void doctor_namespaces(UNUSED const struct config *c, struct finding *f)
{
	int status = 0;
	pid_t pid = fork();
	if (pid == 0)
		_exit(-ns_try() & 0x7f);
	if (pid < 0 || waitpid(pid, &status, 0) < 0 || !WIFEXITED(status)) {
		doctor_say(f, DOCTOR_FAIL, "look at the limits on processes", "it could not be tried");
		return;
	}
	int err = WEXITSTATUS(status);
	if (!err)
		doctor_say(f, DOCTOR_OK, "", "mount namespaces are permitted");
	else
		doctor_say(f, geteuid() == 0 ? DOCTOR_FAIL : DOCTOR_WARN,
			   geteuid() == 0 ? "give the container CAP_SYS_ADMIN and a seccomp profile that lets mounts through (deploy/seccomp)" : "run as root; else instances are shared",
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
		doctor_say(f, DOCTOR_OK, "", "%s; limits of CPU, memory and tasks hold", mode);
	else
		doctor_say(f, DOCTOR_WARN, geteuid() == 0 ? "make the control groups writable and their controllers cpu, memory and pids available; else servers have no limits" : "run as root",
			   "%s; of CPU %s, of memory %s, of tasks %s", mode, held.cpu ? "holds" : "does not hold", held.memory ? "holds" : "does not hold",
			   held.tasks ? "holds" : "does not hold");
	cgroups_free(g);
}

void doctor_disk(const struct config *c, struct finding *f)
{
	_cleanup_(xfreep) char *path = xstrdup(config_str(c, "DATA_DIR"));
	struct statvfs s;
	while (statvfs(path, &s) < 0 && strrchr(path, '/') && strrchr(path, '/') != path)
		*strrchr(path, '/') = 0; /* it is made at the first start */
	if (statvfs(path, &s) < 0) {
		doctor_say(f, DOCTOR_FAIL, "name a DATA_DIR that can be reached", "%s: %s", path, strerror(errno));
		return;
	}
	uint64_t free_mib = (uint64_t)s.f_bavail * s.f_frsize / MIB;
	unsigned inodes = s.f_files ? (unsigned)(s.f_favail * 100 / s.f_files) : 100;
	enum doctor_state state = free_mib < 100 || inodes < 1 || s.f_flag & ST_RDONLY ? DOCTOR_FAIL : free_mib < 1024 || inodes < 5 ? DOCTOR_WARN : DOCTOR_OK;
	doctor_say(f, state, s.f_flag & ST_RDONLY ? "mount it for writing" : "free some space there, or move DATA_DIR", "%s: %llu MiB and %u %% of the inodes are free%s", path,
		   (unsigned long long)free_mib, inodes, s.f_flag & ST_RDONLY ? "; it is read-only" : "");
}

void doctor_clock(UNUSED const struct config *c, struct finding *f)
{
	struct timex t = { 0 };
	char now[CLOCK_ISO_SIZE];
	clock_iso(now, clock_wall_ms());
	int rc = adjtimex(&t);
	if (clock_wall_ms() < OLDEST_MS)
		doctor_say(f, DOCTOR_FAIL, "set it: tokens and certificates are judged by it", "%s is in the past", now);
	else if (rc == TIME_ERROR || t.status & STA_UNSYNC)
		doctor_say(f, DOCTOR_WARN, "run a time service (systemd-timesyncd, chrony), unless the machine this one runs on keeps it", "%s, not synchronised", now);
	else
		doctor_say(f, DOCTOR_OK, "", "%s%s", now, rc < 0 ? "; whether it is synchronised cannot be told" : ", synchronised");
}

void doctor_entropy(UNUSED const struct config *c, struct finding *f)
{
	char byte;
	if (getrandom(&byte, 1, GRND_NONBLOCK) == 1)
		doctor_say(f, DOCTOR_OK, "", "the kernel's random source is ready");
	else
		doctor_say(f, DOCTOR_FAIL, "wait, or give the machine a random device (virtio-rng)", "the kernel's random source is not ready: starts would wait");
}

void doctor_descriptors(const struct config *c, struct finding *f)
{
	struct rlimit r;
	int64_t wanted = config_int(c, "MAX_CONNECTIONS") + 256;
	if (getrlimit(RLIMIT_NOFILE, &r) < 0)
		doctor_say(f, DOCTOR_WARN, "look at ulimit -n", "the limit is not known");
	else if ((int64_t)r.rlim_max < wanted && r.rlim_max != RLIM_INFINITY)
		doctor_say(f, DOCTOR_WARN, "raise it (LimitNOFILE, ulimit -n), or lower MAX_CONNECTIONS", "%llu at most, %lld are wanted for MAX_CONNECTIONS",
			   (unsigned long long)r.rlim_max, (long long)wanted);
	else
		doctor_say(f, DOCTOR_OK, "", "%lld are wanted, the limit allows them", (long long)wanted);
}

void doctor_user(const struct config *c, struct finding *f)
{
	struct run_user u;
	const char *name = config_str(c, "RUN_USER");
	if (!run_user_find(name, &u))
		doctor_say(f, DOCTOR_FAIL, "make the account (useradd --system), or give RUN_USER another one", "there is no account \"%s\"", name);
	else if (u.uid == 0)
		doctor_say(f, DOCTOR_FAIL, "give RUN_USER an account of its own", "what reads the network would run as root");
	else
		doctor_say(f, DOCTOR_OK, "", "%s, uid %u", *name ? name : "by default", (unsigned)u.uid);
}

static int look(void *arg, struct backup_facts *ret, char *why, size_t size)
{
	return backup_look(arg, ret, why, size);
}

void doctor_store(const struct config *c, struct finding *f)
{
	_cleanup_(xfreep) char *path = store_path(c), *backups = backup_dir(c), *newest = backup_newest(backups);
	struct backup_facts facts;
	char why[OWNER_WHY_SIZE];
	if (config_given(c, "MONGODB_URL"))
		doctor_say(f, DOCTOR_OK, "", "in MongoDB (MONGODB_URL); /health/ready of the running program says whether it answers");
	else if (access(path, F_OK) < 0 && errno == ENOENT)
		doctor_say(f, DOCTOR_OK, "", "%s is not there yet; it is made at the first start", path);
	else if (as_owner(c, false, look, path, &facts, why) < 0)
		doctor_say(f, DOCTOR_FAIL, "a damaged one: stop the program and restore a backup (lucid-rdp restore); else mend what is said", "%s", why);
	else
		doctor_say(f, newest ? DOCTOR_OK : DOCTOR_WARN, "make one each day: lucid-rdp backup", "%s: schema %d, %lld servers; newest backup %s", path, facts.schema,
			   (long long)facts.counts[COL_SERVERS], newest ? newest : "none");
}
