#include "preload/screen_memory.h"

#include <dlfcn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ipc.h>
#include <sys/shm.h>

#include "host/preload_env.h"

#define EXPORT __attribute__((visibility("default")))

static struct {
	bool closed;
	uid_t xrdp;
} self;

void screen_memory_pass(uid_t xrdp)
{
	char uid[16];
	Dl_info library;
	if (!dladdr((void *)&self, &library))
		return;
	snprintf(uid, sizeof uid, "%u", (unsigned)xrdp);
	setenv(PRELOAD_ROLE, PRELOAD_X_SERVER, 1);
	setenv(PRELOAD_UID, uid, 1);
	setenv("LD_PRELOAD", library.dli_fname, 1);
}

void screen_memory_close(uid_t xrdp)
{
	self.closed = true;
	self.xrdp = xrdp;
	/* not for the programs that the X server starts */
	unsetenv("LD_PRELOAD");
	unsetenv(PRELOAD_ROLE);
	unsetenv(PRELOAD_UID);
}

/* Makes xrdp the owner, because a mode alone cannot name a second account. The creator keeps the rights of an owner. */
static bool give_to_xrdp(int id)
{
	struct shmid_ds segment;
	if (shmctl(id, IPC_STAT, &segment) < 0)
		return false;
	segment.shm_perm.uid = self.xrdp;
	return shmctl(id, IPC_SET, &segment) == 0;
}

EXPORT int shmget(key_t key, size_t size, int flags)
{
	static int (*real)(key_t, size_t, int);
	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "shmget");
	if (!self.closed || key != IPC_PRIVATE)
		return real(key, size, flags);
	int id = real(key, size, flags & ~0077);
	if (id >= 0 && !give_to_xrdp(id)) {
		shmctl(id, IPC_RMID, NULL);
		return -1;
	}
	return id;
}
