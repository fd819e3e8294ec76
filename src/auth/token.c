#include "auth/token.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "auth/b64url.h"
#include "auth/public_keys.h"
#include "auth/token_claims.h"
#include "lucid/clock.h"
#include "lucid/doc.h"
#include "lucid/map.h"

#define MAC_BYTES 32
#define MAC_TEXT B64URL_TEXT(MAC_BYTES)
#define KID_TEXT B64URL_TEXT(8)

/* The set-associative cache of valid tokens. Longer tokens than CACHED_MAX are verified each time, so that the cache takes a few megabytes
 * at most. */
#define CACHE_SETS 1024
#define CACHE_WAYS 4
#define CACHED_MAX 1024

struct cached {
	uint64_t hash, used;
	struct claims claims;
	size_t len;
	char token[];
};

struct key {
	EVP_MAC_CTX *mac; /* holds the key; reset for each token */
	char kid[KID_TEXT + 1];
};

struct token_keys {
	struct key keys[TOKEN_SECRETS_MAX];
	size_t n;
	enum token_algorithm algorithm;
	struct public_keys *public; /* NULL: HS256, or none are known */
	char *issuer, *audience;
	unsigned lifetime_s;
	uint64_t uses;
	unsigned generation;
	struct cached *cache[CACHE_SETS][CACHE_WAYS];
};

static void mac_of(struct key *k, const void *data, size_t len, unsigned char ret[MAC_BYTES])
{
	size_t n;
	if (!EVP_MAC_init(k->mac, NULL, 0, NULL) || !EVP_MAC_update(k->mac, data, len) ||
	    !EVP_MAC_final(k->mac, ret, &n, MAC_BYTES) || n != MAC_BYTES)
		abort(); /* cannot happen: the context is complete */
}

static bool key_init(struct key *k, const char *secret)
{
	size_t len = strlen(secret);
	if (len < TOKEN_SECRET_MIN)
		return false;
	EVP_MAC *hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	k->mac = EVP_MAC_CTX_new(hmac);
	EVP_MAC_free(hmac);
	OSSL_PARAM params[] = { OSSL_PARAM_utf8_string(OSSL_MAC_PARAM_DIGEST, (char[]){ "SHA256" }, 0),
				OSSL_PARAM_END };
	if (!k->mac || !EVP_MAC_init(k->mac, (const unsigned char *)secret, len, params))
		abort();
	/* a kid that reveals no more about the key than a token does */
	unsigned char mac[MAC_BYTES];
	mac_of(k, "kid", 3, mac);
	b64url_encode(k->kid, mac, 8);
	return true;
}

struct token_keys *token_keys_new(const struct token_options *o)
{
	struct token_keys *k = XNEW(struct token_keys);
	k->issuer = xstrdup(o->issuer ? o->issuer : "");
	k->audience = xstrdup(o->audience ? o->audience : "");
	k->lifetime_s = o->lifetime_s;
	bool good = key_init(&k->keys[k->n++], o->secret);
	for (const char *const *old = o->old_secrets; good && old && *old; old++)
		good = k->n < TOKEN_SECRETS_MAX && key_init(&k->keys[k->n++], *old);
	char why[128];
	k->algorithm = o->algorithm;
	if (good && o->algorithm != TOKEN_HS256 && o->public_keys)
		good = (k->public = public_keys_parse(o->algorithm, o->public_keys, why, sizeof why)) != NULL;
	if (!good) {
		token_keys_free(k);
		return NULL;
	}
	return k;
}

static void cached_free(struct cached *c)
{
	if (!c)
		return;
	mem_wipe(c, sizeof *c + c->len);
	free(c);
}

void token_keys_free(struct token_keys *k)
{
	if (!k)
		return;
	for (size_t i = 0; i < CACHE_SETS; i++)
		for (size_t j = 0; j < CACHE_WAYS; j++)
			cached_free(k->cache[i][j]);
	for (size_t i = 0; i < k->n; i++)
		EVP_MAC_CTX_free(k->keys[i].mac); /* cleanses its copy of the key */
	public_keys_free(k->public);
	free(k->issuer);
	free(k->audience);
	free(k);
}

void token_keys_replace(struct token_keys *k, struct token_keys *consume_next)
{
	struct token_keys *old = xmalloc(sizeof *old);
	*old = *k;
	*k = *consume_next;
	k->generation = old->generation + 1;
	free(consume_next);
	token_keys_free(old);
}

unsigned token_keys_generation(const struct token_keys *k)
{
	return k->generation;
}

/* --- the cache */

/* Hashes the end of the token, which is (part of) the signature: it differs between valid tokens, and an attacker cannot gain by choosing
 * it. memcmp in cache_find is not constant-time, but it is reached only with this end of a valid signature. */
static uint64_t hash_of(const char *token, size_t len)
{
	size_t tail = MIN(len, MAC_TEXT);
	return map_hash(token + len - tail, tail);
}

