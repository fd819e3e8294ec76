#include "host/cert.h"

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <unistd.h>

#include "host/fs.h"

#define VALID_DAYS 3650

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

static bool sign(X509 *x, EVP_PKEY *key, const char *name)
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
	       X509_gmtime_adj(X509_getm_notAfter(x), 86400L * VALID_DAYS) &&
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
	_cleanup_(free_pkey) EVP_PKEY *key = EVP_EC_gen("P-256");
	_cleanup_(free_x509) X509 *x = X509_new();
	_cleanup_(free_bio) BIO *kb = BIO_new(BIO_s_mem());
	_cleanup_(free_bio) BIO *cb = BIO_new(BIO_s_mem());
	int r = -ENOMEM;
	if (key && x && kb && cb && sign(x, key, name) &&
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
