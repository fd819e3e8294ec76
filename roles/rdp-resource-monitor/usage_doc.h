/* usage_doc: documents of resource usage for responses, from the agent's documents and the latest samples. Floor F6; loop thread only. */
#ifndef MONITOR_USAGE_DOC_H
#define MONITOR_USAGE_DOC_H

#include "lucid/doc.h"

struct sampler;

/* NodeUsage, from the agent's answer to xrdp.stats. The caller frees. */
json_t *usage_node(const struct sampler *s, const char *node, const json_t *stats);
/* ServerUsage, from the agent's document of the instance and the server's definition (NULL: unknown). The caller frees. */
json_t *usage_server(const struct sampler *s, const char *node, const json_t *instance, const json_t *definition);
/* SessionUsage, from the agent's document of the instance and the session; NULL: the desktop is not there. The caller frees. */
json_t *usage_session(const struct sampler *s, const json_t *instance, const json_t *session);
/* UsageTotals: all zero or unknown, and the addition of a ServerUsage. */
json_t *usage_totals(void);
void usage_add(json_t *totals, const json_t *server);

/* top.c: adds `of`, `by` and `items` to out: the heaviest of a list of ServerUsage (of "servers"), or of their desktops ("sessions"), by
 * "cpu", "memory", "network", "io" or "tasks". What is unknown comes last and is left out. */
void usage_top(json_t *out, const json_t *servers, const char *of, const char *by, size_t limit);

#endif
