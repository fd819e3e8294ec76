/*
 * channel: whole frames over a stream socket pair, with descriptors. Floor F1, loop thread only, never blocks. What does not
 * go out at once is queued, up to CHANNEL_QUEUE_MAX bytes. Not for: what the frames mean (src/bus/pair.c).
 */
#ifndef SYS_CHANNEL_H
#define SYS_CHANNEL_H

#include "lucid/loop.h"

#define CHANNEL_FRAME_MAX (8u << 20)
#define CHANNEL_QUEUE_MAX (32u << 20)
#define CHANNEL_MAX_FDS 4

struct channel;
struct channel_events {
	/* One frame. `data` has a NUL behind its `len` bytes and is borrowed; descriptors become the callee's. The channel may
	 * not be freed in here. */
	void (*on_frame)(uint8_t kind, const char *data, size_t len, const int *fds, size_t nfds, void *arg);
	/* The other side is gone, or sent what is no frame; called once. It may free the channel. */
	void (*on_closed)(void *arg);
};

/* Takes the descriptor over and makes it non-blocking. */
struct channel *channel_new(struct loop *l, int fd, const struct channel_events *events, void *arg);
/* Takes NULL. What is still queued is dropped. */
void channel_free(struct channel *c);
/* 0; -ERR_BUSY when the queue is full; -ERR_TOO_LARGE; -ERR_UNAVAILABLE when the other side is gone. Descriptors are
 * duplicated; the caller keeps its own. */
int channel_send(struct channel *c, uint8_t kind, const void *data, size_t len, const int *fds, size_t nfds);
/* The same for what holds a secret: both sides overwrite their copies of it as soon as it went, or was given out. */
int channel_send_secret(struct channel *c, uint8_t kind, const void *data, size_t len);
/* Blocks up to ms until the queue is empty; for the last words of a process. */
void channel_flush(struct channel *c, int ms);

#endif
