#include "bus/pair_source.h"

#include "lucid/errs.h"
#include "lucid/map.h"
#include "lucid/str.h"

/* Each begins with the call's number and a NUL; a piece follows, or the error's name, a NUL and why. */
enum { FRAME_WANT = 'w', FRAME_PIECE = 'p', FRAME_END = 'e', FRAME_DROP = 'd' };
#define NUMBER_MAX 24
#define SOURCES_MAX 256 /* each way; what goes out may be an open file each */
#define FULL_MS 50	/* until a channel that takes no more is tried again */

struct pair_sources {
	struct loop *loop;
	struct channel *channel;
	struct map *in, *out; /* number → struct */
};

struct coming {
	struct pair_sources *all; /* NULL: over */
	struct source *source;
	char number[NUMBER_MAX];
	bool wanted;
};

struct going {
	struct pair_sources *all;
	struct source *source;
	char number[NUMBER_MAX];
	bool asked;
	uint8_t kind; /* of the frame that answers */
	struct strbuf frame;
	struct loop_timer *again; /* the channel did not take it yet */
};

/* 0, or as channel_send. */
static int tell(struct pair_sources *p, uint8_t kind, const char *number, const void *more, size_t len)
{
	struct strbuf b = { 0 };
	strbuf_add(&b, number, strlen(number) + 1);
	strbuf_add(&b, more, len);
	int rc = channel_send(p->channel, kind, b.s, b.len, NULL, 0);
	strbuf_done(&b);
	return rc;
}

/* --- what comes in */

static void forget(struct coming *c)
{
	if (c->all)
		map_remove(c->all->in, c->number);
	c->all = NULL;
}

static void lose(struct coming *c)
{
	forget(c);
	source_break(c->source, -ERR_UNAVAILABLE, "the other process has gone, or does not read");
}

static void want(UNUSED struct source *s, void *ctx)
{
	struct coming *c = ctx;
	c->wanted = true;
	if (c->all && tell(c->all, FRAME_WANT, c->number, NULL, 0) < 0)
		lose(c);
}

static void closed(void *ctx)
{
	struct coming *c = ctx;
	if (c->all)
		tell(c->all, FRAME_DROP, c->number, NULL, 0);
	forget(c);
	free(c);
}

struct source *pair_source_in(struct pair_sources *p, const char *number)
{
	static const struct source_ops ops = { want, closed };
	struct coming *c = XNEW(struct coming);
	*c = (struct coming){ .all = p };
	str_copy(c->number, sizeof c->number, number);
	c->source = source_new(p->loop, &ops, c);
	if (!map_put(p->in, number, c, NULL)) {
		pair_source_refuse(p, number);
		lose(c);
	}
	return c->source;
}

void pair_source_refuse(struct pair_sources *p, const char *number)
{
	tell(p, FRAME_DROP, number, NULL, 0);
}

static void on_piece(struct pair_sources *p, const char *number, const char *data, size_t len)
{
	struct coming *c = map_get(p->in, number);
	if (!c || !c->wanted || !len || len > SOURCE_PIECE)
		return;
	c->wanted = false;
	source_put(c->source, blob_new(data, len));
}

static void on_end(struct pair_sources *p, const char *number, const char *data, size_t len)
{
	struct coming *c = map_get(p->in, number);
	const char *why = len ? memchr(data, 0, len) : NULL;
	if (!c)
		return;
	forget(c);
	source_break(c->source, why ? -err_from_name(data) : 0, why ? why + 1 : NULL);
}

/* --- what goes out */

static void end(struct going *g)
{
	map_remove(g->all->out, g->number);
	source_close(g->source);
	loop_timer_free(g->again);
	strbuf_done(&g->frame);
	free(g);
}

/* Neither a piece nor the end may be lost to a channel that is full at the moment: the reader waits for it. */
static void answer(void *arg)
{
	struct going *g = arg;
	int rc = tell(g->all, g->kind, g->number, g->frame.s, g->frame.len);
	if (rc == -ERR_BUSY) {
		loop_timer_set(g->again, FULL_MS);
		return;
	}
	strbuf_reset(&g->frame);
	g->asked = false;
	if (g->kind == FRAME_END)
		end(g);
}

static void give(struct blob *piece, int err, const char *why, void *arg)
{
	struct going *g = arg;
	g->kind = piece ? FRAME_PIECE : FRAME_END;
	if (piece) {
		strbuf_add(&g->frame, piece->data, piece->len);
	} else if (err) {
		strbuf_add(&g->frame, err_name(err), strlen(err_name(err)) + 1);
		strbuf_add(&g->frame, why, strlen(why) + 1);
	}
	answer(g);
}

bool pair_source_out(struct pair_sources *p, const char *number, struct source *source)
{
	struct going *g = XNEW(struct going);
	/* a number that comes again while its source is open is no honest one: nothing is left behind for it */
	if (map_get(p->out, number) || !map_put(p->out, number, g, NULL)) {
		free(g);
		return false;
	}
	*g = (struct going){ .all = p, .source = source_ref(source), .again = loop_timer_new(p->loop, answer, g) };
	str_copy(g->number, sizeof g->number, number);
	return true;
}

static void on_want(struct pair_sources *p, const char *number, UNUSED const char *data, UNUSED size_t len)
{
	struct going *g = map_get(p->out, number);
	if (!g || g->asked)
		return;
	g->asked = true;
	source_read(g->source, give, g);
}

static void on_drop(struct pair_sources *p, const char *number, UNUSED const char *data, UNUSED size_t len)
{
	struct going *g = map_get(p->out, number);
	if (g)
		end(g);
}

/* --- both */

bool pair_source_frame(struct pair_sources *p, uint8_t kind, const char *data, size_t len)
{
	static const struct {
		uint8_t kind;
		void (*fn)(struct pair_sources *p, const char *number, const char *data, size_t len);
	} kinds[] = { { FRAME_WANT, on_want }, { FRAME_PIECE, on_piece }, { FRAME_END, on_end }, { FRAME_DROP, on_drop } };
	size_t n = strnlen(data, MIN(len, (size_t)NUMBER_MAX));
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		if (kinds[i].kind != kind)
			continue;
		if (n < len && n < NUMBER_MAX)
			kinds[i].fn(p, data, data + n + 1, len - n - 1);
		return true;
	}
	return false;
}

struct pair_sources *pair_sources_new(struct loop *l, struct channel *c)
{
	struct pair_sources *p = XNEW(struct pair_sources);
	*p = (struct pair_sources){ .loop = l, .channel = c, .in = map_new(SOURCES_MAX), .out = map_new(SOURCES_MAX) };
	return p;
}

void pair_sources_lost(struct pair_sources *p)
{
	struct map_pos pos = { 0 };
	void *value;
	while (map_next(p->in, &pos, NULL, &value))
		lose(value);
	pos = (struct map_pos){ 0 };
	while (map_next(p->out, &pos, NULL, &value))
		end(value);
}

void pair_sources_free(struct pair_sources *p)
{
	if (!p)
		return;
	pair_sources_lost(p);
	map_free(p->in, NULL);
	map_free(p->out, NULL);
	free(p);
}
