/* When a limit of a desktop is announced and applied. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "host/desktop/limit_due.h"

#define S INT64_C(1000)
#define MAX_LOOKS 4

/* What is seen of a limit, look by look, and what is to be done. All in seconds. */
struct look {
	int64_t now, limit, due;
	enum limit_step step;
	int64_t next; /* from now; 0: not foreseen */
};
static const struct {
	const char *what;
	struct look looks[MAX_LOOKS]; /* the end: all zero */
} rows[] = {
	{ "no limit", { { 100, 0, 50, LIMIT_WAIT, 0 }, { 1000, 0, 50, LIMIT_WAIT, 0 } } },
	{ "it does not apply", { { 100, 600, 0, LIMIT_WAIT, 0 } } },
	{ "announced a minute before", { { 100, 600, 700, LIMIT_WAIT, 540 }, { 640, 600, 700, LIMIT_ANNOUNCE, 60 }, { 641, 600, 700, LIMIT_WAIT, 59 },
					 { 700, 600, 700, LIMIT_APPLY, 0 } } },
	{ "a short one at half of it", { { 100, 40, 140, LIMIT_WAIT, 20 }, { 120, 40, 140, LIMIT_ANNOUNCE, 20 }, { 139, 40, 140, LIMIT_WAIT, 1 },
					 { 140, 40, 140, LIMIT_APPLY, 0 } } },
	{ "exactly as long as the announcement", { { 100, 60, 160, LIMIT_WAIT, 30 }, { 130, 60, 160, LIMIT_ANNOUNCE, 30 } } },
	{ "seen late, it is applied late", { { 690, 600, 700, LIMIT_ANNOUNCE, 60 }, { 700, 600, 700, LIMIT_WAIT, 50 }, { 750, 600, 700, LIMIT_APPLY, 0 } } },
	{ "expired before anyone looked", { { 5000, 600, 700, LIMIT_ANNOUNCE, 60 }, { 5059, 600, 700, LIMIT_WAIT, 1 }, { 5060, 600, 700, LIMIT_APPLY, 0 } } },
	{ "errors of measurement announce nothing again", { { 640, 600, 700, LIMIT_ANNOUNCE, 60 }, { 670, 600, 701, LIMIT_WAIT, 31 },
							    { 700, 600, 699, LIMIT_APPLY, 0 } } },
	{ "input outside the minute takes it back", { { 640, 600, 700, LIMIT_ANNOUNCE, 60 }, { 700, 600, 1250, LIMIT_WAIT, 490 },
						      { 1190, 600, 1250, LIMIT_ANNOUNCE, 60 }, { 1250, 600, 1250, LIMIT_APPLY, 0 } } },
	{ "input is followed by an announcement of its own", { { 60, 90, 120, LIMIT_ANNOUNCE, 60 }, { 120, 90, 151, LIMIT_ANNOUNCE, 60 },
							       { 151, 90, 151, LIMIT_WAIT, 29 }, { 180, 90, 151, LIMIT_APPLY, 0 } } },
	{ "a client came back", { { 640, 600, 700, LIMIT_ANNOUNCE, 60 }, { 650, 600, 0, LIMIT_WAIT, 0 }, { 660, 600, 1260, LIMIT_WAIT, 540 } } },
	{ "lowered below what has passed", { { 100, 3600, 3600, LIMIT_WAIT, 3440 }, { 200, 100, 100, LIMIT_ANNOUNCE, 60 }, { 260, 100, 100, LIMIT_APPLY, 0 } } },
	{ "raised after it was announced", { { 640, 600, 700, LIMIT_ANNOUNCE, 60 }, { 650, 3600, 3700, LIMIT_WAIT, 2990 } } },
	{ "removed after it was announced", { { 640, 600, 700, LIMIT_ANNOUNCE, 60 }, { 650, 0, 0, LIMIT_WAIT, 0 } } },
	{ "applied again if it had no effect", { { 640, 600, 700, LIMIT_ANNOUNCE, 60 }, { 700, 600, 700, LIMIT_APPLY, 0 }, { 705, 600, 700, LIMIT_APPLY, -5 } } },
};

static void test_what_is_due_when(void **state)
{
	for (size_t r = 0; r < ARRAY_LEN(rows); r++) {
		struct limit_notice n = { 0 };
		for (const struct look *l = rows[r].looks; l < rows[r].looks + MAX_LOOKS && l->now; l++) {
			int64_t next = -1;
			enum limit_step step = limit_step(&n, l->limit * S, l->due * S, l->now * S, &next);
			if (step != l->step || (l->next ? next != (l->now + l->next) * S : next > l->now * S))
				fail_msg("%s: at %lld: step %d, next at %lld", rows[r].what, (long long)l->now, step, (long long)next / S);
		}
	}
}

static void test_announcement_is_never_less_than_the_lead_before(void **state)
{
	for (int64_t limit = 1; limit < 200; limit++)
		for (int64_t first = 1; first < 300; first++) {
			struct limit_notice n = { 0 };
			int64_t said = 0, applied = 0, next;
			for (int64_t now = first; now < 1000 && !applied; now++) {
				enum limit_step step = limit_step(&n, limit * S, (100 + limit) * S, now * S, &next);
				said = step == LIMIT_ANNOUNCE ? now : said;
				applied = step == LIMIT_APPLY ? now : 0;
			}
			assert_true(said && applied && applied >= 100 + limit);
			assert_true((applied - said) * S >= limit_lead_ms(limit * S));
		}
}

static void test_shorter_limit_wins_and_none_is_no_limit(void **state)
{
	static const int64_t cases[][3] = { { 0, 0, 0 }, { 5, 0, 5 }, { 0, 7, 7 }, { 5, 7, 5 }, { 7, 5, 5 } };
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		assert_int_equal(limit_shorter(cases[i][0], cases[i][1]), cases[i][2]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_due_when), cmocka_unit_test(test_announcement_is_never_less_than_the_lead_before),
		cmocka_unit_test(test_shorter_limit_wins_and_none_is_no_limit),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
