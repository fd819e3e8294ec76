/*
 * groups: the control groups of one instance. Floor F3, supervisor only; small writes to cgroupfs, no waiting.
 *
 *	{id}			cpu: desktops and the xrdp processes that encode for them share the server's processor limit
 *	{id}/daemons		sesman: not limited, because its death orphans every desktop
 *	{id}/connections	xrdp: one process for each connection, also for those that never log in
 *	{id}/desktops		memory and tasks of the server's limits, over all desktops together
 *	{id}/desktops/desktop-N	one desktop and what it starts
 *
 * Unauthenticated connections must not take tasks or memory from desktops, so these two limits are set on `desktops`. `connections` has the
 * same limit on memory, and a limit on tasks derived from MAX_CONNECTIONS_PER_SERVER: beyond it xrdp cannot fork, closes the connection and
 * continues to listen.
 */
#ifndef HOST_CGROUP_GROUPS_H
#define HOST_CGROUP_GROUPS_H

#include "lucid/doc.h"

struct cgroup;
struct instance;

void groups_make(struct instance *i); /* with limits; some of them may exist */
/* Opens the groups of a record, and those below. Desktops of an older version ({id}/desktop-N) are moved to their new group. */
void groups_reopen(struct instance *i, const json_t *record);
void groups_free(struct instance *i); /* the groups stay */
bool groups_there(const struct instance *i);
void groups_limit(struct instance *i); /* sets the limits of the current definition and settings, and i->enforced */

/* The group of a desktop; `make` false: NULL if it does not exist. */
struct cgroup *groups_desktop(struct instance *i, int display, bool make);

#endif
