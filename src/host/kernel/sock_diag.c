#include "host/kernel/sock_diag.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <linux/tcp.h>
#include <linux/unix_diag.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

/* netinet/tcp.h and linux/tcp.h cannot be included together; these are the kernel's states (net/tcp_states.h). */
enum { STATE_ESTABLISHED = 1, STATE_SYN_RECV = 3, STATE_TIME_WAIT = 6, STATE_CLOSE = 7, STATE_LISTEN = 10 };

typedef bool (*diag_row)(const struct nlmsghdr *h, void *arg);

/* Sends a request and calls fn with every row of the answer, until it returns false; the rest is read and ignored. */
static int dump(const struct iovec *iov, size_t iovcnt, diag_row fn, void *arg)
{
	_cleanup_(closep) int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
	static char buf[64 * 1024] __attribute__((aligned(NLMSG_ALIGNTO)));
	struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	struct msghdr msg = { .msg_name = &kernel, .msg_namelen = sizeof kernel, .msg_iov = (struct iovec *)(uintptr_t)iov,
			      .msg_iovlen = iovcnt };
	/* the kernel answers within the call; the timeout is for one that does not */
	struct timeval limit = { .tv_sec = 1 };
	bool more = true;
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) < 0 || sendmsg(fd, &msg, 0) < 0)
		return -errno;
	for (;;) {
		ssize_t n = recv(fd, buf, sizeof buf, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EPROTO;
		unsigned len = (unsigned)n;
		for (struct nlmsghdr *h = (struct nlmsghdr *)(void *)buf; NLMSG_OK(h, len); h = NLMSG_NEXT(h, len)) {
			if (h->nlmsg_type == NLMSG_DONE)
				return 0;
			if (h->nlmsg_type == NLMSG_ERROR)
				return ((struct nlmsgerr *)NLMSG_DATA(h))->error ?: -EPROTO;
			if (more)
				more = fn(h, arg);
		}
	}
}

/* One attribute of a row; NULL if it is absent or shorter than `size`. */
static const void *attr(const struct nlmsghdr *h, size_t fixed, int type, size_t size, size_t *ret_len)
{
	int len = (int)h->nlmsg_len - (int)NLMSG_SPACE(fixed);
	const char *p = (const char *)NLMSG_DATA(h) + NLMSG_ALIGN(fixed);
	while (len >= (int)sizeof(struct nlattr)) {
		const struct nlattr *a = (const void *)p;
		if (a->nla_len < sizeof *a || a->nla_len > len)
			return NULL;
		size_t n = a->nla_len - NLA_HDRLEN;
		if ((a->nla_type & NLA_TYPE_MASK) == type) {
			if (ret_len)
				*ret_len = n;
			return n >= size ? p + NLA_HDRLEN : NULL;
		}
		len -= NLA_ALIGN(a->nla_len);
		p += NLA_ALIGN(a->nla_len);
	}
	return NULL;
}

/* --- TCP */

static void peer_text(const struct inet_diag_msg *m, struct tcp_sock *s)
{
	const unsigned char *a = (const unsigned char *)m->id.idiag_dst;
	static const unsigned char mapped[12] = { [10] = 0xff, [11] = 0xff }, loop6[16] = { [15] = 1 };
	if (m->idiag_family == AF_INET6 && memcmp(a, mapped, sizeof mapped) == 0)
		a += 12;
	else if (m->idiag_family == AF_INET6) {
		inet_ntop(AF_INET6, a, s->peer, sizeof s->peer);
		s->local = memcmp(a, loop6, sizeof loop6) == 0;
		return;
	}
	inet_ntop(AF_INET, a, s->peer, sizeof s->peer);
	s->local = a[0] == 127;
}

