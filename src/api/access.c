#include "api/access.h"

#include <strings.h>

#include "api/answer/error.h"
#include "api/request.h"
#include "auth/token.h"
#include "bus/acting.h"
#include "redis/rate.h"

#define BAD_TOKENS_PER_MINUTE 30 /* from one address */
#define VIEWS_PER_MINUTE 600	 /* chunks of recordings: a live view asks twice a second */

struct access {
	struct rate *rate;
	struct metric *failures[TOKEN_FAULTS + 1], *limited[RATE_CLASSES];
};

static const char *class_name(enum rate_class class)
{
	static const char *const names[RATE_CLASSES] = { "default", "session-create", "session-message", "recording-view", "bad-token" };
	return names[class];
}

struct access *access_new(void)
{
	static const struct rate_limit none[RATE_CLASSES];
	struct access *a = XNEW(struct access);
	a->rate = rate_new(none);
	struct metric_family *f = metric_family("rdp_auth_failures_total", METRIC_COUNTER, "reason",
						"HTTP requests refused because of their token, by reason: none (no token), scope (no permission), or the fault of the token.");
	for (size_t i = 1; i < TOKEN_FAULTS; i++)
		a->failures[i] = metric_with(f, token_fault_name((enum token_fault)i));
	a->failures[TOKEN_OK] = metric_with(f, "none");
	a->failures[TOKEN_FAULTS] = metric_with(f, "scope");
	f = metric_family("rdp_rate_limited_total", METRIC_COUNTER, "class", "HTTP requests refused by a rate limit, by class of operation.");
	for (size_t i = 0; i < RATE_CLASSES; i++)
		a->limited[i] = metric_with(f, class_name((enum rate_class)i));
	return a;
}

void access_reload(struct access *a, const struct config *c)
{
	bool limited = config_bool(c, "RATE_LIMIT_ENABLED");
	unsigned sessions = (unsigned)config_int(c, "RATE_LIMIT_SESSION_CREATE"), messages = (unsigned)config_int(c, "RATE_LIMIT_SESSION_MESSAGE");
	const struct rate_limit limits[RATE_CLASSES] = {
		[RATE_ORDINARY] = { limited ? (unsigned)config_int(c, "RATE_LIMIT_PER_MINUTE") : 0,
				    (unsigned)config_int(c, "RATE_LIMIT_BURST_SIZE") },
		[RATE_SESSIONS] = { limited ? sessions : 0, sessions },
		[RATE_MESSAGES] = { limited ? messages : 0, messages },
		[RATE_VIEWS] = { limited ? VIEWS_PER_MINUTE : 0, VIEWS_PER_MINUTE },
		[RATE_BAD_TOKENS] = { limited ? BAD_TOKENS_PER_MINUTE : 0, BAD_TOKENS_PER_MINUTE },
	};
	rate_set(a->rate, limits);
}

void access_free(struct access *a)
{
	rate_free(a->rate);
	free(a);
}

/* --- refusals */

/* The challenge of a 401 (RFC 6750 3): only the scheme and realm if the request had no token. */
static int refuse_token(struct request *q, enum token_fault fault, bool given)
{
	const struct config *c = q->api->env.config;
	const char *what = given ? token_fault_text(fault) : "no bearer token in the request";
	const char *issuer = config_str(c, "AUTH_SERVICE_URL"), *gateway = config_str(c, "API_GATEWAY_URL");
	struct strbuf challenge = { 0 }, message = { 0 };
	strbuf_puts(&challenge, "Bearer realm=\"lucid-rdp\"");
	if (given)
		strbuf_printf(&challenge, ", error=\"invalid_token\", error_description=\"%s\"", what);
	strbuf_printf(&message, "%s; send Authorization: Bearer TOKEN with a valid token", what);
	if (*issuer)
		strbuf_printf(&message, "; tokens come from %s", issuer);
	if (*gateway)
		strbuf_printf(&message, "; the gateway is %s", gateway);
	metric_add(q->api->access->failures[given ? fault : TOKEN_OK], 1);
	reply_error(
	    q, &(struct error_page){ .err = ERR_UNAUTHENTICATED, .message = message.s, .challenge = challenge.s });
	strbuf_done(&challenge);
	strbuf_done(&message);
	return -ERR_UNAUTHENTICATED;
}