static struct cached *cache_find(struct token_keys *k, uint64_t hash, const char *token, size_t len)
{
	struct cached **set = k->cache[hash % CACHE_SETS];
	for (size_t i = 0; i < CACHE_WAYS; i++)
		if (set[i] && set[i]->hash == hash && set[i]->len == len && !memcmp(set[i]->token, token, len))
			return set[i];
	return NULL;
}

static void cache_put(struct token_keys *k, uint64_t hash, const char *token, size_t len, const struct claims *claims)
{
	if (len > CACHED_MAX)
		return;
	struct cached **set = k->cache[hash % CACHE_SETS], **at = &set[0];
	for (size_t i = 0; i < CACHE_WAYS && *at; i++)
		if (!set[i] || set[i]->used < (*at)->used)
			at = &set[i];
	cached_free(*at);
	*at = xmalloc(sizeof **at + len);
	**at = (struct cached){ .hash = hash, .used = ++k->uses, .claims = *claims, .len = len };
	memcpy((*at)->token, token, len);
}

/* --- verification */

static struct key *signer_of(struct token_keys *k, const char *token, size_t signed_len, const unsigned char *mac)
{
	for (size_t i = 0; i < k->n; i++) {
		unsigned char ours[MAC_BYTES];
		mac_of(&k->keys[i], token, signed_len, ours);
		if (!CRYPTO_memcmp(ours, mac, MAC_BYTES))
			return &k->keys[i];
	}
	return NULL;
}

static json_t *decode_part(const char *text, size_t len)
{
	char json[TOKEN_MAX];
	ssize_t n = b64url_decode(json, text, len);
	json_t *doc = n > 0 ? doc_parse(json, (size_t)n, NULL, 0) : NULL;
	if (n > 0)
		mem_wipe(json, (size_t)n);
	return doc;
}

/* A kid of one of our keys must be the kid of the key that signed; any other kid is ignored. */
static bool kid_fits(const struct token_keys *k, const struct key *signer, const char *kid)
{
	for (size_t i = 0; i < k->n; i++)
		if (str_eq(k->keys[i].kid, kid))
			return str_eq(signer->kid, kid);
	return true;
}

struct parts {
	const char *token, *payload, *signature;
	size_t header_len, payload_len, signed_len, signature_len;
};

static bool split(const char *token, size_t len, struct parts *ret)
{
	const char *dot1 = memchr(token, '.', len);
	const char *dot2 = dot1 ? memchr(dot1 + 1, '.', (size_t)(token + len - dot1 - 1)) : NULL;
	if (!dot2 || memchr(dot2 + 1, '.', (size_t)(token + len - dot2 - 1)) || dot1 == token || dot2 == dot1 + 1)
		return false;
	*ret = (struct parts){ token, dot1 + 1, dot2 + 1, (size_t)(dot1 - token), (size_t)(dot2 - dot1 - 1), (size_t)(dot2 - token),
			       (size_t)(token + len - dot2 - 1) };
	return true;
}

static enum token_fault verify_mac(struct token_keys *k, const struct parts *p)
{
	unsigned char mac[MAC_BYTES];
	if (p->signature_len != MAC_TEXT)
		return TOKEN_SIGNATURE; /* no signature, or one of another algorithm */
	if (b64url_decode(mac, p->signature, p->signature_len) != MAC_BYTES)
		return TOKEN_MALFORMED;
	struct key *signer = signer_of(k, p->token, p->signed_len, mac);
	if (!signer)
		return TOKEN_SIGNATURE;
	_cleanup_(doc_unrefp) json_t *header = decode_part(p->token, p->header_len);
	const char *kid;
	enum token_fault fault = claims_header(header, "HS256", k->algorithm == TOKEN_HS256 ? NULL : TOKEN_OWN_TYP, &kid);
	return fault != TOKEN_OK || kid_fits(k, signer, kid) ? fault : TOKEN_SIGNATURE;
}

/* Unlike verify_mac, this reads the header first, but only for the kid: it selects which keys are tried, never the algorithm. */
static enum token_fault verify_public(struct token_keys *k, const struct parts *p)
{
	unsigned char sig[PUBLIC_SIGNATURE_MAX];
	const char *kid;
	_cleanup_(doc_unrefp) json_t *header = decode_part(p->token, p->header_len);
	enum token_fault fault = claims_header(header, token_algorithm_name(k->algorithm), NULL, &kid);
	if (fault != TOKEN_OK)
		return fault;
	if (!p->signature_len || p->signature_len > B64URL_TEXT(sizeof sig))
		return TOKEN_SIGNATURE;
	ssize_t n = b64url_decode(sig, p->signature, p->signature_len);
	if (n < 0)
		return TOKEN_MALFORMED;
	return public_keys_verify(k->public, kid, p->token, p->signed_len, sig, (size_t)n) ? TOKEN_OK : TOKEN_SIGNATURE;
}

