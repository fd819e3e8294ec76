#include "host/kernel/port.h"

#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host/kernel/proc.h"
#include "host/kernel/sock_diag.h"

static bool can_bind(int family, const struct sockaddr *sa, socklen_t len)
{
	_cleanup_(closep) int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int on = 1, off = 0;
	if (fd < 0)
		return errno == EAFNOSUPPORT; /* without this family the port cannot be in use */
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
	return bind(fd, sa, len) == 0 || (errno != EADDRINUSE && errno != EACCES);
}

static bool free_at(int port, struct in6_addr six, in_addr_t four)
{
	struct sockaddr_in6 a = { .sin6_family = AF_INET6, .sin6_addr = six, .sin6_port = htons((uint16_t)port) };
	struct sockaddr_in b = { .sin_family = AF_INET,
				 .sin_port = htons((uint16_t)port),
				 .sin_addr.s_addr = htonl(four) };
	return can_bind(AF_INET6, (struct sockaddr *)&a, sizeof a) &&
	       can_bind(AF_INET, (struct sockaddr *)&b, sizeof b);
}

bool port_is_free(int port)
{
	return free_at(port, (struct in6_addr)IN6ADDR_ANY_INIT, INADDR_ANY);
}

bool port_is_free_local(int port)
{
	return free_at(port, (struct in6_addr)IN6ADDR_LOOPBACK_INIT, INADDR_LOOPBACK);
}

struct listener {
	unsigned long inode;
	unsigned uid; /* of the account that created it */
};

/* Listening sockets with this local port, from a table of /proc of any length. */
static size_t listeners_in(const char *table, int port, struct listener *dst, size_t max)
{
	char line[512];
	size_t n = 0;
	FILE *f = fopen(table, "re");
	while (f && n < max && fgets(line, sizeof line, f)) {
		unsigned local, state, uid;
		unsigned long inode;
		/* "0: address:port address:port state tx:rx tr:when retrnsmt uid timeout inode" */
		if (sscanf(line, "%*d: %*[0-9A-F]:%x %*[0-9A-F]:%*x %x %*s %*s %*s %u %*d %lu", &local, &state, &uid, &inode) == 4 &&
		    (int)local == port && state == 0x0a)
			dst[n++] = (struct listener){ inode, uid };
	}
	if (f)
		fclose(f);
	return n;
}

enum { LISTENERS_MAX = 8 };

/* With sock_diag the kernel selects them; the tables in /proc list every connection of the host too. */
static size_t listeners(int port, struct listener dst[LISTENERS_MAX])
{
	struct tcp_sock socks[LISTENERS_MAX];
	int n = sock_diag_listeners((uint16_t)port, (uint16_t)port, socks, ARRAY_LEN(socks));
	for (int k = 0; k < n; k++)
		dst[k] = (struct listener){ (unsigned long)socks[k].inode, socks[k].uid };
	if (n >= 0)
		return (size_t)n;
	size_t six = listeners_in("/proc/net/tcp6", port, dst, LISTENERS_MAX / 2);
	return six + listeners_in("/proc/net/tcp", port, dst + six, LISTENERS_MAX / 2);
}

/* Without CAP_SYS_PTRACE, as in most containers, the descriptors of a process of another account cannot be read. Its account can, and each
 * instance has its own. */
static bool is_of_account(const struct listener *l, size_t n, pid_t pid)
{
	uid_t uid;
	gid_t gid;
	for (size_t k = 0; proc_uid(pid, &uid, &gid) && k < n; k++)
		if (l[k].uid == uid)
			return true;
	return false;
}

bool port_is_of(int port, pid_t pid)
{
	struct listener found_at[LISTENERS_MAX];
	char path[64], link[64];
	size_t n = listeners(port, found_at);
	snprintf(path, sizeof path, "/proc/%d/fd", pid);
	DIR *d = opendir(path);
	struct dirent *e;
	bool found = false, hidden = !d && errno == EACCES;
	while (d && !found && (e = readdir(d))) {
		ssize_t len = readlinkat(dirfd(d), e->d_name, link, sizeof link - 1);
		unsigned long inode;
		hidden |= len < 0 && errno == EACCES;
		link[MAX(len, 0)] = '\0';
		if (sscanf(link, "socket:[%lu]", &inode) != 1)
			continue;
		for (size_t k = 0; k < n; k++)
			found |= found_at[k].inode == inode;
	}
	if (d)
		closedir(d);
	return found || (hidden && is_of_account(found_at, n, pid));
}
