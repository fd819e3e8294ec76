#include "lucid/id.h"

#include <openssl/evp.h>

static const char digits[] = "0123456789abcdef";

void id_digest(char dst[ID_DIGEST_SIZE], const void *data, size_t n)
{
	unsigned char md[32];
	if (!EVP_Digest(data, n, md, NULL, EVP_sha256(), NULL))
		abort(); /* libcrypto without SHA-256 cannot do anything else we need either */
	for (size_t i = 0; i < sizeof md; i++) {
		dst[2 * i] = digits[md[i] >> 4];
		dst[2 * i + 1] = digits[md[i] & 15];
	}
	dst[2 * sizeof md] = 0;
}
