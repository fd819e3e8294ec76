/*
 * source: a stream of bytes in pieces, for data that is too large for memory. Floor F1, loop thread only, never blocks.
 *
 * The reader requests one piece at a time and receives it later, never from within the request. A piece is produced only when it is
 * requested. So the slowest stage between a disk and a client sets the pace (back-pressure), and each stage holds a few pieces at most.
 * A source is reference-counted; the last release closes it, wherever it was. Not for: a whole response (struct blob).
 */
#ifndef LUCID_SOURCE_H
#define LUCID_SOURCE_H

#include "lucid/loop.h"

struct source;
#define SOURCE_PIECE 65536 /* bytes: the maximum size of a piece, which a provider uses if it has as many */

/* A piece, borrowed, of 1 to SOURCE_PIECE bytes. NULL: the end. With err 0 it is complete; otherwise it was truncated, err is a negated
 * errs code, and `why` is the reason for the user. */
typedef void (*source_got)(struct blob *piece, int err, const char *why, void *arg);

/* --- for the reader */
/* Calls `got` once, with the next piece or the end; after the end, with the same end again. One reader, one request at a time. */
void source_read(struct source *s, source_got got, void *arg);
/* The reader releases it; a pending request is cancelled. Takes NULL. */
void source_close(struct source *s);
struct source *source_ref(struct source *s);
void source_unref(struct source *s); /* for holders that do not read; takes NULL */

/* --- for the provider */
struct source_ops {
	/* The next piece is requested: answer with source_put, source_end or source_break, now or later. */
	void (*want)(struct source *s, void *ctx);
	/* The last reference was released: the source is freed when this returns. Called once. */
	void (*close)(void *ctx);
};
/* The caller owns the first reference and passes it on. */
struct source *source_new(struct loop *l, const struct source_ops *ops, void *ctx);
void source_put(struct source *s, struct blob *consume); /* only in answer to a request; not empty */
/* These may also be called when nothing is requested: the next request then receives the end. */
void source_end(struct source *s);
void source_break(struct source *s, int err, const char *why);

#endif
