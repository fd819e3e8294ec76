/*
 * figures: metrics of the agent, counted from the events of its instances. Floor F6, loop thread only, never blocks. Not for: CPU and memory
 * usage (host.stats).
 */
#ifndef XRDP_INTEGRATION_FIGURES_H
#define XRDP_INTEGRATION_FIGURES_H

#include "lucid/bus.h"

struct figures;
struct figures *figures_new(struct bus *b);
void figures_free(struct figures *f); /* takes NULL */

#endif
