#include "host/desktop/limit_due.h"

#define LEAD_MS 60000
#define ERROR_MS 1500 /* of a measurement: how late the answer of an X server may be */

int64_t limit_shorter(int64_t a_ms, int64_t b_ms)
{
	return a_ms && b_ms ? MIN(a_ms, b_ms) : MAX(a_ms, b_ms);
}

int64_t limit_lead_ms(int64_t limit_ms)
{
	return limit_ms > LEAD_MS ? LEAD_MS : limit_ms / 2;
}

int64_t limit_applied_ms(const struct limit_notice *n, int64_t limit_ms)
{
	return MAX(n->due_ms, n->said_ms + limit_lead_ms(limit_ms));
}

/* Input after an announcement moves the end by at least the time between the last input and the announcement, an error of measurement by
 * less. */
static bool same_approach(const struct limit_notice *n, int64_t limit_ms, int64_t due_ms)
{
	int64_t moved = due_ms - n->due_ms, slack = MAX((limit_ms - limit_lead_ms(limit_ms)) / 2, ERROR_MS);
	return n->said_ms && moved <= slack && -moved <= slack;
}

enum limit_step limit_step(struct limit_notice *n, int64_t limit_ms, int64_t due_ms, int64_t now_ms, int64_t *ret_next_ms)
{
	int64_t begins = due_ms - limit_lead_ms(limit_ms);
	if (!limit_ms || !due_ms || now_ms < begins) {
		*n = (struct limit_notice){ 0 };
		*ret_next_ms = limit_ms && due_ms ? begins : 0;
		return LIMIT_WAIT;
	}
	bool announce = !same_approach(n, limit_ms, due_ms);
	*n = (struct limit_notice){ announce ? now_ms : n->said_ms, due_ms };
	*ret_next_ms = limit_applied_ms(n, limit_ms);
	if (announce)
		return LIMIT_ANNOUNCE;
	return now_ms < *ret_next_ms ? LIMIT_WAIT : LIMIT_APPLY;
}
