/* pages: the table of the pages of each listener, besides operations. Floor F5, loop thread only. */
#ifndef API_PAGES_H
#define API_PAGES_H

#include "lucid/base.h"

struct listener;
/* bare_alone: only the pages of the Prometheus port. */
void pages_add(struct listener *l, bool bare_alone);

#endif
