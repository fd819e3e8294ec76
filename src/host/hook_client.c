#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "host/hook.h"
#include "host/host.h"
#include "lucid/clock.h"
#include "lucid/str.h"

/* pam-hook SOCKET, run by pam_exec with PAM_TYPE, PAM_USER and PAM_TTY in the environment. Whatever goes wrong here, the login
 * goes on: the supervisor finds the desktop later by itself. */

static size_t build(char packet[HOOK_MAX])
{
	const char *type = getenv("PAM_TYPE"), *user = getenv("PAM_USER"), *tty = getenv("PAM_TTY");
	const char *part[] = { user, tty };
	size_t len = 1;
	if (!type || !user || !tty)
		return 0;
	if (str_eq(type, "open_session"))
		packet[0] = HOOK_OPEN;
	else if (str_eq(type, "close_session"))
		packet[0] = HOOK_CLOSE;
	else
		return 0;
	for (size_t i = 0; i < ARRAY_LEN(part); i++) {
		if (!str_copy(packet + len, HOOK_MAX - len, part[i]))
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

int host_pam_hook(int argc, char **argv)
{
	char packet[HOOK_MAX];
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	if (argc < 1 || !str_copy(a.sun_path, sizeof a.sun_path, argv[argc - 1])) {
		fprintf(stderr, "lucid-rdp pam-hook is run by PAM: pam-hook SOCKET\n");
		return 0;
	}
	size_t len = build(packet);
	_cleanup_(closep) int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (!len || fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof a) < 0 || !to_root(fd) ||
	    send(fd, packet, len, MSG_NOSIGNAL) < 0)
		return 0;
	if (packet[0] == HOOK_CLOSE)
		return 0;
	int64_t until = clock_mono_ms() + HOOK_WAIT_MS;
	for (int64_t left = HOOK_WAIT_MS; left > 0; left = until - clock_mono_ms()) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		int n = poll(&p, 1, (int)left);
		if (n > 0 || (n < 0 && errno != EINTR))
			break;
	}
	return 0;
}
