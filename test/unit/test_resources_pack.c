/* Packing of figures, and how samples become slots: what is read back, what it costs, and what a damaged document does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants these first */
#include <cmocka.h>

#include <math.h>
#include <stdio.h>

#include "lucid/str.h"
#include "roles/rdp-resource-monitor/history/pack.h"

#define START 1764460800000 /* the beginning of an hour */
#define NEAR(a, b) assert_true(fabs((a) - (b)) < 1e-6)

struct read {
	size_t n;
	struct point at[20000];
};
static struct read got;

static void collect(const struct point *p, void *arg)
{
	got.at[got.n++] = *p;
}

static bool read_back(const struct pack *p, unsigned wanted)
{
	_cleanup_(doc_unrefp) json_t *doc = json_object();
	doc_set_int(doc, "start", START);
	pack_write(p, doc);
	_cleanup_(xfreep) char *text = doc_text(doc);
	_cleanup_(doc_unrefp) json_t *stored = doc_parse(text, strlen(text), NULL, 0);
	assert_non_null(stored);
	got.n = 0;
	return pack_each(stored, wanted, collect, NULL);
}

static struct point blank(int64_t time_ms)
{
	double v[RES_COUNT];
	struct point p;
	for (int r = 0; r < RES_COUNT; r++)
		v[r] = NAN;
	point_from(&p, time_ms, v);
	return p;
}

static void set(struct point *p, enum resource r, double mean, double lo, double hi)
{
	p->of[r] = (struct reading){ mean, lo, hi };
}

static void test_points_are_read_back_as_they_were(UNUSED void **state)
{
	static const double cpu[] = { 0, 12.345, NAN, 100, 0.001 }, mem[] = { NAN, NAN, 1048576, 3e12, 0 };
	struct pack *p = pack_new(START, false);
	assert_int_equal(pack_last_ms(p), -1);
	for (size_t i = 0; i < ARRAY_LEN(cpu); i++) {
		struct point x = blank(START + (int64_t)i * 30000 + 7);
		set(&x, RES_CPU, cpu[i], cpu[i], cpu[i]);
		set(&x, RES_MEMORY, mem[i], mem[i], mem[i]);
		assert_true(pack_add(p, &x));
	}
	assert_int_equal(pack_count(p), 5);
	assert_int_equal(pack_last_ms(p), START + 120000);
	assert_true(read_back(p, PACK_ALL));
	assert_int_equal(got.n, 5);
	for (size_t i = 0; i < got.n; i++) {
		assert_int_equal(got.at[i].time_ms, START + (int64_t)i * 30000);
		assert_int_equal(isnan(got.at[i].of[RES_CPU].mean), isnan(cpu[i]));
		assert_int_equal(isnan(got.at[i].of[RES_MEMORY].hi), isnan(mem[i]));
		assert_true(isnan(cpu[i]) || fabs(got.at[i].of[RES_CPU].mean - cpu[i]) < 1e-6);
		assert_true(isnan(mem[i]) || fabs(got.at[i].of[RES_MEMORY].lo - mem[i]) < 1024);
		assert_true(isnan(got.at[i].of[RES_TASKS].mean));
	}
	assert_true(read_back(p, 1u << RES_MEMORY)); /* only one column */
	assert_true(isnan(got.at[3].of[RES_CPU].mean));
	NEAR(got.at[3].of[RES_MEMORY].mean / 3e12, 1);
	pack_free(p);
}

static void test_rolled_points_keep_minimum_maximum_and_number(UNUSED void **state)
{
	struct pack *p = pack_new(START, true);
	for (int i = 0; i < 3; i++) {
		struct point x = blank(START + i * 300000);
		x.n = (uint32_t)(10 - i);
		set(&x, RES_CPU, 50 - i, 10, 90 + i);
		assert_true(pack_add(p, &x));
	}
	assert_true(read_back(p, PACK_ALL));
	NEAR(got.at[2].of[RES_CPU].mean, 48);
	NEAR(got.at[2].of[RES_CPU].lo, 10);
	NEAR(got.at[2].of[RES_CPU].hi, 92);
	assert_int_equal(got.at[2].n, 8);
	pack_free(p);
}

static void test_points_are_added_in_order_and_once(UNUSED void **state)
{
	struct pack *p = pack_new(START, false);
	struct point a = blank(START + 5000), again = blank(START + 5900), before = blank(START + 4000), early = blank(START - 1);
	assert_false(pack_add(p, &early));
	assert_true(pack_add(p, &a));
	assert_false(pack_add(p, &again)); /* the same second */
	assert_false(pack_add(p, &before));
	assert_int_equal(pack_count(p), 1);
	pack_free(p);
}

static void test_a_pack_that_was_read_can_be_continued(UNUSED void **state)
{
	struct pack *p = pack_new(START, true);
	for (int i = 0; i < 4; i++) {
		struct point x = blank(START + i * 300000);
		set(&x, RES_NET_IN, i * 10, i * 5, i * 20);
		if (i == 2) { /* as after a restart */
			_cleanup_(doc_unrefp) json_t *doc = json_object();
			doc_set_int(doc, "start", START);
			pack_write(p, doc);
			pack_free(p);
			p = pack_read(doc, true);
			assert_int_equal(pack_last_ms(p), START + 300000);
		}
		assert_true(pack_add(p, &x));
	}
	assert_true(read_back(p, PACK_ALL));
	assert_int_equal(got.n, 4);
	NEAR(got.at[3].of[RES_NET_IN].mean, 30);
	NEAR(got.at[3].of[RES_NET_IN].hi, 60);
	pack_free(p);
}

