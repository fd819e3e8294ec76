/* core: the inside of the REST face, for its own files. Floor F5, loop thread only. Others see api/api.h. */
#ifndef API_CORE_H
#define API_CORE_H

#include "api/api.h"
#include "api/proxy.h"
#include "api/router.h"
#include "auth/rate.h"
#include "auth/token.h"
#include "cache/rate_redis.h"
#include "lucid/source.h"
#include "net/http.h"

#define API_METHODS (HTTP_OTHER + 1)
#define API_LISTENERS 48
#define API_REQUEST_ID 24

struct audit;
struct request;
struct health;
struct idempotency;
struct events;
struct keyed;

/* What is counted for one endpoint and method; found once, then one addition a request. */
struct series {
	struct metric *seconds;
	struct {
		int status;
		struct metric *count;
	} by_status[12];
};

/* One path template. Either rows of operations by method, or one of our own pages, which is read. */
struct endpoint {
	struct endpoint *next; /* all of one owner, to free them */
	const char *path, *service;
	const struct op *ops[API_METHODS];
	void (*page)(struct request *q);
	const struct shape *query; /* of the page; NULL: it takes none */
	char allow[64];
	struct series *series[API_METHODS];
};

/* A role's port, or the Prometheus port (role NULL): our own pages, and the role's short forms. */
struct listener {
	struct api *api;
	const struct role *role;
	const char *service;
	struct router *router;
	struct endpoint *pages; /* owned */
	struct endpoint unmatched;
};

enum cors { CORS_NOBODY, CORS_ANYBODY /* * alone */, CORS_SOME /* and perhaps * beside them */ };

struct api {
	struct api_env env;
	struct http_server *server;
	struct router *router; /* of the operations of every role */
	struct endpoint *endpoints; /* owned */
	struct listener listeners[API_LISTENERS];
	size_t nlisteners;
	struct rate *rate; /* NULL: no limits */
	struct proxies *proxies; /* NULL: none is trusted */
	struct list open;	 /* requests whose calls are not answered */
	struct health *health;
	struct idempotency *idempotency;
	struct events *events;
	struct blob *openapi, *docs; /* once asked for */
	int64_t started_us;
	unsigned deadline_ms;
	bool metrics_public, any_host;
	enum cors cors;
	char id_prefix[9]; /* request ids: this, '-', a number */
	uint64_t next_id;
	struct metric_family *requests, *seconds;
	struct metric *auth_failures[TOKEN_FAULTS + 1], *limited[RATE_CLASSES];
	struct gauges *gauges;
	struct audit *audit; /* NULL: none is kept */
	void (*drained)(void *arg);
	void *drained_arg;
};

/* Of one request, in the room that http.h keeps for it. */
struct request {
	struct api *api;
	struct listener *listener;
	struct http_req *http;
	struct endpoint *endpoint;
	const struct op *op; /* NULL: a page of ours, or nothing */
	const char *id;
	struct list node; /* of the open ones, while the bus works on it */
	json_t *query; /* of a page, while it is made; NULL: none */
	uint64_t call;
	struct keyed *keyed; /* it came with an Idempotency-Key, and is not answered */
	enum http_method method;
	bool service; /* the token is another role's own, whoever it asks for */
	struct rate_answer rate;
	struct rate_ask *asked; /* what the processes that share limits have to say is waited for */
	enum rate_class asked_class;
	bool admitted; /* no limit holds it back any more */
	struct caller caller;
	char id_room[API_REQUEST_ID];
};

/* --- rest.c */
void rest_on_request(struct http_req *r, void *arg);
void rest_again(struct request *q); /* from its path on, as it came */

/* --- access.c: who asks, and whether he may. 0, or a negated error: either the request was answered, or it waits for what others
 * have counted of this caller, and comes by here once more. */
int access_check(struct request *q, enum op_scope scope, enum op_rate rate);
const char *access_class_name(enum rate_class class); /* static: "default" */
/* The token that access_check found good. */
const char *access_token(struct request *q);

