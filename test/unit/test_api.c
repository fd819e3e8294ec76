/* api: the real HTTP server, bus and rows, with handlers that record their calls, tested over a raw socket. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <pthread.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "api/api.h"
#include "app/settings/options.h"
#include "auth/token.h"
#include "bus/transport.h"
#include "lucid/clock.h"
#include "lucid/metrics.h"
#include "roles/contract/contract.h"
#include "sys/config/config.h"
#include "sys/log.h"

#define KNOWN "11111111-2222-4333-8444-555555555555"
#define OTHER "99999999-2222-4333-8444-555555555555"
#define SECRET "0123456789abcdef0123456789abcdef"

static const struct role servers = { .name = ROLE_SERVERS, .service = "manager", .base_path = "/api/v1/rdp" };
static const struct role xrdp = { .name = ROLE_XRDP, .service = "agent", .base_path = "/api/v1/xrdp" };
static const struct role sessions = { .name = ROLE_SESSIONS, .service = "controller", .base_path = "/api/v1/sessions" };

static struct {
	struct loop *loop;
	struct bus *bus;
	struct config *config;
	struct token_keys *keys;
	struct api *api;
	int fds[3], ports[3]; /* of the manager, of the controller, Prometheus */
	char *user, *admin, *service;
	struct loop_timer *later, *stop;
	struct call *held;
} t;

/* --- handlers */

static void on_get(struct call *c, UNUSED void *ctx)
{
	static const char text[] = "{\"server_id\":\"" KNOWN "\",\"name\":\"one\"}";
	if (!str_eq(call_param(c, "server_id"), KNOWN)) {
		call_fail(c, ERR_SERVER_NOT_FOUND, NULL);
		return;
	}
	call_set_version(c, 3);
	call_ok_blob(c, blob_new(text, sizeof text - 1), NULL);
}

static void answer_later(UNUSED void *arg)
{
	struct call *c = TAKE_PTR(t.held);
	json_t *doc = json_object();
	doc_set_str(doc, "name", doc_str(call_body(c), "name", "?"));
	doc_set_str(doc, "user_id", call_caller(c)->sub);
	doc_set_str(doc, "request_id", call_request_id(c));
	doc_set_str(doc, "address", call_caller(c)->address);
	struct call_args onward = { 0 };
	call_onward(c, &onward);
	doc_set_str(doc, "trace", onward.trace);
	call_set_version(c, 1);
	call_set_location(c, "/api/v1/rdp/servers/" KNOWN);
	call_ok(c, doc);
}

static void on_create(struct call *c, UNUSED void *ctx)
{
	t.held = c;
	loop_timer_set(t.later, 20);
}

static void on_list(struct call *c, UNUSED void *ctx)
{
	call_ok(c, json_deep_copy(call_query(c)));
}

static void on_delete(struct call *c, UNUSED void *ctx)
{
	if (call_if_match(c) && call_if_match(c) != 3)
		call_fail(c, ERR_STALE, NULL);
	else
		call_ok(c, NULL);
}

static void on_file(struct call *c, UNUSED void *ctx)
{
	call_ok_blob(c, blob_new("full address:s:x\r\n", 18), "application/x-rdp");
}

static void on_hold(struct call *c, UNUSED void *ctx)
{
	t.held = c;
}

static void on_busy(struct call *c, UNUSED void *ctx)
{
	call_fail(c, ERR_BUSY, NULL);
}

static void on_quota(struct call *c, UNUSED void *ctx)
{
	call_fail(c, ERR_QUOTA, NULL);
}

/* --- a client: one request on one connection, in a thread of its own, while the loop runs here */

struct answer {
	int status;
	char *text, *body;
	json_t *doc; /* if the body is JSON */
};

struct client {
	struct loop_task done;
	int port;
	const char *raw;
	struct strbuf in;
};

static void stop(UNUSED struct loop_task *task)
{
	loop_stop(t.loop);
}

static void *client_run(void *arg)
{
	struct client *c = arg;
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)c->port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char part[4096];
	ssize_t n;
	if (connect(fd, (struct sockaddr *)&to, sizeof to) == 0 &&
	    send(fd, c->raw, strlen(c->raw), MSG_NOSIGNAL) == (ssize_t)strlen(c->raw))
		while ((n = recv(fd, part, sizeof part, 0)) > 0)
			strbuf_add(&c->in, part, (size_t)n);
	close(fd);
	loop_post(t.loop, &c->done);
	return NULL;
}

static void answer_done(struct answer *a)
{
	json_decref(a->doc);
	free(a->text);
}

static struct answer send_raw(int listener, const char *raw)
{
	struct client c = { .port = t.ports[listener], .raw = raw };
	struct answer a = { 0 };
	pthread_t thread;
	loop_task_init(&c.done, stop);
	assert_int_equal(pthread_create(&thread, NULL, client_run, &c), 0);
	loop_run(t.loop);
	pthread_join(thread, NULL);
	a.text = strbuf_take(&c.in);
	a.body = strstr(a.text, "\r\n\r\n");
	if (!a.body)
		fail_msg("no answer to: %s", raw);
	a.body += 4;
	a.status = atoi(a.text + 9);
	a.doc = doc_parse(a.body, strlen(a.body), NULL, 0);
	return a;
}

static struct answer ask(int listener, const char *fmt, ...) PRINTF(2, 3);
/* `fmt` is "METHOD path", then header lines, each after "\n", then a body after "\n\n". */
static struct answer ask(int listener, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	_cleanup_(xfreep) char *s = xvasprintf(fmt, ap);
	va_end(ap);
	struct strbuf raw = { 0 };
	char *body = strstr(s, "\n\n"), *heads;
	if (body) {
		*body = 0;
		body += 2;
	}
	if ((heads = strchr(s, '\n')))
		*heads++ = 0;
	strbuf_printf(&raw, "%s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n", s);
	for (char *line = heads; line; ) {
		char *next = strchr(line, '\n');
		if (next)
			*next++ = 0;
		strbuf_printf(&raw, "%s\r\n", line);
		line = next;
	}
	if (body)
		strbuf_printf(&raw, "Content-Length: %zu\r\n", strlen(body));
	strbuf_printf(&raw, "\r\n%s", body ? body : "");
	struct answer a = send_raw(listener, raw.s);
	strbuf_done(&raw);
	return a;
}

/* The value of a header, in a buffer that the next call overwrites; "" if it is missing. */
static const char *head(const struct answer *a, const char *name)
{
	static char value[512];
	size_t n = strlen(name);
	value[0] = 0;
	for (const char *p = strstr(a->text, "\r\n"); p && p + 4 < a->body; p = strstr(p + 2, "\r\n"))
		if (!strncasecmp(p + 2, name, n) && p[2 + n] == ':') {
			p += 3 + n + strspn(p + 3 + n, " ");
			snprintf(value, sizeof value, "%.*s", (int)strcspn(p, "\r"), p);
			break;
		}
	return value;
}

static const char *code(const struct answer *a)
{
	return doc_str(json_object_get(a->doc, "error"), "code", "");
}

/* A request whose response is an error with this status and code. */
#define REFUSED(want_status, want_code, ...)                                                                           \
	do {                                                                                                           \
		struct answer refused_ = ask(__VA_ARGS__);                                                             \
		if (refused_.status != (want_status) || !str_eq(code(&refused_), want_code))                           \
			fail_msg("wanted %d %s, got: %s", want_status, want_code, refused_.text);                      \
		answer_done(&refused_);                                                                                \
	} while (0)

/* The headers with which a role calls for a user; overwritten by the next call. */
static const char *sealed(const char *acting)
{
	static char headers[512];
	char seal[TOKEN_SEAL_SIZE];
	token_seal(t.keys, t.service, acting, seal);
	snprintf(headers, sizeof headers, "X-Lucid-For: %s\nX-Lucid-Seal: %s", acting, seal);
	return headers;
}

/* --- set-up */

static int listen_any(int *ret_port)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof at;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
	assert_int_equal(listen(fd, 64), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
	*ret_port = ntohs(at.sin_port);
	return fd;
}

static void serve(const char *name, call_handler handler)
{
	const struct op *op = op_find(name);
	assert_non_null(op);
	bus_serve(t.bus, op, handler, NULL);
}

