/*
 * request: the state that the files of the REST API share: struct api with its listeners and endpoints, and struct request. Floor F5, loop
 * thread only. It has types only; the functions are in the headers of their files. Other rooms include api/api.h.
 */
#ifndef API_REQUEST_H
#define API_REQUEST_H

#include "api/audit/list.h"
#include "api/env.h"
#include "auth/rate.h"
#include "net/http.h"

#define API_METHODS (HTTP_OTHER + 1)
#define API_LISTENERS 48
#define API_REQUEST_ID 24

struct api;
struct request;
struct series; /* answer/account.c: the metrics of an endpoint and method */

/* A path template: either rows of operations by method, or a page, which supports GET. */
struct endpoint {
	struct endpoint *next; /* of the same owner */
	const char *path, *service;
	const struct op *ops[API_METHODS];
	void (*page)(struct request *q);
	const struct shape *query; /* of the page; NULL: none */
	enum op_scope scope;	   /* this and the next two: of the page */
	enum op_rate rate;
	bool for_roles;
	char allow[64];
	struct series *series[API_METHODS];
};

/* The port of a role, or the Prometheus port (role NULL), with its pages and the role's short forms. */
struct listener {
	struct api *api;
	const struct role *role;
	const char *service;
	struct router *router;
	struct endpoint *pages; /* owned */
	struct endpoint unmatched;
};

enum cors { CORS_NOBODY, CORS_ANYBODY /* only * */, CORS_SOME /* listed origins, perhaps with * */ };

struct api {
	struct api_env env;
	struct http_server *server;
	struct router *router; /* of the operations of every role */
	struct endpoint *endpoints; /* owned */
	struct listener listeners[API_LISTENERS];
	size_t nlisteners;
	struct list open; /* requests that wait for the bus, the store or Redis */
	/* the states of the modules */
	struct access *access;
	struct account *account;
	struct asset_store *assets;
	struct audit *audit; /* NULL: no audit log */
	struct audit_reader audit_reader;
	struct events *events;
	struct gauges *gauges;
	struct health *health;
	struct idempotency *idempotency;
	struct proxies *proxies; /* NULL: no proxy is trusted */
	struct reference *reference;
	struct subscription *logins, *recordings; /* NULL: no audit log */
	int64_t started_us;
	unsigned deadline_ms;
	bool metrics_public, any_host;
	enum cors cors;
	char id_prefix[9]; /* a request id is this, '-' and a number */
	uint64_t next_id;
	void (*drained)(void *arg);
	void *drained_arg;
};

/* A request, in the space of http_req_state. */
struct request {
	struct api *api;
	struct listener *listener;
	struct http_req *http;
	struct endpoint *endpoint;
	const struct op *op; /* NULL: a page, or no endpoint */
	void (*again)(struct request *q); /* routes it again, after access.c has waited for Redis */
	const char *id;
	struct list node; /* in api.open */
	json_t *query; /* for the page function; NULL: none */
	uint64_t call;
	struct keyed *keyed; /* with an Idempotency-Key, until it is answered */
	enum http_method method;
	bool service; /* from another role, by its token; caller may be the user that the role acts for */
	struct rate_answer rate;
	struct rate_ask *asked; /* waits for the shared rate limit in Redis */
	enum rate_class asked_class;
	bool admitted; /* the rate limits were checked */
	struct caller caller;
	char id_room[API_REQUEST_ID];
};

#endif
