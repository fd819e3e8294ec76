#include "lucid/http_post.h"

#include "lucid/errs.h"
#include "lucid/str.h"
#include "net/client/http_client.h"

/* The HTTP client for roles: only what a webhook needs. */

#define ANSWER_MAX (64 << 10) /* bytes of a response, which is not looked at */

struct http_poster {
	struct http_client *client;
};

struct posting {
	http_posted done;
	void *arg;
};

static void on_posted(const struct http_result *res, void *arg)
{
	struct posting w = *(struct posting *)arg;
	free(arg);
	w.done(http_result_status(res), http_result_why(res), w.arg);
}

static int post_refuse(const char *why, const char **ret_why)
{
	*ret_why = why;
	return -ERR_INVALID;
}

int http_post(struct http_poster *p, const struct http_post *post, http_posted done, void *arg, const char **ret_why)
{
	struct http_header headers[HTTP_POST_HEADERS_MAX + 1] = { { "Content-Type", post->type } };
	if (!str_starts(post->url, "http://") && !str_starts(post->url, "https://"))
		return post_refuse("the URL is neither http:// nor https://", ret_why);
	if (post->n_headers > HTTP_POST_HEADERS_MAX)
		return post_refuse("there are too many headers", ret_why);
	for (size_t i = 0; i < post->n_headers; i++)
		headers[i + 1] = (struct http_header){ post->headers[i].name, post->headers[i].value };
	struct http_ask ask = { .method = HTTP_POST, .url = post->url, .headers = headers, .n_headers = post->n_headers + 1, .body = post->body,
				.body_len = post->len, .timeout_ms = post->timeout_ms, .max_body = ANSWER_MAX };
	struct posting *w = XNEW(struct posting);
	*w = (struct posting){ done, arg };
	int r = http_client_ask(p->client, &ask, on_posted, w, ret_why, NULL);
	if (r)
		free(w);
	return r;
}

struct http_poster *http_poster_new(struct loop *l, unsigned max_in_flight)
{
	struct http_poster *p = XNEW(struct http_poster);
	p->client = http_client_new(l, max_in_flight);
	return p;
}

void http_poster_free(struct http_poster *p)
{
	if (!p)
		return;
	http_client_free(p->client);
	free(p);
}
