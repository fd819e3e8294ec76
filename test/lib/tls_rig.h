/* tls_rig: certificates for the test, and a tunnel that makes a TLS connection look like a raw socket, so that the tests of the plain server
 * also run over TLS. Included by http_rig.h if RIG_TLS is defined. */
#ifndef TEST_TLS_RIG_H
#define TEST_TLS_RIG_H

#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/tls.h"

/* --- certificates */

struct rig_cert {
	X509 *x;
	EVP_PKEY *k;
	char *cert, *key; /* PEM */
};

static char *rig_pem(BIO *b)
{
	char *data;
	long len = BIO_get_mem_data(b, &data);
	char *text = xstrndup(data, (size_t)len);
	BIO_free(b);
	return text;
}

/* For 127.0.0.1, localhost and ::1, or a CA; signed by `issuer`, or self-signed (NULL). */
static UNUSED struct rig_cert rig_cert_on(const char *curve, const char *name, const struct rig_cert *issuer, bool authority)
{
	static atomic_long serial = 1;
	struct rig_cert c = { X509_new(), EVP_EC_gen(curve), NULL, NULL };
	X509_NAME *n = X509_get_subject_name(c.x);
	X509_EXTENSION *ext = authority ? X509V3_EXT_conf_nid(NULL, NULL, NID_basic_constraints, "critical,CA:TRUE")
					: X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name,
							      "DNS:localhost,IP:127.0.0.1,IP:::1");
	X509_set_version(c.x, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(c.x), atomic_fetch_add(&serial, 1));
	X509_gmtime_adj(X509_getm_notBefore(c.x), -3600);
	X509_gmtime_adj(X509_getm_notAfter(c.x), 86400);
	X509_NAME_add_entry_by_txt(n, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
	X509_set_issuer_name(c.x, issuer ? X509_get_subject_name(issuer->x) : n);
	X509_set_pubkey(c.x, c.k);
	X509_add_ext(c.x, ext, -1);
	X509_EXTENSION_free(ext);
	assert_true(X509_sign(c.x, issuer ? issuer->k : c.k, EVP_sha256()) > 0);
	BIO *cb = BIO_new(BIO_s_mem()), *kb = BIO_new(BIO_s_mem());
	PEM_write_bio_X509(cb, c.x);
	PEM_write_bio_PrivateKey(kb, c.k, NULL, NULL, 0, NULL, NULL);
	c.cert = rig_pem(cb);
	c.key = rig_pem(kb);
	return c;
}

static UNUSED struct rig_cert rig_cert_new(const char *name, const struct rig_cert *issuer, bool authority)
{
	return rig_cert_on("P-256", name, issuer, authority);
}

static UNUSED void rig_cert_free(struct rig_cert *c)
{
	X509_free(c->x);
	EVP_PKEY_free(c->k);
	free(c->cert);
	free(c->key);
	*c = (struct rig_cert){ 0 };
}

/* --- the tunnel */

struct rig_tunnel {
	int tcp, inner;
	SSL *ssl;
	pthread_t thread;
	struct rig_tunnel *next;
};

/* Running threads. The process joins them before it exits: LeakSanitizer reports what a running one still holds. */
static struct rig_tunnel *tunnels;
static pthread_mutex_t tunnels_lock = PTHREAD_MUTEX_INITIALIZER;
#define TUNNELS_JOIN_S 120

static atomic_uint rig_clean_ends, rig_torn_ends; /* ends of the server's side: with a close_notify, without */

static void tunnel_wait(const struct rig_tunnel *t, bool tcp_in, bool tcp_out, bool in, bool out)
{
	struct pollfd p[2] = { { t->tcp, (short)((tcp_in ? POLLIN : 0) | (tcp_out ? POLLOUT : 0)), 0 },
			       { t->inner, (short)((in ? POLLIN : 0) | (out ? POLLOUT : 0)), 0 } };
	if (!p[0].events)
		p[0].fd = -1;
	if (!p[1].events)
		p[1].fd = -1;
	poll(p, 2, 120000);
}

/* Bytes in one direction. */
struct flow {
	char data[8192];
	size_t at, len;
	bool ended, passed_on;
	unsigned steps; /* number of changes of the above */
};

static bool blocked(SSL *ssl, int n, bool *ret_want_out)
{
	int e = SSL_get_error(ssl, n);
	*ret_want_out |= e == SSL_ERROR_WANT_WRITE;
	return e == SSL_ERROR_WANT_READ || e == SSL_ERROR_WANT_WRITE;
}