static struct config *load(const char *const *set)
{
	struct strbuf faults = { 0 }, warnings = { 0 };
	char *const env[] = { NULL };
	struct config *c = config_load(options(), options_n(), &(struct config_input){ .env = env, .set = set, .no_dotenv = true },
				       &faults, &warnings);
	if (!c)
		fail_msg("configuration: %s", faults.s);
	strbuf_done(&faults);
	strbuf_done(&warnings);
	return c;
}

static void drained(UNUSED void *arg)
{
	loop_stop(t.loop);
}

static const char *const usual[] = { "RATE_LIMIT_ENABLED=false", "AUTH_SERVICE_URL=https://auth.example", NULL };

static int set_up(UNUSED void **state)
{
	static const struct role *here[] = { &servers, NULL };
	static const struct role *all[] = { &servers, &xrdp, &sessions, NULL };
	log_setup(LOG_ERROR_, LOG_JSON, 2);
	t.loop = loop_new();
	t.bus = bus_new(t.loop);
	t.later = loop_timer_new(t.loop, answer_later, NULL);
	t.stop = loop_timer_new(t.loop, drained, NULL);
	t.config = load(usual);
	t.keys = token_keys_new(&(struct token_options){ .secret = SECRET, .lifetime_s = 3600 });
	t.user = token_mint(t.keys, "ann", (const char *const[]){ "user", NULL }, true, 0);
	t.admin = token_mint(t.keys, "root", (const char *const[]){ "admin", NULL }, true, 0);
	t.service = token_mint(t.keys, "role", (const char *const[]){ "service", NULL }, true, 0);
	serve("rdp.servers.get", on_get);
	serve("rdp.servers.create", on_create);
	serve("rdp.servers.list", on_list);
	serve("rdp.servers.delete", on_delete);
	serve("rdp.servers.rdp_file", on_file);
	serve("rdp.servers.logs", on_busy);
	serve("rdp.servers.config", on_quota);
	serve("rdp.servers.status", on_hold);
	serve("rdp.nodes.list", on_list);
	t.api = api_new(&(struct api_env){
		.loop = t.loop, .bus = t.bus, .config = t.config, .keys = t.keys, .roles = here, .all_roles = all });
	for (size_t i = 0; i < 3; i++) {
		t.fds[i] = listen_any(&t.ports[i]);
		assert_int_equal(api_listen(t.api, t.fds[i], i == 0 ? &servers : i == 1 ? &sessions : NULL), 0);
	}
	return 0;
}

static int tear_down(UNUSED void **state)
{
	for (size_t i = 0; i < 3; i++)
		close(t.fds[i]);
	loop_timer_free(t.later);
	loop_timer_free(t.stop);
	bus_free(t.bus);
	token_keys_free(t.keys);
	config_free(t.config);
	loop_free(t.loop);
	free(t.user);
	free(t.admin);
	free(t.service);
	metrics_reset();
	return 0;
}

static void reload(const char *const *set)
{
	struct config *was = t.config;
	t.config = load(set);
	api_reload(t.api, t.config, t.keys);
	config_free(was);
}

/* --- tests */

static void test_pages(UNUSED void **state)
{
	struct answer a = ask(0, "GET /health");
	assert_int_equal(a.status, 200);
	assert_string_equal(doc_str(a.doc, "status", ""), "healthy");
	assert_string_equal(doc_str(a.doc, "service", ""), "manager");
	assert_true(doc_array_has(json_object_get(a.doc, "roles"), ROLE_SERVERS));
	assert_string_equal(head(&a, "Content-Type"), "application/json");
	assert_string_equal(head(&a, "Cache-Control"), "no-store");
	assert_string_equal(head(&a, "X-Content-Type-Options"), "nosniff");
	assert_string_equal(head(&a, "RateLimit-Limit"), "");
	answer_done(&a);
	a = ask(1, "GET /health/live/");
	assert_true(doc_bool(a.doc, "alive", false));
	answer_done(&a);
	a = ask(1, "GET /");
	assert_string_equal(doc_str(a.doc, "service", ""), "controller");
	assert_string_equal(doc_str(a.doc, "status", ""), "running");
	answer_done(&a);
	a = ask(2, "GET /health");
	assert_int_equal(a.status, 200);
	answer_done(&a);
	REFUSED(404, "LUCID_ERR_0006", 2, "GET /api/v1/rdp/servers\nAuthorization: Bearer %s", t.user);
	REFUSED(404, "LUCID_ERR_0006", 2, "GET /openapi.json");
	REFUSED(422, "LUCID_ERR_0005", 0, "GET /health?verbose=1");
}

static void test_methods(UNUSED void **state)
{
	struct answer a = ask(0, "HEAD /health");
	assert_int_equal(a.status, 200);
	assert_string_equal(a.body, "");
	assert_true(atoi(head(&a, "Content-Length")) > 50);
	answer_done(&a);
	a = ask(0, "HEAD /api/v1/rdp/servers/" KNOWN "\nAuthorization: Bearer %s", t.user);
	assert_int_equal(a.status, 200);
	assert_string_equal(a.body, "");
	assert_string_equal(head(&a, "ETag"), "\"3\"");
	answer_done(&a);
	a = ask(0, "OPTIONS /api/v1/rdp/servers/" KNOWN);
	assert_int_equal(a.status, 204);
	assert_string_equal(head(&a, "Allow"), "GET, HEAD, PUT, PATCH, DELETE, OPTIONS");
	answer_done(&a);
	a = ask(0, "OPTIONS /health");
	assert_string_equal(head(&a, "Allow"), "GET, HEAD, OPTIONS");
	answer_done(&a);
	a = ask(0, "POST /api/v1/rdp/servers/" KNOWN "\n\n{}");
	assert_int_equal(a.status, 405);
	assert_string_equal(code(&a), "LUCID_ERR_0007");
	assert_string_equal(head(&a, "Allow"), "GET, HEAD, PUT, PATCH, DELETE, OPTIONS");
	answer_done(&a);
	REFUSED(405, "LUCID_ERR_0007", 0, "DELETE /health");
	REFUSED(405, "LUCID_ERR_0007", 0, "BREW /health");
	REFUSED(404, "LUCID_ERR_0006", 0, "BREW /nothing");
}

static void test_routes(UNUSED void **state)
{
	struct answer a = ask(0, "GET /servers/" KNOWN "/\nAuthorization: Bearer %s", t.user); /* short form, on its own port */
	assert_int_equal(a.status, 200);
	answer_done(&a);
	REFUSED(404, "LUCID_ERR_0006", 1, "GET /servers/" KNOWN "\nAuthorization: Bearer %s", t.user);
	a = ask(1, "GET /api/v1/rdp/servers/%%31%s\nAuthorization: bearer  %s", &KNOWN[1], t.user); /* on another role's port */
	assert_int_equal(a.status, 200);
	assert_string_equal(doc_str(a.doc, "name", ""), "one");
	answer_done(&a);
	REFUSED(404, "LUCID_ERR_0006", 0, "GET /api/v1/nothing");
	REFUSED(404, "LUCID_ERR_0006", 0, "GET /api/v1/rdp");
	static const char *const bad[] = { "/api/v1/rdp//servers", "/api/v1/../rdp", "/api/v1/rdp/%2e%2e/x", "/servers/a%2fb",
					   "/servers/%00", "/servers/%zz", "/servers/%ff", "/servers/%0a" };
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		REFUSED(400, "LUCID_ERR_0013", 0, "GET %s\nAuthorization: Bearer %s", bad[i], t.user);
	REFUSED(422, "LUCID_ERR_0005", 0, "GET /servers/not-an-id\nAuthorization: Bearer %s", t.user);
	a = ask(0, "GET /api/v1/xrdp/instances\nAuthorization: Bearer %s", t.admin); /* a role that runs nowhere */
	assert_int_equal(a.status, 503);
	assert_string_equal(code(&a), "LUCID_ERR_0010");
	assert_true(atoi(head(&a, "Retry-After")) > 0);
	assert_string_equal(doc_str(json_object_get(a.doc, "error"), "service", ""), "agent");
	answer_done(&a);
}

