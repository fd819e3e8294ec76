/*
 * outbox: a queue in front of a channel, for frames that must not be lost while the channel is full. Floor F4, loop thread only, never
 * blocks. Keeps up to OUTBOX_MAX bytes in order and retries. Not for: frames that may be dropped or refused (channel.h).
 */
#ifndef BUS_OUTBOX_H
#define BUS_OUTBOX_H

#include "lucid/base.h"
#include "lucid/loop.h"
#include "lucid/str.h"
#include "sys/channel.h"

#define OUTBOX_MAX (16u << 20)

struct outbox;
struct outbox *outbox_new(struct loop *l, struct channel *c);
void outbox_free(struct outbox *o); /* drops queued frames; takes NULL */

/* 0: sent or queued. -ERR_BUSY: the queue is full; -ERR_TOO_LARGE, -ERR_UNAVAILABLE as channel_send. */
int outbox_send(struct outbox *o, uint8_t kind, const void *data, size_t len);

#endif