static int refuse_scope(struct request *q, const char *why)
{
	metric_add(q->api->access->failures[TOKEN_FAULTS], 1);
	reply_error(q, &(struct error_page){ .err = ERR_FORBIDDEN,
					     .message = why,
					     .challenge = "Bearer realm=\"lucid-rdp\", error=\"insufficient_scope\"" });
	return -ERR_FORBIDDEN;
}

/* --- rate limits: first by the count of this process, then, if processes share limits, by the count in Redis */

static int refuse_rate(struct request *q, enum rate_class class)
{
	metric_add(q->api->access->limited[class], 1);
	reply_error(q, &(struct error_page){ .err = ERR_RATE_LIMITED, .retry_after_s = q->rate.retry_s,
					     .message = class == RATE_BAD_TOKENS ? "too many invalid tokens from this address; retry after the time given in Retry-After" : NULL });
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
		rate_answer_of(q->api->access->rate, q->asked_class, w->allowed, w->full_in_us, &all);
		if (!w->allowed || (q->asked_class != RATE_BAD_TOKENS && all.remaining < q->rate.remaining))
			q->rate = all;
	}
	if (w && !w->allowed)
		refuse_rate(q, q->asked_class);
	else
		q->again(q);
}

/* True: the request waits for the count in Redis and then runs again. */
static bool ask_others(struct request *q, enum rate_class class, bool is_user)
{
	char group[RATE_GROUP_SIZE];
	const char *who = is_user ? q->caller.sub : rate_group(q->caller.address, group);
	struct rate_want want = { .class = class_name(class), .who = who, .is_user = is_user };
	if (!q->api->env.shared_rate || !rate_cost(q->api->access->rate, class, &want.step_us, &want.depth_us))
		return false;
	q->asked_class = class;
	q->asked = rate_redis_take(q->api->env.shared_rate, &want, on_shared, q);
	if (!q->asked)
		return false;
	list_append(&q->api->open, &q->node);
	return true;
}

/* Invalid tokens are limited by address, after the token was checked, so that a valid token from the same address still passes. An expired
 * token does not count. */
static bool is_guess(enum token_fault fault)
{
	return fault != TOKEN_OK && fault != TOKEN_EXPIRED && fault != TOKEN_NOT_YET;
}

static int check_guessing(struct request *q, enum token_fault fault)
{
	struct rate_answer bad;
	rate_take(q->api->access->rate, RATE_BAD_TOKENS, q->caller.address, false, &bad);
	if (bad.allowed)
		return 0;
	metric_add(q->api->access->failures[fault], 1);
	q->rate = bad;
	return refuse_rate(q, RATE_BAD_TOKENS);
}

static enum rate_class rate_class_of(enum op_rate rate)
{
	static const enum rate_class classes[] = { [RATE_DEFAULT] = RATE_ORDINARY, [RATE_SESSION_CREATE] = RATE_SESSIONS,
						   [RATE_SESSION_MESSAGE] = RATE_MESSAGES, [RATE_RECORDING_VIEW] = RATE_VIEWS,
						   [RATE_EXEMPT] = RATE_ORDINARY };
	return classes[rate];
}

/* Calls between roles are not limited, as the client's request behind them was. */
static int check_rate(struct request *q, enum op_rate rate, enum token_fault guess)
{
	if (q->admitted)
		return 0;
	enum rate_class class = rate_class_of(rate);
	bool is_user = q->caller.sub[0], counts = rate != RATE_EXEMPT && !q->service;
	if (counts) {
		rate_take(q->api->access->rate, class, is_user ? q->caller.sub : q->caller.address, is_user, &q->rate);
		if (!q->rate.allowed)
			return refuse_rate(q, class);
	}
	if (guess != TOKEN_OK && check_guessing(q, guess) < 0)
		return -ERR_RATE_LIMITED;
	if (guess != TOKEN_OK ? ask_others(q, RATE_BAD_TOKENS, false) : counts && ask_others(q, class, is_user))
		return -ERR_BUSY;
	return 0;
}

