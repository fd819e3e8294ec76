/*
 * units: units of systemd's, started, stopped and looked at over D-Bus. Floor F3, supervisor only, loop thread; nothing waits.
 * The only user of sd-bus. Not for what the units are (hostcfg_steps.c, service.c know the host's xrdp).
 *
 * The connection is made when it is first needed, and again after it was lost. Who asked gets one answer, on a later turn: done
 * means that the job is over, not that it was queued.
 */
#ifndef HOST_UNITS_H
#define HOST_UNITS_H

#include <sys/types.h>

#include "lucid/loop.h"

/* Is this system systemd's? */
bool units_booted(void);

struct units;
/* address: of the bus; NULL: the system's. */
struct units *units_new(struct loop *l, const char *address);
void units_free(struct units *u); /* takes NULL; who still waits is told so, at once */

enum unit_verb { UNIT_START, UNIT_STOP, UNIT_HANGUP /* SIGHUP to its main process */ };
struct unit_ask;
/* fault NULL: done; else a sentence, borrowed. */
typedef void (*unit_done)(void *arg, const char *fault);
struct unit_ask *units_do(struct units *u, const char *unit, enum unit_verb verb, unsigned deadline_ms, unit_done fn, void *arg);

struct unit_state {
	bool loaded; /* there is such a unit */
	char active[16], sub[24]; /* "active", "running" */
	pid_t pid; /* of its main process; 0: none */
	int64_t since_ms; /* wall clock of its start; 0: it does not run */
	int64_t memory_bytes; /* of all its processes; -1: systemd does not count it */
};
/* s is NULL where there is a fault. */
typedef void (*unit_seen)(void *arg, const struct unit_state *s, const char *fault);
struct unit_ask *units_look(struct units *u, const char *unit, unsigned deadline_ms, unit_seen fn, void *arg);

void units_cancel(struct unit_ask *a); /* takes NULL; what was asked may be done all the same, fn is not called */

#endif
