/* token: RS256, ES256 and EdDSA, several keys, and all ways to confuse one algorithm with another. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "auth/b64url.h"
#include "auth/public_keys.h"
#include "auth/token.h"

#define SECRET "0123456789abcdef0123456789abcdef"
#define PAYLOAD "{\"sub\":\"ann\",\"exp\":4000000000}"

enum { RSA_ONE, RSA_TWO, EC_ONE, EC_TWO, ED_ONE, ED_TWO, RSA_SHORT, EC_384, ED_448, KEYS };
static EVP_PKEY *keys[KEYS];

static char *pem_of(EVP_PKEY *k)
{
	char *text;
	BIO *bio = BIO_new(BIO_s_mem());
	assert_int_equal(PEM_write_bio_PUBKEY(bio, k), 1);
	long n = BIO_get_mem_data(bio, &text);
	char *ret = xstrndup(text, (size_t)n);
	BIO_free(bio);
	return ret;
}

static void add_b64(struct strbuf *b, const void *data, size_t len)
{
	char text[8192];
	strbuf_add(b, text, b64url_encode(text, data, len));
}

static void begin(struct strbuf *b, const char *header, const char *payload)
{
	add_b64(b, header, strlen(header));
	strbuf_putc(b, '.');
	add_b64(b, payload, strlen(payload));
}

/* The two halves of an ECDSA signature, each as long as the curve's order. */
static size_t raw_signature(unsigned char *sig, size_t len, size_t half)
{
	const unsigned char *p = sig;
	ECDSA_SIG *s = d2i_ECDSA_SIG(NULL, &p, (long)len);
	assert_non_null(s);
	BN_bn2binpad(ECDSA_SIG_get0_r(s), sig, (int)half);
	BN_bn2binpad(ECDSA_SIG_get0_s(s), sig + half, (int)half);
	ECDSA_SIG_free(s);
	return 2 * half;
}

enum form { AS_TOKENS, AS_DER, PSS };

static char *sign_as(EVP_PKEY *key, const char *header, const char *payload, enum form form)
{
	struct strbuf b = { 0 };
	unsigned char sig[1024];
	size_t n = sizeof sig;
	EVP_PKEY_CTX *ctx;
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	begin(&b, header, payload);
	bool ed = EVP_PKEY_is_a(key, "ED25519") || EVP_PKEY_is_a(key, "ED448");
	assert_int_equal(EVP_DigestSignInit(md, &ctx, ed ? NULL : EVP_sha256(), NULL, key), 1);
	if (form == PSS)
		assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING), 1);
	assert_int_equal(EVP_DigestSign(md, sig, &n, (const unsigned char *)b.s, b.len), 1);
	EVP_MD_CTX_free(md);
	if (EVP_PKEY_is_a(key, "EC") && form == AS_TOKENS)
		n = raw_signature(sig, n, (size_t)(EVP_PKEY_get_bits(key) + 7) / 8);
	strbuf_putc(&b, '.');
	add_b64(&b, sig, n);
	return strbuf_take(&b);
}

static char *sign(EVP_PKEY *key, const char *header)
{
	return sign_as(key, header, PAYLOAD, AS_TOKENS);
}

static char *mac(const char *secret, const char *header)
{
	struct strbuf b = { 0 };
	unsigned char m[64];
	unsigned n = 0;
	begin(&b, header, PAYLOAD);
	HMAC(EVP_sha256(), secret, (int)strlen(secret), (const unsigned char *)b.s, b.len, m, &n);
	strbuf_putc(&b, '.');
	add_b64(&b, m, n);
	return strbuf_take(&b);
}

static struct token_keys *with(enum token_algorithm a, const char *pem)
{
	struct token_keys *k =
		token_keys_new(&(struct token_options){ .secret = SECRET, .lifetime_s = 60, .algorithm = a, .public_keys = pem });
	assert_non_null(k);
	return k;
}

static enum token_fault try_token(struct token_keys *k, char *consume)
{
	struct caller c = { 0 };
	enum token_fault f = token_verify(k, consume, strlen(consume), &c), again = token_verify(k, consume, strlen(consume), &c);
	assert_int_equal(f, again); /* verified, and from the cache */
	assert_int_equal(f == TOKEN_OK, str_eq(c.sub, "ann"));
	free(consume);
	return f;
}

static const struct {
	enum token_algorithm algorithm;
	int one, two;
	const char *header, *name;
} kinds[] = {
	{ TOKEN_RS256, RSA_ONE, RSA_TWO, "{\"alg\":\"RS256\",\"typ\":\"JWT\"}", "RS256" },
	{ TOKEN_ES256, EC_ONE, EC_TWO, "{\"alg\":\"ES256\",\"typ\":\"JWT\"}", "ES256" },
	{ TOKEN_EDDSA, ED_ONE, ED_TWO, "{\"alg\":\"EdDSA\",\"typ\":\"JWT\"}", "EdDSA" },
};

