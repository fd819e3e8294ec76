#include "api/core.h"

#include <strings.h>

#include "bus/acting.h"
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

/* --- how often. First by what this process has counted; then, where limits are shared, by what all of them have. */

const char *access_class_name(enum rate_class class)
{
	static const char *const names[RATE_CLASSES] = { "default", "session-create", "bad-token" };
	return names[class];
}

static int refuse_rate(struct request *q, enum rate_class class)
{
	metric_add(q->api->limited[class], 1);
	reply_error(q, &(struct error_page){ .err = ERR_RATE_LIMITED, .retry_after_s = q->rate.retry_s,
					     .message = class == RATE_BAD_TOKENS ? "too many bad tokens came from this address; wait as Retry-After says" : NULL });
	return -ERR_RATE_LIMITED;
}

static void on_shared(const struct rate_word *w, void *arg)
{
	struct request *q = arg;
	struct rate_answer all;
	q->asked = NULL;
	q->admitted = true;
	list_remove(&q->node);
	if (w) {
		rate_answer_of(q->api->rate, q->asked_class, w->allowed, w->full_in_us, &all);
		if (!w->allowed || (q->asked_class != RATE_BAD_TOKENS && all.remaining < q->rate.remaining))
			q->rate = all;
	}
	if (w && !w->allowed)
		refuse_rate(q, q->asked_class);
	else
		rest_again(q);
}

/* True: it waits, and comes by again. */
static bool ask_others(struct request *q, enum rate_class class, bool is_user)
{
	char group[RATE_GROUP_SIZE];
	const char *who = is_user ? q->caller.sub : rate_group(q->caller.address, group);
	struct rate_want want = { .class = access_class_name(class), .who = who, .is_user = is_user };
	if (!q->api->env.shared_rate || !rate_cost(q->api->rate, class, &want.step_us, &want.depth_us))
		return false;
	q->asked_class = class;
	q->asked = rate_redis_take(q->api->env.shared_rate, &want, on_shared, q);
	if (!q->asked)
		return false;
	list_append(&q->api->open, &q->node);
	return true;
}

/* Who guesses is slowed down, by address: behind the check, so that a good token from there still passes. What was once good
 * is no guess. */
static bool is_guess(enum token_fault fault)
{
	return fault != TOKEN_OK && fault != TOKEN_EXPIRED && fault != TOKEN_NOT_YET;
}

static int check_guessing(struct request *q, enum token_fault fault)
{
	struct rate_answer bad;
	rate_take(q->api->rate, RATE_BAD_TOKENS, q->caller.address, false, &bad);
	if (bad.allowed)
		return 0;
	metric_add(q->api->auth_failures[fault], 1);
	q->rate = bad;
	return refuse_rate(q, RATE_BAD_TOKENS);
}

/* Roles among themselves are not held back: what they do was asked by somebody who was. */
static int check_rate(struct request *q, enum op_rate rate, enum token_fault guess)
{
	if (q->admitted)
		return 0;
	enum rate_class class = rate == RATE_SESSION_CREATE ? RATE_SESSIONS : RATE_ORDINARY;
	bool is_user = q->caller.sub[0], counts = rate != RATE_EXEMPT && !(q->caller.roles & CALLER_SERVICE);
	if (counts) {
		rate_take(q->api->rate, class, is_user ? q->caller.sub : q->caller.address, is_user, &q->rate);
		if (!q->rate.allowed)
			return refuse_rate(q, class);
	}
	if (guess != TOKEN_OK && check_guessing(q, guess) < 0)
		return -ERR_RATE_LIMITED;
	if (guess != TOKEN_OK ? ask_others(q, RATE_BAD_TOKENS, false) : counts && ask_others(q, class, is_user))
		return -ERR_BUSY;
	return 0;
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

/* For whom another role of ours asks. Nobody else may say so, and is not listened to. */
static int take_acting(struct request *q)
{
	bool again = false;
	const char *text = q->caller.roles & CALLER_SERVICE ? http_req_header(q->http, ACTING_HEADER, &again) : NULL;
	if (!text || (!again && acting_read(text, &q->caller)))
		return 0;
	reply_error_text(q, ERR_MALFORMED, ACTING_HEADER " is not as a role of this version writes it");
	return -ERR_MALFORMED;
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
	q->service = fault == TOKEN_OK && q->caller.roles & CALLER_SERVICE;
	/* who sends bad tokens is held back as whoever sends none: by his address */
	int rc = check_rate(q, rate, header && scope != OP_PUBLIC && is_guess(fault) ? fault : TOKEN_OK);
	if (rc == 0 && q->service)
		rc = take_acting(q);
	if (rc < 0 || scope == OP_PUBLIC)
		return rc;
	if (fault != TOKEN_OK)
		return refuse_token(q, fault, header);
	if (scope != OP_USER && !caller_is_admin(&q->caller))
		return refuse_scope(q);
	return 0;
}
