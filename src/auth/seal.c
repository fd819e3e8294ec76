#include "lucid/seal.h"

#include <malloc.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <stdio.h>

#include "auth/b64url.h"
#include "lucid/id.h"
#include "lucid/str.h"

#define PREFIX "seal1."
#define KEY_BYTES 32
#define NONCE_BYTES 12
#define TAG_BYTES 16
#define EXTRA_BYTES (NONCE_BYTES + TAG_BYTES)
#define LENGTH_DIGITS 5 /* of SEAL_MAX */

struct seal_key {
	unsigned char root[KEY_BYTES]; /* HKDF-SHA256 of MASTER_KEY; the key of a purpose is derived from it */
	char id[SEAL_KEY_ID_SIZE];
};

struct seal {
	struct seal_key keys[SEAL_KEYS_MAX]; /* the current one first */
	size_t n;
};

/* The parts of a sealed text; `head` is the text before DATA, and authenticated. */
struct sealed {
	size_t head;
	char id[SEAL_KEY_ID_SIZE];
	int64_t len;
	const char *data;
};

/* --- keys */

/* Without SHA-256 and AES nothing that this program protects can be protected, so a failure of the library ends the process. */
static void must(bool ok)
{
	if (!ok)
		abort();
}

static void derive(const void *from, size_t len, const char *salt, const char *info, void *ret, size_t n)
{
	EVP_KDF *hkdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
	EVP_KDF_CTX *ctx = hkdf ? EVP_KDF_CTX_new(hkdf) : NULL;
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)(uintptr_t) "SHA256", 0),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)(uintptr_t)from, len),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, (void *)(uintptr_t)salt, strlen(salt)),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, (void *)(uintptr_t)info, strlen(info)),
		OSSL_PARAM_END,
	};
	must(ctx && EVP_KDF_derive(ctx, ret, n, params) == 1);
	EVP_KDF_CTX_free(ctx);
	EVP_KDF_free(hkdf);
}

static void add_key(struct seal *s, const char *master_key)
{
	struct seal_key *k = &s->keys[s->n++];
	unsigned char id[(SEAL_KEY_ID_SIZE - 1) / 2];
	derive(master_key, strlen(master_key), "lucid-rdp seal 1", "root", k->root, sizeof k->root);
	derive(k->root, sizeof k->root, "lucid-rdp seal 1 key id", "id", id, sizeof id);
	str_hex(k->id, id, sizeof id);
}

struct seal *seal_new(const char *master_key, const char *const *old)
{
	size_t n = 0;
	bool fit = strlen(master_key) >= SEAL_SECRET_MIN;
	for (; old && old[n]; n++)
		fit = fit && strlen(old[n]) >= SEAL_SECRET_MIN;
	if (!fit || n >= SEAL_KEYS_MAX)
		return NULL;
	struct seal *s = XNEW(struct seal);
	add_key(s, master_key);
	for (size_t i = 0; i < n; i++)
		add_key(s, old[i]);
	return s;
}

void seal_free(struct seal *s)
{
	if (!s)
		return;
	mem_wipe(s, sizeof *s);
	free(s);
}

void seal_replace(struct seal *s, struct seal *consume_next)
{
	*s = *consume_next;
	seal_free(consume_next);
}

const char *seal_key_id(const struct seal *s)
{
	return s->keys[0].id;
}

static const struct seal_key *find_key(const struct seal *s, const char *id)
{
	for (size_t i = 0; i < s->n; i++)
		if (str_eq(s->keys[i].id, id))
			return &s->keys[i];
	return NULL;
}

/* --- encryption */

/* A cipher with the key of the purpose, and the head and place authenticated. Each part ends with a NUL, so two places never give the same
 * bytes. */
static EVP_CIPHER_CTX *cipher_begin(const struct seal_key *k, const struct seal_place *at, bool encrypt, const unsigned char *nonce,
				    const char *head, size_t head_len)
{
	unsigned char key[KEY_BYTES];
	int n;
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	derive(k->root, sizeof k->root, "lucid-rdp seal 1 purpose", at->purpose, key, sizeof key);
	must(ctx && EVP_CipherInit_ex(ctx, EVP_aes_256_gcm(), NULL, key, nonce, encrypt) == 1);
	mem_wipe(key, sizeof key);
	const char *const parts[] = { at->purpose, at->collection, at->id, at->field };
	must(EVP_CipherUpdate(ctx, NULL, &n, (const unsigned char *)head, (int)head_len) == 1);
	for (size_t i = 0; i < ARRAY_LEN(parts); i++)
		must(EVP_CipherUpdate(ctx, NULL, &n, (const unsigned char *)parts[i], (int)strlen(parts[i]) + 1) == 1);
	return ctx;
}

char *seal_text(const struct seal *s, const struct seal_place *at, const void *secret, size_t len)
{
	int n = 0;
	if (len > SEAL_MAX)
		return NULL;
	struct strbuf text = { 0 };
	strbuf_printf(&text, PREFIX "%s.%zu.", s->keys[0].id, len);
	_cleanup_(xfreep) unsigned char *data = xmalloc(EXTRA_BYTES + len);
	id_random(data, NONCE_BYTES);
	EVP_CIPHER_CTX *ctx = cipher_begin(&s->keys[0], at, true, data, text.s, text.len);
	must(!len || EVP_CipherUpdate(ctx, data + NONCE_BYTES, &n, secret, (int)len) == 1);
	must((size_t)n == len && EVP_CipherFinal_ex(ctx, data + NONCE_BYTES + len, &n) == 1);
	must(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_GET_TAG, TAG_BYTES, data + NONCE_BYTES + len) == 1);
	EVP_CIPHER_CTX_free(ctx);
	_cleanup_(xfreep) char *b64 = xmalloc(B64URL_TEXT(EXTRA_BYTES + len));
	strbuf_add(&text, b64, b64url_encode(b64, data, EXTRA_BYTES + len));
	return strbuf_take(&text);
}

