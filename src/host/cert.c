#include "host/cert.h"

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <time.h>
#include <unistd.h>

#include "host/fs.h"
#include "lucid/clock.h"

#define VALID_DAYS 3650
#define NAMES_MAX 2048

static void free_x509(X509 **x)
{
	X509_free(*x);
}
static void free_pkey(EVP_PKEY **k)
{
	EVP_PKEY_free(*k);
}
static void free_bio(BIO **b)
{
	BIO_free(*b);
}

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
	return ok && X509_set_version(x, 2) && X509_gmtime_adj(X509_getm_notBefore(x), -3600) &&
	       X509_gmtime_adj(X509_getm_notAfter(x), 86400L * days) &&
	       X509_NAME_add_entry_by_txt(n, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0) &&
	       X509_set_issuer_name(x, n) && X509_set_pubkey(x, key) && X509_sign(x, key, EVP_sha256());
}

static char *text_of(BIO *b)
{
	char *data;
	long len = BIO_get_mem_data(b, &data);
	return xstrndup(data, (size_t)len);
}

int cert_ensure(const char *cert_path, const char *key_path, const char *name, gid_t gid)
{
	if (access(cert_path, R_OK) == 0 && access(key_path, R_OK) == 0)
		return 0;
	return cert_make(cert_path, key_path, name, VALID_DAYS, gid);
}

int cert_make(const char *cert_path, const char *key_path, const char *name, int days, gid_t gid)
{
	_cleanup_(free_pkey) EVP_PKEY *key = EVP_EC_gen("P-256");
	_cleanup_(free_x509) X509 *x = X509_new();
	_cleanup_(free_bio) BIO *kb = BIO_new(BIO_s_mem());
	_cleanup_(free_bio) BIO *cb = BIO_new(BIO_s_mem());
	int r = -ENOMEM;
	if (key && x && kb && cb && sign(x, key, name, days) &&
	    PEM_write_bio_PKCS8PrivateKey(kb, key, NULL, NULL, 0, NULL, NULL) && PEM_write_bio_X509(cb, x)) {
		_cleanup_(xfreep) char *kt = text_of(kb), *ct = text_of(cb);
		/* both in one file: a reader of one never meets the other's elder; two makers: the last one wins whole */
		_cleanup_(xfreep) char *both = xasprintf("%s%s", kt, ct);
		r = fs_write(key_path, both, 0640, gid);
		if (r == 0)
			r = fs_write(cert_path, ct, 0644, 0);
		mem_wipe(kt, strlen(kt));
		mem_wipe(both, strlen(both));
	}
	return r;
}

bool cert_fingerprint(const char *cert_path, char dst[65])
{
	static const char hex[] = "0123456789abcdef";
	unsigned char md[EVP_MAX_MD_SIZE];
	unsigned len = 0;
	_cleanup_(free_bio) BIO *b = BIO_new_file(cert_path, "r");
	_cleanup_(free_x509) X509 *x = b ? PEM_read_bio_X509(b, NULL, NULL, NULL) : NULL;
	if (!x || !X509_digest(x, EVP_sha256(), md, &len) || len != 32)
		return false;
	for (unsigned n = 0; n < len; n++) {
		dst[2 * n] = hex[md[n] >> 4];
		dst[2 * n + 1] = hex[md[n] & 15];
	}
	dst[64] = '\0';
	return true;
}

static void add_name(json_t *doc, const char *key, const X509_NAME *name)
{
	_cleanup_(free_bio) BIO *b = BIO_new(BIO_s_mem());
	if (!b || X509_NAME_print_ex(b, name, 0, XN_FLAG_RFC2253) < 0)
		return;
	_cleanup_(xfreep) char *text = text_of(b);
	text[MIN(strlen(text), (size_t)NAMES_MAX)] = 0;
	doc_set_str(doc, key, text);
}

static int64_t wall_ms(const ASN1_TIME *t)
{
	struct tm tm;
	return ASN1_TIME_to_tm(t, &tm) ? (int64_t)timegm(&tm) * 1000 : 0;
}

/* The key's own file, read as far as it can be without asking for a passphrase. */
static int no_passphrase(UNUSED char *buf, UNUSED int size, UNUSED int rw, UNUSED void *arg)
{
	return -1;
}

static json_t *key_matches(const X509 *x, const char *key_path)
{
	_cleanup_(free_bio) BIO *b = BIO_new_file(key_path, "r");
	_cleanup_(free_pkey) EVP_PKEY *key = b ? PEM_read_bio_PrivateKey(b, NULL, no_passphrase, NULL) : NULL;
	return key ? json_boolean(X509_check_private_key(x, key) == 1) : NULL;
}

json_t *cert_doc(const char *cert_path, const char *key_path)
{
	char fingerprint[65];
	json_t *doc = json_object();
	_cleanup_(free_bio) BIO *b = BIO_new_file(cert_path, "r");
	_cleanup_(free_x509) X509 *x = b ? PEM_read_bio_X509(b, NULL, NULL, NULL) : NULL;
	if (!x || !cert_fingerprint(cert_path, fingerprint)) {
		doc_set_str(doc, "error", b ? "the file holds no certificate" : "the file cannot be read");
		return doc;
	}
	int64_t until = wall_ms(X509_get0_notAfter(x));
	add_name(doc, "subject", X509_get_subject_name(x));
	add_name(doc, "issuer", X509_get_issuer_name(x));
	doc_set_bool(doc, "self_signed", X509_NAME_cmp(X509_get_subject_name(x), X509_get_issuer_name(x)) == 0);
	doc_set_time(doc, "not_before", wall_ms(X509_get0_notBefore(x)));
	doc_set_time(doc, "not_after", until);
	/* whole days; below 0 it has expired */
	int64_t left = until - clock_wall_ms();
	doc_set_int(doc, "days_left", left < 0 ? (left - 86399999) / 86400000 : left / 86400000);
	doc_set_str(doc, "fingerprint", fingerprint);
	doc_set(doc, "key_matches", key_matches(x, key_path));
	doc_set_str(doc, "error", NULL);
	return doc;
}
