#include "net/cert_check.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdio.h>

#include "lucid/clock.h"
#include "lucid/str.h"
#include "net/pem.h"
#include "sys/files.h"

#define FILE_MAX (1 << 20)
#define CHAIN_MAX 16
#define HANDSHAKE_STEPS 100

static const struct {
	const char *name, *text;
	bool key;
} faults[CERT_FAULTS] = {
	[CERT_GOOD] = { "", "" },
	[CERT_UNREADABLE] = { "certificate_unreadable", "the certificate cannot be read" },
	[CERT_EMPTY] = { "certificate_empty", "the certificate's file is empty" },
	[CERT_DER] = { "certificate_not_pem", "the certificate is in DER; convert it to PEM (openssl x509 -inform der)" },
	[CERT_NO_PEM] = { "certificate_not_pem", "the file holds no certificate in PEM" },
	[CERT_CUT] = { "certificate_damaged", "the certificate is truncated or damaged" },
	[CERT_CHAIN] = { "certificate_damaged", "a further certificate in the file is truncated or damaged" },
	[CERT_UNUSABLE] = { "certificate_unusable", "the certificate is not usable for a TLS server" },
	[CERT_EXPIRED] = { "certificate_expired", "the certificate expired" },
	[CERT_NOT_YET] = { "certificate_not_yet_valid", "the certificate is not yet valid" },
	[KEY_UNREADABLE] = { "key_unreadable", "the key cannot be read", .key = true },
	[KEY_EMPTY] = { "key_empty", "the key's file is empty", .key = true },
	[KEY_DER] = { "key_not_pem", "the key is in DER; convert it to PEM (openssl pkey -inform der)", .key = true },
	[KEY_NO_PEM] = { "key_not_pem", "the file holds no private key in PEM", .key = true },
	[KEY_CUT] = { "key_damaged", "the key is truncated or damaged", .key = true },
	[KEY_ENCRYPTED] = { "key_encrypted", "the key is encrypted; remove the passphrase (openssl pkey)", .key = true },
	[KEY_OTHER] = { "key_mismatch", "the key does not match the certificate", .key = true },
	[KEY_UNUSABLE] = { "key_unusable", "the key is not usable for a TLS server", .key = true },
};

static void free_ctx(SSL_CTX **c)
{
	SSL_CTX_free(*c);
}

static void free_ssl(SSL **s)
{
	SSL_free(*s);
}

const char *cert_fault_name(enum cert_fault f)
{
	return faults[f].name;
}

bool cert_fault_is_of_key(enum cert_fault f)
{
	return faults[f].key;
}

void cert_fault_text(const struct cert_state *s, char *dst, size_t size)
{
	char at[CLOCK_ISO_SIZE] = "";
	if (s->fault == CERT_EXPIRED)
		snprintf(dst, size, "%s at %s; replace it", faults[s->fault].text, clock_iso(at, s->not_after_ms));
	else if (s->fault == CERT_NOT_YET)
		snprintf(dst, size, "%s, only from %s; check the clock, or replace the certificate", faults[s->fault].text,
			 clock_iso(at, s->not_before_ms));
	else if (s->err)
		snprintf(dst, size, "%s: %s", faults[s->fault].text, strerror(s->err));
	else
		snprintf(dst, size, "%s%s%s%s", faults[s->fault].text, *s->detail ? " (" : "", s->detail, *s->detail ? ")" : "");
}

int64_t cert_now_ms(void)
{
	return MAX(clock_wall_ms(), (int64_t)CERT_CLOCK_MIN_MS);
}

static void set_fault(struct cert_state *s, enum cert_fault f)
{
	unsigned long e = ERR_peek_last_error();
	const char *reason = e && (f == CERT_UNUSABLE || f == KEY_UNUSABLE) ? ERR_reason_error_string(e) : NULL;
	s->fault = f;
	snprintf(s->detail, sizeof s->detail, "%s", reason ? reason : "");
	ERR_clear_error();
}

static bool text_has(const char *text, size_t len, const char *word)
{
	return memmem(text, len, word, strlen(word)) != NULL;
}

/* Why no certificate or key could be parsed from the text. */
static enum cert_fault not_pem(const char *text, size_t len, bool key)
{
	if (!len)
		return key ? KEY_EMPTY : CERT_EMPTY;
	if ((unsigned char)text[0] == 0x30)
		return key ? KEY_DER : CERT_DER;
	if (key && text_has(text, len, "ENCRYPTED"))
		return KEY_ENCRYPTED;
	if (text_has(text, len, key ? "PRIVATE KEY-----" : "BEGIN CERTIFICATE") || text_has(text, len, "BEGIN X509") ||
	    text_has(text, len, "BEGIN TRUSTED"))
		return key ? KEY_CUT : CERT_CUT;
	return key ? KEY_NO_PEM : CERT_NO_PEM;
}

static void read_facts(struct cert_state *s, X509 *x)
{
	unsigned char md[EVP_MAX_MD_SIZE];
	unsigned len = 0;
	s->not_before_ms = pem_time_ms(X509_get0_notBefore(x));
	s->not_after_ms = pem_time_ms(X509_get0_notAfter(x));
	if (X509_NAME_get_text_by_NID(X509_get_subject_name(x), NID_commonName, s->name, sizeof s->name) < 0)
		s->name[0] = 0;
	if (!X509_digest(x, EVP_sha256(), md, &len) || len != 32)
		return;
	str_hex(s->fingerprint, md, len);
	s->fingerprint[64] = 0;
}