bool sock_diag_parse_tcp(const struct nlmsghdr *h, struct tcp_sock *ret)
{
	if (h->nlmsg_type != SOCK_DIAG_BY_FAMILY || h->nlmsg_len < NLMSG_LENGTH(sizeof(struct inet_diag_msg)))
		return false;
	const struct inet_diag_msg *m = NLMSG_DATA(h);
	if ((m->idiag_family != AF_INET && m->idiag_family != AF_INET6) || !m->idiag_inode)
		return false;
	struct tcp_sock s = {
		.inode = m->idiag_inode,
		.cookie = (uint64_t)m->id.idiag_cookie[1] << 32 | m->id.idiag_cookie[0],
		.state = m->idiag_state,
		.local_port = ntohs(m->id.idiag_sport),
		.peer_port = ntohs(m->id.idiag_dport),
		.unread = m->idiag_rqueue,
		.uid = m->idiag_uid,
		.family = m->idiag_family,
	};
	_Static_assert(sizeof s.id == sizeof m->id, "struct inet_diag_sockid");
	memcpy(s.id, &m->id, sizeof s.id);
	peer_text(m, &s);
	/* older kernels have a shorter struct; the fields needed end with tcpi_bytes_received (Linux 4.1) */
	size_t need = offsetof(struct tcp_info, tcpi_bytes_received) + sizeof(uint64_t);
	const struct tcp_info *info = attr(h, sizeof *m, INET_DIAG_INFO, need, NULL);
	if (info) {
		memcpy(&s.bytes_in, (const char *)info + offsetof(struct tcp_info, tcpi_bytes_received), sizeof s.bytes_in);
		memcpy(&s.bytes_out, (const char *)info + offsetof(struct tcp_info, tcpi_bytes_acked), sizeof s.bytes_out);
		memcpy(&s.rtt_us, (const char *)info + offsetof(struct tcp_info, tcpi_rtt), sizeof s.rtt_us);
	}
	*ret = s;
	return true;
}

struct tcp_rows {
	struct tcp_sock *dst;
	size_t n, max;
};

static bool tcp_row(const struct nlmsghdr *h, void *arg)
{
	struct tcp_rows *r = arg;
	if (r->n < r->max && sock_diag_parse_tcp(h, &r->dst[r->n]))
		r->n++;
	return r->n < r->max;
}

static int dump_tcp(int family, uint32_t states, uint16_t first, uint16_t last, struct tcp_rows *rows)
{
	/* A filter program for the kernel. An operation is two words, the second holds the port. `yes` and `no` are the distances to the
	 * next operation; a jump to 4 bytes past the end rejects the socket. */
	struct inet_diag_bc_op code[4] = {
		{ .code = INET_DIAG_BC_S_GE, .yes = 8, .no = sizeof code + 4 },
		{ .no = first },
		{ .code = INET_DIAG_BC_S_LE, .yes = 8, .no = sizeof code + 4 - 8 },
		{ .no = last },
	};
	struct {
		struct nlmsghdr h;
		struct inet_diag_req_v2 r;
		struct nlattr a;
	} req = {
		.h = { .nlmsg_len = sizeof req + sizeof code, .nlmsg_type = SOCK_DIAG_BY_FAMILY,
		       .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP },
		.r = { .sdiag_family = (uint8_t)family, .sdiag_protocol = IPPROTO_TCP,
		       .idiag_ext = 1 << (INET_DIAG_INFO - 1),
		       .idiag_states = states },
		.a = { .nla_len = NLA_HDRLEN + sizeof code, .nla_type = INET_DIAG_REQ_BYTECODE },
	};
	struct iovec iov[] = { { &req, sizeof req }, { code, sizeof code } };
	return dump(iov, ARRAY_LEN(iov), tcp_row, rows);
}

static int dump_both(uint32_t states, uint16_t first, uint16_t last, struct tcp_sock *dst, size_t max)
{
	struct tcp_rows rows = { .dst = dst, .max = max };
	int r = dump_tcp(AF_INET6, states, first, last, &rows);
	int r4 = dump_tcp(AF_INET, states, first, last, &rows);
	/* one of them fails on a host without IPv6 */
	return r < 0 && r4 < 0 ? r4 : (int)rows.n;
}

int sock_diag_tcp(uint16_t first, uint16_t last, struct tcp_sock *dst, size_t max)
{
	return dump_both(~(1U << STATE_LISTEN | 1U << STATE_TIME_WAIT | 1U << STATE_SYN_RECV | 1U << STATE_CLOSE), first, last, dst, max);
}

int sock_diag_listeners(uint16_t first, uint16_t last, struct tcp_sock *dst, size_t max)
{
	return dump_both(1U << STATE_LISTEN, first, last, dst, max);
}

bool sock_diag_meets(const struct tcp_sock *s, int family, const void *address)
{
	static const unsigned char any[16] = { 0 };
	struct inet_diag_sockid id;
	memcpy(&id, s->id, sizeof id);
	size_t len = family == AF_INET6 ? 16 : 4;
	return memcmp(address, any, len) == 0 || memcmp(id.idiag_src, any, s->family == AF_INET6 ? 16 : 4) == 0 ||
	       (s->family == family && memcmp(id.idiag_src, address, len) == 0);
}

