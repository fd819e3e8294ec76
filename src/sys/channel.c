#include "sys/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lucid/clock.h"
#include "lucid/errs.h"

struct header {
	uint32_t len;
	uint8_t kind, nfds;
	uint16_t secret; /* 1 or 0 */
};

struct out {
	struct list node;
	size_t len, sent;
	int fds[CHANNEL_MAX_FDS];
	size_t nfds; /* 0 once they were sent, with the first bytes */
	bool secret;
	char data[];
};

struct channel {
	struct loop *loop;
	int fd;
	struct loop_io *io;
	struct channel_events events;
	void *arg;
	struct list queue;
	size_t queued;
	bool closed;
	const char *fault; /* static: how the peer broke the protocol */
	struct loop_task closing;
	/* received */
	char *in;
	size_t in_len, in_cap;
	int in_fds[CHANNEL_MAX_FDS]; /* of the next frame */
	size_t in_nfds;
	bool lost_fds; /* this process was out of descriptors for some of the next frame */
};

static void on_io(int events, void *arg);

static void on_closing(struct loop_task *t)
{
	struct channel *c = CONTAINER_OF(t, struct channel, closing);
	c->events.on_closed(c->arg);
}

static void drop_in_fds(struct channel *c)
{
	while (c->in_nfds)
		close(c->in_fds[--c->in_nfds]);
}

static void fail(struct channel *c)
{
	if (c->closed)
		return;
	c->closed = true;
	drop_in_fds(c);
	loop_io_set(c->io, 0);
	loop_defer(c->loop, &c->closing);
}

static void fail_fault(struct channel *c, const char *fault)
{
	if (!c->closed)
		c->fault = fault;
	fail(c);
}

const char *channel_fault(const struct channel *c)
{
	return c->fault;
}

struct channel *channel_new(struct loop *l, int fd, const struct channel_events *events, void *arg)
{
	struct channel *c = XNEW(struct channel);
	c->loop = l;
	c->fd = fd;
	c->events = *events;
	c->arg = arg;
	list_init(&c->queue);
	loop_task_init(&c->closing, on_closing);
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	c->io = loop_io_new(l, fd, LOOP_READ, on_io, c);
	return c;
}

static void out_free(struct channel *c, struct out *o)
{
	list_remove(&o->node);
	c->queued -= sizeof *o + o->len;
	for (size_t i = 0; i < o->nfds; i++)
		close(o->fds[i]);
	if (o->secret)
		mem_wipe(o->data, o->len);
	free(o);
}

void channel_free(struct channel *c)
{
	struct out *o, *tmp;
	if (!c)
		return;
	loop_undefer(&c->closing);
	loop_io_free(c->io);
	LIST_FOREACH_SAFE(o, tmp, &c->queue, node)
		out_free(c, o);
	drop_in_fds(c);
	close(c->fd);
	mem_wipe(c->in, c->in_cap); /* it may contain part of a frame with a secret */
	free(c->in);
	free(c);
}

/* --- sending */

static ssize_t send_some(struct channel *c, struct out *o)
{
	struct iovec iov = { o->data + o->sent, o->len - o->sent };
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(sizeof(int) * CHANNEL_MAX_FDS)];
	} control;
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
	if (o->nfds) {
		memset(&control, 0, sizeof control);
		m.msg_control = &control;
		m.msg_controllen = CMSG_SPACE(sizeof(int) * o->nfds);
		struct cmsghdr *h = CMSG_FIRSTHDR(&m);
		h->cmsg_level = SOL_SOCKET;
		h->cmsg_type = SCM_RIGHTS;
		h->cmsg_len = CMSG_LEN(sizeof(int) * o->nfds);
		memcpy(CMSG_DATA(h), o->fds, sizeof(int) * o->nfds);
	}
	ssize_t n = sendmsg(c->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n > 0) {
		while (o->nfds)
			close(o->fds[--o->nfds]);
	}
	return n;
}

