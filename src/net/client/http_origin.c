#include "net/client/http_origin.h"

struct http_origin *http_origin_get(struct http_origins *os, const struct http_url *url)
{
	struct http_origin *o;
	LIST_FOREACH(o, &os->all, node)
		if (http_url_same_origin(&o->url, url))
			return o;
	o = XNEW(struct http_origin);
	o->url = *url;
	o->url.path = "";
	list_init(&o->queue);
	list_append(&os->all, &o->node);
	return o;
}

bool http_origin_full(const struct http_origins *os, const struct http_origin *o)
{
	return o->n_busy >= os->max_busy && o->n_queued >= os->max_queued;
}

bool http_origin_ready(const struct http_origins *os, const struct http_origin *o)
{
	return o->n_queued && o->n_busy < os->max_busy;
}

void http_origin_enqueue(struct http_origin *o, struct list *request)
{
	list_append(&o->queue, request);
	o->n_queued++;
}

void http_origin_dequeue(struct http_origin *o, struct list *request)
{
	list_remove(request);
	o->n_queued--;
	o->n_busy++;
}

bool http_origin_leave(struct http_origin *o, bool was_queued)
{
	if (was_queued)
		o->n_queued--;
	else
		o->n_busy--;
	if (o->n_queued)
		return true;
	if (!o->n_busy) {
		list_remove(&o->node);
		free(o);
	}
	return false;
}

void http_origins_init(struct http_origins *os)
{
	*os = (struct http_origins){ 0 };
	list_init(&os->all);
}
