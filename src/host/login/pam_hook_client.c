#include <errno.h>
#include <poll.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "host/login/pam_hook.h"
#include "host/host.h"
#include "host/kernel/proc.h"
#include "host/xrdp_config/programs.h"
#include "host/login/sesman_peer.h"
#include "host/desktop/start_report.h"
#include "lucid/account.h"
#include "lucid/clock.h"
#include "lucid/str.h"

_Static_assert(HOOK_MAX >= 1 + ACCOUNT_MAX + 1 + 64 + START_REPORT_MAX, "a close must fit a packet");

/* pam-hook [begin PORT UID | admit | allowed] SOCKET, run by pam_exec with PAM_TYPE, PAM_USER and PAM_TTY in the environment. "begin" runs
 * before the password is checked and refuses a login that does not come from this server's xrdp, even without the supervisor. "admit" runs
 * after that and asks whether there may be a further desktop. If the supervisor does not answer, the login continues, and the supervisor
 * finds the desktop later. "passed" is "admit" in PAM files of an older version. */

struct hook_call {
	char type;
	char detail[64]; /* of HOOK_BEGIN: what costs the supervisor more to find out; else "" */
	bool refuse;
};

static char session_type(void)
{
	const char *type = getenv("PAM_TYPE");
	return type && str_eq(type, "open_session") ? HOOK_OPEN : type && str_eq(type, "close_session") ? HOOK_CLOSE : 0;
}

/* Whether this process runs the PAM stack: sesman itself in 0.9; from 0.10 on, a process for each login, and sesman has a Unix socket
 * instead of a port. */
static bool is_sesman(pid_t pid)
{
	struct proc_stat s;
	return proc_stat(pid, &s) && program_is_sesman(s.comm) && !str_starts(s.comm, "xrdp-sesexec");
}

static void peer_check(struct hook_call *c, uint16_t port, uid_t xrdp)
{
	struct sesman_pair pairs[64];
	struct sesman_request r = { .peer = PEER_NONE };
	const char *user = getenv("PAM_USER");
	int n = is_sesman(getppid()) ? sesman_pairs(port, pairs, ARRAY_LEN(pairs)) : -ENOTSUP;
	if (n >= 0)
		sesman_current(pairs, (size_t)n, xrdp, &r);
	c->refuse = n >= 0 && r.peer != PEER_XRDP;
	for (int k = 0; k < n; k++)
		if (pairs[k].client.uid != xrdp || !pairs[k].client.inode)
			sock_diag_destroy(&pairs[k].sesman);
	snprintf(c->detail, sizeof c->detail, "%d %llu %u %u %d", r.peer == PEER_XRDP || n < 0, (unsigned long long)r.client.inode,
		 (unsigned)r.client.local_port, (unsigned)r.client.uid, user && getpwnam(user));
}

static bool arguments_parse(struct hook_call *c, int argc, char **argv)
{
	int64_t port, uid;
	if (argc == 1)
		c->type = session_type();
	else if (argc == 2 && str_eq(argv[0], "admit"))
		c->type = HOOK_ADMIT;
	else if (argc == 2 && str_eq(argv[0], "passed"))
		c->type = HOOK_PASSED;
	else if (argc == 2 && str_eq(argv[0], "allowed"))
		c->type = HOOK_ALLOWED;
	else if (argc == 4 && str_eq(argv[0], "begin") && str_int(argv[1], 1, 65535, &port) && str_int(argv[2], 0, UINT32_MAX - 1, &uid)) {
		c->type = HOOK_BEGIN;
		peer_check(c, (uint16_t)port, (uid_t)uid);
	}
	return c->type != 0;
}

static size_t packet_build(char packet[HOOK_MAX], const struct hook_call *c)
{
	const char *user = getenv("PAM_USER"), *tty = getenv("PAM_TTY");
	const char *part[] = { user, tty, c->detail };
	size_t len = 1, parts = c->type == HOOK_CLOSE ? 2 : 3; /* a close adds the report on the start of the desktop */
	if (!user || !tty)
		return 0;
	packet[0] = c->type;
	for (size_t i = 0; i < parts; i++) {
		if (!str_copy(packet + len, HOOK_MAX - START_REPORT_MAX - len, part[i]))
			return 0;
		len += strlen(part[i]) + 1;
	}
	return len;
}

static bool to_root(int fd)
{
	struct ucred who;
	socklen_t len = sizeof who;
	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) == 0 && (who.uid == 0 || who.uid == geteuid());
}

/* Whether the supervisor refuses; false without an answer within HOOK_WAIT_MS. */
static bool is_refused(int fd)
{
	int64_t until = clock_mono_ms() + HOOK_WAIT_MS;
	for (int64_t left = HOOK_WAIT_MS; left > 0; left = until - clock_mono_ms()) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		char answer = HOOK_DONE;
		int n = poll(&p, 1, (int)left);
		if (n > 0)
			return recv(fd, &answer, 1, MSG_DONTWAIT) == 1 && answer == HOOK_REFUSED;
		if (n < 0 && errno != EINTR)
			break;
	}
	return false;
}

int host_pam_hook(int argc, char **argv)
{
	char packet[HOOK_MAX];
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	struct hook_call c = { 0 };
	if (argc < 1 || !str_copy(a.sun_path, sizeof a.sun_path, argv[argc - 1])) {
		fprintf(stderr, "lucid-rdp pam-hook is run by PAM: pam-hook [begin PORT UID | admit | allowed] SOCKET\n");
		return 0;
	}
	if (!arguments_parse(&c, argc, argv))
		return argc == 4; /* a malformed "begin" refuses the login */
	size_t len = packet_build(packet, &c);
	_cleanup_(closep) int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (!len || fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof a) < 0 || !to_root(fd))
		return c.refuse;
	/* after connect, so that the supervisor sees root as the peer */
	if (c.type == HOOK_CLOSE) {
		start_report(packet + len, getenv("PAM_USER"), getenv("PAM_TTY"));
		len += strlen(packet + len) + 1;
	}
	if (send(fd, packet, len, MSG_NOSIGNAL) < 0)
		return c.refuse;
	bool refused = is_refused(fd);
	return c.refuse || (refused && (c.type == HOOK_BEGIN || c.type == HOOK_ADMIT));
}
