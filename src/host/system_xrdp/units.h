/*
 * units: starts, stops and queries systemd units over D-Bus. Floor F3, supervisor only, loop thread; does not block. The only user of
 * sd-bus. Not for: which units to use (system_xrdp/service_steps.c, service.c).
 *
 * The connection is opened on first use and again after it was lost. Each request gets one answer, on a later turn; success means that the
 * job is complete, not that it was queued.
 */
#ifndef HOST_SYSTEM_XRDP_UNITS_H
#define HOST_SYSTEM_XRDP_UNITS_H

#include <sys/types.h>

#include "lucid/loop.h"

/* Whether the system was booted with systemd. */
bool units_booted(void);

struct units;
/* `address`: of the bus; NULL: the system bus. */
struct units *units_new(struct loop *l, const char *address);
void units_free(struct units *u); /* takes NULL; fails pending requests at once */

enum unit_verb { UNIT_START, UNIT_STOP, UNIT_HANGUP /* SIGHUP to its main process */ };
struct unit_ask;
/* fault NULL: success; else a sentence, borrowed. */
typedef void (*unit_done)(void *arg, const char *fault);
struct unit_ask *units_do(struct units *u, const char *unit, enum unit_verb verb, unsigned deadline_ms, unit_done fn, void *arg);

struct unit_state {
	bool loaded; /* the unit exists */
	char active[16], sub[24]; /* "active", "running" */
	pid_t pid; /* of its main process; 0: none */
	int64_t since_ms; /* wall clock of its start; 0: it does not run */
	int64_t memory_bytes; /* of all its processes; -1: systemd does not count it */
};
/* `s` is NULL if there is a fault. */
typedef void (*unit_seen)(void *arg, const struct unit_state *s, const char *fault);
struct unit_ask *units_look(struct units *u, const char *unit, unsigned deadline_ms, unit_seen fn, void *arg);

void units_cancel(struct unit_ask *a); /* takes NULL; fn is not called, but the operation may still happen */

#endif
