#include <sys/socket.h>
#include <unistd.h>

#include "fuzz.h"
#include "bus/pair.h"
#include "sys/log.h"

/* The peer of the socket pair sends any bytes, in two pieces, and closes: the pair closes, and nothing is leaked. */
static struct loop *loop;
static struct bus *bus;
static struct pair *pair;

static void on_closed(void *arg)
{
	pair_free(TAKE_PTR(pair));
	loop_stop(loop);
}

static void give_up(void *arg)
{
	abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct pair_events events = { .on_closed = on_closed };
	static struct loop_timer *timer;
	int ends[2];
	if (!loop) {
		log_set_level(LOG_ERROR_ + 1);
		loop = loop_new();
		bus = bus_new(loop);
		timer = loop_timer_new(loop, give_up, NULL);
	}
	if (size > 100000 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
		return 0;
	pair = pair_new(loop, bus, ends[0], &events, NULL);
	if (write(ends[1], data, size / 2) < 0 || write(ends[1], data + size / 2, size - size / 2) < 0)
		abort();
	close(ends[1]);
	loop_timer_set(timer, 20000);
	loop_run(loop);
	loop_timer_clear(timer);
	return 0;
}
