/*
 * process: identifies a process, and sends signals to no other. Floor F1, any thread; reads only kernel files, so it does not block.
 *
 * A pid is reused. Together with the start time (field 22 of /proc/PID/stat) and the boot id it identifies a process permanently; a record
 * has these three. A process in state Z or X counts as ended: if PID 1 reaps slowly, a zombie may exist for long.
 */
#ifndef SYS_CHILD_PROCESS_H
#define SYS_CHILD_PROCESS_H

#include <sys/types.h>

#include "lucid/base.h"

#define PROC_COMM_SIZE 16
struct proc_stat {
	pid_t pid, ppid;
	char state;
	bool is_exiting; /* it exits and will be a zombie */
	char comm[PROC_COMM_SIZE];
	uint64_t start_ticks; /* since boot */
	uint64_t cpu_ticks;   /* user and system, without its children */
	int64_t rss_bytes;
};
/* Parses the text of /proc/PID/stat; false if it is malformed. The name may contain blanks and brackets. */
bool proc_parse_stat(const char *text, struct proc_stat *ret);
bool proc_stat(pid_t pid, struct proc_stat *ret); /* false if the process does not exist, or is a zombie */
bool proc_is_zombie(pid_t pid);
uint64_t proc_start(pid_t pid); /* start time in ticks since boot; 0 if the process has ended */
bool proc_alive(pid_t pid, uint64_t start_ticks); /* start_ticks 0: any process with that pid */
int64_t proc_start_boot_ms(uint64_t start_ticks); /* as clock_boot_ms */
int64_t proc_start_wall_ms(uint64_t start_ticks);

#define BOOT_ID_SIZE 40
/* Writes the kernel's boot id, a UUID; "" if /proc does not have it. */
void boot_id_read(char ret[BOOT_ID_SIZE]);

/* Sends a signal through a pidfd. `still` is called once the pidfd is open, so that a reused pid is not hit. 0 or -errno; -ESRCH also if
 * `still` returns false. */
int process_signal_if(pid_t pid, int signo, bool (*still)(pid_t pid, const void *arg), const void *arg);
/* The same for the process with this start time; start_ticks 0: any process with that pid. */
int process_signal(pid_t pid, uint64_t start_ticks, int signo);

#endif
