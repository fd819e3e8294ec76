/* displays: the range of X displays that an instance has to itself. Floor F3, supervisor only; a bind or a stat for each display, nothing
 * waits. */
#ifndef HOST_INSTANCE_DISPLAYS_H
#define HOST_INSTANCE_DISPLAYS_H

struct host;

#define DISPLAYS_WIDTH 52 /* the most max_sessions can be, and room for two that are skipped */

/* The first display of a free range: no display of it belongs to an instance, to the host's own sesman or to a running X server, and no
 * port that goes with one is a port of ours. The search begins at a place that depends on `server_id`. If other programs hold a name in
 * each range, it is the range with the most free displays: sesman skips the others. *ret_reserved keeps other supervisors from the range
 * (kernel/reserve.h) until the caller closes it. 0: there is none, and nothing to close. */
int displays_choose(struct host *h, const char *server_id, int *ret_reserved);
/* Reserves a range that was chosen before this process started; -1: it is reserved already, or cannot be. */
int displays_reserve(int first);

#endif
