#include "app/doctor/port_holders.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "host/kernel/sock_diag.h"
#include "lucid/str.h"

enum { SOCKETS_MAX = 4096 };

struct search {
	const struct tcp_sock *socks;
	size_t n;
	struct port_holder *rows; /* of each socket */
	pid_t pid;
};

static void set_process(struct port_holder *row, pid_t pid)
{
	struct proc_stat s;
	if (!proc_stat(pid, &s))
		return;
	row->pid = pid;
	str_copy(row->name, sizeof row->name, s.comm);
	for (char *p = row->name; *p; p++) /* a process can set its name to anything */
		if (*p < 0x20 || *p >= 0x7f)
			*p = '?';
}

static bool match(uint64_t inode, void *arg)
{
	struct search *s = arg;
	for (size_t k = 0; k < s->n; k++)
		if (s->socks[k].inode == inode && !s->rows[k].pid)
			set_process(&s->rows[k], s->pid);
	return true;
}

static void find_processes(struct search *s)
{
	DIR *d = s->n ? opendir("/proc") : NULL;
	struct dirent *e;
	int64_t pid;
	while (d && (e = readdir(d)))
		if (str_int(e->d_name, 1, INT32_MAX, &pid)) {
			s->pid = (pid_t)pid;
			proc_socket_inodes(s->pid, match, s);
		}
	if (d)
		closedir(d);
}

/* Keeps the sockets that would conflict with the address; all if it is NULL. */
static size_t keep_conflicting(struct tcp_sock *socks, size_t n, const char *address)
{
	unsigned char wanted[sizeof(struct in6_addr)];
	int family = address && strchr(address, ':') ? AF_INET6 : AF_INET;
	size_t kept = 0;
	if (!address || inet_pton(family, address, wanted) != 1)
		return n;
	for (size_t k = 0; k < n; k++)
		if (sock_diag_meets(&socks[k], family, wanted))
			socks[kept++] = socks[k];
	return kept;
}

size_t port_holders(const char *address, int first, int last, struct port_holder *dst, size_t max)
{
	_cleanup_(xfreep) struct tcp_sock *socks = xcalloc(SOCKETS_MAX, sizeof *socks);
	_cleanup_(xfreep) struct port_holder *rows = xcalloc(SOCKETS_MAX, sizeof *rows);
	int found = sock_diag_listeners((uint16_t)first, (uint16_t)last, socks, SOCKETS_MAX);
	struct search s = { socks, keep_conflicting(socks, (size_t)MAX(found, 0), address), rows, 0 };
	size_t n = 0;
	for (size_t k = 0; k < s.n; k++)
		rows[k].port = socks[k].local_port;
	find_processes(&s);
	for (size_t k = 0; k < s.n; k++) {
		size_t at = 0;
		while (at < n && dst[at].port != rows[k].port)
			at++;
		if (at == n && n < max)
			dst[n++] = rows[k];
	}
	return n;
}

bool port_holder_of_socket(const char *path, struct port_holder *ret)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	struct ucred peer;
	socklen_t len = sizeof peer;
	_cleanup_(closep) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || !str_copy(sa.sun_path, sizeof sa.sun_path, path) || connect(fd, (const struct sockaddr *)&sa, sizeof sa) < 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
		return false;
	*ret = (struct port_holder){ 0 };
	set_process(ret, peer.pid);
	return true;
}

const char *port_holder_text(const struct port_holder *h, char dst[PORT_HOLDER_SIZE])
{
	if (h->pid)
		snprintf(dst, PORT_HOLDER_SIZE, "pid %d (%s)", (int)h->pid, h->name);
	else
		str_copy(dst, PORT_HOLDER_SIZE, geteuid() == 0 ? "a process that is not visible from here" : "a process that is visible to root only");
	return dst;
}
