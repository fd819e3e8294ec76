#include "record/cipher.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#define NUMBER_AT 4 /* of a segment in its header */

struct segment_cipher {
	EVP_CIPHER_CTX *ctx; /* NULL: RECORD_PLAIN */
	EVP_MD_CTX *digest;  /* of RECORD_PLAIN */
	uint8_t header[RECORD_HEADER_BYTES];
};

static void cipher_must(bool ok)
{
	if (!ok)
		abort(); /* libcrypto lacks an algorithm that it always has */
}

struct segment_cipher *segment_cipher_new(enum record_cipher kind, const uint8_t *chunk_key, const uint8_t header[RECORD_HEADER_BYTES], bool encrypt)
{
	struct segment_cipher *c = XNEW(struct segment_cipher);
	memcpy(c->header, header, sizeof c->header);
	if (kind == RECORD_PLAIN) {
		c->digest = EVP_MD_CTX_new();
		cipher_must(c->digest);
		return c;
	}
	EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, kind == RECORD_AES256_GCM ? "AES-256-GCM" : "ChaCha20-Poly1305", NULL);
	c->ctx = EVP_CIPHER_CTX_new();
	cipher_must(cipher && c->ctx && EVP_CipherInit_ex(c->ctx, cipher, NULL, chunk_key, NULL, encrypt) == 1);
	EVP_CIPHER_free(cipher);
	return c;
}

void segment_cipher_free(struct segment_cipher *c)
{
	if (!c)
		return;
	EVP_CIPHER_CTX_free(c->ctx);
	EVP_MD_CTX_free(c->digest);
	free(c);
}

static void plain_tag(struct segment_cipher *c, const uint8_t *segment, const uint8_t *data, size_t n, uint8_t ret[RECORD_TAG_BYTES])
{
	uint8_t hash[RECORD_HASH_BYTES];
	cipher_must(EVP_DigestInit_ex(c->digest, EVP_sha256(), NULL) == 1 && EVP_DigestUpdate(c->digest, c->header, sizeof c->header) == 1 &&
		    EVP_DigestUpdate(c->digest, segment, RECORD_SEGMENT_BYTES) == 1 && EVP_DigestUpdate(c->digest, data, n) == 1 &&
		    EVP_DigestFinal_ex(c->digest, hash, NULL) == 1);
	memcpy(ret, hash, RECORD_TAG_BYTES);
}

/* nonce, additional data, and the data itself in place */
static void run_cipher(struct segment_cipher *c, const uint8_t *segment, uint8_t *data, size_t n)
{
	uint8_t nonce[12] = { 0 };
	int out;
	memcpy(nonce, segment + NUMBER_AT, 4);
	cipher_must(EVP_CipherInit_ex(c->ctx, NULL, NULL, NULL, nonce, -1) == 1 && EVP_CipherUpdate(c->ctx, NULL, &out, c->header, sizeof c->header) == 1 &&
		    EVP_CipherUpdate(c->ctx, NULL, &out, segment, RECORD_SEGMENT_BYTES) == 1 &&
		    (!n || (EVP_CipherUpdate(c->ctx, data, &out, data, (int)n) == 1 && (size_t)out == n)));
}

void segment_cipher_seal(struct segment_cipher *c, const uint8_t segment[RECORD_SEGMENT_BYTES], uint8_t *data, size_t n, uint8_t ret_tag[RECORD_TAG_BYTES])
{
	uint8_t none[16];
	int out;
	if (!c->ctx) {
		plain_tag(c, segment, data, n, ret_tag);
		return;
	}
	run_cipher(c, segment, data, n);
	cipher_must(EVP_CipherFinal_ex(c->ctx, none, &out) == 1 && EVP_CIPHER_CTX_ctrl(c->ctx, EVP_CTRL_AEAD_GET_TAG, RECORD_TAG_BYTES, ret_tag) == 1);
}

bool segment_cipher_open(struct segment_cipher *c, const uint8_t segment[RECORD_SEGMENT_BYTES], uint8_t *data, size_t n, const uint8_t tag[RECORD_TAG_BYTES])
{
	uint8_t own[RECORD_TAG_BYTES];
	int out;
	if (!c->ctx) {
		plain_tag(c, segment, data, n, own);
		return CRYPTO_memcmp(own, tag, sizeof own) == 0;
	}
	run_cipher(c, segment, data, n);
	cipher_must(EVP_CIPHER_CTX_ctrl(c->ctx, EVP_CTRL_AEAD_SET_TAG, RECORD_TAG_BYTES, (void *)(uintptr_t)tag) == 1);
	return EVP_CipherFinal_ex(c->ctx, own, &out) == 1;
}
