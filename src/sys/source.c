#include "lucid/source.h"

#include <assert.h>

struct source {
	struct loop *loop;
	const struct source_ops *ops;
	void *ctx;
	unsigned refs;
	source_got got; /* NULL: no pending request */
	void *arg;
	struct blob *piece; /* from source_put until it is delivered */
	bool wanted;	    /* the provider was asked for a piece and has not answered yet */
	bool over;
	int err;
	char *why;
	struct loop_task task;
};

static void deliver(struct loop_task *t)
{
	struct source *s = CONTAINER_OF(t, struct source, task);
	_cleanup_(blob_unrefp) struct blob *piece = TAKE_PTR(s->piece);
	source_got got = TAKE_PTR(s->got);
	if (!got)
		return;
	s->refs++; /* the callback may close the source, which owns `why` */
	got(piece, piece ? 0 : s->err, piece || !s->err ? "" : s->why, s->arg);
	source_unref(s);
}

struct source *source_new(struct loop *l, const struct source_ops *ops, void *ctx)
{
	struct source *s = XNEW(struct source);
	*s = (struct source){ .loop = l, .ops = ops, .ctx = ctx, .refs = 1 };
	loop_task_init(&s->task, deliver);
	return s;
}

struct source *source_ref(struct source *s)
{
	s->refs++;
	return s;
}

void source_unref(struct source *s)
{
	if (!s || --s->refs)
		return;
	loop_undefer(&s->task);
	blob_unref(s->piece);
	s->ops->close(s->ctx);
	free(s->why);
	free(s);
}

void source_close(struct source *s)
{
	if (s)
		s->got = NULL;
	source_unref(s);
}

/* --- reading */

void source_read(struct source *s, source_got got, void *arg)
{
	assert(!s->got);
	s->got = got;
	s->arg = arg;
	if (s->over || s->piece) {
		loop_defer(s->loop, &s->task);
	} else if (!s->wanted) {
		s->wanted = true;
		s->ops->want(s, s->ctx);
	}
}

/* --- providing */

void source_put(struct source *s, struct blob *consume)
{
	assert(s->wanted && !s->over && consume->len && consume->len <= SOURCE_PIECE);
	s->wanted = false;
	s->piece = consume;
	loop_defer(s->loop, &s->task);
}

void source_end(struct source *s)
{
	source_break(s, 0, NULL);
}

void source_break(struct source *s, int err, const char *why)
{
	if (s->over)
		return;
	s->over = true;
	s->wanted = false;
	s->err = err;
	s->why = why ? xstrdup(why) : NULL;
	if (s->got)
		loop_defer(s->loop, &s->task);
}
