#include "bus_suite.h"

#include <sys/socket.h>

#include "bus/pair.h"
#include "roles/contract/contract.h"

/* Two buses connected by a socket pair, like server and supervisor. */
struct ends {
	struct pair *asks, *serves;
};

static void on_asks_closed(void *arg)
{
	struct bus_fixture *f = arg;
	struct ends *e = f->own;
	bus_route(f->asks, ROLE_SERVERS, NULL);
	pair_free(TAKE_PTR(e->asks));
}

static void cut(struct bus_fixture *f)
{
	struct ends *e = f->own;
	bus_carry_events(f->serves, NULL);
	pair_free(TAKE_PTR(e->serves));
}

static void fixture_make(struct bus_fixture *f)
{
	static const struct pair_events quiet = { 0 }, closes = { .on_closed = on_asks_closed };
	struct ends *e = XNEW(struct ends);
	int fds[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	f->own = e;
	f->asks = bus_new(f->loop);
	f->serves = bus_new(f->loop);
	e->asks = pair_new(f->loop, f->asks, fds[0], &closes, f);
	e->serves = pair_new(f->loop, f->serves, fds[1], &quiet, f);
	bus_route(f->asks, ROLE_SERVERS, pair_transport(e->asks));
	bus_carry_events(f->serves, pair_transport(e->serves));
	f->carries_events = true;
	f->cut = cut;
}

static void fixture_unmake(struct bus_fixture *f)
{
	struct ends *e = f->own;
	pair_free(e->asks);
	pair_free(e->serves);
	bus_free(f->asks);
	bus_free(f->serves);
	free(e);
}

int main(void)
{
	return bus_suite_run();
}
