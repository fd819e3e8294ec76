#include "api/answer/page.h"

#include "api/answer/error.h"
#include "api/answer/head.h"
#include "api/answer/reply.h"
#include "api/request.h"

bool page_shown(struct request *q, const struct page *p)
{
	if (!p->debug || config_bool(q->api->env.config, "DEBUG"))
		return true;
	q->endpoint = &q->listener->unmatched;
	reply_error_text(q, ERR_NO_ROUTE, NULL);
	return false;
}

void page_reply(struct request *q, const struct page *p, struct blob *body)
{
	struct answer_head h;
	if (!page_shown(q, p))
		return;
	const char *known = p->etag ? http_req_header(q->http, "If-None-Match", NULL) : NULL;
	head_begin(q, &h, p->type);
	if (p->cache)
		head_set(&h, "Cache-Control", p->cache);
	if (p->etag)
		head_add(&h, "ETag", p->etag);
	head_add(&h, "Content-Security-Policy", p->policy);
	head_add(&h, "X-Frame-Options", "DENY"); /* for browsers without frame-ancestors */
	head_add(&h, "Referrer-Policy", "no-referrer");
	head_add(&h, "Cross-Origin-Opener-Policy", "same-origin");
	if (known && etag_list_names(known, p->etag))
		reply_with_head(q, 304, &h, NULL);
	else
		reply_with_head(q, 200, &h, body);
}