static void test_tokens(UNUSED void **state)
{
	struct answer a = ask(0, "GET /servers");
	assert_int_equal(a.status, 401);
	assert_string_equal(head(&a, "WWW-Authenticate"), "Bearer realm=\"lucid-rdp\"");
	assert_non_null(strstr(a.body, "https://auth.example"));
	answer_done(&a);
	a = ask(0, "GET /servers\nAuthorization: Bearer x.y.z");
	assert_int_equal(a.status, 401);
	assert_non_null(strstr(head(&a, "WWW-Authenticate"), "error=\"invalid_token\", error_description=\"the token is"));
	answer_done(&a);
	REFUSED(401, "LUCID_ERR_0002", 0, "GET /servers\nAuthorization: Basic YTpi");
	REFUSED(401, "LUCID_ERR_0002", 0, "GET /servers\nAuthorization: Bearer");
	REFUSED(401, "LUCID_ERR_0002", 0, "GET /servers\nAuthorization: %s", t.user);
	REFUSED(401, "LUCID_ERR_0002", 0, "GET /servers\nAuthorization: Bearer %s x", t.user);
	REFUSED(400, "LUCID_ERR_0013", 0, "GET /servers\nAuthorization: Bearer %s\nAuthorization: Bearer %s", t.user, t.user);
	a = ask(0, "GET /api/v1/rdp/nodes\nAuthorization: Bearer %s", t.user);
	assert_int_equal(a.status, 403);
	assert_string_equal(code(&a), "LUCID_ERR_0003");
	assert_non_null(strstr(head(&a, "WWW-Authenticate"), "insufficient_scope"));
	answer_done(&a);
	a = ask(0, "GET /api/v1/rdp/nodes\nAuthorization: Bearer %s", t.admin);
	assert_int_equal(a.status, 200);
	answer_done(&a);
}

/* A service token alone is sufficient for calls that roles make themselves, and for no others; with another role in it, that role counts. */
static void test_service_tokens_may_call_what_roles_need(UNUSED void **state)
{
	static const char *const both_roles[] = { "service", "user", NULL }, *const all_roles[] = { "service", "admin", NULL };
	static const char *const none[] = { NULL }, *const strange[] = { "auditor", "Admin", NULL };
	_cleanup_(xfreep) char *both = token_mint(t.keys, "ann", both_roles, true, 0), *all = token_mint(t.keys, "root", all_roles, true, 0);
	_cleanup_(xfreep) char *nobody = token_mint(t.keys, "ann", none, true, 0), *stranger = token_mint(t.keys, "ann", strange, true, 0);
	static const char *const refused[] = { "GET /servers", "GET /api/v1/rdp/nodes", "DELETE /servers/" KNOWN, "GET /servers/" KNOWN "/config",
					       "GET /servers/" KNOWN "/logs", "POST /servers/" KNOWN "/start", "GET /api/v1/xrdp/config",
					       "POST /api/v1/xrdp/service/stop", "GET /api/v1/xrdp/info" };
	for (size_t i = 0; i < ARRAY_LEN(refused); i++)
		REFUSED(403, "LUCID_ERR_0003", 0, "%s\nAuthorization: Bearer %s", refused[i], t.service);
	struct answer a = ask(0, "GET /servers/" KNOWN "\nAuthorization: Bearer %s", t.service);
	assert_int_equal(a.status, 200);
	answer_done(&a);
	const struct {
		const char *token;
		int list, nodes, one;
	} rows[] = { { both, 200, 403, 200 }, { all, 200, 200, 200 }, { nobody, 403, 403, 403 }, { stranger, 403, 403, 403 } };
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct {
			const char *what;
			int status;
		} asks[] = { { "GET /servers", rows[i].list }, { "GET /api/v1/rdp/nodes", rows[i].nodes }, { "GET /servers/" KNOWN, rows[i].one } };
		for (size_t j = 0; j < ARRAY_LEN(asks); j++) {
			a = ask(0, "%s\nAuthorization: Bearer %s", asks[j].what, rows[i].token);
			assert_int_equal(a.status, asks[j].status);
			answer_done(&a);
		}
	}
	/* only the token of a role may name the user for whom it calls */
	REFUSED(403, "LUCID_ERR_0003", 0, "GET /api/v1/rdp/nodes\nAuthorization: Bearer %s\nX-Lucid-For: sub=root;roles=admin;sessions=yes;from=", both);
	/* the call has the rights of that user, also of an unknown one */
	REFUSED(403, "LUCID_ERR_0003", 0, "GET /servers\nAuthorization: Bearer %s\n%s", t.service, sealed("sub=x;roles=service;sessions=yes;from=192.0.2.7"));
	REFUSED(403, "LUCID_ERR_0003", 0, "GET /servers\nAuthorization: Bearer %s\n%s", t.service, sealed("sub=x;roles=;sessions=yes;from=192.0.2.7"));
}

static void test_bodies(UNUSED void **state)
{
	struct answer a = ask(0, "POST /servers\nAuthorization: Bearer %s\nContent-Type: application/json; charset=utf-8\n"
				 "X-Request-ID: my-id.1\n\n{\"name\":\"desk\"}", t.user);
	assert_int_equal(a.status, 201);
	assert_string_equal(doc_str(a.doc, "name", ""), "desk");
	assert_string_equal(doc_str(a.doc, "user_id", ""), "ann");
	assert_string_equal(doc_str(a.doc, "request_id", ""), "my-id.1");
	assert_string_equal(doc_str(a.doc, "address", ""), "127.0.0.1");
	assert_string_equal(head(&a, "X-Request-ID"), "my-id.1");
	assert_string_equal(head(&a, "Location"), "/api/v1/rdp/servers/" KNOWN);
	assert_string_equal(head(&a, "ETag"), "\"1\"");
	answer_done(&a);
#define POST "POST /servers\nAuthorization: Bearer %s\nContent-Type: application/json\n\n"
	REFUSED(415, "LUCID_ERR_0009", 0, "POST /servers\nAuthorization: Bearer %s\n\n{}", t.user);
	REFUSED(415, "LUCID_ERR_0009", 0, "POST /servers\nAuthorization: Bearer %s\nContent-Type: text/json\n\n{}", t.user);
	REFUSED(415, "LUCID_ERR_0009", 0, "POST /servers\nAuthorization: Bearer %s\nContent-Type: application/merge-patch+json\n\n{}", t.user);
	REFUSED(415, "LUCID_ERR_0009", 0, "POST /servers\nAuthorization: Bearer %s\nContent-Type: application/jsonx\n\n{}", t.user);
	REFUSED(415, "LUCID_ERR_0009", 0, "POST /servers\nAuthorization: Bearer %s\nContent-Type: application/json; charset=latin1\n\n{}",
		t.user);
	REFUSED(415, "LUCID_ERR_0009", 0,
		"POST /servers\nAuthorization: Bearer %s\nContent-Type: application/json\nContent-Encoding: gzip\n\n{}", t.user);
	static const char *const malformed[] = { "{", "{\"name\":\"a\"}x", "{\"name\":\"a\",\"name\":\"b\"}", "\xff", "{'a':1}", "{\"a\":1e999}" };
	for (size_t i = 0; i < ARRAY_LEN(malformed); i++)
		REFUSED(400, "LUCID_ERR_0013", 0, POST "%s", t.user, malformed[i]);
	char deep[512];
	memset(deep, '[', 100);
	memset(deep + 100, ']', 100);
	deep[200] = 0;
	REFUSED(400, "LUCID_ERR_0013", 0, POST "%s", t.user, deep);
	a = ask(0, POST "{\"name\":5,\"nonsense\":1,\"tags\":\"x\"}", t.user);
	assert_int_equal(a.status, 422);
	const json_t *details = json_object_get(json_object_get(a.doc, "error"), "details");
	assert_int_equal(json_array_size(details), 3); /* all of them at once */
	assert_string_equal(doc_str(json_array_get(details, 1), "field", ""), "nonsense");
	answer_done(&a);
	REFUSED(422, "LUCID_ERR_0005", 0, POST "[]", t.user);
	REFUSED(422, "LUCID_ERR_0005", 0, "POST /servers\nAuthorization: Bearer %s", t.user); /* no body: name is missing */
	REFUSED(422, "LUCID_ERR_0005", 0, "GET /servers/" KNOWN "\nAuthorization: Bearer %s\nContent-Type: application/json\n\n{\"a\":1}",
		t.user);
}

