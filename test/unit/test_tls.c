/* tls: properties of TLS connections only; test_http_tls checks that they otherwise work like plain ones. */
#define RIG_TLS 1
#include "test/lib/http_rig.h"

#include <openssl/tls1.h>
#include <signal.h>

#include "lucid/errs.h"
#include "net/client/http_client.h"
#include "test/lib/loop_rig.h"

static struct rig *g;

static int setup(UNUSED void **state)
{
	g = rig_new(NULL);
	return 0;
}

static int teardown(UNUSED void **state)
{
	rig_free(g);
	return 0;
}

static int plain_connect(void)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = htons(g->port),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct timeval tv = { .tv_sec = 20 };
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof sa), 0);
	return fd;
}

/* A session whose every step the test controls. */
static SSL *dial(SSL_CTX *ctx)
{
	SSL *ssl = SSL_new(ctx);
	SSL_set_fd(ssl, plain_connect());
	SSL_set_connect_state(ssl);
	return ssl;
}

static void hang_up(SSL *ssl)
{
	close(SSL_get_fd(ssl));
	SSL_free(ssl);
}

static void say(SSL *ssl, const char *text)
{
	assert_int_equal(SSL_write(ssl, text, (int)strlen(text)), (int)strlen(text));
}

/* Until `want` has come `times` times. */
static void hear(SSL *ssl, const char *want, int times)
{
	char part[4096];
	while (times) {
		int n = SSL_read(ssl, part, sizeof part - 1);
		assert_true(n > 0);
		part[n] = 0;
		for (const char *p = part; (p = strstr(p, want)); p += strlen(want))
			times--;
	}
}

/* --- certificates */

static void b17_faults_are_messages(UNUSED void **state)
{
	struct rig_cert a = rig_cert_new("a", NULL, false), b = rig_cert_new("b", NULL, false);
	_cleanup_(xfreep) char *damaged = xstrdup(a.cert);
	memcpy(damaged + 100, "!!!!", 4);
	_cleanup_(xfreep) char *chain = xasprintf("%s%s", a.cert, damaged);
	char *locked;
	BIO *kb = BIO_new(BIO_s_mem());
	PEM_write_bio_PrivateKey(kb, a.k, EVP_aes_128_cbc(), NULL, 0, NULL, (void *)(uintptr_t)"secret");
	locked = rig_pem(kb);
	const struct {
		struct http_tls t;
		const char *want;
	} cases[] = {
		{ { "", a.key }, "the certificate is not in PEM format" },
		{ { "nonsense", a.key }, "the certificate is not in PEM format" },
		{ { a.key, a.key }, "the certificate is not in PEM format" },
		{ { damaged, a.key }, "the certificate is not in PEM format" },
		{ { chain, a.key }, "another certificate in its file is damaged" },
		{ { a.cert, "" }, "the key is not in PEM format, or is encrypted" },
		{ { a.cert, a.cert }, "the key is not in PEM format, or is encrypted" },
		{ { a.cert, locked }, "the key is not in PEM format, or is encrypted" },
		{ { a.cert, b.key }, "the key does not match the certificate" },
		{ { a.cert, a.key, "nonsense" }, "the client CA file holds no certificates in PEM format" },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char why[256] = "";
		assert_null(tls_server_new(&cases[i].t, why, sizeof why));
		assert_int_equal(strncmp(why, cases[i].want, strlen(cases[i].want)), 0);
		assert_null(strstr(why, "BEGIN"));
	}
	free(locked);
	rig_cert_free(&a);
	rig_cert_free(&b);
}

static struct rig_cert next_cert, authority;
static int set_result;
static char set_why[256];

static void do_set(struct rig *r)
{
	set_result = http_server_tls(r->http, &(struct http_tls){ next_cert.cert, next_cert.key, authority.cert }, set_why,
				     sizeof set_why);
}

static void name_shown(SSL *ssl, char name[64])
{
	X509 *x = SSL_get1_peer_certificate(ssl);
	assert_non_null(x);
	X509_NAME_get_text_by_NID(X509_get_subject_name(x), NID_commonName, name, 64);
	X509_free(x);
}

