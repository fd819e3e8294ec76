#include "lucid/record_keys.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#ifdef __aarch64__
#include <sys/auxv.h>
#endif

#include "lucid/id.h"
#include "lucid/str.h"
#include "record/bytes.h"

#define NONCE_BYTES 12
#define KEK_ID_DIGITS (RECORD_KEK_ID_SIZE - 1)

/* Without its algorithms libcrypto cannot protect anything, so their failure ends the process. */
static void crypto_must(bool ok)
{
	if (!ok)
		abort();
}

/* HKDF-SHA256 (RFC 5869); salt NULL: none. */
static void hkdf(const void *from, size_t len, const uint8_t *salt, size_t salt_len, const void *info, size_t info_len, void *ret, size_t n)
{
	EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
	EVP_KDF_CTX *ctx = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
	OSSL_PARAM params[5] = {
		OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)(uintptr_t) "SHA256", 0),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)(uintptr_t)from, len),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, (void *)(uintptr_t)info, info_len),
		salt ? OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, (void *)(uintptr_t)salt, salt_len) : OSSL_PARAM_construct_end(),
		OSSL_PARAM_END,
	};
	crypto_must(ctx && EVP_KDF_derive(ctx, ret, n, params) == 1);
	EVP_KDF_CTX_free(ctx);
	EVP_KDF_free(kdf);
}

static void derive_from_master(const void *master_key, size_t len, const char *info, void *ret, size_t n)
{
	hkdf(master_key, len, NULL, 0, info, strlen(info), ret, n);
}

bool record_master_init(struct record_master *m, const void *master_key, size_t len)
{
	uint8_t id[KEK_ID_DIGITS / 2];
	size_t n = RECORD_PUBLIC_BYTES;
	if (len < RECORD_MASTER_MIN)
		return false;
	memset(m, 0, sizeof *m);
	derive_from_master(master_key, len, "rck1 kek", m->kek, sizeof m->kek);
	derive_from_master(master_key, len, "rck1 kek id", id, sizeof id);
	derive_from_master(master_key, len, "rck1 seal", m->seed, sizeof m->seed);
	str_hex(m->kek_id, id, sizeof id);
	EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, m->seed, sizeof m->seed);
	crypto_must(key && EVP_PKEY_get_raw_public_key(key, m->public_key, &n) == 1 && n == RECORD_PUBLIC_BYTES);
	EVP_PKEY_free(key);
	return true;
}

void record_master_done(struct record_master *m)
{
	mem_wipe(m, sizeof *m);
}

void record_key_new(uint8_t ret[RECORD_KEY_BYTES])
{
	id_random(ret, RECORD_KEY_BYTES);
}

/* --- wrapped keys: nonce ‖ ciphertext ‖ tag; authenticated with recording id ‖ kek id ‖ "rck1 dek" */

static EVP_CIPHER_CTX *wrap_begin(const struct record_master *m, const uint8_t id[RECORD_ID_BYTES], const uint8_t *nonce, bool encrypt)
{
	static const char word[] = "rck1 dek";
	int n;
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	crypto_must(ctx && EVP_CipherInit_ex(ctx, EVP_aes_256_gcm(), NULL, m->kek, nonce, encrypt) == 1 &&
		    EVP_CipherUpdate(ctx, NULL, &n, id, RECORD_ID_BYTES) == 1 &&
		    EVP_CipherUpdate(ctx, NULL, &n, (const uint8_t *)m->kek_id, KEK_ID_DIGITS) == 1 &&
		    EVP_CipherUpdate(ctx, NULL, &n, (const uint8_t *)word, sizeof word - 1) == 1);
	return ctx;
}

void record_key_wrap(const struct record_master *m, const uint8_t id[RECORD_ID_BYTES], const uint8_t key[RECORD_KEY_BYTES], struct record_wrapped *ret)
{
	int n;
	uint8_t *text = ret->data + NONCE_BYTES;
	memcpy(ret->kek_id, m->kek_id, sizeof ret->kek_id);
	id_random(ret->data, NONCE_BYTES);
	EVP_CIPHER_CTX *ctx = wrap_begin(m, id, ret->data, true);
	crypto_must(EVP_CipherUpdate(ctx, text, &n, key, RECORD_KEY_BYTES) == 1 && n == RECORD_KEY_BYTES &&
		    EVP_CipherFinal_ex(ctx, text + RECORD_KEY_BYTES, &n) == 1 &&
		    EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, RECORD_TAG_BYTES, text + RECORD_KEY_BYTES) == 1);
	EVP_CIPHER_CTX_free(ctx);
}

