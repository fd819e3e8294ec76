/* point: figures of one moment or one slot of time, and how several become one. Floor F6; pure functions. */
#ifndef MONITOR_POINT_H
#define MONITOR_POINT_H

#include "roles/rdp-resource-monitor/sample.h"

struct reading {
	double mean, lo, hi; /* NAN: unknown, all three */
};
struct point {
	int64_t time_ms; /* of the sample; of a slot, its beginning */
	uint32_t n;	 /* samples that it stands for */
	struct reading of[RES_COUNT];
};
void point_from(struct point *p, int64_t time_ms, const double value[RES_COUNT]);

/* The sum of readings of one resource, weighted with the samples that they stand for. Initialise with {0}. */
struct tally {
	uint32_t n;
	double sum, lo, hi;
};
void tally_add(struct tally *t, const struct reading *r, uint32_t n);
struct reading tally_reading(const struct tally *t);

/* The points of one slot, which is open until a later one arrives. Initialise with {0}. */
struct slot {
	int64_t begin_ms;
	uint32_t n; /* 0: nothing in it */
	struct tally of[RES_COUNT];
};
/* Adds a point. True: it is of a later slot, and *ret is the one that is complete now. Points of earlier slots are ignored. */
bool slot_add(struct slot *s, int64_t length_ms, const struct point *p, struct point *ret);
/* Ends the slot if it lies before now_ms. False: it does not, or it is empty. */
bool slot_close(struct slot *s, int64_t length_ms, int64_t now_ms, struct point *ret);

#endif
