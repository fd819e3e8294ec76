/*
 * channel: length-framed messages with descriptors over a stream socket pair. Floor F1, loop thread only, never blocks. Frames that
 * cannot be sent at once are queued, up to CHANNEL_QUEUE_MAX bytes. Not for: the meaning of the frames (src/bus/pair.c).
 */
#ifndef SYS_CHANNEL_H
#define SYS_CHANNEL_H

#include "lucid/loop.h"

#define CHANNEL_FRAME_MAX (8u << 20)
#define CHANNEL_QUEUE_MAX (32u << 20)
#define CHANNEL_RESERVE (1u << 20) /* beyond CHANNEL_QUEUE_MAX, for control frames only */
#define CHANNEL_MAX_FDS 4

struct channel;
struct channel_events {
	/* One frame. `data` is borrowed, and a NUL follows its `len` bytes. The callee owns the descriptors, which are fewer than were sent if
	 * this process is out of them. The callback must not free the channel. */
	void (*on_frame)(uint8_t kind, const char *data, size_t len, const int *fds, size_t nfds, void *arg);
	/* The peer closed its end, or broke the protocol (channel_fault says how); called once. It may free the channel. */
	void (*on_closed)(void *arg);
	/* How many descriptors a frame of this kind may carry; NULL: none, for all kinds. An unexpected descriptor ends the channel: the
	 * peer may be compromised, and each descriptor that is kept counts against this process's limit on open files. */
	size_t (*fds_max)(uint8_t kind, void *arg);
};

/* Owns the descriptor from now on and makes it non-blocking. */
struct channel *channel_new(struct loop *l, int fd, const struct channel_events *events, void *arg);
/* Takes NULL. Queued frames are dropped. */
void channel_free(struct channel *c);
/* 0; -ERR_BUSY when the queue is full; -ERR_TOO_LARGE; -ERR_UNAVAILABLE after the channel ended. Descriptors are duplicated; the
 * caller keeps its own. */
int channel_send(struct channel *c, uint8_t kind, const void *data, size_t len, const int *fds, size_t nfds);
/* The same for a frame with a secret: the sender wipes its copy once it was sent, the receiver once on_frame returned. */
int channel_send_secret(struct channel *c, uint8_t kind, const void *data, size_t len);
/* The same for a short frame that must not be lost (a refusal, a cancellation): it may use CHANNEL_RESERVE. If that is full too, the peer
 * does not read, and the channel ends. */
int channel_send_control(struct channel *c, uint8_t kind, const void *data, size_t len);
/* Why the channel ended, if the peer broke the protocol; otherwise NULL. Static text. */
const char *channel_fault(const struct channel *c);
/* Blocks up to ms until the queue is empty; for the last frames of a process that exits. */
void channel_flush(struct channel *c, int ms);

#endif