static void test_query(UNUSED void **state)
{
	struct answer a = ask(0, "GET /servers?page=2&q=a%%20b\nAuthorization: Bearer %s", t.user);
	assert_int_equal(a.status, 200);
	assert_int_equal(doc_int(a.doc, "page", 0), 2);
	assert_int_equal(doc_int(a.doc, "limit", 0), 20);
	assert_string_equal(doc_str(a.doc, "q", ""), "a b");
	answer_done(&a);
	REFUSED(422, "LUCID_ERR_0005", 0, "GET /servers?page=0\nAuthorization: Bearer %s", t.user);
	REFUSED(422, "LUCID_ERR_0005", 0, "GET /servers?limit=101\nAuthorization: Bearer %s", t.user);
	REFUSED(422, "LUCID_ERR_0005", 0, "GET /servers?limit=x\nAuthorization: Bearer %s", t.user);
	REFUSED(422, "LUCID_ERR_0005", 0, "GET /servers?nonsense=1\nAuthorization: Bearer %s", t.user);
	REFUSED(422, "LUCID_ERR_0005", 0, "GET /servers?page=1&page=2\nAuthorization: Bearer %s", t.user);
	REFUSED(422, "LUCID_ERR_0005", 0, "GET /servers/" KNOWN "?x=1\nAuthorization: Bearer %s", t.user);
	REFUSED(400, "LUCID_ERR_0013", 0, "GET /servers?q=%%zz\nAuthorization: Bearer %s", t.user);
	REFUSED(400, "LUCID_ERR_0013", 0, "GET /servers?q=%%4\nAuthorization: Bearer %s", t.user);
	REFUSED(400, "LUCID_ERR_0013", 0, "GET /servers?q=%%00\nAuthorization: Bearer %s", t.user);
}

static int get_with(const char *header)
{
	struct answer a = ask(0, "GET /servers/" KNOWN "\nAuthorization: Bearer %s\n%s", t.user, header);
	int status = a.status;
	assert_string_equal(head(&a, "ETag"), "\"3\"");
	if (status == 304)
		assert_string_equal(a.body, "");
	answer_done(&a);
	return status;
}

static int delete_with(const char *header)
{
	struct answer a = ask(0, "DELETE /servers/" KNOWN "\nAuthorization: Bearer %s\n%s", t.user, header);
	int status = a.status;
	answer_done(&a);
	return status;
}

static void test_etags(UNUSED void **state)
{
	assert_int_equal(get_with("If-None-Match: \"3\""), 304);
	assert_int_equal(get_with("If-None-Match: W/\"3\""), 304);
	assert_int_equal(get_with("If-None-Match: \"2\", \"x\", \"3\""), 304);
	assert_int_equal(get_with("If-None-Match: *"), 304);
	assert_int_equal(get_with("If-None-Match: \"2\""), 200);
	assert_int_equal(get_with("If-None-Match: 3"), 200);
	assert_int_equal(get_with("If-None-Match: \"3"), 200);
	assert_int_equal(delete_with("X: y"), 204);
	assert_int_equal(delete_with("If-Match: \"3\""), 204);
	assert_int_equal(delete_with("If-Match: *"), 204);
	assert_int_equal(delete_with("If-Match: \"2\""), 412);
	assert_int_equal(delete_with("If-Match: \"abc\""), 412);
	assert_int_equal(delete_with("If-Match: W/\"3\""), 412);
	assert_int_equal(delete_with("If-Match: \"03\""), 412);
	assert_int_equal(delete_with("If-Match: \"99999999999999999999\""), 412);
	assert_int_equal(delete_with("If-Match: 3"), 400);
	assert_int_equal(delete_with("If-Match: \"3\", \"4\""), 400);
	assert_int_equal(delete_with("If-Match: \"3"), 400);
	assert_int_equal(delete_with("If-Match: \"3\"\nIf-Match: \"3\""), 400);
}

static void test_errors(UNUSED void **state)
{
	struct answer a = ask(0, "GET /servers/" OTHER "\nAuthorization: Bearer %s\nX-Request-ID: not sane!", t.user);
	const json_t *e = json_object_get(a.doc, "error");
	assert_int_equal(a.status, 404);
	assert_int_equal(json_object_size(a.doc), 1);
	assert_int_equal(json_object_size(e), 7);
	assert_string_equal(doc_str(e, "code", ""), "LUCID_ERR_2001");
	assert_string_equal(doc_str(e, "service", ""), "manager");
	assert_string_equal(doc_str(e, "version", ""), "v1");
	assert_true(strlen(doc_str(e, "message", "")) > 5);
	assert_string_equal(doc_str(e, "request_id", ""), head(&a, "X-Request-ID"));
	assert_int_equal(strcspn(head(&a, "X-Request-ID"), " !"), strlen(head(&a, "X-Request-ID")));
	assert_int_equal(strlen(doc_str(e, "timestamp", "")), 24);
	assert_true(json_is_array(json_object_get(e, "details")));
	assert_string_equal(head(&a, "Content-Type"), "application/json");
	answer_done(&a);
	a = ask(0, "GET /servers/" KNOWN "/logs\nAuthorization: Bearer %s", t.user);
	assert_int_equal(a.status, 503);
	assert_string_equal(head(&a, "Retry-After"), "2");
	answer_done(&a);
	a = ask(0, "GET /servers/" KNOWN "/config\nAuthorization: Bearer %s", t.user);
	assert_int_equal(a.status, 429);
	assert_string_equal(head(&a, "Retry-After"), "30");
	answer_done(&a);
	a = send_raw(0, "GET /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"); /* refused by the gate, in the same form */
	assert_int_equal(a.status, 411);
	assert_string_equal(code(&a), "LUCID_ERR_0013");
	answer_done(&a);
	a = ask(0, "GET /servers/" KNOWN "/rdp-file\nAuthorization: Bearer %s", t.user);
	assert_int_equal(a.status, 200);
	assert_string_equal(head(&a, "Content-Type"), "application/x-rdp");
	assert_string_equal(a.body, "full address:s:x\r\n");
	answer_done(&a);
}

static void test_ids(UNUSED void **state)
{
	char first[64];
	struct answer a = ask(0, "GET /health");
	str_copy(first, sizeof first, head(&a, "X-Request-ID"));
	assert_true(strlen(first) >= 17);
	answer_done(&a);
	a = ask(0, "GET /health\nX-Request-ID: a\nX-Request-ID: b");
	assert_string_not_equal(head(&a, "X-Request-ID"), first);
	assert_string_not_equal(head(&a, "X-Request-ID"), "a");
	answer_done(&a);
}

/* Fills the address's bucket, which then holds three. */
static void refill(void)
{
	reload((const char *const[]){ "RATE_LIMIT_PER_MINUTE=60000", "RATE_LIMIT_BURST_SIZE=3", NULL });
	struct answer a = ask(0, "GET /"); /* the bucket has the new limit now, by which it fills in 3 ms */
	answer_done(&a);
	usleep(20000);
	reload((const char *const[]){ "RATE_LIMIT_PER_MINUTE=1", "RATE_LIMIT_BURST_SIZE=3", NULL });
}

