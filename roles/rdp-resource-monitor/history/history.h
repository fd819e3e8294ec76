/* history: GET …/history of nodes and servers, read from the store. Floor F6, loop thread only, never blocks. */
#ifndef MONITOR_HISTORY_H
#define MONITOR_HISTORY_H

#include "roles/rdp-resource-monitor/monitor.h"

void op_history(struct call *c, void *monitor);

#endif