int sock_diag_destroy(const struct tcp_sock *s)
{
	struct {
		struct nlmsghdr h;
		struct inet_diag_req_v2 r;
	} req = {
		.h = { .nlmsg_len = sizeof req, .nlmsg_type = SOCK_DESTROY, .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK },
		.r = { .sdiag_family = s->family, .sdiag_protocol = IPPROTO_TCP, .idiag_states = ~0U },
	};
	memcpy(&req.r.id, s->id, sizeof req.r.id);
	_cleanup_(closep) int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
	char buf[512] __attribute__((aligned(NLMSG_ALIGNTO)));
	struct timeval limit = { .tv_sec = 1 };
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) < 0 || send(fd, &req, sizeof req, 0) < 0)
		return -errno;
	ssize_t n = recv(fd, buf, sizeof buf, 0);
	const struct nlmsghdr *h = (const struct nlmsghdr *)(const void *)buf;
	if (n < (ssize_t)NLMSG_LENGTH(sizeof(struct nlmsgerr)) || h->nlmsg_type != NLMSG_ERROR)
		return n < 0 ? -errno : -EPROTO;
	return ((const struct nlmsgerr *)NLMSG_DATA(h))->error;
}

/* --- unix */

bool sock_diag_parse_unix(const struct nlmsghdr *h, struct unix_sock *ret)
{
	if (h->nlmsg_type != SOCK_DIAG_BY_FAMILY || h->nlmsg_len < NLMSG_LENGTH(sizeof(struct unix_diag_msg)))
		return false;
	const struct unix_diag_msg *m = NLMSG_DATA(h);
	struct unix_sock s = { .inode = m->udiag_ino, .type = m->udiag_type, .connected = m->udiag_state == STATE_ESTABLISHED,
			       .uid = -1 };
	size_t n = 0;
	const char *name = attr(h, sizeof *m, UNIX_DIAG_NAME, 1, &n);
	if (name) {
		s.name_len = n;
		n = MIN(n, sizeof s.name - 1);
		memcpy(s.name, name, n);
		if (!s.name[0])
			s.name[0] = '@';
	}
	const uint32_t *peer = attr(h, sizeof *m, UNIX_DIAG_PEER, sizeof *peer, NULL);
	if (peer)
		s.peer = *peer;
	const uint32_t *uid = attr(h, sizeof *m, UNIX_DIAG_UID, sizeof *uid, NULL);
	if (uid)
		s.uid = *uid;
	*ret = s;
	return s.inode != 0;
}

struct unix_rows {
	struct unix_sock *dst;
	size_t n, max;
};

static bool unix_row(const struct nlmsghdr *h, void *arg)
{
	struct unix_rows *r = arg;
	if (r->n < r->max && sock_diag_parse_unix(h, &r->dst[r->n]))
		r->n++;
	return r->n < r->max;
}

static int dump_unix(uint32_t states, uint32_t show, diag_row fn, void *arg)
{
	struct {
		struct nlmsghdr h;
		struct unix_diag_req r;
	} req = {
		.h = { .nlmsg_len = sizeof req, .nlmsg_type = SOCK_DIAG_BY_FAMILY, .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP },
		.r = { .sdiag_family = AF_UNIX, .udiag_states = states, .udiag_show = UDIAG_SHOW_NAME | show },
	};
	struct iovec iov = { &req, sizeof req };
	return dump(&iov, 1, fn, arg);
}

int sock_diag_unix(struct unix_sock *dst, size_t max)
{
	struct unix_rows rows = { .dst = dst, .max = max };
	int r = dump_unix(1 << STATE_ESTABLISHED, UDIAG_SHOW_PEER, unix_row, &rows);
	return r < 0 ? r : (int)rows.n;
}

struct unix_each {
	bool (*fn)(const struct unix_sock *s, void *arg);
	void *arg;
};

static bool each_row(const struct nlmsghdr *h, void *arg)
{
	const struct unix_each *e = arg;
	struct unix_sock s;
	return !sock_diag_parse_unix(h, &s) || e->fn(&s, e->arg);
}

int sock_diag_unix_each(bool (*fn)(const struct unix_sock *s, void *arg), void *arg)
{
	struct unix_each e = { fn, arg };
	return dump_unix(~0U, UDIAG_SHOW_UID, each_row, &e);
}