/* --- reply.c: the end of a request; each of these is called once, and q is gone after it. */
struct error_page {
	int err;
	const char *message;	/* NULL: the code's own */
	json_t *details;	/* borrowed; NULL: none */
	unsigned retry_after_s; /* 0: the code's own */
	const char *challenge;	/* WWW-Authenticate, or NULL */
};
void reply_error(struct request *q, const struct error_page *e);
void reply_error_text(struct request *q, int err, const char *message);
void reply_call(const struct reply *r, void *request); /* the bus has answered */
void reply_text(struct request *q, int status, const char *type, const void *body, size_t len);
void reply_blob(struct request *q, int status, const char *type, struct blob *body);
/* For people: with its Content-Security-Policy, and what else keeps a page to itself. */
void reply_page(struct request *q, const char *type, const char *policy, struct blob *body);
void reply_options(struct request *q);
/* Begin an answer that goes on, as http_stream_begin; q stays. An open one is accounted for now, and is without what came in its
 * head from here on; a body is accounted for by reply_streamed, at its end. */
bool reply_stream(struct request *q, enum http_stream_kind kind, const char *type, const struct http_stream_events *events, void *arg);
void reply_streamed(struct request *q, size_t bytes);
/* pour.c: the answer comes from a source, of which a hold is taken over; a 200 with this type, and what reply_call would add. */
void pour(struct request *q, const char *type, struct source *consume);
/* The error page alone, for what the gate refuses. */
struct blob *reply_refusal(int status, const char *why, const char *peer, char ret_id[HTTP_ID_SIZE], void *api);
/* An answer to an Idempotency-Key: kept as it is sent, and perhaps sent again. */
struct kept {
	int status;
	unsigned retry_after_s; /* 0: none */
	int64_t version;	/* ETag; 0: none */
	char *location, *type;	/* owned; NULL: none, JSON */
	struct blob *body;	/* NULL: none */
};
void reply_keep_error(struct request *q, struct kept *ret, const struct error_page *e);
void reply_kept(struct request *q, const struct kept *k, bool again);
/* If-Match: 0 and the version (0: any), or a negated error with a sentence. */
int reply_if_match(struct request *q, int64_t *ret, const char **ret_why);

/* --- cors.c: what an answer says to browsers that show another origin's page */
#define CORS_HEADERS 7
void cors_reload(struct api *a);
bool cors_is_preflight(struct request *q);
/* Values are static, the configuration's or the endpoint's. */
size_t cors_headers(struct request *q, struct http_header to[CORS_HEADERS]);

/* --- idempotency.c: what makes a second request of the same the first one's echo */
struct idempotency *idempotency_new(struct api *a);
void idempotency_stop(struct idempotency *all); /* no call is begun any more */
void idempotency_free(struct idempotency *all); /* after every open request was forgotten */
/* True when the request came with a key: it is taken over, or answered. args as for bus_call; what it points to that belongs
 * to neither the request nor its caller is copied. */
bool idempotency_begin(struct request *q, const struct call_args *args);
void idempotency_forget(struct request *q); /* it is answered by somebody else */

/* --- events.c */
extern const struct shape events_query;
struct events *events_new(struct api *a);
void events_drain(struct events *all); /* every stream is told and ended, and no new one begins */
void events_free(struct events *all);
void events_page(struct request *q);

/* --- our own pages */
void health_page(struct request *q);
void health_live_page(struct request *q);
void health_ready_page(struct request *q);
struct health *health_new(struct loop *l);
void health_free(struct health *h); /* answers who still waits */
void health_reload(struct health *h, const struct config *c);
void health_add(struct health *h, const char *name, bool essential, api_check check, void *arg);
void metrics_page_page(struct request *q);
struct gauges *gauges_new(void);
void gauges_free(struct gauges *g);
void openapi_page(struct request *q);
void docs_page(struct request *q);
void docs_style_page(struct request *q);
void root_page(struct request *q);

/* --- audit_api.c: every answer comes by here; location of what was made, or NULL */
void audit_request(const struct request *q, int err, const char *location);
void audit_refusal(struct api *a, int err, int status, const char *why, const char *peer, const char *id); /* of what the gate refuses */
void audit_list(struct call *c, void *api);

/* --- openapi.c */
json_t *openapi_document(const struct api *a);
struct blob *docs_html(const json_t *openapi); /* docs.c */

/* --- api.c */
const char *api_service_of(const struct api *a, const char *role);
bool api_serves(const struct api *a, const char *role); /* in this process */

#endif