static void test_good_and_bad(UNUSED void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		_cleanup_(xfreep) char *pem = pem_of(keys[kinds[i].one]);
		struct token_keys *k = with(kinds[i].algorithm, pem);
		for (int n = 0; n < 300 / (i == 0 ? 10 : 1); n++) /* r and s that begin with zeros occur now and then */
			assert_int_equal(try_token(k, sign(keys[kinds[i].one], kinds[i].header)), TOKEN_OK);
		assert_int_equal(try_token(k, sign(keys[kinds[i].two], kinds[i].header)), TOKEN_SIGNATURE);
		/* every bit counts */
		for (size_t at = 0; at < 200; at += 7) {
			char *t = sign(keys[kinds[i].one], kinds[i].header);
			if (at < strlen(t) && t[at] != '.')
				t[at] = t[at] == 'A' ? 'B' : 'A';
			else
				strcpy(t, "x");
			assert_int_not_equal(try_token(k, t), TOKEN_OK);
		}
		/* too short, too long, and missing */
		char *t = sign(keys[kinds[i].one], kinds[i].header);
		t[strlen(t) - 4] = 0;
		assert_int_not_equal(try_token(k, t), TOKEN_OK);
		_cleanup_(xfreep) char *whole = sign(keys[kinds[i].one], kinds[i].header);
		assert_int_not_equal(try_token(k, xasprintf("%sAAAA", whole)), TOKEN_OK);
		strrchr(whole, '.')[1] = 0;
		assert_int_equal(try_token(k, xstrdup(whole)), TOKEN_SIGNATURE);
		/* claims are checked as usual */
		assert_int_equal(try_token(k, sign_as(keys[kinds[i].one], kinds[i].header, "{\"sub\":\"ann\",\"exp\":1}", AS_TOKENS)),
				 TOKEN_EXPIRED);
		assert_int_equal(try_token(k, sign_as(keys[kinds[i].one], kinds[i].header, "{\"sub\":\"ann\"}", AS_TOKENS)), TOKEN_CLAIMS);
		token_keys_free(k);
	}
}

static void test_confusion(UNUSED void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		_cleanup_(xfreep) char *pem = pem_of(keys[kinds[i].one]);
		struct token_keys *k = with(kinds[i].algorithm, pem);
		/* the public key, which anyone may have, used as a secret */
		assert_int_equal(try_token(k, mac(pem, "{\"alg\":\"HS256\"}")), TOKEN_SIGNATURE);
		assert_int_equal(try_token(k, mac(pem, "{\"alg\":\"HS256\",\"typ\":\"" TOKEN_OWN_TYP "\"}")), TOKEN_SIGNATURE);
		assert_int_equal(try_token(k, mac(pem, kinds[i].header)), TOKEN_SIGNATURE);
		/* the secret signs the program's own tokens, and nothing else */
		assert_int_equal(try_token(k, mac(SECRET, "{\"alg\":\"HS256\",\"typ\":\"JWT\"}")), TOKEN_ALGORITHM);
		assert_int_equal(try_token(k, mac(SECRET, "{\"alg\":\"HS256\"}")), TOKEN_ALGORITHM);
		assert_int_equal(try_token(k, mac(SECRET, kinds[i].header)), TOKEN_ALGORITHM);
		assert_int_equal(try_token(k, mac(SECRET, "{\"alg\":\"HS256\",\"typ\":\"" TOKEN_OWN_TYP "\"}")), TOKEN_OK);
		assert_int_equal(try_token(k, token_mint(k, "ann", NULL, true, 60)), TOKEN_OK);
		/* correctly signed, but the header says otherwise */
		static const char *const wrong[] = { "{\"alg\":\"none\"}", "{\"alg\":\"HS256\"}", "{\"alg\":\"PS256\"}", "{\"alg\":\"RS512\"}",
						     "{}", "{\"alg\":null}", "{\"alg\":[\"RS256\"]}", "{\"alg\":\"es256\"}", "{\"alg\":\"ES256K\"}" };
		for (size_t j = 0; j < ARRAY_LEN(wrong); j++)
			assert_int_equal(try_token(k, sign(keys[kinds[i].one], wrong[j])), TOKEN_ALGORITHM);
		char crit[96];
		snprintf(crit, sizeof crit, "{\"alg\":\"%s\",\"crit\":[\"exp\"]}", kinds[i].name);
		assert_int_equal(try_token(k, sign(keys[kinds[i].one], crit)), TOKEN_ALGORITHM);
		/* a key in the token is ignored */
		snprintf(crit, sizeof crit, "{\"alg\":\"%s\",\"jwk\":{},\"jku\":\"http://h/\",\"x5c\":[]}", kinds[i].name);
		assert_int_equal(try_token(k, sign(keys[kinds[i].two], crit)), TOKEN_SIGNATURE);
		/* the other algorithms, correctly signed with keys of their own */
		for (size_t j = 0; j < ARRAY_LEN(kinds); j++)
			if (j != i) {
				assert_int_equal(try_token(k, sign(keys[kinds[j].one], kinds[j].header)), TOKEN_ALGORITHM);
				assert_int_equal(try_token(k, sign(keys[kinds[j].one], kinds[i].header)), TOKEN_SIGNATURE);
			}
		token_keys_free(k);
		/* and none of them if only the secret is configured */
		k = with(TOKEN_HS256, NULL);
		assert_int_equal(try_token(k, sign(keys[kinds[i].one], kinds[i].header)), TOKEN_SIGNATURE);
		token_keys_free(k);
	}
}

