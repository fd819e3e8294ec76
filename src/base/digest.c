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