static void test_damaged_document_ends_the_reading(UNUSED void **state)
{
	static const char *const damaged[] = {
		"{\"start\":0,\"n\":3,\"t\":\"AeA\",\"m\":{\"cpu_percent\":\"C\"}}",	   /* a column that is too short */
		"{\"start\":0,\"n\":3,\"t\":\"A e\",\"m\":{}}",				   /* no letter */
		"{\"start\":0,\"n\":2,\"t\":\"A\",\"m\":{}}",				   /* too few times */
		"{\"start\":0,\"n\":2,\"t\":\"Ae\",\"m\":{\"cpu_percent\":\"C______________B\"}}", /* a number without end */
		"{\"start\":0,\"n\":9000000000,\"t\":\"\",\"m\":{}}",
		"{\"start\":0,\"n\":2,\"t\":7,\"m\":[]}",
	};
	for (size_t i = 0; i < ARRAY_LEN(damaged); i++) {
		_cleanup_(doc_unrefp) json_t *doc = doc_parse(damaged[i], strlen(damaged[i]), NULL, 0);
		assert_non_null(doc);
		got.n = 0;
		assert_false(pack_each(doc, PACK_ALL, collect, NULL));
		assert_true(got.n <= 1);
		pack_free(pack_read(doc, true));
	}
}

/* A year of 50 servers must fit into 300 MB: hourly figures of a year, 5-minute figures of 30 days and samples of a day, of servers in use. */
static size_t stored_size(int points, int64_t step_ms, bool rolled)
{
	struct pack *p = pack_new(START, rolled);
	unsigned seed = 1;
	for (int i = 0; i < points; i++) {
		struct point x = blank(START + i * step_ms);
		x.n = 10;
		for (int r = 0; r < RES_LOAD; r++) {
			double most = r == RES_MEMORY ? 2e9 : r == RES_TASKS ? 300 : r == RES_IO_READ || r == RES_IO_WRITE ? 1e6 : 100;
			seed = seed * 1103515245 + 12345;
			double v = most * (0.5 + 0.1 * ((seed >> 16) % 1000) / 1000.0);
			set(&x, (enum resource)r, v, v * 0.8, v * 1.3);
		}
		assert_true(pack_add(p, &x));
	}
	_cleanup_(doc_unrefp) json_t *doc = json_object();
	pack_write(p, doc);
	_cleanup_(xfreep) char *text = doc_text(doc);
	pack_free(p);
	return strlen(text);
}

static void test_a_year_of_fifty_servers_takes_less_than_300_mb(UNUSED void **state)
{
	size_t hourly = stored_size(366 * 24, 3600000, true), five = stored_size(30 * 288, 300000, true), raw = stored_size(2880, 30000, false);
	printf("a server: %zu kB hourly, %zu kB in 5 minutes, %zu kB raw\n", hourly / 1000, five / 1000, raw / 1000);
	assert_true((hourly + five + raw) * 50 < 300000000);
}

static void test_slot_is_complete_when_a_later_one_begins(UNUSED void **state)
{
	struct slot s = { 0 };
	struct point out;
	static const struct {
		int64_t at;
		double v;
	} in[] = { { 10, 10 }, { 100, 30 }, { 299, NAN }, { 250, 20 } };
	for (size_t i = 0; i < ARRAY_LEN(in); i++) {
		struct point p = blank(START + in[i].at * 1000);
		set(&p, RES_CPU, in[i].v, in[i].v, in[i].v);
		assert_false(slot_add(&s, 300000, &p, &out));
	}
	struct point next = blank(START + 301000), late = blank(START + 200000);
	assert_true(slot_add(&s, 300000, &next, &out));
	assert_int_equal(out.time_ms, START);
	assert_int_equal(out.n, 4);
	NEAR(out.of[RES_CPU].mean, 20); /* the unknown one does not count */
	NEAR(out.of[RES_CPU].lo, 10);
	NEAR(out.of[RES_CPU].hi, 30);
	assert_true(isnan(out.of[RES_TASKS].mean));
	assert_false(slot_add(&s, 300000, &late, &out)); /* too late: its slot was written */
	assert_false(slot_close(&s, 300000, START + 599999, &out));
	assert_true(slot_close(&s, 300000, START + 600000, &out));
	assert_int_equal(out.time_ms, START + 300000);
	assert_int_equal(out.n, 1);
	assert_false(slot_close(&s, 300000, START + 9000000, &out)); /* nothing is left */
}

static void test_mean_of_means_is_weighted_by_samples(UNUSED void **state)
{
	struct slot s = { 0 };
	struct point out, a = blank(START), b = blank(START + 300000);
	a.n = 30;
	b.n = 10;
	set(&a, RES_CPU, 10, 0, 20);
	set(&b, RES_CPU, 50, 40, 95);
	assert_false(slot_add(&s, 3600000, &a, &out));
	assert_false(slot_add(&s, 3600000, &b, &out));
	assert_true(slot_close(&s, 3600000, START + 3600000, &out));
	NEAR(out.of[RES_CPU].mean, 20);
	NEAR(out.of[RES_CPU].lo, 0);
	NEAR(out.of[RES_CPU].hi, 95);
	assert_int_equal(out.n, 40);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_points_are_read_back_as_they_were),
		cmocka_unit_test(test_rolled_points_keep_minimum_maximum_and_number),
		cmocka_unit_test(test_points_are_added_in_order_and_once),
		cmocka_unit_test(test_a_pack_that_was_read_can_be_continued),
		cmocka_unit_test(test_damaged_document_ends_the_reading),
		cmocka_unit_test(test_a_year_of_fifty_servers_takes_less_than_300_mb),
		cmocka_unit_test(test_slot_is_complete_when_a_later_one_begins),
		cmocka_unit_test(test_mean_of_means_is_weighted_by_samples),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