static void test_forms_of_signatures(UNUSED void **state)
{
	_cleanup_(xfreep) char *ec = pem_of(keys[EC_ONE]), *rsa = NULL;
	struct token_keys *k = with(TOKEN_ES256, ec);
	for (int i = 0; i < 50; i++)
		assert_int_equal(try_token(k, sign_as(keys[EC_ONE], "{\"alg\":\"ES256\"}", PAYLOAD, AS_DER)), TOKEN_SIGNATURE);
	assert_int_equal(try_token(k, sign(keys[EC_384], "{\"alg\":\"ES256\"}")), TOKEN_SIGNATURE);
	/* r and s of zero, which a faulty verifier accepts for any message */
	struct strbuf b = { 0 };
	unsigned char zero[64] = { 0 };
	begin(&b, "{\"alg\":\"ES256\"}", PAYLOAD);
	strbuf_putc(&b, '.');
	add_b64(&b, zero, sizeof zero);
	assert_int_equal(try_token(k, strbuf_take(&b)), TOKEN_SIGNATURE);
	token_keys_free(k);
	rsa = pem_of(keys[RSA_ONE]);
	k = with(TOKEN_RS256, rsa);
	assert_int_equal(try_token(k, sign_as(keys[RSA_ONE], "{\"alg\":\"RS256\"}", PAYLOAD, PSS)), TOKEN_SIGNATURE);
	token_keys_free(k);
}

static void test_several_keys(UNUSED void **state)
{
	_cleanup_(xfreep) char *one = pem_of(keys[EC_ONE]), *two = pem_of(keys[EC_TWO]);
	_cleanup_(xfreep) char *none = xasprintf("%s%s", one, two), *both = xasprintf("# ours\nkid: one\n%s\nkid:two \r\n%s", one, two),
			       *mixed = xasprintf("kid: one\n%s%s", one, two);
	static const char *const plain = "{\"alg\":\"ES256\"}", *const kid1 = "{\"alg\":\"ES256\",\"kid\":\"one\"}",
				*const kid2 = "{\"alg\":\"ES256\",\"kid\":\"two\"}", *const other = "{\"alg\":\"ES256\",\"kid\":\"x\"}";
	const struct {
		const char *pem;
		int key;
		const char *header;
		enum token_fault fault;
	} rows[] = {
		{ none, EC_ONE, plain, TOKEN_OK },  { none, EC_TWO, plain, TOKEN_OK },	      { none, EC_TWO, other, TOKEN_OK },
		{ both, EC_ONE, plain, TOKEN_OK },  { both, EC_TWO, plain, TOKEN_OK },	      { both, EC_ONE, kid1, TOKEN_OK },
		{ both, EC_TWO, kid2, TOKEN_OK },   { both, EC_ONE, kid2, TOKEN_SIGNATURE },  { both, EC_ONE, other, TOKEN_SIGNATURE },
		{ mixed, EC_TWO, other, TOKEN_OK }, { mixed, EC_ONE, other, TOKEN_SIGNATURE }, { mixed, EC_TWO, kid1, TOKEN_SIGNATURE },
		{ mixed, EC_ONE, kid1, TOKEN_OK },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct token_keys *k = with(TOKEN_ES256, rows[i].pem);
		if (try_token(k, sign(keys[rows[i].key], rows[i].header)) != rows[i].fault)
			fail_msg("row %zu", i);
		token_keys_free(k);
	}
}

