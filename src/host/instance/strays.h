/*
 * strays: processes of an instance outside its control group, found by their mount namespace. Floor F3, supervisor only. Reading all of
 * /proc takes about 5 us a process, so it is done in a job and never on the loop.
 */
#ifndef HOST_INSTANCE_STRAYS_H
#define HOST_INSTANCE_STRAYS_H

#include "host/instance/instance.h"

/* Selects the processes in this mount namespace; with inode 0, those in any namespace in which a directory of the server `id` is mounted,
 * as in those of its daemons and desktops. The id alone also finds the processes of an instance whose record is lost. */
struct strays {
	ino_t inode;
	char id[ID_UUID_SIZE];
};

/* Job function: sends SIGKILL to each; prints their number and up to 20 pids, "2 811 812". `in` is a struct strays. */
int strays_kill_run(void *in, int out);
/* The pid of one of them, or 0. Blocks while it reads /proc, so only for the start of the supervisor and for servers it does not know. */
pid_t strays_find(const struct strays *s);

#endif
