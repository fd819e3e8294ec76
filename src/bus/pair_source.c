#include "bus/pair_source.h"

#include "lucid/errs.h"
#include "lucid/map.h"
#include "lucid/str.h"

/* Each frame begins with the number of the call and a NUL. FRAME_PIECE continues with data, FRAME_END after an error with its name, a NUL
 * and the reason. */
enum { FRAME_WANT = 'w', FRAME_PIECE = 'p', FRAME_END = 'e', FRAME_DROP = 'd' };
#define NUMBER_MAX 24
#define SOURCES_MAX 256 /* in each direction; an outgoing source may be an open file */
#define FULL_MS 50	/* retry interval while the channel is full */

struct pair_sources {
	struct loop *loop;
	struct channel *channel;
	struct map *in, *out; /* number → struct */
};

struct incoming {
	struct pair_sources *all; /* NULL: ended */
	struct source *source;
	char number[NUMBER_MAX];
	bool wanted;
};

struct outgoing {
	struct pair_sources *all;
	struct source *source;
	char number[NUMBER_MAX];
	bool asked;   /* the reader waits for a piece */
	uint8_t kind; /* of the frame to send */
	struct strbuf frame;
	struct loop_timer *again; /* retries while the channel is full */
};

/* Returns as channel_send. */
static int source_frame_send(struct pair_sources *p, uint8_t kind, const char *number, const void *more, size_t len)
{
	struct strbuf b = { 0 };
	strbuf_add(&b, number, strlen(number) + 1);
	strbuf_add(&b, more, len);
	int rc = channel_send(p->channel, kind, b.s, b.len, NULL, 0);
	strbuf_done(&b);
	return rc;
}

/* For WANT and DROP, which must not be lost: a reader would wait for ever, or a file at the peer would stay open. */
static int source_control_send(struct pair_sources *p, uint8_t kind, const char *number)
{
	return channel_send_control(p->channel, kind, number, strlen(number) + 1);
}

/* --- incoming sources */

static void incoming_forget(struct incoming *c)
{
	if (c->all)
		map_remove(c->all->in, c->number);
	c->all = NULL;
}

static void incoming_lose(struct incoming *c)
{
	incoming_forget(c);
	source_break(c->source, -ERR_UNAVAILABLE, "the peer process exited or does not read");
}

static void incoming_want(UNUSED struct source *s, void *ctx)
{
	struct incoming *c = ctx;
	c->wanted = true;
	if (c->all && source_control_send(c->all, FRAME_WANT, c->number) < 0)
		incoming_lose(c);
}

static void incoming_closed(void *ctx)
{
	struct incoming *c = ctx;
	if (c->all)
		source_control_send(c->all, FRAME_DROP, c->number);
	incoming_forget(c);
	free(c);
}

struct source *pair_source_in(struct pair_sources *p, const char *number)
{
	static const struct source_ops ops = { incoming_want, incoming_closed };
	struct incoming *c = XNEW(struct incoming);
	*c = (struct incoming){ .all = p };
	str_copy(c->number, sizeof c->number, number);
	c->source = source_new(p->loop, &ops, c);
	if (!map_put(p->in, number, c, NULL)) {
		pair_source_refuse(p, number);
		incoming_lose(c);
	}
	return c->source;
}

void pair_source_refuse(struct pair_sources *p, const char *number)
{
	source_control_send(p, FRAME_DROP, number);
}

static void on_piece(struct pair_sources *p, const char *number, const char *data, size_t len)
{
	struct incoming *c = map_get(p->in, number);
	if (!c || !c->wanted || !len || len > SOURCE_PIECE)
		return;
	c->wanted = false;
	source_put(c->source, blob_new(data, len));
}

static void on_end(struct pair_sources *p, const char *number, const char *data, size_t len)
{
	struct incoming *c = map_get(p->in, number);
	const char *why = len ? memchr(data, 0, len) : NULL;
	if (!c)
		return;
	incoming_forget(c);
	source_break(c->source, why ? -err_from_name(data) : 0, why ? why + 1 : NULL);
}

/* --- outgoing sources */

static void outgoing_free(struct outgoing *g)
{
	map_remove(g->all->out, g->number);
	source_close(g->source);
	loop_timer_free(g->again);
	strbuf_done(&g->frame);
	free(g);
}

/* Sends a piece or the end. Retries while the channel is full, as the reader waits for the frame. */
static void outgoing_send(void *arg)
{
	struct outgoing *g = arg;
	int rc = source_frame_send(g->all, g->kind, g->number, g->frame.s, g->frame.len);
	if (rc == -ERR_BUSY) {
		loop_timer_set(g->again, FULL_MS);
		return;
	}
	strbuf_reset(&g->frame);
	g->asked = false;
	if (g->kind == FRAME_END)
		outgoing_free(g);
}

static void on_outgoing_piece(struct blob *piece, int err, const char *why, void *arg)
{
	struct outgoing *g = arg;
	g->kind = piece ? FRAME_PIECE : FRAME_END;
	if (piece) {
		strbuf_add(&g->frame, piece->data, piece->len);
	} else if (err) {
		strbuf_add(&g->frame, err_name(err), strlen(err_name(err)) + 1);
		strbuf_add(&g->frame, why, strlen(why) + 1);
	}
	outgoing_send(g);
}

bool pair_source_out(struct pair_sources *p, const char *number, struct source *source)
{
	struct outgoing *g = XNEW(struct outgoing);
	/* a number in use is a fault of the peer: it must not reuse one while its source is open */
	if (map_get(p->out, number) || !map_put(p->out, number, g, NULL)) {
		free(g);
		return false;
	}
	*g = (struct outgoing){ .all = p, .source = source_ref(source), .again = loop_timer_new(p->loop, outgoing_send, g) };
	str_copy(g->number, sizeof g->number, number);
	return true;
}

static void on_want(struct pair_sources *p, const char *number, UNUSED const char *data, UNUSED size_t len)
{
	struct outgoing *g = map_get(p->out, number);
	if (!g || g->asked)
		return;
	g->asked = true;
	source_read(g->source, on_outgoing_piece, g);
}

static void on_drop(struct pair_sources *p, const char *number, UNUSED const char *data, UNUSED size_t len)
{
	struct outgoing *g = map_get(p->out, number);
	if (g)
		outgoing_free(g);
}

/* --- both directions */

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
		incoming_lose(value);
	pos = (struct map_pos){ 0 };
	while (map_next(p->out, &pos, NULL, &value))
		outgoing_free(value);
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
