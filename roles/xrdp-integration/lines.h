/* lines: requests log lines of xrdp and sesman, and filters them by level and time. Floor F6, any thread, never blocks. */
#ifndef XRDP_INTEGRATION_LINES_H
#define XRDP_INTEGRATION_LINES_H

#include "lucid/bus.h"

/* The input of host.logs, made from xrdp.logs or xrdp.instances.logs; NULL: the call was answered with an error. */
json_t *lines_ask(struct call *c);
json_t *lines_ask_deleted(struct call *c); /* the same for a deleted server */
/* Filters the response of host.logs by the query's level, from and lines. A line without a time or a level is treated like the line before it. */
json_t *lines_answer(struct call *c, json_t *doc);

/* Level of a log line of xrdp ("[20261121-10:00:00] [WARN ] …"): 0 debug, 1 info, 2 warning, 3 error; -1: none. */
int lines_level(const char *line);

#endif
