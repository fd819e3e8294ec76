#include "net/tls.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>

#include "net/pem.h"

#define CHAIN_MAX 16	  /* certificates in a chain */
#define AUTHORITIES_MAX 256
#define CIPHERS_1_2 "ECDHE+AESGCM:ECDHE+CHACHA20"

static void ctx_unrefp(SSL_CTX **ctx)
{
	SSL_CTX_free(*ctx);
}

static bool tls_fault(char *why, size_t size, const char *what)
{
	unsigned long e = ERR_peek_last_error();
	const char *reason = e ? ERR_reason_error_string(e) : NULL;
	snprintf(why, size, "%s%s%s%s", what, reason ? " (" : "", reason ? reason : "", reason ? ")" : "");
	ERR_clear_error();
	return false;
}

/* --- settings: certificate, key, authorities */

static bool use_chain(SSL_CTX *ctx, const char *text, char *why, size_t size)
{
	_cleanup_(pem_free_bio) BIO *b = BIO_new_mem_buf(text, -1);
	_cleanup_(pem_free_certificate) X509 *own = pem_certificate(b);
	int n = 0;
	if (!own)
		return tls_fault(why, size, "the certificate is not in PEM format");
	if (SSL_CTX_use_certificate(ctx, own) != 1)
		return tls_fault(why, size, "the certificate is not usable");
	for (X509 *x; (x = pem_certificate(b)); n++) {
		if (n < CHAIN_MAX && SSL_CTX_add0_chain_cert(ctx, x) == 1)
			continue;
		X509_free(x);
		return tls_fault(why, size, n < CHAIN_MAX ? "another certificate in its file is not usable"
						      : "its file holds too many certificates; include only those up to the authority");
	}
	return !ERR_peek_error() || tls_fault(why, size, "another certificate in its file is damaged");
}

static bool use_key(SSL_CTX *ctx, const char *text, char *why, size_t size)
{
	_cleanup_(pem_free_bio) BIO *b = BIO_new_mem_buf(text, -1);
	_cleanup_(pem_free_key) EVP_PKEY *key = pem_private_key(b);
	if (!key)
		return tls_fault(why, size, "the key is not in PEM format, or is encrypted; remove the passphrase");
	if (X509_check_private_key(SSL_CTX_get0_certificate(ctx), key) != 1)
		return tls_fault(why, size, "the key does not match the certificate");
	if (SSL_CTX_use_PrivateKey(ctx, key) != 1 || SSL_CTX_check_private_key(ctx) != 1)
		return tls_fault(why, size, "the key is not usable");
	return true;
}

/* With `names`, the server sends the names of the authorities to clients. */
static bool use_authorities(SSL_CTX *ctx, const char *text, bool names, char *why, size_t size)
{
	_cleanup_(pem_free_bio) BIO *b = BIO_new_mem_buf(text, -1);
	int n = 0;
	for (X509 *x; n < AUTHORITIES_MAX && (x = pem_certificate(b)); n++) {
		_cleanup_(pem_free_certificate) X509 *own = x;
		if (X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), own) != 1 || (names && SSL_CTX_add_client_CA(ctx, own) != 1))
			return tls_fault(why, size, "a client CA certificate is not usable");
	}
	if (n == 0 || ERR_peek_error())
		return tls_fault(why, size, "the client CA file holds no certificates in PEM format");
	return true;
}

static SSL_CTX *new_context(const SSL_METHOD *method, const struct http_tls *t)
{
	SSL_CTX *ctx = SSL_CTX_new(method);
	if (!ctx || SSL_CTX_set_min_proto_version(ctx, t->only_1_3 ? TLS1_3_VERSION : TLS1_2_VERSION) != 1 ||
	    SSL_CTX_set_cipher_list(ctx, CIPHERS_1_2) != 1)
		abort(); /* no memory, or an OpenSSL without these protocols */
	SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS); /* saves 34 kB for each idle connection */
	return ctx;
}

/* --- server */

static int choose_protocol(UNUSED SSL *ssl, const unsigned char **ret, unsigned char *ret_len, const unsigned char *in,
			   unsigned in_len, UNUSED void *arg)
{
	static const unsigned char http11[] = "http/1.1";
	for (unsigned i = 0; i < in_len && i + in[i] < in_len; i += in[i] + 1u) {
		if (in[i] != sizeof http11 - 1 || memcmp(in + i + 1, http11, sizeof http11 - 1) != 0)
			continue;
		*ret = in + i + 1;
		*ret_len = in[i];
		return SSL_TLSEXT_ERR_OK;
	}
	return SSL_TLSEXT_ERR_ALERT_FATAL; /* the client offers other protocols only */
}

