#include "auth/public_keys.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdio.h>

#include "lucid/str.h"

#define BEGIN "-----BEGIN PUBLIC KEY-----"
#define END "-----END PUBLIC KEY-----"
#define KID_MAX 128
#define ES256_HALF 32

struct public_key {
	EVP_PKEY *key;
	char kid[KID_MAX + 1];
};

struct public_keys {
	enum token_algorithm algorithm;
	struct public_key keys[PUBLIC_KEYS_MAX];
	size_t n;
};

/* Why the key does not fit the algorithm; NULL if it does. */
static const char *unfit(enum token_algorithm algorithm, const EVP_PKEY *key)
{
	char curve[32] = "";
	int bits = EVP_PKEY_get_bits(key);
	switch (algorithm) {
	case TOKEN_RS256:
		return !EVP_PKEY_is_a(key, "RSA") ? "RS256 needs RSA keys" :
		       bits < 2048 || bits > 8192 ? "RSA keys must have 2048 to 8192 bits" : NULL;
	case TOKEN_ES256:
		if (!EVP_PKEY_is_a(key, "EC") || !EVP_PKEY_get_group_name(key, curve, sizeof curve, NULL))
			return "ES256 needs EC keys";
		return str_eq(curve, "prime256v1") ? NULL : "ES256 requires keys on the curve P-256 (prime256v1)";
	case TOKEN_EDDSA:
		return EVP_PKEY_is_a(key, "ED25519") ? NULL : "EdDSA needs Ed25519 keys";
	default:
		return "HS256 does not use public keys";
	}
}

/* Finds the last line "kid: NAME" between two blocks; "" if there is none. False: the name is too long or empty. */
static bool find_kid(const char *from, const char *to, char dst[KID_MAX + 1])
{
	dst[0] = 0;
	while (from < to) {
		size_t n = MIN(strcspn(from, "\r\n"), (size_t)(to - from));
		if (n > 4 && !strncmp(from, "kid:", 4)) {
			const char *s = from + 4 + strspn(from + 4, " \t");
			size_t len = (size_t)(from + n - s);
			while (len && (s[len - 1] == ' ' || s[len - 1] == '\t'))
				len--;
			if (!len || len > KID_MAX)
				return false;
			memcpy(dst, s, len);
			dst[len] = 0;
		}
		from += n + (from + n < to);
	}
	return true;
}

static const char *add_key(struct public_keys *k, const char *before, const char *block, size_t len)
{
	struct public_key *to = &k->keys[k->n];
	if (k->n == PUBLIC_KEYS_MAX)
		return "more than 8 keys";
	if (!find_kid(before, block, to->kid))
		return "a kid must have 1 to 128 bytes";
	for (size_t i = 0; *to->kid && i < k->n; i++)
		if (str_eq(k->keys[i].kid, to->kid))
			return "two keys have the same kid";
	BIO *bio = BIO_new_mem_buf(block, (int)len);
	to->key = PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL);
	BIO_free(bio);
	ERR_clear_error();
	if (!to->key)
		return "a PUBLIC KEY block is damaged";
	k->n++;
	return unfit(k->algorithm, to->key);
}

struct public_keys *public_keys_parse(enum token_algorithm algorithm, const char *pem, char *why, size_t size)
{
	struct public_keys *k = XNEW(struct public_keys);
	const char *fault = strstr(pem, "PRIVATE KEY-----") ? "it contains a private key, which belongs to the issuer only; remove it" : NULL;
	const char *begin, *end;
	k->algorithm = algorithm;
	for (const char *at = pem; !fault && (begin = strstr(at, BEGIN)); at = end) {
		end = strstr(begin, END);
		if (!end) {
			fault = "a PUBLIC KEY block is not terminated";
			break;
		}
		end += sizeof END - 1;
		fault = add_key(k, at, begin, (size_t)(end - begin));
	}
	if (!fault && !k->n)
		fault = "it contains no PEM block PUBLIC KEY; create one with openssl pkey -pubout";
	if (!fault)
		return k;
	snprintf(why, size, "%s", fault);
	public_keys_free(k);
	return NULL;
}

void public_keys_free(struct public_keys *k)
{
	if (!k)
		return;
	for (size_t i = 0; i < k->n; i++)
		EVP_PKEY_free(k->keys[i].key);
	free(k);
}

/* --- verification */

/* Encodes 32 big-endian bytes as a DER INTEGER. */
static size_t der_integer(unsigned char *to, const unsigned char half[ES256_HALF])
{
	size_t skip = 0;
	while (skip < ES256_HALF - 1 && !half[skip])
		skip++;
	size_t pad = half[skip] >> 7, len = ES256_HALF - skip;
	to[0] = 2;
	to[1] = (unsigned char)(len + pad);
	to[2] = 0;
	memcpy(to + 2 + pad, half + skip, len);
	return 2 + pad + len;
}

/* Converts a signature from the form in tokens (r and s, concatenated) to the DER that libcrypto expects. */
static size_t der_signature(unsigned char to[80], const unsigned char raw[2 * ES256_HALF])
{
	size_t n = der_integer(to + 2, raw);
	n += der_integer(to + 2 + n, raw + ES256_HALF);
	to[0] = 0x30;
	to[1] = (unsigned char)n;
	return n + 2;
}

static bool verify_one(const struct public_keys *k, EVP_PKEY *key, const void *data, size_t len, const unsigned char *sig, size_t sig_len)
{
	unsigned char der[80];
	const EVP_MD *md = k->algorithm == TOKEN_EDDSA ? NULL : EVP_sha256();
	if (k->algorithm == TOKEN_RS256 ? sig_len != (size_t)EVP_PKEY_get_size(key) : sig_len != 2 * ES256_HALF)
		return false;
	if (k->algorithm == TOKEN_ES256) {
		sig_len = der_signature(der, sig);
		sig = der;
	}
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool good = ctx && EVP_DigestVerifyInit(ctx, NULL, md, NULL, key) == 1 && EVP_DigestVerify(ctx, sig, sig_len, data, len) == 1;
	EVP_MD_CTX_free(ctx);
	ERR_clear_error();
	return good;
}

bool public_keys_verify(struct public_keys *k, const char *kid, const void *data, size_t len, const unsigned char *sig, size_t sig_len)
{
	bool ours = false;
	for (size_t i = 0; *kid && i < k->n; i++)
		ours |= str_eq(k->keys[i].kid, kid);
	for (size_t i = 0; i < k->n; i++) {
		const char *its = k->keys[i].kid;
		if (*kid && (ours ? !str_eq(its, kid) : *its != 0))
			continue;
		if (verify_one(k, k->keys[i].key, data, len, sig, sig_len))
			return true;
	}
	return false;
}
