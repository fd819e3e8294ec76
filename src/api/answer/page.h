/* page: responses for browsers, with their security headers. Floor F5, loop thread only, never blocks. */
#ifndef API_ANSWER_PAGE_H
#define API_ANSWER_PAGE_H

#include "lucid/base.h"

struct request;

struct page {
	const char *type; /* Content-Type */
	const char *policy; /* Content-Security-Policy */
	const char *cache; /* Cache-Control; NULL: no-store */
	const char *etag; /* in quotes; NULL: none */
	bool debug; /* only with DEBUG=true */
};
/* False: the page is not available, and the request was answered with 404. Call this before making the page. */
bool page_shown(struct request *q, const struct page *p);
/* Answers q: the page with security headers, 304 if the client has it, or 404 as above. */
void page_reply(struct request *q, const struct page *p, struct blob *body);

#endif
