/*
 * pack: the points of one stored document, packed. Floor F6; memory only.
 *
 * A column is a text of numbers, one for each point. A number is written in digits of five bits, the lowest first, as a letter of the
 * base64url alphabet whose sixth bit says that more digits follow (as in source maps). Times and means are differences to the number before,
 * so that figures that hardly change take one letter. An idle server needs about a letter for each figure.
 *
 *	n		number of points
 *	t		seconds since the document's `start`
 *	c		rolled up only: samples in each point
 *	m.NAME		means, × the resource's scale; 0 is unknown
 *	lo.NAME, hi.NAME	rolled up only: mean − minimum, maximum − mean
 *
 * A resource that is unknown in all points has no column.
 */
#ifndef MONITOR_PACK_H
#define MONITOR_PACK_H

#include "lucid/doc.h"
#include "roles/rdp-resource-monitor/history/point.h"

struct pack;
struct pack *pack_new(int64_t start_ms, bool rolled);
void pack_free(struct pack *p); /* takes NULL */
/* False: the point is not later than the last one, by whole seconds, and was not added. */
bool pack_add(struct pack *p, const struct point *point);
int64_t pack_last_ms(const struct pack *p); /* -1: it is empty */
size_t pack_count(const struct pack *p);
void pack_write(const struct pack *p, json_t *doc); /* adds the members to a document */

/* Calls fn for each point of a document. `wanted`: bits of enum resource; others are NAN. False: the document is damaged after the points
 * that fn was called for. */
#define PACK_ALL ((1u << RES_COUNT) - 1)
bool pack_each(const json_t *doc, unsigned wanted, void (*fn)(const struct point *p, void *arg), void *arg);
/* The same points in a pack, to which more can be added; those that are damaged are lost. */
struct pack *pack_read(const json_t *doc, bool rolled);

#endif