/* The certificates after the first one, which a server sends as its chain, can be parsed. */
static bool chain_is_whole(BIO *b)
{
	ERR_clear_error();
	for (int n = 0; n < CHAIN_MAX; n++) {
		_cleanup_(pem_free_certificate) X509 *x = pem_certificate(b);
		if (!x)
			return !ERR_peek_error();
	}
	return true;
}

/* Whether a TLS client can connect. No client offers some of the curves that OpenSSL accepts, secp256k1 for example. */
static bool handshake_succeeds(SSL_CTX *server_ctx)
{
	_cleanup_(free_ctx) SSL_CTX *client_ctx = SSL_CTX_new(TLS_client_method());
	_cleanup_(free_ssl) SSL *server = SSL_new(server_ctx);
	_cleanup_(free_ssl) SSL *client = client_ctx ? SSL_new(client_ctx) : NULL;
	BIO *a = NULL, *b = NULL;
	if (!server || !client || BIO_new_bio_pair(&a, 0, &b, 0) != 1)
		return false;
	SSL_set_bio(server, a, a);
	SSL_set_bio(client, b, b);
	SSL_set_accept_state(server);
	SSL_set_connect_state(client);
	for (int n = 0; n < HANDSHAKE_STEPS; n++) {
		int c = SSL_do_handshake(client), s = SSL_do_handshake(server);
		if (c == 1 && s == 1)
			return true;
		if ((c != 1 && SSL_get_error(client, c) == SSL_ERROR_SSL) || (s != 1 && SSL_get_error(server, s) == SSL_ERROR_SSL))
			return false;
	}
	return false;
}

/* Whether OpenSSL accepts them for a TLS server: it refuses short keys and some types. */
static enum cert_fault try_out(X509 *x, EVP_PKEY *key)
{
	_cleanup_(free_ctx) SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	if (!ctx || SSL_CTX_use_certificate(ctx, x) != 1)
		return CERT_UNUSABLE;
	if (SSL_CTX_use_PrivateKey(ctx, key) != 1)
		return KEY_UNUSABLE;
	return handshake_succeeds(ctx) ? CERT_GOOD : CERT_UNUSABLE;
}

static void check_pair(struct cert_state *s, X509 *x, const char *text, size_t len, int64_t now_ms)
{
	_cleanup_(pem_free_bio) BIO *b = BIO_new_mem_buf(text, (int)len);
	_cleanup_(pem_free_key) EVP_PKEY *key = pem_private_key(b);
	ERR_clear_error();
	if (!key) {
		set_fault(s, not_pem(text, len, true));
		return;
	}
	if (X509_check_private_key(x, key) != 1) {
		set_fault(s, KEY_OTHER);
		return;
	}
	enum cert_fault f = try_out(x, key);
	if (f)
		set_fault(s, f);
	else if (now_ms > s->not_after_ms)
		set_fault(s, CERT_EXPIRED);
	else if (now_ms < s->not_before_ms)
		set_fault(s, CERT_NOT_YET);
}

void cert_check(const char *cert, size_t cert_len, const char *key, size_t key_len, int64_t now_ms, struct cert_state *ret)
{
	ERR_clear_error();
	if (!cert) {
		set_fault(ret, CERT_UNREADABLE);
		return;
	}
	_cleanup_(pem_free_bio) BIO *b = BIO_new_mem_buf(cert, (int)cert_len);
	_cleanup_(pem_free_certificate) X509 *x = pem_certificate(b);
	if (!x) {
		set_fault(ret, not_pem(cert, cert_len, false));
		return;
	}
	read_facts(ret, x);
	if (!chain_is_whole(b))
		set_fault(ret, CERT_CHAIN);
	else if (!key)
		set_fault(ret, KEY_UNREADABLE);
	else
		check_pair(ret, x, key, key_len, now_ms);
	ERR_clear_error();
}

static char *read_file(const char *path, size_t *ret_len, struct stat *st, int *ret_err)
{
	_cleanup_(closep) int fd = file_open(path, 0, st);
	char *text = fd < 0 ? NULL : file_read_fd(fd, FILE_MAX, ret_len);
	if (!text)
		*ret_err = errno;
	return text;
}

void cert_check_files(const char *cert_path, const char *key_path, int64_t now_ms, struct cert_state *ret)
{
	struct stat st;
	size_t cert_len = 0, key_len = 0;
	int cert_err = 0, key_err = 0;
	*ret = (struct cert_state){ 0 };
	_cleanup_(xfreep) char *cert = read_file(cert_path, &cert_len, &st, &cert_err);
	char *key = read_file(key_path, &key_len, &st, &key_err);
	cert_check(cert, cert_len, key, key_len, now_ms, ret);
	ret->err = ret->fault == CERT_UNREADABLE ? cert_err : ret->fault == KEY_UNREADABLE ? key_err : 0;
	ret->key_open = key && st.st_mode & S_IROTH;
	if (key)
		mem_wipe(key, key_len);
	free(key);
}