/* The token after "Bearer " (in any case); NULL: another scheme. */
static const char *bearer_token(const char *header)
{
	if (strncasecmp(header, "Bearer ", 7) != 0)
		return NULL;
	for (header += 7; *header == ' '; header++)
		;
	return header;
}

const char *access_token(struct request *q)
{
	return bearer_token(http_req_header(q->http, "Authorization", NULL));
}

/* Takes the original caller from the header of another role (bus/acting.h). From other clients the header is ignored. */
static int take_acting(struct request *q, const char *token)
{
	bool again = false, twice = false;
	const char *text = q->service ? http_req_header(q->http, ACTING_HEADER, &again) : NULL;
	const char *seal = text ? http_req_header(q->http, ACTING_SEAL_HEADER, &twice) : NULL;
	struct caller caller = q->caller;
	if (!text)
		return 0;
	if (again || twice || !acting_read(text, &caller)) {
		reply_error_text(q, ERR_MALFORMED, ACTING_HEADER " is malformed; only roles of the same program version may set this header");
		return -ERR_MALFORMED;
	}
	if (!seal || !token_seal_fits(q->api->env.keys, token, text, seal))
		return refuse_scope(q, ACTING_HEADER " has no valid seal in " ACTING_SEAL_HEADER "; only a role of this installation may call for a user");
	q->caller = caller;
	return 0;
}

static int check_scope(struct request *q, enum op_scope scope, bool for_roles)
{
	/* the role service counts only for operations that roles call on their own behalf; elsewhere the other roles of the token count */
	bool was_service = q->caller.roles & CALLER_SERVICE;
	if (!for_roles)
		q->caller.roles &= ~(unsigned)CALLER_SERVICE;
	if (!q->caller.roles)
		return refuse_scope(q, was_service ? "the role service may not call this operation; use a token with the role user or admin" :
						     "the token has none of the roles user, admin and service");
	if (scope != OP_USER && !caller_is_admin(&q->caller))
		return refuse_scope(q, "this operation requires a token with the role admin");
	return 0;
}

bool access_is_role(struct request *q)
{
	bool again = false;
	struct caller who = { 0 };
	const char *header = http_req_header(q->http, "Authorization", &again), *token = header && !again ? bearer_token(header) : NULL;
	return token && token_verify(q->api->env.keys, token, strlen(token), &who) == TOKEN_OK && who.roles == CALLER_SERVICE;
}

int access_check(struct request *q, enum op_scope scope, enum op_rate rate, bool for_roles)
{
	bool again = false;
	const char *header = http_req_header(q->http, "Authorization", &again);
	if (again) {
		reply_error_text(q, ERR_MALFORMED, "more than one Authorization header; send exactly one");
		return -ERR_MALFORMED;
	}
	enum token_fault fault = TOKEN_MALFORMED;
	const char *token = header ? bearer_token(header) : NULL;
	if (token)
		fault = token_verify(q->api->env.keys, token, strlen(token), &q->caller);
	q->service = fault == TOKEN_OK && q->caller.roles == CALLER_SERVICE;
	/* a client with a bad token is limited like one without: by its address */
	int rc = check_rate(q, rate, header && scope != OP_PUBLIC && is_guess(fault) ? fault : TOKEN_OK);
	if (rc == 0 && q->service)
		rc = take_acting(q, token);
	if (rc < 0 || scope == OP_PUBLIC)
		return rc;
	if (fault != TOKEN_OK)
		return refuse_token(q, fault, header);
	return check_scope(q, scope, for_roles);
}