static void write_queue(struct channel *c)
{
	while (!list_empty(&c->queue)) {
		struct out *o = CONTAINER_OF(c->queue.next, struct out, node);
		ssize_t n = send_some(c, o);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			if (errno != EAGAIN)
				fail(c);
			break;
		}
		o->sent += (size_t)n;
		if (o->sent == o->len)
			out_free(c, o);
	}
	if (!c->closed)
		loop_io_set(c->io, LOOP_READ | (list_empty(&c->queue) ? 0 : LOOP_WRITE));
}

static int queue(struct channel *c, struct header h, const void *data, const int *fds, size_t max)
{
	size_t len = h.len, nfds = h.nfds;
	/* the overhead of a frame counts, so that the number of small frames is bounded too */
	if (c->queued + sizeof(struct out) + sizeof h + len > max)
		return -ERR_BUSY;
	struct out *o = xcalloc(1, sizeof *o + sizeof h + len);
	o->len = sizeof h + len;
	o->secret = h.secret;
	memcpy(o->data, &h, sizeof h);
	if (len)
		memcpy(o->data + sizeof h, data, len);
	for (size_t i = 0; i < nfds; i++) {
		int copy = fcntl(fds[i], F_DUPFD_CLOEXEC, 3);
		if (copy < 0) {
			c->queued += sizeof *o + o->len;
			list_init(&o->node);
			out_free(c, o);
			return -ERR_BUSY;
		}
		o->fds[o->nfds++] = copy;
	}
	list_append(&c->queue, &o->node);
	c->queued += sizeof *o + o->len;
	write_queue(c);
	return 0;
}

int channel_send(struct channel *c, uint8_t kind, const void *data, size_t len, const int *fds, size_t nfds)
{
	if (c->closed)
		return -ERR_UNAVAILABLE;
	if (len > CHANNEL_FRAME_MAX || nfds > CHANNEL_MAX_FDS)
		return -ERR_TOO_LARGE;
	return queue(c, (struct header){ .len = (uint32_t)len, .kind = kind, .nfds = (uint8_t)nfds }, data, fds,
		     CHANNEL_QUEUE_MAX);
}

int channel_send_control(struct channel *c, uint8_t kind, const void *data, size_t len)
{
	if (c->closed)
		return -ERR_UNAVAILABLE;
	if (len > CHANNEL_FRAME_MAX)
		return -ERR_TOO_LARGE;
	int rc = queue(c, (struct header){ .len = (uint32_t)len, .kind = kind }, data, NULL, CHANNEL_QUEUE_MAX + CHANNEL_RESERVE);
	if (rc == -ERR_BUSY)
		fail_fault(c, "the peer does not read, and the send queue is full");
	return rc;
}

int channel_send_secret(struct channel *c, uint8_t kind, const void *data, size_t len)
{
	if (c->closed)
		return -ERR_UNAVAILABLE;
	if (len > CHANNEL_FRAME_MAX)
		return -ERR_TOO_LARGE;
	return queue(c, (struct header){ .len = (uint32_t)len, .kind = kind, .secret = 1 }, data, NULL, CHANNEL_QUEUE_MAX);
}

void channel_flush(struct channel *c, int ms)
{
	int64_t end = clock_mono_ms() + ms;
	while (!c->closed && !list_empty(&c->queue) && clock_mono_ms() < end) {
		struct pollfd p = { .fd = c->fd, .events = POLLOUT };
		if (poll(&p, 1, 50) > 0)
			write_queue(c);
	}
}

/* --- receiving */

/* False: more descriptors arrived than one frame may carry, or the kernel dropped some although none were expected. */
static bool take_fds(struct channel *c, struct msghdr *m)
{
	/* MSG_CTRUNC is also set when this process is out of descriptors; that is no fault of a peer that may send some */
	bool ok = !(m->msg_flags & MSG_CTRUNC) || c->events.fds_max;
	c->lost_fds |= (m->msg_flags & MSG_CTRUNC) != 0;
	for (struct cmsghdr *h = CMSG_FIRSTHDR(m); h; h = CMSG_NXTHDR(m, h)) {
		if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
			continue;
		size_t n = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < n; i++) {
			int fd;
			memcpy(&fd, CMSG_DATA(h) + i * sizeof fd, sizeof fd);
			if (c->in_nfds < ARRAY_LEN(c->in_fds))
				c->in_fds[c->in_nfds++] = fd;
			else {
				close(fd);
				ok = false;
			}
		}
	}
	return ok;
}

