#include "sys/accept.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lucid/clock.h"
#include "lucid/log.h"

#define LOG_EVERY_MS 10000

int accept_reserve(void)
{
	return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

bool accept_is_starved(int err)
{
	return err == EMFILE || err == ENFILE || err == ENOMEM || err == ENOBUFS;
}

size_t accept_shed(int *reserve, int listen_fd, size_t max, const char *words)
{
	size_t n = 0;
	for (; n < max; n++) {
		fd_close(reserve); /* frees a descriptor for accept4 */
		_cleanup_(closep) int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd < 0)
			break;
		if (words && send(fd, words, strlen(words), MSG_NOSIGNAL | MSG_DONTWAIT) > 0)
			shutdown(fd, SHUT_WR);
	}
	if (*reserve < 0)
		*reserve = accept_reserve();
	return n;
}

struct accepter {
	int listen_fd, reserve;
	const char *what;
	struct loop_io *io;
	struct loop_timer *again;
	int64_t told_ms;
	void (*fn)(int fd, void *arg);
	void *arg;
};

static void on_listener_again(void *arg)
{
	struct accepter *a = arg;
	if (a->reserve < 0)
		a->reserve = accept_reserve();
	loop_io_set(a->io, LOOP_READ);
}

static void starve(struct accepter *a, int err)
{
	int64_t now = clock_mono_ms();
	if (!a->told_ms || now - a->told_ms > LOG_EVERY_MS) {
		a->told_ms = now;
		log_error("accept", "cannot accept connections of %s: %s%s", a->what, strerror(err),
			  err == EMFILE || err == ENFILE ? "; raise the limit on open files (LimitNOFILE)" : "");
	}
	if (accept_is_starved(err))
		accept_shed(&a->reserve, a->listen_fd, 1, NULL);
	loop_io_set(a->io, 0);
	loop_timer_set(a->again, ACCEPT_PAUSE_MS);
}

static void on_readable(UNUSED int events, void *arg)
{
	struct accepter *a = arg;
	int fd = accept4(a->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd >= 0)
		a->fn(fd, a->arg);
	else if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
		starve(a, errno);
}

struct accepter *accepter_new(struct loop *l, int listen_fd, const char *what, void (*fn)(int fd, void *arg), void *arg)
{
	struct accepter *a = XNEW(struct accepter);
	*a = (struct accepter){ .listen_fd = listen_fd, .reserve = accept_reserve(), .what = what, .fn = fn, .arg = arg };
	a->again = loop_timer_new(l, on_listener_again, a);
	a->io = loop_io_new(l, listen_fd, LOOP_READ, on_readable, a);
	return a;
}

void accepter_free(struct accepter *a)
{
	if (!a)
		return;
	loop_io_free(a->io);
	loop_timer_free(a->again);
	fd_close(&a->reserve);
	free(a);
}