static void test_rates(UNUSED void **state)
{
	reload((const char *const[]){ "RATE_LIMIT_PER_MINUTE=1", "RATE_LIMIT_BURST_SIZE=3", NULL });
	for (int i = 0; i < 3; i++) {
		struct answer a = ask(0, "GET /servers\nAuthorization: Bearer %s", t.user);
		assert_int_equal(a.status, 200);
		assert_string_equal(head(&a, "RateLimit-Limit"), "3");
		assert_int_equal(atoi(head(&a, "RateLimit-Remaining")), 2 - i);
		assert_in_range(atoi(head(&a, "RateLimit-Reset")), 60 * i + 1, 60 * (i + 1));
		answer_done(&a);
	}
	struct answer a = ask(0, "GET /servers\nAuthorization: Bearer %s", t.user);
	assert_int_equal(a.status, 429);
	assert_string_equal(code(&a), "LUCID_ERR_0004");
	assert_in_range(atoi(head(&a, "Retry-After")), 1, 60);
	assert_string_equal(head(&a, "RateLimit-Remaining"), "0");
	answer_done(&a);
	/* other callers are not limited by it, nor are health, metrics and calls between roles */
	for (int i = 0; i < 5; i++) {
		a = ask(0, "GET /servers/" KNOWN "\nAuthorization: Bearer %s", t.service);
		assert_int_equal(a.status, 200);
		answer_done(&a);
		a = ask(0, "GET /health");
		assert_int_equal(a.status, 200);
		answer_done(&a);
	}
	/* requests without a token are counted by address, including refusals and preflights */
	static const char *const open_to_all[] = { "GET /", "GET /openapi.json", "GET /docs", "GET /none", "POST /health/none", "GET /a%zz", "POST /openapi.json",
						   "OPTIONS /servers\nOrigin: https://a\nAccess-Control-Request-Method: POST", "OPTIONS /openapi.json",
						   "PATCH /servers", "GET /events" };
	for (size_t i = 0; i < ARRAY_LEN(open_to_all); i++) {
		refill();
		for (int n = 0; n < 3; n++) {
			a = ask(0, "%s", open_to_all[i]);
			assert_int_not_equal(a.status, 429);
			answer_done(&a);
		}
		REFUSED(429, "LUCID_ERR_0004", 0, "%s", open_to_all[i]);
		a = ask(0, "GET /health/ready");
		assert_int_equal(a.status, 200);
		answer_done(&a);
		a = ask(0, "OPTIONS /metrics");
		assert_int_equal(a.status, 204);
		answer_done(&a);
	}
	a = ask(0, "GET /\nAuthorization: Bearer %s", t.admin);
	assert_int_equal(a.status, 200);
	answer_done(&a);
	refill();
	/* bad tokens are counted by address */
	for (int i = 0; i < 3; i++)
		REFUSED(401, "LUCID_ERR_0002", 0, "GET /servers\nAuthorization: Bearer x.%d.y", i);
	REFUSED(429, "LUCID_ERR_0004", 0, "GET /servers\nAuthorization: Bearer x.9.y");
	a = ask(0, "GET /servers\nAuthorization: Bearer %s", t.admin);
	assert_int_equal(a.status, 200);
	answer_done(&a);
	reload(usual);
}

#define ANN "sub=ann;roles=user;sessions=yes;from=192.0.2.77"
#define ROOT "sub=root;roles=admin;sessions=yes;from="
#define FOR_ANN "X-Lucid-For: " ANN

/* A role calls for a user with its own token and a seal: the user's rights and name, no second rate limit, and the client's true address. */
static void test_acting(UNUSED void **state)
{
	reload((const char *const[]){ "RATE_LIMIT_PER_MINUTE=1", "RATE_LIMIT_BURST_SIZE=1", NULL });
	for (int i = 0; i < 3; i++) {
		struct answer a = ask(0, "POST /servers\nAuthorization: Bearer %s\n%s\nContent-Type: application/json\n\n{\"name\":\"x\"}", t.service, sealed(ANN));
		assert_int_equal(a.status, 201);
		assert_string_equal(doc_str(a.doc, "user_id", ""), "ann");
		assert_string_equal(doc_str(a.doc, "address", ""), "192.0.2.77");
		assert_string_equal(head(&a, "RateLimit-Limit"), "");
		answer_done(&a);
	}
	reload(usual);
	REFUSED(403, "LUCID_ERR_0003", 0, "GET /api/v1/rdp/nodes\nAuthorization: Bearer %s\n%s", t.service, sealed(ANN));
	REFUSED(400, "LUCID_ERR_0013", 0, "GET /api/v1/rdp/nodes\nAuthorization: Bearer %s\nX-Lucid-For: root", t.service);
	REFUSED(400, "LUCID_ERR_0013", 0, "GET /api/v1/rdp/nodes\nAuthorization: Bearer %s\n" FOR_ANN "\n" FOR_ANN, t.service);
	REFUSED(401, "LUCID_ERR_0002", 0, "GET /servers\n" FOR_ANN);
	REFUSED(403, "LUCID_ERR_0003", 0, "GET /api/v1/rdp/nodes\nAuthorization: Bearer %s", t.service);
	struct answer a = ask(0, "GET /api/v1/rdp/nodes\nAuthorization: Bearer %s\n%s", t.service, sealed(ROOT));
	assert_int_equal(a.status, 200);
	answer_done(&a);
	/* the token alone does not make an admin of whoever holds it: a seal is for one token and one user */
	char seal[TOKEN_SEAL_SIZE], other[TOKEN_SEAL_SIZE];
	token_seal(t.keys, t.service, ANN, seal);
	token_seal(t.keys, t.admin, ROOT, other);
	const char *const seals[] = { "", "x", seal, other };
	for (size_t i = 0; i < ARRAY_LEN(seals); i++)
		REFUSED(403, "LUCID_ERR_0003", 0, "GET /api/v1/rdp/nodes\nAuthorization: Bearer %s\nX-Lucid-For: " ROOT "\nX-Lucid-Seal: %s", t.service, seals[i]);
	REFUSED(403, "LUCID_ERR_0003", 0, "GET /api/v1/rdp/nodes\nAuthorization: Bearer %s\nX-Lucid-For: " ROOT, t.service);
	/* other callers are not believed, not even an admin */
	REFUSED(403, "LUCID_ERR_0003", 0, "GET /api/v1/rdp/nodes\nAuthorization: Bearer %s\nX-Lucid-For: sub=root;roles=admin;sessions=yes;from=", t.user);
	a = ask(0, "POST /servers\nAuthorization: Bearer %s\n" FOR_ANN "\nContent-Type: application/json\n\n{\"name\":\"x\"}", t.admin);
	assert_string_equal(doc_str(a.doc, "user_id", ""), "root");
	assert_string_equal(doc_str(a.doc, "address", ""), "127.0.0.1");
	answer_done(&a);
	REFUSED(403, "LUCID_ERR_0003", 0, "GET /events?own=true\nAuthorization: Bearer %s", t.admin);
}

static void test_metrics(UNUSED void **state)
{
	struct answer a = ask(0, "GET /servers/" KNOWN "\nAuthorization: Bearer %s", t.user);
	answer_done(&a);
	a = ask(0, "GET /nothing/at/all");
	answer_done(&a);
	a = ask(2, "GET /metrics");
	assert_int_equal(a.status, 200);
	assert_string_equal(head(&a, "Content-Type"), "text/plain; version=0.0.4; charset=utf-8");
	static const char *const lines[] = {
		"rdp_requests_total{service=\"manager\",endpoint=\"/api/v1/rdp/servers/{server_id}\",method=\"GET\",status=\"200\"} ",
		"rdp_request_duration_seconds_count{service=\"manager\",endpoint=\"/api/v1/rdp/servers/{server_id}\",method=\"GET\"} ",
		"rdp_requests_total{service=\"manager\",endpoint=\"unmatched\",method=\"GET\",status=\"404\"} ",
		"rdp_auth_failures_total{reason=\"", "rdp_rate_limited_total{class=\"default\"} ", "rdp_http_connections ",
		"rdp_loop_lag_seconds ", "process_resident_memory_bytes ", "process_open_fds ", "build_info{version=\"",
	};
	for (size_t i = 0; i < ARRAY_LEN(lines); i++)
		if (!strstr(a.body, lines[i]))
			fail_msg("not on the page: %s", lines[i]);
	assert_null(strstr(a.body, KNOWN)); /* route templates, never paths */
	answer_done(&a);
	a = ask(0, "GET /metrics\nAccept: application/openmetrics-text; version=1.0.0");
	assert_string_equal(head(&a, "Content-Type"), "application/openmetrics-text; version=1.0.0; charset=utf-8");
	assert_non_null(strstr(a.body, "\n# EOF\n"));
	answer_done(&a);
	reload((const char *const[]){ "METRICS_PUBLIC=false", NULL });
	REFUSED(401, "LUCID_ERR_0002", 0, "GET /metrics");
	REFUSED(403, "LUCID_ERR_0003", 0, "GET /metrics\nAuthorization: Bearer %s", t.user);
	a = ask(0, "GET /metrics\nAuthorization: Bearer %s", t.admin);
	assert_int_equal(a.status, 200);
	answer_done(&a);
	a = ask(2, "GET /metrics");
	assert_int_equal(a.status, 200);
	answer_done(&a);
	reload(usual);
}

