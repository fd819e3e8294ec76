/* ready: does a port answer the RDP negotiation? Floor F3, loop thread, nothing blocks. One connection at a time, tried
 * again every few milliseconds until it answers or the time is over. */
#ifndef HOST_READY_H
#define HOST_READY_H

#include "host/core.h"

struct ready;
typedef void (*ready_fn)(void *arg, bool answers);
/* `fn` comes once, on a later turn; the probe frees itself then. */
struct ready *ready_start(struct host *h, int port, unsigned deadline_ms, ready_fn fn, void *arg);
void ready_cancel(struct ready *r); /* takes NULL */

#endif