enum record_unwrap record_key_unwrap(const struct record_master *m, const uint8_t id[RECORD_ID_BYTES], const struct record_wrapped *w, uint8_t ret[RECORD_KEY_BYTES])
{
	uint8_t key[RECORD_KEY_BYTES];
	int n;
	const uint8_t *text = w->data + NONCE_BYTES;
	if (!str_eq(w->kek_id, m->kek_id))
		return RECORD_OTHER_MASTER;
	EVP_CIPHER_CTX *ctx = wrap_begin(m, id, w->data, false);
	crypto_must(EVP_CipherUpdate(ctx, key, &n, text, RECORD_KEY_BYTES) == 1 &&
		    EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, RECORD_TAG_BYTES, (void *)(uintptr_t)(text + RECORD_KEY_BYTES)) == 1);
	bool good = EVP_CipherFinal_ex(ctx, key + RECORD_KEY_BYTES, &n) == 1;
	EVP_CIPHER_CTX_free(ctx);
	if (good)
		memcpy(ret, key, sizeof key);
	mem_wipe(key, sizeof key);
	return good ? RECORD_UNWRAPPED : RECORD_KEY_MODIFIED;
}

void record_chunk_key(const uint8_t key[RECORD_KEY_BYTES], const uint8_t salt[16], const uint8_t id[RECORD_ID_BYTES], uint32_t seq, uint8_t ret[RECORD_KEY_BYTES])
{
	static const char word[] = "rck1 chunk";
	uint8_t info[sizeof word - 1 + RECORD_ID_BYTES + 4];
	memcpy(info, word, sizeof word - 1);
	memcpy(info + sizeof word - 1, id, RECORD_ID_BYTES);
	bytes_put32(info + sizeof info - 4, seq);
	hkdf(key, RECORD_KEY_BYTES, salt, 16, info, sizeof info, ret, RECORD_KEY_BYTES);
}

enum record_cipher record_cipher_here(void)
{
	bool fast = false;
#if defined(__x86_64__) || defined(__i386__)
	fast = __builtin_cpu_supports("aes") && __builtin_cpu_supports("pclmul");
#elif defined(__aarch64__)
	fast = getauxval(AT_HWCAP) & (1 << 3); /* HWCAP_AES */
#endif
	return fast ? RECORD_AES256_GCM : RECORD_CHACHA20_POLY1305;
}

/* --- signatures */

static void *signed_bytes(const char *context, const void *text, size_t len, size_t *ret_len)
{
	size_t n = strlen(context) + 1;
	char *all = xmalloc(n + len);
	memcpy(all, context, n);
	memcpy(all + n, text, len);
	*ret_len = n + len;
	return all;
}

void record_sign(const struct record_master *m, const char *context, const void *text, size_t len, uint8_t ret[64])
{
	size_t all_len, n = 64;
	_cleanup_(xfreep) uint8_t *all = signed_bytes(context, text, len, &all_len);
	EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, m->seed, sizeof m->seed);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	crypto_must(key && ctx && EVP_DigestSignInit(ctx, NULL, NULL, NULL, key) == 1 && EVP_DigestSign(ctx, ret, &n, all, all_len) == 1 && n == 64);
	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(key);
}

bool record_signature_good(const uint8_t public_key[RECORD_PUBLIC_BYTES], const char *context, const void *text, size_t len, const uint8_t signature[64])
{
	size_t all_len;
	_cleanup_(xfreep) uint8_t *all = signed_bytes(context, text, len, &all_len);
	EVP_PKEY *key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, public_key, RECORD_PUBLIC_BYTES);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool good = key && ctx && EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, key) == 1 && EVP_DigestVerify(ctx, signature, 64, all, all_len) == 1;
	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(key);
	return good;
}
