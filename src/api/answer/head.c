#include "api/answer/head.h"

#include "api/request.h"
#include "lucid/str.h"

void head_add(struct answer_head *h, const char *name, const char *value)
{
	h->list[h->n++] = (struct http_header){ name, value };
}

void head_add_reply(struct answer_head *h, const struct reply_header headers[REPLY_HEADERS])
{
	for (size_t i = 0; i < REPLY_HEADERS && headers[i].name; i++)
		head_add(h, headers[i].name, headers[i].value);
}

void head_set(struct answer_head *h, const char *name, const char *value)
{
	for (size_t i = 0; i < h->n; i++)
		if (str_eq(h->list[i].name, name))
			h->list[i].value = value;
}

static void add_number(struct answer_head *h, const char *name, char room[21], uint64_t value)
{
	room[str_fmt_u64(room, value)] = 0;
	head_add(h, name, room);
}

void head_begin(struct request *q, struct answer_head *h, const char *type)
{
	h->n = 0;
	if (type)
		head_add(h, "Content-Type", type);
	head_add(h, "X-Request-ID", q->id);
	head_add(h, "Cache-Control", "no-store");
	head_add(h, "X-Content-Type-Options", "nosniff");
	h->n += cors_headers(q, h->list + h->n);
	if (!q->rate.limit)
		return;
	add_number(h, "RateLimit-Limit", h->limit, q->rate.limit);
	add_number(h, "RateLimit-Remaining", h->remaining, q->rate.remaining);
	add_number(h, "RateLimit-Reset", h->reset, q->rate.reset_s);
}

void head_add_etag(struct answer_head *h, int64_t version)
{
	if (!version)
		return;
	etag_print(h->etag, version);
	head_add(h, "ETag", h->etag);
}

void head_add_retry(struct answer_head *h, unsigned seconds)
{
	if (seconds)
		add_number(h, "Retry-After", h->retry, seconds);
}

void head_add_location(struct request *q, struct answer_head *h, const char *path)
{
	char prefix[PUBLIC_PREFIX_MAX + 1];
	struct strbuf b = { 0 };
	if (!path)
		return;
	strbuf_puts(&b, public_prefix(q, prefix));
	strbuf_puts(&b, path);
	if (str_copy(h->location, sizeof h->location, b.s))
		head_add(h, "Location", h->location);
	strbuf_done(&b);
}
