#include "api/answer/cors.h"

#include <strings.h>

#include "api/request.h"

static const char exposed[] = "ETag, Location, Retry-After, X-Request-ID, Idempotency-Replayed, WWW-Authenticate, RateLimit-Limit, "
			      "RateLimit-Remaining, RateLimit-Reset, Content-Disposition";
static const char asked[] =
    "Authorization, Content-Type, If-Match, If-None-Match, Idempotency-Key, Last-Event-ID, X-Request-ID, traceparent";

/* The configured origin that matches, or "*"; NULL: the origin is not allowed. */
static const char *origin_allowed(struct request *q)
{
	bool again = false;
	const char *any = NULL, *origin = http_req_header(q->http, "Origin", &again);
	if (!origin || again)
		return NULL;
	for (const char *const *p = config_list(q->api->env.config, "CORS_ORIGINS"); *p; p++)
		if (str_eq(*p, "*"))
			any = *p;
		else if (!strcasecmp(*p, origin))
			return *p;
	return any;
}

static size_t add_line(struct http_header *to, size_t n, const char *name, const char *value)
{
	to[n] = (struct http_header){ name, value };
	return n + 1;
}

void cors_reload(struct api *a)
{
	a->cors = CORS_NOBODY;
	for (const char *const *p = config_list(a->env.config, "CORS_ORIGINS"); *p; p++)
		if (!str_eq(*p, "*"))
			a->cors = CORS_SOME;
		else if (a->cors == CORS_NOBODY)
			a->cors = CORS_ANYBODY;
}

static bool is_preflight(struct request *q)
{
	return q->method == HTTP_OPTIONS && http_req_header(q->http, "Origin", NULL) &&
	       http_req_header(q->http, "Access-Control-Request-Method", NULL);
}

size_t cors_headers(struct request *q, struct http_header to[CORS_HEADERS])
{
	size_t n = 0;
	if (q->api->cors == CORS_NOBODY)
		return 0;
	bool preflight = is_preflight(q);
	const char *origin = origin_allowed(q);
	/* a cache must not serve the response for one origin to another */
	if (preflight)
		n = add_line(to, n, "Vary", "Origin, Access-Control-Request-Method, Access-Control-Request-Headers");
	else if (q->api->cors == CORS_SOME)
		n = add_line(to, n, "Vary", "Origin");
	if (!origin)
		return n;
	n = add_line(to, n, "Access-Control-Allow-Origin", origin);
	if (*origin != '*')
		n = add_line(to, n, "Access-Control-Allow-Credentials", "true");
	if (!preflight)
		return add_line(to, n, "Access-Control-Expose-Headers", exposed);
	n = add_line(to, n, "Access-Control-Allow-Methods", q->endpoint->allow);
	n = add_line(to, n, "Access-Control-Allow-Headers", asked);
	return add_line(to, n, "Access-Control-Max-Age", "600");
}
