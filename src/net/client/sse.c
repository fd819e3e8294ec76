#include "net/client/sse.h"

#include <event2/buffer.h>

void sse_init(struct sse *s)
{
	*s = (struct sse){ .data.max = SSE_LINE_MAX };
}

void sse_done(struct sse *s)
{
	strbuf_done(&s->data);
}

static void sse_give(struct sse *s, void (*on_event)(const struct sse_event *e, void *arg), void *arg)
{
	struct sse_event e = { s->id, s->name, s->data.s ? s->data.s : "", s->seq, s->viewer };
	if (s->told)
		on_event(&e, arg);
	s->told = false;
	s->name[0] = s->seq[0] = s->viewer[0] = 0;
	strbuf_reset(&s->data);
}

/* A value that is too long for its field counts as empty: this program does not send such values. */
static void take_field(struct sse *s, char *line)
{
	char *colon = strchr(line, ':');
	const char *value = "";
	if (colon == line)
		return; /* a comment */
	if (colon) {
		*colon = 0;
		value = colon + 1 + (colon[1] == ' ');
	}
	if (str_eq(line, "id"))
		str_copy(s->id, sizeof s->id, value);
	else if (str_eq(line, "event"))
		str_copy(s->name, sizeof s->name, value);
	else if (str_eq(line, "seq"))
		str_copy(s->seq, sizeof s->seq, value);
	else if (str_eq(line, "viewer"))
		str_copy(s->viewer, sizeof s->viewer, value);
	else if (str_eq(line, "data"))
		strbuf_printf(&s->data, "%s%s", s->data.len ? "\n" : "", value);
	else
		return;
	s->told = true;
}

bool sse_feed(struct sse *s, struct evbuffer *in, void (*on_event)(const struct sse_event *e, void *arg), void *arg)
{
	while (!s->stop) {
		struct evbuffer_ptr end = evbuffer_search(in, "\n", 1, NULL);
		size_t len = end.pos < 0 ? evbuffer_get_length(in) : (size_t)end.pos;
		if (len > SSE_LINE_MAX || s->data.overflow)
			return false;
		if (end.pos < 0)
			return true;
		_cleanup_(xfreep) char *line = xmalloc(len + 1);
		evbuffer_remove(in, line, len);
		evbuffer_drain(in, 1);
		len -= len && line[len - 1] == '\r';
		line[len] = 0;
		if (strlen(line) != len)
			return false;
		if (len)
			take_field(s, line);
		else
			sse_give(s, on_event, arg);
	}
	return true;
}
