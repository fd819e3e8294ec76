/*
 * hook: what pam_exec's program and the supervisor say to each other, one packet each way over a Unix socket of root's.
 * Floor F3. The packet: HOOK_OPEN or HOOK_CLOSE, then user and terminal, each ended by a NUL. The answer is one byte; it comes
 * when the leader is in its group, and the login goes on. Who the leader is, and of which instance, the kernel is asked.
 */
#ifndef HOST_HOOK_H
#define HOST_HOOK_H

#define HOOK_MAX 512
#define HOOK_WAIT_MS 2000
enum { HOOK_OPEN = 'o', HOOK_CLOSE = 'c', HOOK_DONE = '1' };

#endif
