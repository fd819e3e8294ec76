#include "api/core.h"

#include "lucid/log.h"

/* An answer that comes in pieces, from its source to the client: the next piece is asked for when little of those before it still
 * waits, so that a slow client is what the source waits for, and not our memory. */

#define WAITING_MAX (2 * SOURCE_PIECE)

struct pour {
	struct request *q;
	struct http_req *http;
	struct source *source;
	size_t bytes;
	bool asked; /* a piece is on its way */
};

static void ask(void *arg);

static void end(struct pour *p)
{
	source_close(p->source);
	free(p);
}

static void on_gone(void *arg)
{
	struct pour *p = arg;
	reply_streamed(p->q, p->bytes);
	end(p);
}

static void on_piece(struct blob *piece, int err, const char *why, void *arg)
{
	struct pour *p = arg;
	p->asked = false;
	if (piece) {
		p->bytes += piece->len;
		http_stream_write(p->http, piece, SIZE_MAX);
		ask(p);
		return;
	}
	reply_streamed(p->q, p->bytes);
	if (!err) {
		http_stream_end(p->http);
	} else { /* the status is long sent: that the last chunk is missing is what tells the client */
		log_warn("api", "the answer to %s of %s broke off after %zu bytes: %s", p->q->id, p->q->endpoint->path, p->bytes, why);
		http_stream_drop(p->http);
	}
	end(p);
}

static void ask(void *arg)
{
	struct pour *p = arg;
	if (p->asked || http_stream_backlog(p->http) > WAITING_MAX)
		return; /* it is called again when there is room */
	p->asked = true;
	source_read(p->source, on_piece, p);
}

void pour(struct request *q, const char *type, struct source *consume)
{
	static const struct http_stream_events from_http = { .gone = on_gone, .room = ask };
	struct pour *p = XNEW(struct pour);
	*p = (struct pour){ .q = q, .http = q->http, .source = consume };
	if (reply_stream(q, HTTP_STREAM_BODY, type, &from_http, p))
		ask(p);
	else
		end(p);
}
