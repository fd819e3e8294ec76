#include "net/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "lucid/str.h"

#define BACKLOG 1024

static int listen_explain(int err, const char *address, int port, char *why, size_t size)
{
	const char *advice = err == EADDRINUSE	  ? "the port is in use"
			     : err == EACCES	  ? "ports below 1024 require root"
			     : err == EADDRNOTAVAIL ? "this host does not have this address"
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
		return listen_explain(errno, address, port, why, size);
	const int on = 1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
	if (six)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
	if (bind(fd, six ? (struct sockaddr *)&a6 : (struct sockaddr *)&a4, six ? sizeof a6 : sizeof a4) < 0 ||
	    listen(fd, BACKLOG) < 0)
		return listen_explain(errno, address, port, why, size);
	*ret_fd = TAKE_FD(fd);
	return 0;
}

/* --- Unix sockets */

static bool is_in_use(const struct sockaddr_un *sa)
{
	_cleanup_(closep) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	return fd < 0 || connect(fd, (const struct sockaddr *)sa, sizeof *sa) == 0 || errno != ECONNREFUSED;
}

static int bind_at(int fd, const struct sockaddr_un *sa)
{
	/* umask, since chmod would leave a moment with a wider mode, and might change another file that replaced the name meanwhile */
	mode_t old = umask(0117);
	int r = bind(fd, (const struct sockaddr *)sa, sizeof *sa) < 0 ? -errno : 0;
	umask(old);
	return r;
}

int listen_unix(const char *path, gid_t gid, int *ret_fd, char *why, size_t size)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	struct stat st;
	if (strlen(path) >= sizeof sa.sun_path) {
		snprintf(why, size, "cannot listen on unix:%s: the path is longer than %zu bytes", path, sizeof sa.sun_path - 1);
		return -ENAMETOOLONG;
	}
	str_copy(sa.sun_path, sizeof sa.sun_path, path);
	_cleanup_(closep) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int r = fd < 0 ? -errno : bind_at(fd, &sa);
	if (r == -EADDRINUSE && lstat(path, &st) == 0 && S_ISSOCK(st.st_mode) && !is_in_use(&sa) && unlink(path) == 0)
		r = bind_at(fd, &sa);
	if (r == 0 && ((geteuid() == 0 && lchown(path, (uid_t)-1, gid) < 0) || listen(fd, BACKLOG) < 0)) {
		r = -errno;
		unlink(path);
	}
	if (r < 0) {
		bool socket_there = r == -EADDRINUSE && lstat(path, &st) == 0 && S_ISSOCK(st.st_mode);
		snprintf(why, size, "cannot listen on unix:%s: %s", path,
			 socket_there	    ? "another program listens on it; stop that program or choose another path"
			 : r == -EADDRINUSE ? "the path exists and is not a socket; remove it or choose another path"
			 : r == -ENOENT	    ? "its directory does not exist"
					    : strerror(-r));
		return r == -EADDRINUSE && !socket_there ? -EEXIST : r;
	}
	*ret_fd = TAKE_FD(fd);
	return 0;
}

void listen_unix_remove(const char *path, int fd)
{
	struct sockaddr_un sa = { 0 };
	socklen_t len = sizeof sa;
	if (getsockname(fd, (struct sockaddr *)&sa, &len) == 0 && sa.sun_family == AF_UNIX && str_eq(sa.sun_path, path))
		unlink(path);
}

bool listen_is_local(int fd)
{
	struct sockaddr_storage sa = { 0 };
	const struct sockaddr_in *a4 = (const void *)&sa;
	const struct sockaddr_in6 *a6 = (const void *)&sa;
	socklen_t len = sizeof sa;
	if (getsockname(fd, (struct sockaddr *)&sa, &len) < 0)
		return false;
	if (sa.ss_family == AF_INET)
		return (ntohl(a4->sin_addr.s_addr) >> 24) == 127;
	return sa.ss_family == AF_UNIX || (sa.ss_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&a6->sin6_addr));
}
