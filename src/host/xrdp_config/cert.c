#include "host/xrdp_config/cert.h"

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <unistd.h>

#include "host/kernel/fs.h"
#include "lucid/clock.h"
#include "net/cert_check.h"
#include "net/pem.h"

#define VALID_DAYS 3650
#define RENEW_DAYS 30
#define DAY_MS INT64_C(86400000)
#define NAMES_MAX 2048

static bool sign(X509 *x, EVP_PKEY *key, const char *name, int days)
{
	unsigned char serial[8];
	X509_NAME *n = X509_get_subject_name(x);
	_cleanup_(xfreep) char *san = xasprintf("DNS:%s", name);
	X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, san);
	bool ok = ext && X509_add_ext(x, ext, -1) && RAND_bytes(serial, sizeof serial);
	X509_EXTENSION_free(ext);
	serial[0] &= 0x7f;
	BIGNUM *bn = BN_bin2bn(serial, sizeof serial, NULL);
	ok = ok && bn && BN_to_ASN1_INTEGER(bn, X509_get_serialNumber(x));
	BN_free(bn);
	/* cert_now_ms, not the plain clock: a certificate made in 1970 would have expired as soon as the clock is set */
	time_t from = (time_t)(cert_now_ms() / 1000);
	return ok && X509_set_version(x, 2) && X509_time_adj_ex(X509_getm_notBefore(x), 0, -3600, &from) &&
	       X509_time_adj_ex(X509_getm_notAfter(x), days, 0, &from) &&
	       X509_NAME_add_entry_by_txt(n, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0) &&
	       X509_set_issuer_name(x, n) && X509_set_pubkey(x, key) && X509_sign(x, key, EVP_sha256());
}

static char *text_of(BIO *b)
{
	char *data;
	long len = BIO_get_mem_data(b, &data);
	return xstrndup(data, (size_t)len);
}

/* When a third of its lifetime is left, or 30 days. */
int64_t cert_renew_ms(int64_t not_before_ms, int64_t not_after_ms)
{
	return not_after_ms - MIN((not_after_ms - not_before_ms) / 3, RENEW_DAYS * DAY_MS);
}

int cert_ensure(const char *cert_path, const char *key_path, const char *name, gid_t gid)
{
	struct cert_state s;
	int64_t now = cert_now_ms();
	cert_check_files(cert_path, key_path, now, &s);
	if (!s.fault && now < cert_renew_ms(s.not_before_ms, s.not_after_ms))
		return 0;
	/* the new one keeps name and days of the old one */
	bool known = s.not_after_ms && s.name[0];
	int64_t days = known ? (s.not_after_ms - s.not_before_ms) / DAY_MS : VALID_DAYS;
	int r = cert_make(cert_path, key_path, known ? s.name : name, (int)MIN(MAX(days, 1), VALID_DAYS), gid);
	return s.fault ? r : 0; /* a certificate that is still valid is kept if a new one cannot be written */
}

int cert_make(const char *cert_path, const char *key_path, const char *name, int days, gid_t gid)
{
	_cleanup_(pem_free_key) EVP_PKEY *key = EVP_EC_gen("P-256");
	_cleanup_(pem_free_certificate) X509 *x = X509_new();
	_cleanup_(pem_free_bio) BIO *kb = BIO_new(BIO_s_mem());
	_cleanup_(pem_free_bio) BIO *cb = BIO_new(BIO_s_mem());
	int r = -ENOMEM;
	if (key && x && kb && cb && sign(x, key, name, days) &&
	    PEM_write_bio_PKCS8PrivateKey(kb, key, NULL, NULL, 0, NULL, NULL) && PEM_write_bio_X509(cb, x)) {
		_cleanup_(xfreep) char *kt = text_of(kb), *ct = text_of(cb);
		/* the key file holds both, so that a reader never gets a key and an older certificate; of two concurrent writers the last
		 * one wins entirely */
		_cleanup_(xfreep) char *both = xasprintf("%s%s", kt, ct);
		r = fs_write(key_path, both, 0640, gid);
		if (r == 0)
			r = fs_write(cert_path, ct, 0644, 0);
		mem_wipe(kt, strlen(kt));
		mem_wipe(both, strlen(both));
	}
	return r;
}

static void add_name(json_t *doc, const char *key, const X509_NAME *name)
{
	_cleanup_(pem_free_bio) BIO *b = BIO_new(BIO_s_mem());
	if (!b || X509_NAME_print_ex(b, name, 0, XN_FLAG_RFC2253) < 0)
		return;
	_cleanup_(xfreep) char *text = text_of(b);
	text[MIN(strlen(text), (size_t)NAMES_MAX)] = 0;
	doc_set_str(doc, key, text);
}

static json_t *key_matches(const X509 *x, const char *key_path)
{
	_cleanup_(pem_free_bio) BIO *b = BIO_new_file(key_path, "r");
	_cleanup_(pem_free_key) EVP_PKEY *key = b ? pem_private_key(b) : NULL;
	return key ? json_boolean(X509_check_private_key(x, key) == 1) : NULL;
}

json_t *cert_doc(const char *cert_path, const char *key_path)
{
	struct cert_state s;
	json_t *doc = json_object();
	_cleanup_(pem_free_bio) BIO *b = BIO_new_file(cert_path, "r");
	_cleanup_(pem_free_certificate) X509 *x = b ? pem_certificate(b) : NULL;
	cert_check_files(cert_path, key_path, cert_now_ms(), &s);
	if (!x || !s.fingerprint[0]) {
		doc_set_str(doc, "error", b ? "the file holds no certificate" : "the file cannot be read");
		return doc;
	}
	int64_t until = pem_time_ms(X509_get0_notAfter(x));
	add_name(doc, "subject", X509_get_subject_name(x));
	add_name(doc, "issuer", X509_get_issuer_name(x));
	doc_set_bool(doc, "self_signed", X509_NAME_cmp(X509_get_subject_name(x), X509_get_issuer_name(x)) == 0);
	doc_set_time(doc, "not_before", pem_time_ms(X509_get0_notBefore(x)));
	doc_set_time(doc, "not_after", until);
	/* whole days; negative: expired */
	int64_t left = until - clock_wall_ms();
	doc_set_int(doc, "days_left", left < 0 ? (left - 86399999) / 86400000 : left / 86400000);
	doc_set_str(doc, "fingerprint", s.fingerprint);
	doc_set(doc, "key_matches", key_matches(x, key_path));
	doc_set_str(doc, "error", NULL);
	return doc;
}
