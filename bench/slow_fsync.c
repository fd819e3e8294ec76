/* slow_fsync: an LD_PRELOAD library that makes a disk as slow as an SD card: every fsync and fdatasync takes SLOW_FSYNC_MS longer.
 * gcc -shared -fPIC -o slow_fsync.so bench/slow_fsync.c; bench/store does that itself. */
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static void wait_a_little(void)
{
	const char *s = getenv("SLOW_FSYNC_MS");
	long ms = s ? atol(s) : 5;
	nanosleep(&(struct timespec){ ms / 1000, ms % 1000 * 1000000 }, NULL);
}

int fsync(int fd)
{
	wait_a_little();
	return (int)syscall(SYS_fsync, fd);
}

int fdatasync(int fd)
{
	wait_a_little();
	return (int)syscall(SYS_fdatasync, fd);
}
