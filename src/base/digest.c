#include "lucid/id.h"

#include <openssl/evp.h>

#include "lucid/str.h"

void id_digest(char dst[ID_DIGEST_SIZE], const void *data, size_t n)
{
	unsigned char md[32];
	if (!EVP_Digest(data, n, md, NULL, EVP_sha256(), NULL))
		abort(); /* without SHA-256, libcrypto cannot do anything else that this program needs */
	str_hex(dst, md, sizeof md);
	dst[2 * sizeof md] = 0;
}

void id_hmac(char dst[ID_DIGEST_SIZE], const void *key, size_t key_len, const void *data, size_t n)
{
	unsigned char md[32];
	size_t len;
	if (!EVP_Q_mac(NULL, "HMAC", NULL, "SHA256", NULL, key, key_len, data, n, md, sizeof md, &len) || len != sizeof md)
		abort(); /* as above */
	str_hex(dst, md, sizeof md);
	dst[2 * sizeof md] = 0;
}