static void tunnel_out(struct rig_tunnel *t, struct flow *f, bool *want_out)
{
	if (!f->len && !f->ended) {
		ssize_t n = recv(t->inner, f->data, sizeof f->data, MSG_DONTWAIT);
		f->at = 0;
		f->len = n > 0 ? (size_t)n : 0;
		f->ended = n == 0 || (n < 0 && errno != EAGAIN);
		f->steps += f->len || f->ended;
	}
	if (f->len && !f->passed_on) {
		ERR_clear_error();
		int n = SSL_write(t->ssl, f->data + f->at, (int)f->len);
		if (n > 0) {
			f->at += (size_t)n;
			f->len -= (size_t)n;
			f->steps++;
		} else if (!blocked(t->ssl, n, want_out)) {
			f->passed_on = true;
			f->steps++;
		}
	}
	if (f->passed_on)
		f->len = 0; /* no reader: read and dropped */
	if (f->ended && !f->len && !f->passed_on) {
		f->passed_on = true;
		SSL_shutdown(t->ssl);
		shutdown(t->tcp, SHUT_WR);
	}
}

static void tunnel_in(struct rig_tunnel *t, struct flow *f, bool *want_out)
{
	if (!f->len && !f->ended) {
		ERR_clear_error();
		int n = SSL_read(t->ssl, f->data, sizeof f->data);
		f->at = 0;
		f->len = n > 0 ? (size_t)n : 0;
		f->steps += f->len > 0;
		if (n <= 0 && !blocked(t->ssl, n, want_out)) {
			f->ended = true;
			f->steps++;
			atomic_fetch_add(SSL_get_shutdown(t->ssl) & SSL_RECEIVED_SHUTDOWN ? &rig_clean_ends : &rig_torn_ends, 1);
		}
	}
	if (f->len) {
		ssize_t n = send(t->inner, f->data + f->at, f->len, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n > 0) {
			f->at += (size_t)n;
			f->len -= (size_t)n;
			f->steps++;
		} else if (errno != EAGAIN) {
			f->len = 0;
			f->ended = true;
			f->steps++;
		}
	}
	if (f->ended && !f->len && !f->passed_on) {
		f->passed_on = true;
		shutdown(t->inner, SHUT_WR);
	}
}

/* Waits only if a whole round changed nothing. One direction enables the other: SSL_write waits for a handshake that SSL_read completes, an end
 * that SSL_read finds ends writing too, and the rest of a record is in OpenSSL, not in the socket. */
static void *tunnel_run(void *arg)
{
	struct rig_tunnel *t = arg;
	struct flow out = { .len = 0 }, in = { .len = 0 };
	while (!(out.ended && in.ended)) {
		bool want_out = false, shaken = SSL_is_init_finished(t->ssl);
		unsigned before = out.steps + in.steps;
		tunnel_out(t, &out, &want_out);
		tunnel_in(t, &in, &want_out);
		if (out.steps + in.steps == before && SSL_is_init_finished(t->ssl) == shaken)
			tunnel_wait(t, !in.ended && !in.len, want_out, !out.ended && !out.len, in.len);
	}
	SSL_free(t->ssl);
	close(t->tcp);
	close(t->inner);
	return NULL;
}

/* Waits for all tunnels: each ends when both its sides are closed. */
static void tunnels_join(void)
{
	struct timespec end;
	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_sec += TUNNELS_JOIN_S;
	while (tunnels) {
		struct rig_tunnel *t = tunnels;
		if (pthread_timedjoin_np(t->thread, NULL, &end) != 0) {
			fprintf(stderr, "a TLS tunnel is still open %d s after the last test: a test left a socket open\n", TUNNELS_JOIN_S);
			return;
		}
		tunnels = t->next;
		free(t);
	}
}

static SSL_CTX *rig_client_ctx(void)
{
	static SSL_CTX *ctx;
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	pthread_mutex_lock(&lock);
	if (!ctx)
		ctx = SSL_CTX_new(TLS_client_method());
	pthread_mutex_unlock(&lock);
	return ctx;
}

/* Owns a connected socket, which may block; returns one to use in its place. */
static UNUSED int rig_tunnel(int tcp)
{
	int ends[2];
	struct timeval tv = { .tv_sec = 120 };
	struct rig_tunnel *t = XNEW(struct rig_tunnel);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	setsockopt(ends[0], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv);
	setsockopt(ends[0], SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof tv);
	fcntl(tcp, F_SETFL, fcntl(tcp, F_GETFL) | O_NONBLOCK);
	*t = (struct rig_tunnel){ .tcp = tcp, .inner = ends[1], .ssl = SSL_new(rig_client_ctx()) };
	SSL_set_fd(t->ssl, tcp);
	SSL_set_connect_state(t->ssl);
	assert_int_equal(pthread_create(&t->thread, NULL, tunnel_run, t), 0);
	pthread_mutex_lock(&tunnels_lock);
	if (!tunnels)
		atexit(tunnels_join);
	t->next = tunnels;
	tunnels = t;
	pthread_mutex_unlock(&tunnels_lock);
	return ends[0];
}

#endif
