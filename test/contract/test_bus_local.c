#include "bus_suite.h"

/* The local transport: the calling and the serving side are one bus. */
static void fixture_make(struct bus_fixture *f)
{
	f->asks = f->serves = bus_new(f->loop);
	f->carries_events = true;
}

static void fixture_unmake(struct bus_fixture *f)
{
	bus_free(f->asks);
}

int main(void)
{
	return bus_suite_run();
}
