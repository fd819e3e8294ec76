/*
 * proc: reads processes and their sockets from /proc. Floor F3, any thread. Does not block, because it reads kernel files only. A process
 * in state Z or X counts as gone: a zombie may stay long if PID 1 reaps slowly.
 * Not for: files of users, which may be on a file system that does not respond.
 */
#ifndef HOST_KERNEL_PROC_H
#define HOST_KERNEL_PROC_H

#include "sys/child/process.h"

bool proc_uid(pid_t pid, uid_t *ret_uid, gid_t *ret_gid);

/* Reads the arguments, at most `max` bytes, each terminated by a NUL. Returns the number of bytes; 0: none. */
size_t proc_cmdline(pid_t pid, char *dst, size_t max);
/* The argument after `name` ("-auth FILE"), borrowed from args; NULL: there is none. */
const char *proc_arg_after(const char *args, size_t len, const char *name);

/* Whether these are the arguments of an X server that sesman starts (Xorg, Xvnc, Xtigervnc, with ":N"), and N. */
bool proc_is_x_server(const char *args, size_t len, int *ret_display, bool *ret_vnc);

/* Calls fn with the inode of each socket that a process has open, until it returns false. Only root can read those of other accounts. */
void proc_socket_inodes(pid_t pid, bool (*fn)(uint64_t inode, void *arg), void *arg);

/* Reads a whole small file into dst[size], terminated by a NUL. Returns its length, or -1 if it cannot be read or does not fit. */
ssize_t proc_read_file(const char *path, char *dst, size_t size);
/* The number after `key` in "key value" lines as in /proc/meminfo and memory.stat; `key` may end in ':'. -1: absent. */
int64_t proc_keyed_number(const char *text, const char *key);

#endif
