/* The cost of a local call: bus_call to a handler in the same process, with the row checked and the response delivered in a later turn. A
 * burst of calls in each turn, as from many connections. Prints nanoseconds of CPU for each call, for an empty document and for a
 * small one. */
#include <stdio.h>
#include <time.h>

#include "bus/transport.h"
#include "lucid/loop.h"

#define BURST 64
#define ROUNDS 20000

static const struct shape_field fields[] = { { "name", SH_STRING, .min = 1, .max = 64, .format = "name" }, { "n", SH_INT, .min = 0, .max = 9 } };
static const struct shape shape = SHAPE(NULL, fields);
static const struct op op = { .name = "bench.call", .role = "bench", .in = &shape };

static struct loop *loop;
static struct bus *bus;
static json_t *body;
static long answers, rounds;
static struct loop_task again;

static void handle(struct call *c, void *ctx)
{
	call_ok(c, NULL);
}

static void done(const struct reply *r, void *arg)
{
	if (++answers % BURST)
		return;
	if (++rounds < ROUNDS)
		loop_defer(loop, &again);
	else
		loop_stop(loop);
}

static void burst(struct loop_task *t)
{
	for (int i = 0; i < BURST; i++)
		bus_call(bus, &(struct call_args){ .op = &op, .body = body }, done, NULL);
}

static double cpu_ns(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

static double run(json_t *with)
{
	body = with;
	answers = rounds = 0;
	double start = cpu_ns();
	loop_defer(loop, &again);
	loop_run(loop);
	return (cpu_ns() - start) / ((double)ROUNDS * BURST);
}

int main(void)
{
	loop = loop_new();
	bus = bus_new(loop);
	loop_task_init(&again, burst);
	bus_serve(bus, &op, handle, NULL);
	json_t *empty = json_object(), *small = json_pack("{s:s,s:i}", "name", "desk", "n", 3);
	run(empty);
	printf("local_call_empty_ns %.0f\n", run(empty));
	printf("local_call_small_ns %.0f\n", run(small));
	return 0;
}