static void reload_while_in_use(UNUSED void **state)
{
	char name[64];
	SSL *old = dial(rig_client_ctx()), *new;
	say(old, "GET /one HTTP/1.1\r\nHost: x\r\n\r\n");
	hear(old, "GET|/one|", 1);
	next_cert = rig_cert_new("renewed", NULL, false);
	rig_do(g, do_set);
	assert_int_equal(set_result, 0);
	new = dial(rig_client_ctx());
	say(new, "GET /two HTTP/1.1\r\nHost: x\r\n\r\n");
	hear(new, "GET|/two|", 1);
	name_shown(new, name);
	assert_string_equal(name, "renewed");
	say(old, "GET /three HTTP/1.1\r\nHost: x\r\n\r\n"); /* it still uses the previous certificate */
	hear(old, "GET|/three|", 1);
	name_shown(old, name);
	assert_string_equal(name, "rig");
	hang_up(new);
	/* invalid files change nothing */
	struct rig_cert other = rig_cert_new("other", NULL, false);
	free(next_cert.key);
	next_cert.key = xstrdup(other.key);
	rig_do(g, do_set);
	assert_int_not_equal(set_result, 0);
	assert_string_equal(set_why, "the key does not match the certificate (key values mismatch)");
	new = dial(rig_client_ctx());
	say(new, "GET /four HTTP/1.1\r\nHost: x\r\n\r\n");
	name_shown(new, name);
	assert_string_equal(name, "renewed");
	hang_up(new);
	hang_up(old);
	rig_cert_free(&other);
	rig_cert_free(&next_cert);
}

static void callers_must_show_a_certificate(UNUSED void **state)
{
	struct rig_cert mine, strangers = rig_cert_new("strangers", NULL, true), wrong;
	char text[16];
	authority = rig_cert_new("authority", NULL, true);
	next_cert = rig_cert_new("server", &authority, false);
	mine = rig_cert_new("mine", &authority, false);
	wrong = rig_cert_new("wrong", &strangers, false);
	rig_do(g, do_set);
	assert_int_equal(set_result, 0);
	const struct rig_cert *shown[] = { &mine, NULL, &wrong, &mine };
	for (size_t i = 0; i < ARRAY_LEN(shown); i++) {
		SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
		if (shown[i]) {
			SSL_CTX_use_certificate(ctx, shown[i]->x);
			SSL_CTX_use_PrivateKey(ctx, shown[i]->k);
		}
		SSL *ssl = dial(ctx);
		say(ssl, "GET /in HTTP/1.1\r\nHost: x\r\n\r\n"); /* with TLS 1.3 the refusal arrives only now */
		if (shown[i] == &mine)
			hear(ssl, "GET|/in|", 1);
		else
			assert_true(SSL_read(ssl, text, sizeof text) <= 0);
		if (shown[i] != &mine) /* and it is reported, not only closed */
			assert_int_equal(ERR_GET_LIB(ERR_peek_error()), ERR_LIB_SSL);
		ERR_clear_error();
		hang_up(ssl);
		SSL_CTX_free(ctx);
	}
	assert_int_equal(rig_look(g)->handled, 2);
	rig_cert_free(&authority);
	rig_cert_free(&strangers);
	rig_cert_free(&next_cert);
	rig_cert_free(&mine);
	rig_cert_free(&wrong);
}

/* --- the protocol */

