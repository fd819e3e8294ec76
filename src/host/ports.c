#include "host/ports.h"

#include <dirent.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host/fs.h"
#include "host/hostcfg_files.h"
#include "host/instance.h"
#include "lucid/str.h"

static bool can_bind(int family, const struct sockaddr *sa, socklen_t len)
{
	_cleanup_(closep) int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int on = 1, off = 0;
	if (fd < 0)
		return errno == EAFNOSUPPORT; /* nobody can have it then */
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

static bool is_ours(struct host *h, int port)
{
	if (port >= h->set.port_start && port <= h->set.port_end)
		return true;
	for (const int *p = h->set.other_ports; p && *p; p++)
		if (*p == port)
			return true;
	struct instance *i;
	INSTANCE_FOREACH(i, h)
	if (i->port == port || i->sesman_port == port)
		return true;
	return false;
}

/* The host's own sesman.ini; empty where there is none. */
static struct inifile *host_sesman(const struct host *h)
{
	int err;
	const char *why;
	_cleanup_(xfreep) char *text = hostcfg_read(h, HOSTCFG_SESMAN, &err, &why);
	return inifile_parse(text ? text : "");
}

/* Ports that go with a display: Xvnc listens on 5900+N, and sesman passes over a display whose ports are taken. It makes
 * their numbers by writing "59", "60" or "62" and N side by side, and cuts the result to 16 bits. */
static void ports_of_display(int display, int ret[4])
{
	static const int prefixes[] = { 59, 60, 62 };
	ret[0] = 5900 + display;
	for (size_t n = 0; n < ARRAY_LEN(prefixes); n++) {
		char text[32];
		snprintf(text, sizeof text, "%d%02d", prefixes[n], display);
		ret[n + 1] = atoi(text) & 0xffff;
	}
}

static bool display_is_free(struct host *h, int display)
{
	char path[64];
	int ports[4];
	ports_of_display(display, ports);
	for (size_t n = 0; n < ARRAY_LEN(ports); n++)
		if (is_ours(h, ports[n]))
			return false;
	snprintf(path, sizeof path, "/tmp/.X11-unix/X%d", display);
	if (access(path, F_OK) == 0)
		return false;
	snprintf(path, sizeof path, "/tmp/.X%d-lock", display);
	return access(path, F_OK) != 0;
}

static bool overlaps(int first, int count, int other, int others)
{
	return first < other + others && other < first + count;
}

/* First display of the block that stands in the way of [first, first+count), or 0. */
static int block_taken(struct host *h, int first, int host_first, int host_count)
{
	if (overlaps(first, PORTS_DISPLAYS, host_first, host_count))
		return host_first + host_count;
	struct instance *i;
	INSTANCE_FOREACH(i, h)
	if (i->display_count && overlaps(first, PORTS_DISPLAYS, i->display_first, i->display_count))
		return i->display_first + i->display_count;
	for (int n = first + PORTS_DISPLAYS - 1; n >= first; n--)
		if (!display_is_free(h, n))
			return n + 1;
	return 0;
}

/* Only root can bind below 1024, so nobody else can sit down where a dead sesman was and be told passwords. Ports that
 * /etc/services knows are left to their services. */
static int choose_sesman_port(struct host *h, unsigned spread, int host_port)
{
	enum { PRIVILEGED = 660, PRIVILEGED_N = 330, FIRST = 21000, LAST = 29999 };
	for (int n = 0; n < PRIVILEGED_N; n++) {
		int port = PRIVILEGED + (int)((spread + (unsigned)n) % PRIVILEGED_N);
		if (port != host_port && !is_ours(h, port) && port_is_free_local(port) &&
		    !getservbyport(htons((uint16_t)port), "tcp"))
			return port;
	}
	for (int port = FIRST + (int)(spread % 1000); port <= LAST; port++)
		if (port != host_port && !is_ours(h, port) && port_is_free_local(port))
			return port;
	return 0;
}

int ports_choose(struct host *h, const char *server_id, int *ret_sesman_port, int *ret_display_first)
{
	enum { FIRST_DISPLAY = 1000, LAST_DISPLAY = 59000, SPREAD = 20 };
	unsigned spread = (unsigned)strtoul(server_id, NULL, 16); /* the first group of a UUID */
	_cleanup_(inifile_freep) struct inifile *own = host_sesman(h);
	int host_first, host_count = hostcfg_sesman_displays(own, &host_first), next;
	int port = choose_sesman_port(h, spread, hostcfg_sesman_port(own));
	int display = FIRST_DISPLAY + (int)(spread % SPREAD) * PORTS_DISPLAYS;
	while (display <= LAST_DISPLAY && (next = block_taken(h, display, host_first, host_count)))
		display = next;
	if (!port || display > LAST_DISPLAY)
		return -ERR_NO_PORT;
	*ret_sesman_port = port;
	*ret_display_first = display;
	return 0;
}

/* Inodes of listening sockets with this local port. */
static size_t listeners(const char *table, int port, unsigned long *dst, size_t max)
{
	_cleanup_(xfreep) char *text = fs_read(table, 8 << 20);
	size_t n = 0;
	for (const char *p = text ? strchr(text, '\n') : NULL; p && n < max; p = strchr(p, '\n')) {
		unsigned local, state;
		unsigned long inode;
		p++;
		/* "0: address:port address:port state tx:rx tr:when retrnsmt uid timeout inode" */
		if (sscanf(p, "%*d: %*[0-9A-F]:%x %*[0-9A-F]:%*x %x %*s %*s %*s %*u %*d %lu", &local, &state, &inode) ==
			3 &&
		    (int)local == port && state == 0x0a)
			dst[n++] = inode;
	}
	return n;
}

bool port_is_of(int port, pid_t pid)
{
	unsigned long inodes[8];
	char path[64], link[64];
	size_t n = listeners("/proc/net/tcp6", port, inodes, 4);
	n += listeners("/proc/net/tcp", port, inodes + n, 4);
	snprintf(path, sizeof path, "/proc/%d/fd", pid);
	DIR *d = opendir(path);
	struct dirent *e;
	bool found = false;
	while (d && !found && (e = readdir(d))) {
		ssize_t len = readlinkat(dirfd(d), e->d_name, link, sizeof link - 1);
		unsigned long inode;
		link[MAX(len, 0)] = '\0';
		if (sscanf(link, "socket:[%lu]", &inode) != 1)
			continue;
		for (size_t k = 0; k < n; k++)
			found |= inodes[k] == inode;
	}
	if (d)
		closedir(d);
	return found;
}