static const char *traced(const char *value)
{
	static char trace[64];
	struct answer a = ask(0, "POST /servers\nAuthorization: Bearer %s\nContent-Type: application/json\ntraceparent: %s\n\n{\"name\":\"d\"}",
			      t.user, value);
	assert_int_equal(a.status, 201);
	str_copy(trace, sizeof trace, doc_str(a.doc, "trace", ""));
	answer_done(&a);
	return trace;
}

static void test_trace(UNUSED void **state)
{
#define TRACE "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	assert_string_equal(traced(TRACE), TRACE);
	assert_string_equal(traced(TRACE "-x"), "");
	assert_string_equal(traced("00-00000000000000000000000000000000-b7ad6b7169203331-01"), "");
	assert_string_equal(traced("00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01"), "");
	assert_string_equal(traced("ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"), "");
}

static const char *address_seen(const char *heads)
{
	static char address[64];
	struct answer a = ask(0, "POST /servers\nAuthorization: Bearer %s\nContent-Type: application/json\n%s\n\n{\"name\":\"d\"}",
			      t.user, heads);
	str_copy(address, sizeof address, doc_str(a.doc, "address", ""));
	answer_done(&a);
	return address;
}

static void test_proxies(UNUSED void **state)
{
	assert_string_equal(address_seen("X-Forwarded-For: 192.0.2.9"), "127.0.0.1"); /* no proxy is trusted by default */
	reload((const char *const[]){ "RATE_LIMIT_ENABLED=false", "TRUSTED_PROXIES=127.0.0.0/8,10.0.0.0/8,fd00::/8", NULL });
	static const struct {
		const char *heads, *want;
	} rows[] = {
		{ "X: y", "127.0.0.1" },
		{ "X-Forwarded-For: 192.0.2.9", "192.0.2.9" },
		{ "X-Forwarded-For: 198.51.100.1, 192.0.2.9", "192.0.2.9" }, /* what the client itself claims is not believed */
		{ "X-Forwarded-For: 192.0.2.9 , 10.1.2.3,fd00::7", "192.0.2.9" },
		{ "X-Forwarded-For: 2001:db8::1", "2001:db8::1" },
		{ "X-Forwarded-For: nonsense", "127.0.0.1" },
		{ "X-Forwarded-For: nonsense, 10.1.2.3", "10.1.2.3" },
		{ "X-Forwarded-For: 192.0.2.9, ,", "192.0.2.9" }, /* RFC 9110: empty items are skipped */
		{ "X-Forwarded-For:", "127.0.0.1" },
		{ "X-Forwarded-For: 10.9.9.9", "10.9.9.9" },
		/* several lines form one list */
		{ "X-Forwarded-For: 192.0.2.9\nX-Forwarded-For: 192.0.2.8", "192.0.2.8" },
		{ "X-Forwarded-For: 192.0.2.9\nX-Forwarded-For: 10.1.2.3", "192.0.2.9" },
		{ "X-Forwarded-For: 198.51.100.1, 192.0.2.9\nX: y\nX-Forwarded-For: 10.1.2.3, fd00::7", "192.0.2.9" },
		/* ports, brackets, quotes, IPv4-mapped addresses, zones, one form of each address */
		{ "X-Forwarded-For: 192.0.2.9:4711", "192.0.2.9" },
		{ "X-Forwarded-For: [2001:db8::1]:4711, 10.1.2.3:80", "2001:db8::1" },
		{ "X-Forwarded-For: [2001:DB8:0:0::1]", "2001:db8::1" },
		{ "X-Forwarded-For: \"[2001:db8::1]:80\"", "2001:db8::1" },
		{ "X-Forwarded-For: ::ffff:192.0.2.9", "192.0.2.9" },
		{ "X-Forwarded-For: 192.0.2.9, [::ffff:10.1.2.3]:80", "192.0.2.9" },
		{ "X-Forwarded-For: fe80::1%eth0", "fe80::1" },
		/* an invalid address ends the list */
		{ "X-Forwarded-For: 192.0.2.9, unknown", "127.0.0.1" },
		{ "X-Forwarded-For: 192.0.2.9:http", "127.0.0.1" },
		{ "X-Forwarded-For: 192.0.2.9:99999", "127.0.0.1" },
		{ "X-Forwarded-For: [192.0.2.9", "127.0.0.1" },
		{ "X-Forwarded-For: [2001:db8::1]x", "127.0.0.1" },
		{ "X-Forwarded-For: 192.0.2.9 192.0.2.8", "127.0.0.1" },
		{ "X-Forwarded-For: 192.0.2.256", "127.0.0.1" },
		/* RFC 7239 */
		{ "Forwarded: for=192.0.2.9", "192.0.2.9" },
		{ "Forwarded: for=198.51.100.1, for=192.0.2.9;proto=https;by=203.0.113.43", "192.0.2.9" },
		{ "Forwarded: For=\"[2001:db8::1]:4711\";Proto=\"https\" , for=10.1.2.3", "2001:db8::1" },
		{ "Forwarded: for=\"192.0.2.9:_hidden\"", "192.0.2.9" },
		{ "Forwarded: for=192.0.2.9:80", "192.0.2.9" },
		{ "Forwarded: for=192.0.2.9\nForwarded: for=10.1.2.3", "192.0.2.9" },
		{ "Forwarded: proto=https;host=\"a, b; for=192.0.2.8\";for=192.0.2.9", "192.0.2.9" },
		{ "Forwarded: for=192.0.2.9;", "192.0.2.9" }, /* a pair may be empty */
		{ "Forwarded: ;for=192.0.2.9;;proto=https; , for=10.1.2.3 ; ", "192.0.2.9" },
		{ "Forwarded: for=192.0.2.9;secret=\"a\\\"b\\\\\"", "192.0.2.9" },
		{ "Forwarded: for=192.0.2.9, for=\"10.1.2.3\\\"\"", "127.0.0.1" },
		{ "Forwarded: for=192.0.2.9;x=\"\\", "127.0.0.1" },
		{ "Forwarded: for=192.0.2.9, ;", "127.0.0.1" },
		{ "Forwarded: for=192.0.2.9, for=unknown", "127.0.0.1" },
		{ "Forwarded: for=192.0.2.9, for=_secret", "127.0.0.1" },
		{ "Forwarded: for=192.0.2.9, proto=https", "127.0.0.1" },
		{ "Forwarded: for=192.0.2.9;for=192.0.2.8", "127.0.0.1" },
		{ "Forwarded: for=\"192.0.2.9", "127.0.0.1" },
		{ "Forwarded: x=\", for=192.0.2.9", "127.0.0.1" }, /* a client's unterminated quote must not hide a later hop */
		{ "Forwarded: x=\"\nForwarded: for=192.0.2.9", "192.0.2.9" },
		{ "Forwarded: for = 192.0.2.9", "127.0.0.1" },
		/* both: a proxy writes one, and may pass on the other one as the client invented it */
		{ "X-Forwarded-For: 192.0.2.9\nForwarded: for=192.0.2.9", "192.0.2.9" },
		{ "X-Forwarded-For: 192.0.2.9, 10.1.2.3\nForwarded: for=10.1.2.3", "192.0.2.9" },
		{ "X-Forwarded-For: 192.0.2.9\nForwarded: for=192.0.2.8", "127.0.0.1" },
		{ "X-Forwarded-For: 192.0.2.9\nForwarded: for=10.1.2.3", "192.0.2.9" },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_string_equal(address_seen(rows[i].heads), rows[i].want);
	reload(usual);
}

/* The URLs of the program in responses: Location of created objects, servers of /openapi.json. */
static void expect_url(const char *heads, const char *location, const char *server)
{
	struct answer a = ask(0, "POST /servers\nAuthorization: Bearer %s\nContent-Type: application/json\n%s\n\n{\"name\":\"x\"}", t.user, heads);
	assert_int_equal(a.status, 201);
	assert_string_equal(head(&a, "Location"), location);
	answer_done(&a);
	a = ask(0, "GET /openapi.json\n%s", heads);
	assert_string_equal(doc_str(json_array_get(json_object_get(a.doc, "servers"), 0), "url", ""), server);
	answer_done(&a);
}

#define MADE "/api/v1/rdp/servers/" KNOWN

static void test_public_url(UNUSED void **state)
{
	expect_url("X-Forwarded-Prefix: /desk\nX-Forwarded-Host: evil.example", MADE, "/"); /* no proxy is trusted by default */
	reload((const char *const[]){ "RATE_LIMIT_ENABLED=false", "TRUSTED_PROXIES=127.0.0.1,10.0.0.0/8", NULL });
	static const struct {
		const char *heads, *prefix, *server;
	} rows[] = {
		{ "X: y", "", "/" },
		{ "X-Forwarded-Prefix: /desk", "/desk", "/desk" },
		{ "X-Forwarded-Prefix: /desk/", "/desk", "/desk" },
		{ "X-Forwarded-Prefix: /", "", "/" },
		{ "X-Forwarded-Prefix: /a/b%20c", "/a/b%20c", "/a/b%20c" },
		{ "X-Forwarded-Host: rdp.example\nX-Forwarded-Proto: https\nX-Forwarded-Prefix: /desk", "/desk", "https://rdp.example/desk" },
		{ "X-Forwarded-Host: rdp.example:8443\nX-Forwarded-Proto: https", "", "https://rdp.example:8443" },
		{ "Forwarded: for=192.0.2.9;host=rdp.example;proto=https", "", "https://rdp.example" },
		{ "Forwarded: for=192.0.2.9;host=\"rdp.example:8443\";proto=https, for=10.0.0.1;host=inner;proto=http", "", "https://rdp.example:8443" },
		/* of a list, the item of the outermost trusted proxy counts, not the client's */
		{ "X-Forwarded-Prefix: /evil, /desk", "/desk", "/desk" },
		{ "X-Forwarded-For: 192.0.2.9, 10.0.0.1\nX-Forwarded-Prefix: /evil, /desk, /inner", "/desk", "/desk" },
		{ "X-Forwarded-For: 192.0.2.9, 10.0.0.1\nX-Forwarded-Prefix: /desk", "/desk", "/desk" },
		/* invalid paths, and paths that would be another one */
		{ "X-Forwarded-Prefix: //evil.example", "", "/" },
		{ "X-Forwarded-Prefix: evil", "", "/" },
		{ "X-Forwarded-Prefix: https://evil.example/", "", "/" },
		{ "X-Forwarded-Prefix: /a/../b", "", "/" },
		{ "X-Forwarded-Prefix: /./b", "", "/" },
		{ "X-Forwarded-Prefix: /a//b", "", "/" },
		{ "X-Forwarded-Prefix: /%2e%2E/b", "", "/" },
		{ "X-Forwarded-Prefix: /a%2fb", "", "/" },
		{ "X-Forwarded-Prefix: /a%zz", "", "/" },
		{ "X-Forwarded-Prefix: /a?b", "", "/" },
		{ "X-Forwarded-Prefix: /a\\b", "", "/" },
		{ "X-Forwarded-Prefix: /<b>", "", "/" },
		{ "X-Forwarded-Host: evil example", "", "/" },
		{ "X-Forwarded-Host: a@b", "", "/" },
		{ "X-Forwarded-Host: rdp.example\nX-Forwarded-Proto: javascript", "", "http://rdp.example" },
	};
	char location[200];
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		snprintf(location, sizeof location, "%s" MADE, rows[i].prefix);
		expect_url(rows[i].heads, location, rows[i].server);
	}
	/* a proxy may keep its path in front of the program's */
	REFUSED(401, "LUCID_ERR_0002", 0, "GET /desk/api/v1/rdp/servers\nX-Forwarded-Prefix: /desk");
	REFUSED(404, "LUCID_ERR_0006", 0, "GET /desk/api/v1/rdp/servers");
	/* another role forwards the response, and adds its own prefix */
	struct answer a = ask(0, "POST /servers\nAuthorization: Bearer %s\n%s\nX-Forwarded-Prefix: /desk\nContent-Type: application/json\n\n{\"name\":\"x\"}", t.service, sealed(ANN));
	assert_string_equal(head(&a, "Location"), MADE);
	answer_done(&a);
	/* PUBLIC_URL has precedence over forwarded headers */
	reload((const char *const[]){ "RATE_LIMIT_ENABLED=false", "TRUSTED_PROXIES=127.0.0.1", "PUBLIC_URL=https://rdp.example:8443/desk/top/", "DEBUG=true", NULL });
	expect_url("X-Forwarded-Prefix: /other\nX-Forwarded-Host: other.example", "/desk/top" MADE, "https://rdp.example:8443/desk/top");
	a = ask(0, "GET /desk/top/health");
	assert_int_equal(a.status, 200);
	answer_done(&a);
	a = ask(0, "GET /desk/top");
	assert_int_equal(a.status, 200);
	answer_done(&a);
	REFUSED(404, "LUCID_ERR_0006", 0, "GET /desk/topology/health");
	a = ask(0, "GET /docs");
	assert_non_null(strstr(a.body, "href=\"/desk/top/docs/style.css\""));
	assert_non_null(strstr(a.body, "href=\"/desk/top/openapi.json\""));
	answer_done(&a);
	/* and a forwarded host must be in ALLOWED_HOSTS */
	reload((const char *const[]){ "RATE_LIMIT_ENABLED=false", "TRUSTED_PROXIES=127.0.0.1", "ALLOWED_HOSTS=localhost,rdp.example", NULL });
	a = ask(0, "GET /health\nX-Forwarded-Host: rdp.example");
	assert_int_equal(a.status, 200);
	answer_done(&a);
	REFUSED(400, "LUCID_ERR_0013", 0, "GET /health\nX-Forwarded-Host: evil.example");
	REFUSED(400, "LUCID_ERR_0013", 0, "GET /health\nX-Forwarded-Host: rdp.example:x");
	REFUSED(400, "LUCID_ERR_0013", 0, "GET /health\nForwarded: for=192.0.2.9;host=evil.example");
	reload(usual);
}

