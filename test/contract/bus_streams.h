/*
 * bus_streams: the part of bus_suite.h about streamed answers. Over every transport: the bytes arrive complete and in order; no more is
 * produced than the reader takes, except for what the transport buffers; each end notices when the other one closes; and a truncated stream
 * is not taken for a complete one.
 */
#ifndef TEST_BUS_STREAMS_H
#define TEST_BUS_STREAMS_H

#define WHOLE (3 * 1024 * 1024 + 17)
#define HELD_MAX (16 * 1024 * 1024) /* buffers of two processes and of the kernel between them */
#define PUT_MAX (256 * 1024 * 1024)

static struct poured {
	size_t total, breaks_at; /* 0: it does not break */
	size_t put;
	int wanted, closed;
	bool stalls; /* does not answer requests for a piece */
} poured;

static uint8_t byte_at(size_t i)
{
	return (uint8_t)(i * 31 + (i >> 8) * 7 + (i >> 16));
}

static void on_want(struct source *s, UNUSED void *ctx)
{
	size_t n = MIN(poured.total - poured.put, (size_t)SOURCE_PIECE);
	poured.wanted++;
	if (poured.stalls)
		return;
	if (poured.breaks_at && poured.put >= poured.breaks_at) {
		source_break(s, -ERR_INTERNAL, "the disk is gone");
	} else if (!n) {
		source_end(s);
	} else {
		struct blob *piece = blob_new(NULL, n);
		for (size_t i = 0; i < n; i++)
			piece->data[i] = (char)byte_at(poured.put + i);
		poured.put += n;
		source_put(s, piece);
	}
}

static void on_closed(UNUSED void *ctx)
{
	poured.closed++;
}

static void pour_out(struct call *c, void *ctx)
{
	static const struct source_ops ops = { on_want, on_closed };
	struct bus_fixture *f = ctx;
	note(c);
	poured.put = 0;
	poured.wanted = poured.closed = 0;
	call_ok_source(c, source_new(f->loop, &ops, NULL), "text/plain; charset=utf-8");
}

struct drinker {
	struct source *source;
	int answered, over;
	enum err err;	     /* result of the call */
	int broke;	     /* result of the source */
	char why[200], type[64];
	size_t got, stop_at; /* 0: reads to the end */
	bool wrong, ignores;
};

static void on_piece(struct blob *piece, int err, const char *why, void *arg)
{
	struct drinker *d = arg;
	if (!piece) {
		d->over = 1;
		d->broke = err;
		snprintf(d->why, sizeof d->why, "%s", why);
		return;
	}
	for (size_t i = 0; i < piece->len && !d->wrong; i++)
		d->wrong = (uint8_t)piece->data[i] != byte_at(d->got + i);
	d->got += piece->len;
	if (d->stop_at && d->got >= d->stop_at)
		d->over = 1;
	else
		source_read(d->source, on_piece, d);
}

static void on_answered(const struct reply *r, void *arg)
{
	struct drinker *d = arg;
	d->answered = 1;
	d->err = r->err;
	snprintf(d->type, sizeof d->type, "%s", r->type ? r->type : "");
	if (!r->source || d->ignores) {
		d->over = 1;
		return;
	}
	d->source = source_ref(r->source);
	source_read(d->source, on_piece, d);
}

static void drink(struct bus_fixture *f, struct drinker *d)
{
	bus_call(f->asks, &(struct call_args){ .op = op_find("rdp.servers.log_file"), .params = { ID }, .caller = &someone }, on_answered, d);
	spin(f, 20000, &d->over);
	assert_int_equal(d->answered, 1);
	assert_int_equal(d->over, 1);
	assert_int_equal(d->err, ERR_OK);
	assert_false(d->wrong);
}