static void versions_and_protocols(UNUSED void **state)
{
	static const unsigned char h2[] = "\x02h2", both[] = "\x02h2\x08http/1.1";
	const struct {
		int version;
		const unsigned char *alpn;
		unsigned alpn_len;
		bool taken;
	} cases[] = {
		{ TLS1_1_VERSION, NULL, 0, false }, { TLS1_2_VERSION, NULL, 0, true },	  { TLS1_3_VERSION, NULL, 0, true },
		{ TLS1_3_VERSION, h2, 3, false },   { TLS1_3_VERSION, both, 12, true },   { TLS1_2_VERSION, both, 12, true },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const unsigned char *chosen;
		unsigned len;
		SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
		SSL_CTX_set_security_level(ctx, 0); /* the client would accept it */
		SSL_CTX_set_max_proto_version(ctx, cases[i].version);
		if (cases[i].alpn)
			SSL_CTX_set_alpn_protos(ctx, cases[i].alpn, cases[i].alpn_len);
		SSL *ssl = dial(ctx);
		assert_int_equal(SSL_connect(ssl) == 1, cases[i].taken);
		if (cases[i].taken) {
			assert_int_equal(SSL_version(ssl), cases[i].version);
			SSL_get0_alpn_selected(ssl, &chosen, &len);
			assert_int_equal(len, cases[i].alpn ? 8 : 0);
			assert_true(!len || memcmp(chosen, "http/1.1", 8) == 0);
			say(ssl, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
			hear(ssl, "GET|/|", 1);
		}
		ERR_clear_error();
		hang_up(ssl);
		SSL_CTX_free(ctx);
	}
}

static void no_renegotiation(UNUSED void **state)
{
	char text[64];
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	SSL_CTX_set_max_proto_version(ctx, TLS1_2_VERSION);
	SSL *ssl = dial(ctx);
	assert_int_equal(SSL_connect(ssl), 1);
	assert_int_equal(SSL_renegotiate(ssl), 1);
	assert_int_not_equal(SSL_do_handshake(ssl), 1);
	assert_true(SSL_read(ssl, text, sizeof text) <= 0);
	ERR_clear_error();
	hang_up(ssl);
	SSL_CTX_free(ctx);
}

/* libevent stops at the watermark with the rest of a record inside OpenSSL, which the socket does not show. */
static void records_that_cross_the_watermark(UNUSED void **state)
{
	static const struct http_limits small = { 1 << 20, 1024, 64, 60, 60, 60 };
	static char text[16384];
	rig_free(g);
	g = rig_new(&small);
	SSL *ssl = dial(rig_client_ctx());
	/* all in one record: 16 kB of small requests; then several while one is held */
	int n = 0;
	for (size_t len = 0; len < sizeof text - 64; n++)
		len += (size_t)snprintf(text + len, 64, "GET /%03d HTTP/1.1\r\nHost: x\r\n\r\n", n);
	say(ssl, text);
	hear(ssl, "GET|/", n);
	for (int records = 1; records <= 4; records++) {
		say(ssl, "GET /later HTTP/1.1\r\nHost: x\r\n\r\n");
		for (int i = 0; i < records; i++)
			say(ssl, text);
		hear(ssl, "GET|/", records * n);
	}
	/* a body that begins in the record of a head and ends in the next one */
	snprintf(text, sizeof text, "POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 40000\r\n\r\n");
	size_t head = strlen(text);
	memset(text + head, 'b', sizeof text - head);
	assert_int_equal(SSL_write(ssl, text, sizeof text), sizeof text);
	size_t left = 40000 - (sizeof text - head);
	memset(text, 'b', sizeof text);
	while (left) {
		size_t part = MIN(left, sizeof text);
		assert_int_equal(SSL_write(ssl, text, (int)part), (int)part);
		left -= part;
	}
	hear(ssl, "POST|/body|-|-|40000|", 1);
	hang_up(ssl);
}

static void plain_http_is_closed(UNUSED void **state)
{
	char text[64];
	int fd = plain_connect();
	rig_puts(fd, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
	ssize_t n;
	size_t total = 0;
	while ((n = recv(fd, text, sizeof text, 0)) > 0) /* at most an alert */
		total += (size_t)n;
	assert_int_equal(n, 0);
	assert_true(total <= 7);
	close(fd);
	assert_int_equal(rig_look(g)->handled, 0);
}

/* The time limit of a handshake counts from its start, however slowly bytes arrive. */
static void a_slow_handshake_is_cut(UNUSED void **state)
{
	static const struct http_limits brief = { 1 << 20, 16384, 64, 3, 3, 30 };
	static const unsigned char hello[] = { 22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3 };
	rig_free(g);
	g = rig_new(&brief);
	int fd = plain_connect(), silent = plain_connect(), i;
	struct timeval tv = { .tv_usec = 100000 };
	char c;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv);
	for (i = 0; i < 600; i++) {
		if (i < (int)sizeof hello)
			send(fd, hello + i, 1, MSG_NOSIGNAL);
		else
			send(fd, "", 1, MSG_NOSIGNAL);
		if (recv(fd, &c, 1, 0) == 0 || (errno != EAGAIN && errno != EINTR))
			break;
	}
	assert_true(i < 600);
	assert_int_equal(recv(silent, &c, 1, 0), 0);
	rig_wait(g, &g->seen.conns, 0);
	close(fd);
	close(silent);
}

static void every_end_is_said(UNUSED void **state)
{
	static const char *const asked[] = {
		"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", /* on request */
		"nonsense\r\n\r\n",					    /* refused */
		"GET /big HTTP/1.0\r\n\r\n",
	};
	for (size_t i = 0; i < ARRAY_LEN(asked); i++) {
		char part[4096];
		SSL *ssl = dial(rig_client_ctx());
		say(ssl, asked[i]);
		while (SSL_read(ssl, part, sizeof part) > 0)
			;
		assert_int_equal(SSL_get_shutdown(ssl) & SSL_RECEIVED_SHUTDOWN, SSL_RECEIVED_SHUTDOWN);
		ERR_clear_error();
		hang_up(ssl);
	}
}

/* A client that closes its half has still asked. */
static void half_closed_clients_are_answered(UNUSED void **state)
{
	for (int polite = 0; polite < 2; polite++) {
		char text[4096];
		SSL *ssl = dial(rig_client_ctx());
		say(ssl, "GET /later HTTP/1.1\r\nHost: x\r\n\r\n");
		if (polite)
			SSL_shutdown(ssl);
		shutdown(SSL_get_fd(ssl), SHUT_WR);
		int n = SSL_read(ssl, text, sizeof text - 1);
		assert_true(n > 0);
		text[n] = 0;
		assert_non_null(strstr(text, "later"));
		hang_up(ssl);
	}
}

/* --- our own client */

struct asked {
	struct loop *loop;
	enum http_outcome outcome;
	int status;
	size_t len;
	char why[200];
};

static void on_answer(const struct http_result *r, void *arg)
{
	struct asked *a = arg;
	http_result_body(r, &a->len);
	a->outcome = http_result_outcome(r);
	a->status = http_result_status(r);
	snprintf(a->why, sizeof a->why, "%s", http_result_why(r));
	loop_stop(a->loop);
}

static void ask(struct http_client *client, struct asked *a, const char *host, const char *path)
{
	char url[100];
	snprintf(url, sizeof url, "https://%s:%u%s", host, g->port, path);
	struct http_ask q = { .method = HTTP_GET, .url = url, .max_body = 4 << 20, .timeout_ms = 15000 };
	assert_int_equal(http_client_ask(client, &q, on_answer, a, NULL, NULL), 0);
	loop_run(a->loop);
}

static void client_verifies_certificates(UNUSED void **state)
{
	char why[200];
	struct asked a = { loop_new() };
	struct http_client *client = http_client_new(a.loop, 4);
	authority = rig_cert_new("authority", NULL, true);
	next_cert = rig_cert_new("server", &authority, false);
	struct rig_cert mine = rig_cert_new("mine", &authority, false);
	rig_do(g, do_set);
	ask(client, &a, "localhost", "/");
	assert_int_equal(a.outcome, HTTP_NEVER_SENT);
	assert_non_null(strstr(a.why, "its certificate is not trusted"));
	/* trusted, but without a client certificate: with TLS 1.3 the refusal arrives after the request */
	assert_int_equal(http_client_tls(client, &(struct http_tls){ .client_ca = authority.cert }, why, sizeof why), 0);
	ask(client, &a, "localhost", "/");
	assert_int_not_equal(a.outcome, HTTP_ANSWERED);
	assert_int_equal(http_client_tls(client, &(struct http_tls){ mine.cert, mine.key, authority.cert }, why, sizeof why), 0);
	for (int i = 0; i < 5; i++) {
		ask(client, &a, i < 3 ? "localhost" : "127.0.0.1", i == 1 ? "/big" : "/small");
		assert_int_equal(a.outcome, HTTP_ANSWERED);
		assert_int_equal(a.status, 200);
		assert_true(i != 1 || a.len == RIG_BIG);
	}
	assert_int_equal(rig_look(g)->accepted, 4); /* one connection to each host after it works, as long as nothing is changed */
	/* the requested name must be in the certificate */
	ask(client, &a, "127.0.0.2", "/");
	assert_int_equal(a.outcome, HTTP_NEVER_SENT);
	assert_int_equal(http_client_tls(client, &(struct http_tls){ mine.cert, next_cert.key }, why, sizeof why), -ERR_INVALID);
	http_client_free(client);
	loop_rig_run_ms(a.loop, 5); /* runs callbacks that libevent has deferred */
	loop_free(a.loop);
	rig_cert_free(&authority);
	rig_cert_free(&next_cert);
	rig_cert_free(&mine);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(b17_faults_are_messages),
		CASE(reload_while_in_use),
		CASE(callers_must_show_a_certificate),
		CASE(versions_and_protocols),
		CASE(no_renegotiation),
		CASE(records_that_cross_the_watermark),
		CASE(plain_http_is_closed),
		CASE(a_slow_handshake_is_cut),
		CASE(every_end_is_said),
		CASE(half_closed_clients_are_answered),
		CASE(client_verifies_certificates),
	};
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
