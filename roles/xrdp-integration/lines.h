/* lines: log lines of xrdp and sesman, asked for and picked by level. Floor F6, any thread, never blocks. */
#ifndef XRDP_INTEGRATION_LINES_H
#define XRDP_INTEGRATION_LINES_H

#include "lucid/bus.h"

/* The document for host.logs out of xrdp.logs or xrdp.instances.logs; NULL: answered already. */
json_t *lines_ask(struct call *c);
json_t *lines_answer(struct call *c, json_t *doc);

/* Level of a line as xrdp writes it ("[20261121-10:00:00] [WARN ] …"): 0 debug, 1 info, 2 warning, 3 error; -1: it has
 * none. */
int lines_level(const char *line);
/* The newest `most` of the lines at `level` (a name, or NULL for all) and above; a new array. Lines without a level go
 * with the one before them. */
json_t *lines_pick(const json_t *lines, const char *level, size_t most);

/* Those that were written at `since` (ISO 8601) or later; all of them when it is NULL. A new array. */
json_t *lines_since(const json_t *lines, const char *since);

#endif
