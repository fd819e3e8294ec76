/* error: the error page; all errors have the same form. Floor F5, loop thread only, never blocks. */
#ifndef API_ANSWER_ERROR_H
#define API_ANSWER_ERROR_H

#include "lucid/doc.h"
#include "lucid/errs.h"
#include "net/http.h"

struct request;

struct error_page {
	int err;
	const char *message;	/* NULL: the text of the code */
	json_t *details;	/* borrowed; NULL: none */
	unsigned retry_after_s; /* 0: the default of the code */
	const char *challenge;	/* WWW-Authenticate, or NULL */
};

/* Answers a request; q is invalid afterwards. Writes refused attempts and failed changes to the audit log. */
void reply_error(struct request *q, const struct error_page *e);
void reply_error_text(struct request *q, int err, const char *message);

/* The body of the page and its Retry-After (0: none), for callers that send it themselves. */
struct blob *error_body(const struct request *q, const struct error_page *e);
unsigned error_retry_s(const struct error_page *e);

/* The body of the page for requests that the gate refuses (http_refusal of net/http.h). */
struct blob *error_refusal(int status, const char *why, const char *peer, char ret_id[HTTP_ID_SIZE], void *api);

#endif