static void test_issuer_and_audience(UNUSED void **state)
{
	_cleanup_(xfreep) char *pem = pem_of(keys[ED_ONE]);
	struct token_keys *k = token_keys_new(&(struct token_options){ .secret = SECRET, .lifetime_s = 60, .algorithm = TOKEN_EDDSA,
								       .public_keys = pem, .issuer = "https://idp", .audience = "desk" });
	static const struct {
		const char *claims;
		enum token_fault fault;
	} rows[] = {
		{ "\"iss\":\"https://idp\",\"aud\":\"desk\"", TOKEN_OK },
		{ "\"iss\":\"https://idp\",\"aud\":[\"mail\",\"desk\"]", TOKEN_OK },
		{ "\"iss\":\"https://idp\",\"aud\":[\"mail\"]", TOKEN_AUDIENCE },
		{ "\"iss\":\"https://idp\",\"aud\":[]", TOKEN_AUDIENCE },
		{ "\"iss\":\"https://idp\",\"aud\":[\"desk\",1]", TOKEN_CLAIMS },
		{ "\"iss\":\"https://idp\",\"aud\":{\"desk\":1}", TOKEN_CLAIMS },
		{ "\"iss\":\"https://idp\"", TOKEN_AUDIENCE },
		{ "\"iss\":[\"https://idp\"],\"aud\":\"desk\"", TOKEN_CLAIMS },
		{ "\"iss\":\"https://idp/\",\"aud\":\"desk\"", TOKEN_ISSUER },
		{ "\"aud\":\"desk\"", TOKEN_ISSUER },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char payload[160];
		snprintf(payload, sizeof payload, "{\"sub\":\"ann\",\"exp\":4000000000,%s}", rows[i].claims);
		assert_int_equal(try_token(k, sign_as(keys[ED_ONE], "{\"alg\":\"EdDSA\"}", payload, AS_TOKENS)), rows[i].fault);
	}
	assert_int_equal(try_token(k, token_mint(k, "ann", NULL, true, 60)), TOKEN_OK); /* has both */
	token_keys_free(k);
}

static void test_keys_that_do_not_fit(UNUSED void **state)
{
	static const struct {
		enum token_algorithm algorithm;
		int key;
		const char *why;
	} rows[] = {
		{ TOKEN_RS256, EC_ONE, "needs RSA" },	 { TOKEN_RS256, RSA_SHORT, "2048 to 8192" }, { TOKEN_ES256, RSA_ONE, "needs EC" },
		{ TOKEN_ES256, EC_384, "P-256" },	 { TOKEN_ES256, ED_ONE, "needs EC" },	     { TOKEN_EDDSA, ED_448, "Ed25519" },
		{ TOKEN_EDDSA, EC_ONE, "Ed25519" },	 { TOKEN_HS256, EC_ONE, "not use public keys" },
	};
	char why[128];
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		_cleanup_(xfreep) char *pem = pem_of(keys[rows[i].key]);
		assert_null(public_keys_parse(rows[i].algorithm, pem, why, sizeof why));
		if (!strstr(why, rows[i].why))
			fail_msg("%s", why);
	}
	_cleanup_(xfreep) char *pem = pem_of(keys[EC_ONE]);
	_cleanup_(xfreep) char *cut = xstrndup(pem, strlen(pem) - 30), *twice = xasprintf("kid: a\n%skid: a\n%s", pem, pem),
			       *damaged = xstrdup(pem);
	damaged[40] = '!';
	const char *const bad[] = { "", "no key", cut, twice, damaged, "-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n" };
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_null(public_keys_parse(TOKEN_ES256, bad[i], why, sizeof why));
	struct strbuf many = { 0 };
	for (int i = 0; i < PUBLIC_KEYS_MAX + 1; i++)
		strbuf_puts(&many, pem);
	assert_null(public_keys_parse(TOKEN_ES256, many.s, why, sizeof why));
	strbuf_done(&many);
	assert_null(token_keys_new(&(struct token_options){ .secret = SECRET, .algorithm = TOKEN_ES256, .public_keys = cut }));
}

static int make_keys(UNUSED void **state)
{
	keys[RSA_ONE] = EVP_RSA_gen(2048);
	keys[RSA_TWO] = EVP_RSA_gen(2048);
	keys[RSA_SHORT] = EVP_RSA_gen(1024);
	keys[EC_ONE] = EVP_EC_gen("P-256");
	keys[EC_TWO] = EVP_EC_gen("P-256");
	keys[EC_384] = EVP_EC_gen("P-384");
	keys[ED_ONE] = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	keys[ED_TWO] = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	keys[ED_448] = EVP_PKEY_Q_keygen(NULL, NULL, "ED448");
	return 0;
}

static int free_keys(UNUSED void **state)
{
	for (size_t i = 0; i < KEYS; i++)
		EVP_PKEY_free(keys[i]);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good_and_bad),	    cmocka_unit_test(test_confusion),
		cmocka_unit_test(test_forms_of_signatures), cmocka_unit_test(test_several_keys),
		cmocka_unit_test(test_issuer_and_audience), cmocka_unit_test(test_keys_that_do_not_fit),
	};
	return cmocka_run_group_tests(tests, make_keys, free_keys);
}
