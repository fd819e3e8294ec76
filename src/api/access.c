#include "api/core.h"

#include <strings.h>

#include "lucid/metrics.h"

/* What a 401 says beside its sentence (RFC 6750): nothing but the scheme when there was no token at all. */
static int refuse_token(struct request *q, enum token_fault fault, bool given)
{
	const struct config *c = q->api->env.config;
	const char *what = given ? token_fault_text(fault) : "no token was sent";
	const char *issuer = config_str(c, "AUTH_SERVICE_URL"), *gateway = config_str(c, "API_GATEWAY_URL");
	struct strbuf challenge = { 0 }, message = { 0 };
	strbuf_puts(&challenge, "Bearer realm=\"lucid-rdp\"");
	if (given)
		strbuf_printf(&challenge, ", error=\"invalid_token\", error_description=\"%s\"", what);
	strbuf_printf(&message, "%s; send a valid one: Authorization: Bearer …", what);
	if (*issuer)
		strbuf_printf(&message, "; tokens come from %s", issuer);
	if (*gateway)
		strbuf_printf(&message, "; the gateway is %s", gateway);
	metric_add(q->api->auth_failures[given ? fault : TOKEN_OK], 1);
	reply_error(
	    q, &(struct error_page){ .err = ERR_UNAUTHENTICATED, .message = message.s, .challenge = challenge.s });
	strbuf_done(&challenge);
	strbuf_done(&message);
	return -ERR_UNAUTHENTICATED;
}

static int refuse_scope(struct request *q)
{
	metric_add(q->api->auth_failures[TOKEN_FAULTS], 1);
	reply_error(q, &(struct error_page){ .err = ERR_FORBIDDEN,
					     .message = "this needs a token with the role admin",
					     .challenge = "Bearer realm=\"lucid-rdp\", error=\"insufficient_scope\"" });
	return -ERR_FORBIDDEN;
}

/* Roles among themselves are not held back: what they do was asked by somebody who was. */
static int check_rate(struct request *q, enum op_rate rate)
{
	if (rate == RATE_EXEMPT || q->caller.roles & CALLER_SERVICE)
		return 0;
	enum rate_class class = rate == RATE_SESSION_CREATE ? RATE_SESSIONS : RATE_ORDINARY;
	bool is_user = q->caller.sub[0];
	rate_take(q->api->rate, class, is_user ? q->caller.sub : q->caller.address, is_user, &q->rate);
	if (q->rate.allowed)
		return 0;
	metric_add(q->api->limited[class], 1);
	reply_error(q, &(struct error_page){ .err = ERR_RATE_LIMITED, .retry_after_s = q->rate.retry_s });
	return -ERR_RATE_LIMITED;
}

/* Who guesses is slowed down, by address: behind the check, so that a good token from there still passes. What was once good
 * is no guess. */
static int check_guessing(struct request *q, enum token_fault fault)
{
	struct rate_answer bad;
	if (fault == TOKEN_EXPIRED || fault == TOKEN_NOT_YET)
		return 0;
	rate_take(q->api->rate, RATE_BAD_TOKENS, q->caller.address, false, &bad);
	if (bad.allowed)
		return 0;
	metric_add(q->api->limited[RATE_BAD_TOKENS], 1);
	metric_add(q->api->auth_failures[fault], 1);
	q->rate = bad;
	reply_error(q, &(struct error_page){ .err = ERR_RATE_LIMITED, .retry_after_s = bad.retry_s,
					     .message = "too many bad tokens came from this address; wait as Retry-After says" });
	return -ERR_RATE_LIMITED;
}

/* The token behind "Bearer ", whatever the case of the scheme; NULL when it is another scheme. */
static const char *bearer(const char *header)
{
	if (strncasecmp(header, "Bearer ", 7) != 0)
		return NULL;
	for (header += 7; *header == ' '; header++)
		;
	return header;
}

const char *access_token(struct request *q)
{
	return bearer(http_req_header(q->http, "Authorization", NULL));
}

int access_check(struct request *q, enum op_scope scope, enum op_rate rate)
{
	bool again = false;
	const char *header = http_req_header(q->http, "Authorization", &again);
	if (again) {
		reply_error_text(q, ERR_MALFORMED, "send one Authorization header, not several");
		return -ERR_MALFORMED;
	}
	enum token_fault fault = TOKEN_MALFORMED;
	if (header) {
		const char *token = bearer(header);
		if (token)
			fault = token_verify(q->api->env.keys, token, strlen(token), &q->caller);
	}
	/* who sends bad tokens is held back as whoever sends none: by his address */
	int rc = check_rate(q, rate);
	if (rc < 0 || scope == OP_PUBLIC)
		return rc;
	if (fault != TOKEN_OK && header && check_guessing(q, fault) < 0)
		return -ERR_RATE_LIMITED;
	if (fault != TOKEN_OK)
		return refuse_token(q, fault, header);
	if (scope != OP_USER && !caller_is_admin(&q->caller))
		return refuse_scope(q);
	return 0;
}
