/*
 * pam_hook: the protocol between the program that pam_exec runs and the supervisor: one packet each way over a Unix socket of root. Floor
 * F3.
 *
 * The packet has a type, then user, terminal and detail, each terminated by a NUL. The answer is one byte. HOOK_DONE: the leader is in its
 * control group, or the report is kept; the login, or its end, continues. HOOK_REFUSED, only to HOOK_BEGIN and HOOK_ADMIT: the login ends.
 * HOOK_PASSED is HOOK_ADMIT of a server that an older version started: its PAM file does not obey a refusal. The kernel names the leader,
 * and so the instance. The detail of HOOK_CLOSE is the text of start_report.h. That of HOOK_BEGIN is numbers: whether the
 * peer is this server's xrdp; inode, port and uid of its socket; whether the account exists.
 */
#ifndef HOST_LOGIN_PAM_HOOK_H
#define HOST_LOGIN_PAM_HOOK_H

#define HOOK_MAX 4096
#define HOOK_WAIT_MS 2000
enum {
	HOOK_OPEN = 'o',
	HOOK_CLOSE = 'c',
	HOOK_BEGIN = 'b',
	HOOK_ADMIT = 'q',
	HOOK_PASSED = 'p',
	HOOK_ALLOWED = 'a',
	HOOK_DONE = '1',
	HOOK_REFUSED = '0'
};

#endif
