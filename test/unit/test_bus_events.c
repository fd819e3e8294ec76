/* Events from other processes: each is delivered once, gaps are reported, and the number of remembered origins is bounded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "bus/transport.h"
#include "lucid/str.h"
#include "test/lib/loop_rig.h"

#define A "00000000000000aa"
#define B "00000000000000bb"

static struct loop *loop;
static struct bus *bus;
static char heard[8192]; /* "topic:object;" of the events that subscribers received, in order */
static char carried[8192];
static int told, told_last;

static void on_event(const struct event *e, void *ctx)
{
	size_t n = strlen(ctx);
	if (n + 64 < sizeof heard)
		snprintf((char *)ctx + n, sizeof heard - n, "%s:%s;", e->topic, e->object_id);
}

static void on_carry(struct transport *t, const struct event *e)
{
	size_t n = strlen(carried);
	snprintf(carried + n, sizeof carried - n, "%s:%llu;", e->topic, (unsigned long long)e->seq);
	assert_string_equal(e->origin, "");
}

static struct transport carrier = { .name = "carrier", .publish = on_carry };

/* A few turns of the loop, in which queued events are delivered. */
static const char *run(void)
{
	heard[0] = carried[0] = 0;
	loop_rig_run_ms(loop, 5);
	return heard;
}

static enum bus_arrival foreign(const char *origin, uint64_t seq)
{
	char object[32];
	snprintf(object, sizeof object, "%c%llu", origin[15], (unsigned long long)seq);
	struct event e = { .origin = origin, .seq = seq, .topic = "t", .object_id = object, .user_id = "ann", .time_ms = 1 };
	return bus_deliver_foreign(bus, &e, json_object());
}

static int setup(void **state)
{
	loop = loop_new();
	bus = bus_new(loop);

	bus_subscribe(bus, "*", on_event, heard);
	bus_carry_events(bus, &carrier);
	told = 0;
	return 0;
}

static int teardown(void **state)
{
	bus_free(bus);
	loop_free(loop);
	return 0;
}

static void test_once(void **state)
{
	assert_int_equal(foreign(A, 7), BUS_NEW); /* the first event of an origin may have any number */
	assert_int_equal(foreign(A, 7), BUS_REPEATED);
	assert_int_equal(foreign(A, 6), BUS_REPEATED);
	assert_int_equal(foreign(A, 8), BUS_NEW);
	assert_int_equal(foreign(B, 1), BUS_NEW); /* each origin has its own numbers */
	assert_int_equal(foreign(B, 1), BUS_REPEATED);
	assert_string_equal(run(), "t:a7;t:a8;t:b1;");
	assert_string_equal(carried, ""); /* and foreign events are never carried on */
}

static void test_gap(void **state)
{
	foreign(A, 1);
	assert_int_equal(foreign(A, 4), BUS_AFTER_GAP);
	assert_int_equal(foreign(A, 3), BUS_REPEATED); /* too late: it was reported as missing */
	assert_int_equal(foreign(A, 5), BUS_NEW);
	assert_string_equal(run(), "t:a1;bus.gap:" A ";t:a4;t:a5;");
	bus_gap(bus, "");
	assert_string_equal(run(), "bus.gap:;");
	assert_string_equal(carried, "");
}

static void test_reached(void **state)
{
	bus_reached(bus, A, 5); /* the first contact: nothing was missed before it */
	bus_reached(bus, A, 5);
	assert_string_equal(run(), "");
	assert_int_equal(foreign(A, 5), BUS_REPEATED);
	assert_int_equal(foreign(A, 6), BUS_NEW);
	bus_reached(bus, A, 6);
	assert_string_equal(run(), "t:a6;");
	bus_reached(bus, A, 9);
	assert_string_equal(run(), "bus.gap:" A ";");
	bus_reached(bus, B, 0); /* it has published nothing yet: its first event must be number 1 */
	assert_int_equal(foreign(B, 2), BUS_AFTER_GAP);
	bus_reached(bus, A, 3); /* a delayed message changes nothing */
	assert_int_equal(foreign(A, 10), BUS_NEW);
	assert_string_equal(run(), "bus.gap:" B ";t:b2;t:a10;");
}

static void test_own_echo(void **state)
{
	bus_publish(bus, "mine", "x", "ann", NULL);
	assert_string_equal(run(), "mine:x;");
	assert_string_equal(carried, "mine:1;");
	assert_int_equal(strlen(bus_origin(bus)), 16);
	assert_int_equal(foreign(bus_origin(bus), 1), BUS_REPEATED);
	assert_int_equal(foreign(bus_origin(bus), 99), BUS_REPEATED);
	bus_reached(bus, bus_origin(bus), 99);
	assert_string_equal(run(), "");
}

/* An event that does not fit into the queue uses its number up, so that others detect the gap. */
static void test_dropped_leave_a_gap(void **state)
{
	for (int i = 0; i < 4096; i++)
		bus_publish(bus, "many", "", "", NULL);
	for (int i = 0; i < 3; i++)
		bus_publish(bus, "dropped", "", "", NULL);
	run();
	assert_null(strstr(heard, "dropped"));
	bus_publish(bus, "after", "", "", NULL);
	run();
	assert_string_equal(carried, "after:4100;");
}

static void name_of(char ret[17], int i)
{
	snprintf(ret, 17, "f%015x", i);
}

/* The origin that was silent longest is forgotten; afterwards it counts as new. */
static void test_origins_are_bounded(void **state)
{
	char name[17];
	foreign(A, 1);
	foreign(B, 1);
	for (int i = 1; i <= 254; i++) {
		name_of(name, i);
		foreign(name, 1);
	}
	assert_int_equal(foreign(B, 2), BUS_NEW); /* 256 are known, B is now the latest */
	run();
	name_of(name, 255);
	foreign(name, 1); /* the 257th: A is forgotten */
	assert_int_equal(foreign(B, 4), BUS_AFTER_GAP);
	assert_int_equal(foreign(A, 9), BUS_NEW);
	assert_non_null(strstr(run(), "bus.gap:" B ";"));
	assert_null(strstr(heard, "bus.gap:" A ";"));
}

static void on_carried(bool is, void *arg)
{
	assert_ptr_equal(arg, &told);
	told++;
	told_last = is;
}

static void test_carried(void **state)
{
	assert_false(bus_carried(bus));
	bus_on_carried(bus, on_carried, &told);
	bus_set_carried(bus, false);
	assert_int_equal(told, 0);
	bus_set_carried(bus, true);
	bus_set_carried(bus, true);
	assert_true(bus_carried(bus));
	assert_int_equal(told, 1);
	assert_true(told_last);
	bus_set_carried(bus, false);
	assert_int_equal(told, 2);
	assert_false(told_last);
	bus_on_carried(bus, NULL, NULL);
	bus_set_carried(bus, true);
	assert_int_equal(told, 2);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = { T(test_once), T(test_gap), T(test_reached), T(test_own_echo),
					    T(test_dropped_leave_a_gap), T(test_origins_are_bounded), T(test_carried) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
