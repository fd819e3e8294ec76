/* host_figures: what the host as a whole uses, the member `host` of host.stats. Floor F3, supervisor only; reads kernel files only. */
#ifndef HOST_OBSERVE_HOST_FIGURES_H
#define HOST_OBSERVE_HOST_FIGURES_H

#include "lucid/doc.h"

struct host;

json_t *host_figures(struct host *h); /* the caller frees */
/* Sets `pressure` of doc: percent of the last 10 s by resource, null where the kernel does not tell. `read` gives the one of a resource. */
void figures_pressure(json_t *doc, double (*read)(const void *of, const char *resource), const void *of);

#endif