static int status_of_raw(const char *raw)
{
	struct answer a = send_raw(0, raw);
	int status = a.status;
	answer_done(&a);
	return status;
}

static void test_hosts(UNUSED void **state)
{
	reload((const char *const[]){ "RATE_LIMIT_ENABLED=false", "ALLOWED_HOSTS=rdp.example,*.Lab.example,[::1]", NULL });
	static const struct {
		const char *host;
		int status;
	} rows[] = { { "rdp.example", 200 }, { "RDP.Example:8090", 200 }, { "rdp.example.", 200 }, { "rdp.example:", 200 }, { "a.lab.example", 200 },
		     { "[::1]:8090", 200 }, { "[0:0::1]", 200 }, { "evil.example", 400 }, { "rdp.example.evil", 400 }, { "", 400 }, { ":8090", 400 },
		     { "rdp.example:8090.evil", 400 }, { "rdp.example:80:80", 400 }, { "rdp.example:x", 400 }, { "rdp.example:99999", 400 },
		     { "[::1].evil", 400 }, { "[::1]evil", 400 }, { "rdp.example@evil", 400 }, { "rdp.example evil", 400 } };
	char raw[2000];
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		snprintf(raw, sizeof raw, "GET /health HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", rows[i].host);
		assert_int_equal(status_of_raw(raw), rows[i].status);
	}
	/* the host of the target counts, not the Host header; HTTP/1.0 need not have one, and is then for no listed name */
	assert_int_equal(status_of_raw("GET http://rdp.example/health HTTP/1.1\r\nHost: evil\r\nConnection: close\r\n\r\n"), 200);
	assert_int_equal(status_of_raw("GET http://evil/health HTTP/1.1\r\nHost: rdp.example\r\nConnection: close\r\n\r\n"), 400);
	assert_int_equal(status_of_raw("GET /health HTTP/1.0\r\n\r\n"), 400);
	assert_int_equal(status_of_raw("GET /health HTTP/1.0\r\nHost: rdp.example\r\n\r\n"), 200);
	assert_int_equal(status_of_raw("GET http://rdp.example/health HTTP/1.0\r\n\r\n"), 200);
	/* another role may call this process by any name; other callers may not */
	static const char probe[] = "GET /health HTTP/1.1\r\nHost: 10.0.0.7:8090\r\nConnection: close\r\nAuthorization: Bearer %s\r\n\r\n";
	snprintf(raw, sizeof raw, probe, t.service);
	assert_int_equal(status_of_raw(raw), 200);
	snprintf(raw, sizeof raw, probe, t.admin);
	assert_int_equal(status_of_raw(raw), 400);
	snprintf(raw, sizeof raw, probe, "a.b.c");
	assert_int_equal(status_of_raw(raw), 400);
	reload(usual);
	assert_int_equal(status_of_raw("GET /health HTTP/1.0\r\n\r\n"), 200);
}