static void test_pieces_arrive_complete_and_in_order(void **state)
{
	for (size_t size = 0; size <= WHOLE; size = size ? size * 40 + 1 : 1) {
		struct drinker d = { 0 };
		poured = (struct poured){ .total = MIN(size, (size_t)WHOLE) };
		drink(*state, &d);
		assert_int_equal(d.broke, 0);
		assert_int_equal(d.got, poured.total);
		assert_string_equal(d.type, "text/plain; charset=utf-8");
		source_close(d.source);
		spin(*state, 3000, &poured.closed);
		assert_int_equal(poured.closed, 1);
	}
	struct answer a = { 0 }; /* the transport works as before */
	ask(*state, &(struct call_args){ .op = op_find("rdp.servers.get"), .params = { ID } }, &a);
	assert_int_equal(a.err, ERR_OK);
	answer_done(&a);
}

static void test_the_reader_sets_the_pace(void **state)
{
	struct drinker d = { .stop_at = 1 };
	poured = (struct poured){ .total = PUT_MAX };
	drink(*state, &d);
	spin(*state, 300, NULL); /* long enough for hundreds of megabytes */
	assert_true(poured.put <= HELD_MAX);
	assert_int_equal(poured.closed, 0);
	d.over = 0;
	d.stop_at = 64 * 1024 * 1024;
	source_read(d.source, on_piece, &d);
	spin(*state, 20000, &d.over);
	assert_true(d.got >= d.stop_at);
	assert_false(d.wrong);
	assert_true(poured.put <= d.got + HELD_MAX);
	source_close(d.source); /* in the middle: the other end is told */
	spin(*state, 3000, &poured.closed);
	assert_int_equal(poured.closed, 1);
	assert_true(poured.put < PUT_MAX);
}

static void test_truncated_source_is_an_error(void **state)
{
	struct drinker d = { 0 };
	poured = (struct poured){ .total = PUT_MAX, .breaks_at = 1024 * 1024 };
	drink(*state, &d);
	assert_true(d.broke < 0);
	assert_true(d.why[0]);
	assert_true(d.got <= poured.put);
	d.over = 0;
	source_read(d.source, on_piece, &d); /* another read gets the same end again */
	spin(*state, 1000, &d.over);
	assert_true(d.broke < 0);
	source_close(d.source);
	spin(*state, 3000, &poured.closed);
	assert_int_equal(poured.closed, 1);
}

static void test_source_without_a_reader_is_closed(void **state)
{
	struct drinker d = { .ignores = true };
	poured = (struct poured){ .total = PUT_MAX };
	drink(*state, &d);
	spin(*state, 3000, &poured.closed);
	assert_int_equal(poured.closed, 1);
}

static void test_reader_may_close_while_it_waits(void **state)
{
	struct drinker d = { 0 };
	struct bus_fixture *f = *state;
	poured = (struct poured){ .total = 10, .stalls = true };
	bus_call(f->asks, &(struct call_args){ .op = op_find("rdp.servers.log_file"), .params = { ID }, .caller = &someone }, on_answered, &d);
	spin(f, 3000, &d.answered);
	spin(f, 3000, &poured.wanted);
	assert_int_equal(d.over, 0);
	source_close(d.source);
	spin(f, 3000, &poured.closed);
	assert_int_equal(poured.closed, 1);
	assert_int_equal(d.over, 0);
}

static void test_lost_connection_truncates_the_source(void **state)
{
	struct bus_fixture *f = *state;
	struct drinker d = { .stop_at = 1 };
	if (!f->cut)
		return;
	poured = (struct poured){ .total = PUT_MAX };
	drink(f, &d);
	f->cut(f);
	spin(f, 3000, &poured.closed);
	assert_int_equal(poured.closed, 1);
	d.over = 0;
	d.stop_at = 0;
	source_read(d.source, on_piece, &d);
	spin(f, 5000, &d.over);
	assert_int_equal(d.over, 1);
	assert_true(d.broke < 0);
	assert_true(d.got < PUT_MAX);
	source_close(d.source);
}

#endif
