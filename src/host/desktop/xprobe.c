#include "host/desktop/xprobe.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <stdio.h>
#include <sys/fsuid.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "host/kernel/proc.h"
#include "lucid/clock.h"

/* Deadline of each of the three exchanges, which run with all X servers in parallel: a stopped server delays the others no longer. */
#define ROUND_MS 300
#define AUTHORITY_MAX (64 * 1024)
#define COOKIE_NAME "MIT-MAGIC-COOKIE-1"
#define SAVER_NAME "MIT-SCREEN-SAVER"

/* X11 protocol, as in X11/Xproto.h and saverproto.h; little-endian was chosen in the greeting. */
enum { X_QUERY_EXTENSION = 98, SAVER_QUERY_INFO = 1, X_REPLY = 1 };

static uint32_t le32(const unsigned char *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static unsigned le16(const unsigned char *p)
{
	return (unsigned)p[0] | (unsigned)p[1] << 8;
}

/* --- the cookie */

/* A counted string of the authority file (two bytes of length, big-endian); false if it is truncated. */
static bool counted(const unsigned char **p, const unsigned char *end, const unsigned char **ret, size_t *ret_len)
{
	if (end - *p < 2)
		return false;
	size_t n = (size_t)(*p)[0] << 8 | (*p)[1];
	if ((size_t)(end - *p - 2) < n)
		return false;
	*ret = *p + 2;
	*ret_len = n;
	*p += 2 + n;
	return true;
}

bool xprobe_find_cookie(const unsigned char *text, size_t len, int display, unsigned char ret[XPROBE_COOKIE])
{
	const unsigned char *p = text, *end = text + len;
	char want[12];
	size_t want_len = (size_t)snprintf(want, sizeof want, "%d", display);
	bool found = false;
	while (end - p > 2) {
		const unsigned char *address, *number, *name, *data;
		size_t address_len, number_len, name_len, data_len;
		p += 2; /* family */
		if (!counted(&p, end, &address, &address_len) || !counted(&p, end, &number, &number_len) ||
		    !counted(&p, end, &name, &name_len) || !counted(&p, end, &data, &data_len))
			break;
		if (number_len != want_len || memcmp(number, want, want_len) != 0 || data_len != XPROBE_COOKIE ||
		    name_len != strlen(COOKIE_NAME) || memcmp(name, COOKIE_NAME, name_len) != 0)
			continue;
		memcpy(ret, data, XPROBE_COOKIE); /* the last one counts, because xauth appends */
		found = true;
	}
	return found;
}

/* The arguments of the X server name the file, relative to its working directory. It is opened with the rights of its owner. */
static bool read_cookie(const struct xprobe *x, unsigned char ret[XPROBE_COOKIE])
{
	char args[4096], cwd_path[40];
	size_t args_len = proc_cmdline(x->x_pid, args, sizeof args);
	const char *file = proc_arg_after(args, args_len, "-auth");
	snprintf(cwd_path, sizeof cwd_path, "/proc/%d/cwd", (int)x->x_pid);
	_cleanup_(closep) int cwd = open(cwd_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (!file || cwd < 0)
		return false;
	setfsgid(x->gid);
	setfsuid(x->uid);
	_cleanup_(closep) int fd = openat(cwd, file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	setfsuid(0);
	setfsgid(0);
	struct stat st;
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size > AUTHORITY_MAX)
		return false;
	_cleanup_(xfreep) unsigned char *text = xmalloc(AUTHORITY_MAX);
	ssize_t n = read(fd, text, AUTHORITY_MAX);
	return n > 0 && xprobe_find_cookie(text, (size_t)n, x->display, ret);
}

/* --- one X server */

struct talk {
	int fd, display;
	uint32_t root;
	unsigned char saver; /* major opcode of the extension */
	int64_t idle_ms;
};

static bool read_all(int fd, void *dst, size_t len, int64_t until_ms)
{
	char *p = dst;
	while (len) {
		struct pollfd pfd = { .fd = fd, .events = POLLIN };
		int64_t left = until_ms - clock_mono_ms();
		if (poll(&pfd, 1, (int)MAX(left, 0)) <= 0)
			return false;
		ssize_t n = recv(fd, p, len, MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (n <= 0)
			return false;
		p += n;
		len -= (size_t)n;
	}
	return true;
}

static bool send_all(int fd, const void *data, size_t len)
{
	return send(fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)len;
}

int xprobe_connect(const struct xprobe *x, unsigned char ret_cookie[XPROBE_COOKIE])
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	struct ucred who;
	socklen_t len = sizeof who;
	_cleanup_(closep) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	snprintf(a.sun_path, sizeof a.sun_path, "/proc/%d/root/tmp/.X11-unix/X%d", (int)x->x_pid, x->display);
	if (fd < 0 || !proc_alive(x->x_pid, x->x_start) || !read_cookie(x, ret_cookie))
		return -1;
	if (connect(fd, (struct sockaddr *)&a, sizeof a) < 0 || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) < 0 ||
	    (who.uid != x->uid && who.uid != 0)) {
		mem_wipe(ret_cookie, XPROBE_COOKIE);
		return -1;
	}
	return TAKE_FD(fd);
}

static bool setup_send(struct talk *t, const struct xprobe *x)
{
	unsigned char cookie[XPROBE_COOKIE];
	t->display = x->display;
	t->fd = xprobe_connect(x, cookie);
	if (t->fd < 0)
		return false;
	struct {
		unsigned char order, pad;
		uint16_t major, minor, name_len, data_len, pad2;
		char name[20];
		unsigned char data[XPROBE_COOKIE];
	} hello = { .order = 'l', .major = htole16(11), .name_len = htole16(sizeof COOKIE_NAME - 1),
		    .data_len = htole16(XPROBE_COOKIE) };
	memcpy(hello.name, COOKIE_NAME, sizeof COOKIE_NAME - 1);
	memcpy(hello.data, cookie, sizeof cookie);
	mem_wipe(cookie, sizeof cookie);
	return send_all(t->fd, &hello, sizeof hello);
}

bool xprobe_root_window(const unsigned char *setup, size_t len, uint32_t *ret)
{
	if (len < 32)
		return false;
	size_t vendor = le16(setup + 16), formats = setup[21];
	size_t at = 32 + (vendor + 3) / 4 * 4 + formats * 8;
	if (setup[20] == 0 || at + 4 > len)
		return false;
	*ret = le32(setup + at);
	return true;
}

static bool setup_receive(struct talk *t, int64_t until_ms)
{
	unsigned char head[8];
	if (!read_all(t->fd, head, sizeof head, until_ms) || head[0] != 1)
		return false;
	size_t len = (size_t)le16(head + 6) * 4;
	_cleanup_(xfreep) unsigned char *setup = xmalloc(len);
	if (!read_all(t->fd, setup, len, until_ms) || !xprobe_root_window(setup, len, &t->root))
		return false;
	struct {
		unsigned char opcode, pad;
		uint16_t length, name_len, pad2;
		char name[16];
	} query = { .opcode = X_QUERY_EXTENSION, .length = htole16(6), .name_len = htole16(sizeof SAVER_NAME - 1) };
	memcpy(query.name, SAVER_NAME, sizeof SAVER_NAME - 1);
	return send_all(t->fd, &query, sizeof query);
}

/* A reply of 32 bytes; events before it are skipped. */
static bool reply_receive(struct talk *t, unsigned char reply[32], int64_t until_ms)
{
	for (int i = 0; i < 16; i++) {
		if (!read_all(t->fd, reply, 32, until_ms) || reply[0] == 0)
			return false;
		if (reply[0] == X_REPLY)
			return true;
	}
	return false;
}

static bool extension_receive(struct talk *t, int64_t until_ms)
{
	unsigned char reply[32];
	if (!reply_receive(t, reply, until_ms) || !reply[8])
		return false;
	struct {
		unsigned char major, minor;
		uint16_t length;
		uint32_t drawable;
	} query = { .major = reply[9], .minor = SAVER_QUERY_INFO, .length = htole16(2),
		    .drawable = htole32(t->root) };
	return send_all(t->fd, &query, sizeof query);
}

static bool idle_receive(struct talk *t, int64_t until_ms)
{
	unsigned char reply[32];
	if (!reply_receive(t, reply, until_ms))
		return false;
	t->idle_ms = le32(reply + 16);
	return true;
}

int xprobe_question(void *arg, int fd)
{
	static bool (*const rounds[])(struct talk *, int64_t) = { setup_receive, extension_receive, idle_receive };
	const struct xprobes *all = arg;
	struct talk *talks = xcalloc(all->n, sizeof *talks);
	if (geteuid() == 0 && setgroups(0, NULL) < 0)
		return 1;
	for (size_t i = 0; i < all->n; i++)
		if (!setup_send(&talks[i], &all->probe[i]))
			fd_close(&talks[i].fd);
	for (size_t r = 0; r < ARRAY_LEN(rounds); r++) {
		int64_t until_ms = clock_mono_ms() + ROUND_MS;
		for (size_t i = 0; i < all->n; i++)
			if (talks[i].fd >= 0 && !rounds[r](&talks[i], until_ms))
				fd_close(&talks[i].fd);
	}
	for (size_t i = 0; i < all->n; i++)
		if (talks[i].fd >= 0)
			dprintf(fd, "%d %lld\n", talks[i].display, (long long)talks[i].idle_ms);
	free(talks);
	return 0;
}
