/*
 * source: bytes that come in pieces, of what is too large to be held whole. Floor F1, loop thread only, never blocks.
 *
 * Whoever reads asks for one piece at a time and gets it later, never from within the asking. What nobody asked for is not made,
 * so that the slowest of all who stand between a disk and a client sets the pace, and each of them holds a few pieces at most.
 * A source is counted; whoever lets go of it last closes it, wherever it stood. Not for: a whole answer (struct blob).
 */
#ifndef LUCID_SOURCE_H
#define LUCID_SOURCE_H

#include "lucid/loop.h"

struct source;
#define SOURCE_PIECE 65536 /* bytes: as many as a provider gives at once where it has them; never more */

/* A piece, borrowed, of 1 to SOURCE_PIECE bytes. NULL: no more will come, with err 0 because that was all, else (a negated
 * errs code) because it broke off: then `why` says to people what happened. */
typedef void (*source_got)(struct blob *piece, int err, const char *why, void *arg);

/* --- for who reads */
/* The next piece, or the end, once; asked again after the end, the same end. One reader, one question at a time. */
void source_read(struct source *s, source_got got, void *arg);
/* Done with it: what was asked for does not come any more. Takes NULL. */
void source_close(struct source *s);
struct source *source_ref(struct source *s);
void source_unref(struct source *s); /* of who does not read; takes NULL */

/* --- for who provides */
struct source_ops {
	/* The next piece is wanted: source_put, _end or _break, now or later. */
	void (*want)(struct source *s, void *ctx);
	/* Nobody wants any more of it: the source is gone when this comes back. Called once. */
	void (*close)(void *ctx);
};
/* Held by who made it, who hands that hold on. */
struct source *source_new(struct loop *l, const struct source_ops *ops, void *ctx);
void source_put(struct source *s, struct blob *consume); /* only when it is wanted; not empty */
/* Also when nothing is wanted: it is told to who asks next. */
void source_end(struct source *s);
void source_break(struct source *s, int err, const char *why);

#endif
