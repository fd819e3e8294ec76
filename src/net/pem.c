#include "net/pem.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <time.h>

static int no_passphrase(UNUSED char *buf, UNUSED int size, UNUSED int writing, UNUSED void *arg)
{
	return -1;
}

X509 *pem_certificate(BIO *b)
{
	X509 *x = PEM_read_bio_X509(b, NULL, no_passphrase, NULL);
	if (!x && ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE)
		ERR_clear_error(); /* no error, but the end of the text */
	return x;
}

EVP_PKEY *pem_private_key(BIO *b)
{
	return PEM_read_bio_PrivateKey(b, NULL, no_passphrase, NULL);
}

int64_t pem_time_ms(const ASN1_TIME *t)
{
	struct tm tm;
	return ASN1_TIME_to_tm(t, &tm) ? (int64_t)timegm(&tm) * 1000 : 0;
}

void pem_free_bio(BIO **b)
{
	BIO_free(*b);
}

void pem_free_certificate(X509 **x)
{
	X509_free(*x);
}

void pem_free_key(EVP_PKEY **k)
{
	EVP_PKEY_free(*k);
}