static enum token_fault verify_anew(struct token_keys *k, const char *token, size_t len, struct claims *ret)
{
	struct parts p;
	if (!split(token, len, &p))
		return TOKEN_MALFORMED;
	/* the length decides: signatures of the public-key algorithms are all longer than a MAC */
	enum token_fault fault = k->public && p.signature_len != MAC_TEXT ? verify_public(k, &p) : verify_mac(k, &p);
	if (fault != TOKEN_OK)
		return fault;
	_cleanup_(doc_unrefp) json_t *payload = decode_part(p.payload, p.payload_len);
	return payload ? claims_read(payload, k->issuer, k->audience, ret) : TOKEN_MALFORMED;
}

static void caller_copy(struct caller *dst, const struct caller *src)
{
	memcpy(dst->sub, src->sub, sizeof dst->sub);
	dst->roles = src->roles;
	dst->can_create_sessions = src->can_create_sessions;
}

enum token_fault token_verify(struct token_keys *k, const char *token, size_t len, struct caller *ret)
{
	if (!len || len > TOKEN_MAX)
		return TOKEN_MALFORMED;
	int64_t now_s = clock_wall_ms() / 1000;
	uint64_t hash = hash_of(token, len);
	struct cached *c = cache_find(k, hash, token, len);
	struct claims fresh;
	const struct claims *claims = &fresh;
	if (c) {
		c->used = ++k->uses;
		claims = &c->claims;
	} else {
		enum token_fault fault = verify_anew(k, token, len, &fresh);
		if (fault != TOKEN_OK)
			return fault;
	}
	enum token_fault fault = token_expiry_check(&claims->expiry, now_s);
	if (fault != TOKEN_OK)
		return fault;
	caller_copy(ret, &claims->caller);
	if (!c)
		cache_put(k, hash, token, len, &fresh);
	return TOKEN_OK;
}

/* --- minting */

static void add_part(struct strbuf *b, const json_t *doc)
{
	_cleanup_(xfreep) char *json = doc_text(doc);
	size_t len = strlen(json);
	_cleanup_(xfreep) char *text = xmalloc(B64URL_TEXT(len) + 1);
	strbuf_add(b, text, b64url_encode(text, json, len));
}

char *token_mint(struct token_keys *k, const char *sub, const char *const *roles, bool can_create_sessions,
		 unsigned ttl_s)
{
	struct key *key = &k->keys[0];
	int64_t now_s = clock_wall_ms() / 1000;
	_cleanup_(doc_unrefp) json_t *header =
	    json_pack("{s:s,s:s,s:s}", "alg", "HS256", "typ", k->algorithm == TOKEN_HS256 ? "JWT" : TOKEN_OWN_TYP, "kid", key->kid);
	_cleanup_(doc_unrefp) json_t *payload = json_object();
	json_t *list = json_array();
	for (; roles && *roles; roles++)
		json_array_append_new(list, json_string(*roles));
	doc_set_str(payload, "sub", sub);
	doc_set(payload, "roles", list);
	if (!can_create_sessions)
		doc_set_bool(payload, "can_create_sessions", false);
	if (*k->issuer)
		doc_set_str(payload, "iss", k->issuer);
	if (*k->audience)
		doc_set_str(payload, "aud", k->audience);
	doc_set_int(payload, "iat", now_s);
	doc_set_int(payload, "exp", now_s + (ttl_s ? ttl_s : k->lifetime_s));

	struct strbuf b = { 0 };
	unsigned char mac[MAC_BYTES];
	char text[MAC_TEXT];
	add_part(&b, header);
	strbuf_putc(&b, '.');
	add_part(&b, payload);
	mac_of(key, b.s, b.len, mac);
	strbuf_putc(&b, '.');
	strbuf_add(&b, text, b64url_encode(text, mac, sizeof mac));
	return strbuf_take(&b);
}

/* --- seals */

/* Not the text of any token: base64url has no space. */
static void seal_of(struct key *k, const char *token, const char *text, char ret[TOKEN_SEAL_SIZE])
{
	unsigned char mac[MAC_BYTES];
	_cleanup_(xfreep) char *sealed = xasprintf("seal %s %s", token, text);
	mac_of(k, sealed, strlen(sealed), mac);
	ret[b64url_encode(ret, mac, sizeof mac)] = '\0';
	mem_wipe(sealed, strlen(sealed));
}

void token_seal(struct token_keys *k, const char *token, const char *text, char ret[TOKEN_SEAL_SIZE])
{
	seal_of(&k->keys[0], token, text, ret);
}

bool token_seal_fits(struct token_keys *k, const char *token, const char *text, const char *seal)
{
	bool fits = false;
	char ours[TOKEN_SEAL_SIZE];
	for (size_t i = 0; i < k->n && strlen(seal) == sizeof ours - 1 && !fits; i++) {
		seal_of(&k->keys[i], token, text, ours);
		fits = !CRYPTO_memcmp(ours, seal, sizeof ours - 1);
	}
	return fits;
}
