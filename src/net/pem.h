/* pem: certificates and private keys in PEM, for the files that use OpenSSL. Floor F2, any thread, pure. Encrypted keys cannot be read:
 * there is no prompt for a passphrase. */
#ifndef NET_PEM_H
#define NET_PEM_H

#include <openssl/bio.h>
#include <openssl/x509.h>

#include "lucid/base.h"

/* The next certificate of the text. NULL at the end; NULL with an error queued (ERR_peek_error) if the certificate is damaged. */
X509 *pem_certificate(BIO *b);
/* NULL with an error queued: the text has no key, or the key is damaged or encrypted. */
EVP_PKEY *pem_private_key(BIO *b);
/* The start or end of a certificate's validity as wall time; 0 if it cannot be parsed. */
int64_t pem_time_ms(const ASN1_TIME *t);

/* for _cleanup_ */
void pem_free_bio(BIO **b);
void pem_free_certificate(X509 **x);
void pem_free_key(EVP_PKEY **k);

#endif