/* --- opening */

/* The id and the dot after it. */
static enum seal_result parse_id(const char *text, char ret[SEAL_KEY_ID_SIZE])
{
	size_t known = MIN(strlen(text), strlen(PREFIX)), n;
	if (!known || strncmp(text, PREFIX, known) != 0)
		return SEAL_NOT_SEALED;
	if (known < strlen(PREFIX))
		return SEAL_TRUNCATED;
	text += known;
	n = strspn(text, "0123456789abcdef");
	if (n < SEAL_KEY_ID_SIZE - 1 && !text[n])
		return SEAL_TRUNCATED;
	if (n != SEAL_KEY_ID_SIZE - 1 || (text[n] && text[n] != '.'))
		return SEAL_NOT_SEALED;
	memcpy(ret, text, n);
	ret[n] = 0;
	return text[n] ? SEAL_OK : SEAL_TRUNCATED;
}

static enum seal_result parse(const char *text, struct sealed *ret)
{
	char digits[LENGTH_DIGITS + 1];
	enum seal_result r = parse_id(text, ret->id);
	if (r != SEAL_OK)
		return r;
	const char *length = text + strlen(PREFIX) + SEAL_KEY_ID_SIZE;
	size_t n = strspn(length, "0123456789");
	if (n <= LENGTH_DIGITS && !length[n])
		return SEAL_TRUNCATED;
	if (!n || n > LENGTH_DIGITS || length[n] != '.')
		return SEAL_NOT_SEALED;
	memcpy(digits, length, n);
	digits[n] = 0;
	if (!str_int(digits, 0, SEAL_MAX, &ret->len))
		return SEAL_TAMPERED;
	ret->data = length + n + 1;
	ret->head = (size_t)(ret->data - text);
	size_t have = strlen(ret->data), wanted = B64URL_TEXT(EXTRA_BYTES + (size_t)ret->len);
	return have < wanted ? SEAL_TRUNCATED : have > wanted ? SEAL_TAMPERED : SEAL_OK;
}

/* The secret, or NULL if its authentication fails. */
static char *decrypt(const struct seal_key *k, const struct seal_place *at, const char *text, const struct sealed *p, const unsigned char *data)
{
	size_t len = (size_t)p->len;
	int n = 0, rest = 0;
	char *secret = xmalloc(len + 1);
	EVP_CIPHER_CTX *ctx = cipher_begin(k, at, false, data, text, p->head);
	must(!len || EVP_CipherUpdate(ctx, (unsigned char *)secret, &n, data + NONCE_BYTES, (int)len) == 1);
	must(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_TAG, TAG_BYTES, (void *)(uintptr_t)(data + NONCE_BYTES + len)) == 1);
	bool good = EVP_CipherFinal_ex(ctx, (unsigned char *)secret + n, &rest) == 1;
	EVP_CIPHER_CTX_free(ctx);
	secret[len] = 0;
	if (good)
		return secret;
	mem_wipe(secret, len);
	free(secret);
	return NULL;
}

enum seal_result seal_open(const struct seal *s, const struct seal_place *at, const char *text, char **ret_secret, size_t *ret_len)
{
	struct sealed p = { 0 };
	enum seal_result r = parse(text, &p);
	const struct seal_key *k = find_key(s, p.id);
	if (!k && *p.id && r != SEAL_NOT_SEALED)
		return SEAL_OTHER_KEY;
	if (r != SEAL_OK)
		return r;
	_cleanup_(xfreep) unsigned char *data = xmalloc(EXTRA_BYTES + (size_t)p.len);
	if (b64url_decode(data, p.data, strlen(p.data)) < 0)
		return SEAL_TAMPERED;
	char *secret = decrypt(k, at, text, &p, data);
	if (!secret)
		return SEAL_TAMPERED;
	*ret_secret = secret;
	if (ret_len)
		*ret_len = (size_t)p.len;
	return SEAL_OK;
}

const char *seal_result_to_string(enum seal_result r)
{
	static const char *const texts[] = {
		[SEAL_OK] = "can be opened",
		[SEAL_NOT_SEALED] = "is not a sealed text; set the secret again",
		[SEAL_OTHER_KEY] = "was sealed with another MASTER_KEY; add that key to MASTER_KEYS_OLD, or set the secret again",
		[SEAL_TRUNCATED] = "is truncated; restore a backup, or set the secret again",
		[SEAL_TAMPERED] = "was modified, or copied from another place; restore a backup, or set the secret again",
	};
	return texts[r];
}

void seal_forget(char *secret)
{
	if (secret)
		mem_wipe(secret, malloc_usable_size(secret)); /* it may contain NULs */
	free(secret);
}

void seal_forgetp(char **secret)
{
	seal_forget(*secret);
	*secret = NULL;
}

/* --- key ids */

bool seal_text_key_id(const char *text, char ret[SEAL_KEY_ID_SIZE])
{
	return parse_id(text, ret) == SEAL_OK;
}

bool seal_is_current(const struct seal *s, const char *text)
{
	char id[SEAL_KEY_ID_SIZE];
	return seal_text_key_id(text, id) && str_eq(id, s->keys[0].id);
}

bool seal_has_key(const struct seal *s, const char *text)
{
	char id[SEAL_KEY_ID_SIZE];
	return seal_text_key_id(text, id) && find_key(s, id);
}
