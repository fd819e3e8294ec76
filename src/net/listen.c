#include "net/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>

#define BACKLOG 1024

static int explain(int err, const char *address, int port, char *why, size_t size)
{
	const char *advice = err == EADDRINUSE	  ? "another program has it; stop that one or choose another port"
			     : err == EACCES	  ? "ports below 1024 need root"
			     : err == EADDRNOTAVAIL ? "this host has no such address"
						    : strerror(err);
	snprintf(why, size, "cannot listen on %s port %d: %s", address, port, advice);
	return -err;
}

int listen_tcp(const char *address, int port, int *ret_fd, char *why, size_t size)
{
	struct sockaddr_in a4 = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	struct sockaddr_in6 a6 = { .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port) };
	bool six = inet_pton(AF_INET6, address, &a6.sin6_addr) == 1;
	if (!six && inet_pton(AF_INET, address, &a4.sin_addr) != 1) {
		snprintf(why, size, "cannot listen on %s: it must be an IPv4 or IPv6 address of this host", address);
		return -EINVAL;
	}
	_cleanup_(closep) int fd = socket(six ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return explain(errno, address, port, why, size);
	const int on = 1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
	if (six)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
	if (bind(fd, six ? (struct sockaddr *)&a6 : (struct sockaddr *)&a4, six ? sizeof a6 : sizeof a4) < 0 ||
	    listen(fd, BACKLOG) < 0)
		return explain(errno, address, port, why, size);
	*ret_fd = TAKE_FD(fd);
	return 0;
}
