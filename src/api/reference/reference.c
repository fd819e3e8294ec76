#include "api/reference/reference.h"

#include "api/answer/page.h"
#include "api/answer/reply.h"
#include "api/proxy/public_url.h"
#include "api/reference/docs.h"
#include "api/reference/openapi.h"
#include "api/request.h"
#include "lucid/str.h"

struct reference {
	struct blob *openapi, *docs; /* NULL: not requested yet */
	char openapi_base[PUBLIC_URL_MAX], docs_prefix[PUBLIC_PREFIX_MAX + 1]; /* the URLs they were made for */
};

struct reference *reference_new(void)
{
	return XNEW(struct reference);
}

void reference_free(struct reference *r)
{
	blob_unref(r->openapi);
	blob_unref(r->docs);
	free(r);
}

void reference_openapi_page(struct request *q)
{
	struct reference *r = q->api->reference;
	char base[PUBLIC_URL_MAX];
	if (!str_eq(public_base(q, base), r->openapi_base)) {
		_cleanup_(doc_unrefp) json_t *doc = openapi_document(&q->api->env, base);
		blob_unref(r->openapi);
		r->openapi = doc_blob(doc);
		str_copy(r->openapi_base, sizeof r->openapi_base, base);
	}
	reply_blob(q, 200, REPLY_JSON, r->openapi);
}

void reference_docs_page(struct request *q)
{
	static const struct page page = { .type = "text/html; charset=utf-8",
					  .policy = "default-src 'none'; style-src 'self'; img-src data:; base-uri 'none'; form-action "
						    "'none'; frame-ancestors 'none'",
					  .debug = true };
	struct reference *r = q->api->reference;
	char prefix[PUBLIC_PREFIX_MAX + 1];
	if (!page_shown(q, &page))
		return;
	if (!str_eq(public_prefix(q, prefix), r->docs_prefix) || !r->docs) {
		_cleanup_(doc_unrefp) json_t *doc = openapi_document(&q->api->env, *prefix ? prefix : "/");
		blob_unref(r->docs);
		r->docs = docs_html(doc, prefix);
		str_copy(r->docs_prefix, sizeof r->docs_prefix, prefix);
	}
	page_reply(q, &page, r->docs);
}
