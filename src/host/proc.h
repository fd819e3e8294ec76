/*
 * proc: what the kernel tells of processes and sockets in /proc. Floor F3, any thread; reads kernel files only, so it does
 * not block. A process in state Z or X counts as gone: where PID 1 reaps slowly a zombie may stay for long.
 * Not for: files that belong to users (they may lie on a file system that hangs).
 */
#ifndef HOST_PROC_H
#define HOST_PROC_H

#include <sys/types.h>

#include "lucid/base.h"

#define PROC_COMM_SIZE 16
struct proc_stat {
	pid_t pid, ppid;
	char state;
	char comm[PROC_COMM_SIZE];
	uint64_t start_ticks; /* since boot; with the pid it names one process for good */
	uint64_t cpu_ticks;   /* user and system, without its children */
	int64_t rss_bytes;
};
/* From the text of /proc/PID/stat; false when it is not that. The name may hold blanks and brackets. */
bool proc_parse_stat(const char *text, struct proc_stat *ret);
bool proc_stat(pid_t pid, struct proc_stat *ret); /* false when there is no such process, or only a zombie */
bool proc_alive(pid_t pid, uint64_t start_ticks); /* start_ticks 0: whichever has the pid */
int64_t proc_start_wall_ms(uint64_t start_ticks);
bool proc_uid(pid_t pid, uid_t *ret_uid, gid_t *ret_gid);

/* Arguments, at most `max` bytes of them, each ended by a NUL; the number of bytes, 0 when there are none. */
size_t proc_cmdline(pid_t pid, char *dst, size_t max);
/* The value after `name` ("-auth FILE"), borrowed from args; NULL when it is not there. */
const char *proc_arg_after(const char *args, size_t len, const char *name);

/* If these are the arguments of an X server that sesman starts (Xorg, Xvnc, Xtigervnc, with ":N"): true and N. */
bool proc_is_x_server(const char *args, size_t len, int *ret_display, bool *ret_vnc);

/* Call fn with each socket inode that a process has open, until it says false. Only root sees those of others. */
void proc_socket_inodes(pid_t pid, bool (*fn)(uint64_t inode, void *arg), void *arg);

/* A whole small file into dst[size], always terminated; the length, or -1 (not there, not readable, does not fit). */
ssize_t proc_read_file(const char *path, char *dst, size_t size);
/* "key value" lines, as in /proc/meminfo and memory.stat: the number after `key` (which may end in ':'); -1 if absent. */
int64_t proc_keyed_number(const char *text, const char *key);

#endif
