/* cgroup_rig: control groups other than this host's, for a test program: "v2" (only a v2 tree, without the controllers that v1 has),
 * "none" (nothing mounted). It changes the calling process, which should be a child: see cgroup_rig_run. */
#ifndef CGROUP_RIG_H
#define CGROUP_RIG_H

#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

static inline int cgroup_rig(const char *kind)
{
	char mounts[64][256];
	int n = 0;
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return -1;
	FILE *f = fopen("/proc/self/mounts", "re");
	while (f && n < 64 && fscanf(f, "%*s %255s %*[^\n]", mounts[n]) == 1)
		n += strncmp(mounts[n], "/sys/fs/cgroup", 14) == 0;
	if (f)
		fclose(f);
	while (n--)
		umount2(mounts[n], MNT_DETACH);
	if (strcmp(kind, "v2") == 0)
		return mount("cgroup2", "/sys/fs/cgroup", "cgroup2", 0, NULL);
	return mount("tmpfs", "/sys/fs/cgroup", "tmpfs", 0, NULL);
}

/* Runs the tests in a child with such groups; its exit code; 0, with a message, if the groups cannot be mounted. */
static inline int cgroup_rig_run(const char *kind, int (*tests)(const char *kind))
{
	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0) {
		if (cgroup_rig(kind) < 0) {
			printf("skipped: control groups of kind %s cannot be mounted here\n", kind);
			_exit(0);
		}
		int r = tests(kind);
		fflush(NULL);
		_exit(r != 0);
	}
	int status = 1;
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return 1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

#endif