struct ssl_ctx_st *tls_server_new(const struct http_tls *t, char *why, size_t size)
{
	static const unsigned char context[] = "lucid-rdp";
	ERR_clear_error();
	_cleanup_(ctx_unrefp) SSL_CTX *ctx = new_context(TLS_server_method(), t);
	/* a client may close its side without close_notify after a request: HTTP knows the lengths, so truncation is detected there */
	SSL_CTX_set_options(ctx, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF); /* sessions are resumed by tickets, which need no memory here */
	SSL_CTX_set_session_id_context(ctx, context, sizeof context - 1);
	SSL_CTX_set_num_tickets(ctx, 1);
	SSL_CTX_set_alpn_select_cb(ctx, choose_protocol, NULL);
	if (!use_chain(ctx, t->cert, why, size) || !use_key(ctx, t->key, why, size))
		return NULL;
	if (t->client_ca) {
		if (!use_authorities(ctx, t->client_ca, true, why, size))
			return NULL;
		SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	}
	return TAKE_PTR(ctx);
}

/* --- client */

struct ssl_ctx_st *tls_client_new(const struct http_tls *t, char *why, size_t size)
{
	static const unsigned char protocols[] = "\x08http/1.1";
	ERR_clear_error();
	_cleanup_(ctx_unrefp) SSL_CTX *ctx = new_context(TLS_client_method(), t);
	if (SSL_CTX_set_default_verify_paths(ctx) != 1)
		ERR_clear_error(); /* this host has no authorities; those of client_ca still apply */
	SSL_CTX_set_alpn_protos(ctx, protocols, sizeof protocols - 1);
	SSL_CTX_set_verify(ctx, t->trust_anyone ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, NULL);
	if (t->cert && (!use_chain(ctx, t->cert, why, size) || !use_key(ctx, t->key, why, size)))
		return NULL;
	if (t->client_ca && !use_authorities(ctx, t->client_ca, false, why, size))
		return NULL;
	return TAKE_PTR(ctx);
}

struct ssl_st *tls_client_session(struct ssl_ctx_st *ctx, const char *host)
{
	struct in6_addr a;
	SSL *ssl = SSL_new(ctx);
	if (!ssl)
		abort(); /* no memory */
	bool literal = inet_pton(AF_INET, host, &a) == 1 || inet_pton(AF_INET6, host, &a) == 1;
	X509_VERIFY_PARAM *p = SSL_get0_param(ssl);
	X509_VERIFY_PARAM_set_hostflags(p, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	int ok = literal ? X509_VERIFY_PARAM_set1_ip_asc(p, host)
			 : X509_VERIFY_PARAM_set1_host(p, host, 0) && SSL_set_tlsext_host_name(ssl, host) == 1;
	if (!ok)
		abort(); /* no memory */
	return ssl;
}

/* --- both */

struct ssl_ctx_st *tls_ref(struct ssl_ctx_st *ctx)
{
	if (ctx)
		SSL_CTX_up_ref(ctx);
	return ctx;
}

void tls_unref(struct ssl_ctx_st *ctx)
{
	SSL_CTX_free(ctx);
}

const char *tls_distrust(const struct ssl_st *ssl)
{
	long r = SSL_get_verify_result(ssl);
	return r == X509_V_OK ? NULL : X509_verify_cert_error_string(r);
}

const char *tls_reason(unsigned long error)
{
	return error ? ERR_reason_error_string(error) : NULL;
}

int tls_write(struct ssl_st *ssl, const void *data, size_t len)
{
	ERR_clear_error();
	int n = SSL_write(ssl, data, (int)len);
	if (n > 0)
		return 1;
	int e = SSL_get_error(ssl, n);
	return e == SSL_ERROR_WANT_WRITE || e == SSL_ERROR_WANT_READ ? 0 : -1;
}

bool tls_has_more(const struct ssl_st *ssl)
{
	return SSL_has_pending(ssl);
}

void tls_close_notify(struct ssl_st *ssl)
{
	ERR_clear_error();
	(void)SSL_shutdown(ssl);
	ERR_clear_error();
}
