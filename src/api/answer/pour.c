#include "api/answer/pour.h"

#include "api/answer/reply.h"
#include "api/request.h"
#include "lucid/log.h"

#define WAITING_MAX (2 * SOURCE_PIECE)

struct pour {
	struct request *q;
	struct http_req *http;
	struct source *source;
	size_t bytes;
	bool asked; /* a piece was requested */
};

static void pour_ask(void *arg);

static void pour_end(struct pour *p)
{
	source_close(p->source);
	free(p);
}

static void on_gone(void *arg)
{
	struct pour *p = arg;
	reply_streamed(p->q, p->bytes);
	pour_end(p);
}

static void on_piece(struct blob *piece, int err, const char *why, void *arg)
{
	struct pour *p = arg;
	p->asked = false;
	if (piece) {
		p->bytes += piece->len;
		http_stream_write(p->http, piece, SIZE_MAX);
		pour_ask(p);
		return;
	}
	reply_streamed(p->q, p->bytes);
	if (!err) {
		http_stream_end(p->http);
	} else { /* the status has been sent: the missing last chunk tells the client that the body is truncated */
		log_warn("api", "the response to %s of %s was truncated after %zu bytes: %s", p->q->id, p->q->endpoint->path, p->bytes, why);
		http_stream_drop(p->http);
	}
	pour_end(p);
}

static void pour_ask(void *arg)
{
	struct pour *p = arg;
	if (p->asked || http_stream_backlog(p->http) > WAITING_MAX)
		return; /* called again when the backlog is sent (http_stream_events.room) */
	p->asked = true;
	source_read(p->source, on_piece, p);
}

void pour(struct request *q, const struct reply *r)
{
	static const struct http_stream_events from_http = { .gone = on_gone, .room = pour_ask };
	struct pour *p = XNEW(struct pour);
	*p = (struct pour){ .q = q, .http = q->http, .source = source_ref(r->source) };
	if (reply_stream(q, HTTP_STREAM_BODY, r, &from_http, p))
		pour_ask(p);
	else
		pour_end(p);
}
