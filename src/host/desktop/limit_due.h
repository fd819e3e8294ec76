/*
 * limit_due: when a limit of a desktop is announced and when it is applied. Floor F3, pure: all times are milliseconds of one clock that does
 * not jump (clock_boot_ms).
 *
 * A limit is announced once for each approach, at least limit_lead_ms before it is applied. A limit that was lowered, or that expired while
 * no supervisor ran, is applied so much later. An approach ends when its end moves by more than a measurement can be wrong: there was input,
 * a client came back, or the limit was raised.
 */
#ifndef HOST_DESKTOP_LIMIT_DUE_H
#define HOST_DESKTOP_LIMIT_DUE_H

#include "lucid/base.h"

enum limit_kind { LIMIT_IDLE, LIMIT_DISCONNECTED, LIMIT_MAX_DURATION, LIMIT_KINDS };

/* In milliseconds; 0: none. */
struct limits {
	int64_t ms[LIMIT_KINDS];
};
/* The shorter one; 0: neither is set. */
int64_t limit_shorter(int64_t a_ms, int64_t b_ms);
/* How long before its end a limit is announced: a minute, or half of the limit if that is shorter. */
int64_t limit_lead_ms(int64_t limit_ms);

/* The announcement of the approach in progress; all zero: none. */
struct limit_notice {
	int64_t said_ms, due_ms;
};

enum limit_step { LIMIT_WAIT, LIMIT_ANNOUNCE, LIMIT_APPLY };
/* What is to be done now about a limit of `limit_ms` that ends at `due_ms`; due_ms 0: it does not apply, such as the limit on time without a
 * client while there is one. With LIMIT_ANNOUNCE, the notice is entered in *n. *ret_next_ms is when there may be more to do; 0: not foreseen. */
enum limit_step limit_step(struct limit_notice *n, int64_t limit_ms, int64_t due_ms, int64_t now_ms, int64_t *ret_next_ms);
/* When the announced limit is applied. */
int64_t limit_applied_ms(const struct limit_notice *n, int64_t limit_ms);

#endif