static const char *header_fault(struct channel *c, const struct header *h)
{
	size_t fds_max = c->events.fds_max ? c->events.fds_max(h->kind, c->arg) : 0;
	if (h->len > CHANNEL_FRAME_MAX || h->nfds > CHANNEL_MAX_FDS || h->secret > 1)
		return "it sent a malformed frame";
	return h->nfds > fds_max ? "it sent descriptors with a frame that must not carry any" : NULL;
}

/* Passes every complete frame at the start of the buffer to on_frame. Returns how the peer broke the protocol, or NULL. */
static const char *give_frames(struct channel *c)
{
	size_t at = 0, expected = c->events.fds_max ? CHANNEL_MAX_FDS : 0;
	bool secret = false;
	struct header h;
	const char *fault = NULL;
	while (!c->closed && c->in_len - at >= sizeof h) {
		memcpy(&h, c->in + at, sizeof h);
		if ((fault = header_fault(c, &h)))
			break;
		expected = h.nfds;
		if (c->in_len - at < sizeof h + h.len)
			break;
		size_t nfds = MIN((size_t)h.nfds, c->in_nfds);
		if (h.nfds > nfds && !c->lost_fds) {
			fault = "it announced a descriptor but did not send it";
			break;
		}
		char *data = c->in + at + sizeof h, saved = data[h.len];
		int fds[CHANNEL_MAX_FDS];
		memcpy(fds, c->in_fds, nfds * sizeof(int));
		c->in_nfds -= nfds;
		memmove(c->in_fds, c->in_fds + nfds, c->in_nfds * sizeof(int));
		c->lost_fds &= h.nfds == 0;
		data[h.len] = 0; /* the buffer is one byte larger than in_cap */
		c->events.on_frame(h.kind, data, h.len, fds, nfds, c->arg);
		data[h.len] = saved;
		at += sizeof h + h.len;
		secret |= h.secret;
		expected = c->in_len > at && c->events.fds_max ? CHANNEL_MAX_FDS : 0;
	}
	if (at)
		memmove(c->in, c->in + at, c->in_len - at);
	c->in_len -= at;
	if (secret) /* everything behind the unread bytes, which includes where parts of the frame were before the move */
		mem_wipe(c->in + c->in_len, c->in_cap - c->in_len);
	if (!c->in_len && c->in_cap > 256u << 10) { /* free the buffer of a large frame */
		free(c->in);
		c->in = NULL;
		c->in_cap = 0;
	}
	if (!fault && c->in_nfds > expected)
		fault = "it sent descriptors that belong to no frame";
	return fault;
}

/* Not by realloc: the memory that it frees may contain part of a secret. */
static void grow(struct channel *c)
{
	size_t cap = MAX(c->in_cap * 2, (size_t)16384);
	char *in = xmalloc(cap + 1);
	if (c->in_len)
		memcpy(in, c->in, c->in_len);
	mem_wipe(c->in, c->in_cap);
	free(c->in);
	c->in = in;
	c->in_cap = cap;
}

static void read_some(struct channel *c)
{
	if (c->in_cap - c->in_len < 8192)
		grow(c);
	struct iovec iov = { c->in + c->in_len, c->in_cap - c->in_len };
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(sizeof(int) * CHANNEL_MAX_FDS)];
	} control;
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control };
	ssize_t n = recvmsg(c->fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		fail(c);
		return;
	}
	const char *fault = take_fds(c, &m) ? NULL : "it sent more descriptors than one frame may carry";
	c->in_len += (size_t)n;
	if (!fault)
		fault = give_frames(c);
	if (fault)
		fail_fault(c, fault);
}

static void on_io(int events, void *arg)
{
	struct channel *c = arg;
	if (events & LOOP_WRITE)
		write_queue(c);
	if (events & LOOP_READ && !c->closed)
		read_some(c);
}