static void test_openapi(UNUSED void **state)
{
	struct answer a = ask(0, "GET /openapi.json");
	assert_int_equal(a.status, 200);
	assert_string_equal(doc_str(a.doc, "openapi", ""), "3.1.0");
	const json_t *paths = json_object_get(a.doc, "paths");
	for (size_t i = 0; i < contract_rdp.n; i++) {
		const struct op *op = &contract_rdp.ops[i];
		const char *const verbs[] = { "get", "post", "put", "patch", "delete" };
		const json_t *found = NULL;
		for (size_t j = 0; j < ARRAY_LEN(verbs); j++)
			if (!strcasecmp(verbs[j], op->verb))
				found = json_object_get(json_object_get(paths, op->path), verbs[j]);
		char id[80];
		str_copy(id, sizeof id, op->name);
		for (char *p = id; *p; p++)
			*p = *p == '.' ? '_' : *p;
		assert_string_equal(doc_str(found, "operationId", ""), id);
		const json_t *responses = json_object_get(found, "responses");
		assert_non_null(json_object_get(responses, "401"));
		assert_non_null(json_object_get(responses, "503"));
		assert_true(!(op->flags & OP_IF_MATCH) == !json_object_get(responses, "412"));
	}
	assert_null(json_object_get(paths, "/api/v1/xrdp/instances")); /* that role does not run here */
	/* every reference has a target */
	for (const char *p = strstr(a.body, "\"#/components/"); p; p = strstr(p + 1, "\"#/components/")) {
		char name[128];
		snprintf(name, sizeof name, "%.*s", (int)strcspn(p + 3, "\""), p + 3);
		for (char *s = name; *s; s++)
			*s = *s == '/' ? '.' : *s;
		if (!doc_get(a.doc, name))
			fail_msg("refers to nothing: %s", name);
	}
	answer_done(&a);
	a = ask(0, "GET /openapi.json"); /* again, from the cache */
	assert_int_equal(a.status, 200);
	answer_done(&a);
}

/* --- readiness; last, because a check cannot be removed */

static struct {
	enum api_health state;
	unsigned asked;
	bool hang;
	api_check_done done;
	void *token;
} store_check, xrdp_check;

static struct loop_timer *late;

static void check_store(UNUSED void *arg, api_check_done done, void *token)
{
	store_check.asked++;
	if (late)
		loop_timer_set(late, 10); /* after the round has begun */
	done(token, store_check.state, "as the test says");
}

static void check_xrdp(UNUSED void *arg, api_check_done done, void *token)
{
	xrdp_check.asked++;
	if (xrdp_check.hang) {
		xrdp_check.done = done;
		xrdp_check.token = token;
	} else {
		done(token, xrdp_check.state, NULL);
	}
}

static int ready(bool want_degraded)
{
	struct answer a = ask(0, "GET /health/ready");
	assert_string_equal(doc_str(a.doc, "auth_service_url", ""), "https://auth.example");
	assert_int_equal(doc_bool(a.doc, "degraded", !want_degraded), want_degraded);
	assert_int_equal(doc_bool(a.doc, "ready", a.status != 200), a.status == 200);
	answer_done(&a);
	return a.status;
}

static void test_ready(UNUSED void **state)
{
	assert_int_equal(ready(false), 200); /* nothing to check */
	clock_shift_ms(1001);
	api_add_check(t.api, "store", true, check_store, NULL);
	api_add_check(t.api, "xrdp", false, check_xrdp, NULL);
	assert_int_equal(ready(false), 200);
	store_check.state = API_UNHEALTHY;
	clock_shift_ms(1001);
	assert_int_equal(ready(true), 503);
	unsigned asked = store_check.asked;
	assert_int_equal(ready(true), 503); /* shared for a second */
	assert_int_equal(store_check.asked, asked);
	store_check.state = API_HEALTHY;
	xrdp_check.state = API_UNHEALTHY;
	clock_shift_ms(1001);
	assert_int_equal(ready(true), 200);
	xrdp_check.state = API_DISABLED;
	clock_shift_ms(1001);
	assert_int_equal(ready(false), 200);
}

static void answer_check(UNUSED void *arg)
{
	xrdp_check.done(xrdp_check.token, API_HEALTHY, "late");
}

static void test_ready_hangs(UNUSED void **state)
{
	xrdp_check.hang = true;
	clock_shift_ms(1001);
	struct answer a = ask(0, "GET /health/ready"); /* answered after the time limit */
	assert_int_equal(a.status, 200);
	const json_t *row = doc_get(a.doc, "checks.xrdp");
	assert_string_equal(doc_str(row, "status", ""), "unhealthy");
	assert_string_equal(doc_str(doc_get(a.doc, "checks.store"), "status", ""), "healthy");
	answer_done(&a);
	/* it is not called again while its answer is missing; that answer counts in the round that runs when it arrives */
	unsigned asked = xrdp_check.asked;
	late = loop_timer_new(t.loop, answer_check, NULL);
	clock_shift_ms(1001);
	assert_int_equal(ready(false), 200);
	assert_int_equal(xrdp_check.asked, asked);
	loop_timer_free(TAKE_PTR(late));
	xrdp_check.hang = false;
	clock_shift_ms(1001);
	assert_int_equal(ready(false), 200);
	assert_int_equal(xrdp_check.asked, asked + 1);
}

/* A request that outlasts the drain is answered, and nothing of it is leaked: sanitizers check that. */
static void test_request_that_outlasts_the_drain(UNUSED void **state)
{
	static const char held[] = "GET /api/v1/rdp/servers/" KNOWN "/status HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ";
	struct strbuf raw = { 0 };
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)t.ports[0]), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
	strbuf_printf(&raw, "%s%s\r\n\r\n", held, t.user);
	assert_int_equal(send(fd, raw.s, raw.len, 0), raw.len);
	strbuf_done(&raw);
	while (!t.held) { /* until its handler has it */
		struct answer a = ask(0, "GET /health");
		answer_done(&a);
	}
	api_drain(t.api, 10, drained, NULL);
	loop_run(t.loop);
	api_free(TAKE_PTR(t.api));
	call_ok(TAKE_PTR(t.held), NULL); /* the late answer is dropped */
	close(fd);
	loop_timer_set(t.stop, 10);
	loop_run(t.loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pages),	cmocka_unit_test(test_methods), cmocka_unit_test(test_routes),
		cmocka_unit_test(test_tokens),	cmocka_unit_test(test_bodies),	cmocka_unit_test(test_query),
		cmocka_unit_test(test_etags),	cmocka_unit_test(test_errors),	cmocka_unit_test(test_ids),
		cmocka_unit_test(test_rates),	cmocka_unit_test(test_acting),
		cmocka_unit_test(test_service_tokens_may_call_what_roles_need),
		cmocka_unit_test(test_metrics), cmocka_unit_test(test_hosts),
		cmocka_unit_test(test_trace),	cmocka_unit_test(test_proxies), cmocka_unit_test(test_public_url),
		cmocka_unit_test(test_openapi), cmocka_unit_test(test_ready),	cmocka_unit_test(test_ready_hangs),
		cmocka_unit_test(test_request_that_outlasts_the_drain),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
