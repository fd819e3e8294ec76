/*
 * keeper: keeps the samples in the store: as they are for a day, in slots of 5 minutes for 30 days, and of an hour for a year. Floor F6, loop
 * thread only, never blocks.
 *
 * The document of the present 15 minutes is written after every round, so a crash loses at most the samples of writes in flight. A slot is
 * written when a later sample arrives. After a restart, and when this process takes a node over, slots that were not written are made from the
 * stored samples. Every write names the version that it replaces, so two processes that both believe they hold a node cannot overwrite
 * each other: the second reads again what is stored.
 * Not for: reading (history.h).
 */
#ifndef MONITOR_KEEPER_H
#define MONITOR_KEEPER_H

#include "lucid/under_way.h"
#include "roles/rdp-resource-monitor/sample.h"

struct keeper;
/* Listens to the samples; sampler NULL: the caller passes them with keeper_take. Operations in progress are counted in `u`. */
struct keeper *keeper_new(const struct role_env *env, struct sampler *s, struct under_way *u);
void keeper_start(struct keeper *k); /* calls keeper_tick every 5 s */
void keeper_tick(struct keeper *k);  /* retries, ends slots of objects that are gone, removes what has expired */
void keeper_take(struct keeper *k, const struct sample *s);
void keeper_flush(struct keeper *k); /* writes what was taken */
/* The object is not sampled any more; `lost`: another process samples it, and writes its history. */
void keeper_leave(struct keeper *k, enum sample_kind kind, const char *id, bool lost);
void keeper_stop(struct keeper *k); /* begins nothing new */
void keeper_free(struct keeper *k); /* takes NULL; when nothing is in progress */

#endif
