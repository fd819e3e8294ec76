/* token: all invalid forms of a bearer token, rotation of secrets, and the cache. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "auth/b64url.h"
#include "auth/token.h"
#include "lucid/clock.h"

#define SECRET "0123456789abcdef0123456789abcdef"
#define OTHER "fedcba9876543210fedcba9876543210"
#define HEADER "{\"alg\":\"HS256\",\"typ\":\"JWT\"}"

static struct token_keys *keys(void)
{
	struct token_keys *k = token_keys_new(&(struct token_options){ .secret = SECRET, .lifetime_s = 3600 });
	assert_non_null(k);
	return k;
}

static void add_b64(struct strbuf *b, const void *data, size_t len)
{
	char text[8192];
	strbuf_add(b, text, b64url_encode(text, data, len));
}

static char *sign(const EVP_MD *md, const char *secret, const char *header, const char *payload)
{
	struct strbuf b = { 0 };
	unsigned char mac[64];
	unsigned n = 0;
	add_b64(&b, header, strlen(header));
	strbuf_putc(&b, '.');
	add_b64(&b, payload, strlen(payload));
	HMAC(md, secret, (int)strlen(secret), (const unsigned char *)b.s, b.len, mac, &n);
	strbuf_putc(&b, '.');
	add_b64(&b, mac, n);
	return strbuf_take(&b);
}

static enum token_fault try_token(struct token_keys *k, const char *token, struct caller *ret)
{
	return token_verify(k, token, strlen(token), ret);
}

/* A correctly signed token with this header and payload; NULL payload: a valid one. */
static enum token_fault try_signed(const char *header, const char *payload)
{
	struct token_keys *k = keys();
	struct caller c;
	char good[128];
	memset(&c, 0x5a, sizeof c);
	struct caller before = c;
	snprintf(good, sizeof good, "{\"sub\":\"ann\",\"exp\":%lld}", (long long)(clock_wall_ms() / 1000 + 60));
	_cleanup_(xfreep) char *t = sign(EVP_sha256(), SECRET, header, payload ? payload : good);
	enum token_fault f = try_token(k, t, &c);
	if (f != TOKEN_OK)
		assert_memory_equal(&c, &before, sizeof c); /* unchanged on a fault */
	token_keys_free(k);
	return f;
}

/* `%d` in the claims is replaced by a time `offset` seconds from now. */
static enum token_fault try_claims(const char *fmt, int offset)
{
	char now[32];
	snprintf(now, sizeof now, "%lld", (long long)(clock_wall_ms() / 1000 + offset));
	struct strbuf b = { 0 };
	const char *at = strstr(fmt, "%d");
	strbuf_add(&b, fmt, at ? (size_t)(at - fmt) : strlen(fmt));
	if (at) {
		strbuf_puts(&b, now);
		strbuf_puts(&b, at + 2);
	}
	enum token_fault f = try_signed(HEADER, b.s);
	strbuf_done(&b);
	return f;
}

static void test_good(UNUSED void **state)
{
	struct token_keys *k = keys();
	struct caller c = { .address = "192.0.2.1" };
	_cleanup_(xfreep) char *t = token_mint(k, "ann", (const char *const[]){ "admin", "nonsense", NULL }, false, 60);
	for (int i = 0; i < 3; i++) { /* verified, then from the cache */
		assert_int_equal(try_token(k, t, &c), TOKEN_OK);
		assert_string_equal(c.sub, "ann");
		assert_int_equal(c.roles, CALLER_ADMIN);
		assert_false(c.can_create_sessions);
		assert_string_equal(c.address, "192.0.2.1");
	}
	token_keys_free(k);
	assert_int_equal(try_claims("{\"user_id\":\"ann\",\"exp\":%d}", 5), TOKEN_OK);
	assert_int_equal(try_claims("{\"sub\":\"ann\",\"exp\":%d.5}", 5), TOKEN_OK);
	assert_int_equal(try_claims("{\"sub\":\"ann\",\"exp\":1e300,\"nbf\":%d,\"iss\":\"x\",\"aud\":[\"y\"]}", 0), TOKEN_OK);
}

static void test_roles(UNUSED void **state)
{
	static const struct {
		const char *claims;
		unsigned roles;
		bool sessions;
	} rows[] = {
		{ "\"roles\":[\"user\"]", CALLER_USER, true },
		{ "\"roles\":[]", 0, true },
		{ "\"admin\":true", CALLER_ADMIN, true },
		{ "\"admin\":false", 0, true },
		{ "\"x\":1", 0, true },
		{ "\"roles\":[\"auditor\",\"USER\",\"user \"]", 0, true },
		{ "\"roles\":[\"auditor\",\"user\"]", CALLER_USER, true },
		{ "\"admin\":false,\"roles\":[\"admin\",\"user\"]", CALLER_ADMIN | CALLER_USER, true },
		{ "\"roles\":[\"service\"],\"can_create_sessions\":true", CALLER_SERVICE, true },
		{ "\"roles\":[\"Admin\"],\"can_create_sessions\":false", 0, false },
	};
	struct token_keys *k = keys();
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char payload[256];
		struct caller c;
		snprintf(payload, sizeof payload, "{\"sub\":\"ann\",\"exp\":4000000000,%s}", rows[i].claims);
		_cleanup_(xfreep) char *t = sign(EVP_sha256(), SECRET, HEADER, payload);
		assert_int_equal(try_token(k, t, &c), TOKEN_OK);
		assert_int_equal(c.roles, rows[i].roles);
		assert_int_equal(c.can_create_sessions, rows[i].sessions);
	}
	token_keys_free(k);
}

static void test_algorithms(UNUSED void **state)
{
	struct token_keys *k = keys();
	struct caller c;
	static const char payload[] = "{\"sub\":\"ann\",\"exp\":4000000000}";
	_cleanup_(xfreep) char *hs512 = sign(EVP_sha512(), SECRET, "{\"alg\":\"HS512\"}", payload);
	_cleanup_(xfreep) char *hs384 = sign(EVP_sha384(), SECRET, "{\"alg\":\"HS384\"}", payload);
	_cleanup_(xfreep) char *none = sign(EVP_sha256(), SECRET, "{\"alg\":\"none\"}", payload);
	assert_int_equal(try_token(k, hs512, &c), TOKEN_SIGNATURE);
	assert_int_equal(try_token(k, hs384, &c), TOKEN_SIGNATURE);
	assert_int_equal(try_token(k, none, &c), TOKEN_ALGORITHM);
	strrchr(none, '.')[1] = 0; /* alg none without a signature */
	assert_int_equal(try_token(k, none, &c), TOKEN_SIGNATURE);
	token_keys_free(k);

	static const char *const bad[] = {
		"{\"alg\":\"HS512\"}", "{\"alg\":\"hs256\"}", "{\"alg\":\"NONE\"}", "{\"alg\":256}", "{\"alg\":[\"HS256\"]}", "{}",
		"{\"alg\":\"RS256\"}", "{\"alg\":\"HS256\",\"crit\":[\"exp\"]}", "{\"alg\":\"HS256\",\"crit\":null}",
	};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(try_signed(bad[i], NULL), TOKEN_ALGORITHM);
	static const char *const odd[] = {
		"[\"HS256\"]", "\"HS256\"", "null", "{\"alg\":\"HS256\"", "{\"alg\":\"HS256\"}x", "{\"alg\":\"HS256\",\"kid\":5}",
		"{\"alg\":\"none\",\"alg\":\"HS256\"}", "{\"alg\":\"HS256\",\"alg\":\"HS256\"}", "{\"alg\":\"HS256\",\"typ\":1}",
	};
	for (size_t i = 0; i < ARRAY_LEN(odd); i++)
		assert_int_equal(try_signed(odd[i], NULL), TOKEN_MALFORMED);
	assert_int_equal(try_signed("{\"alg\":\"HS256\",\"kid\":\"of-another-issuer\"}", NULL), TOKEN_OK);
}

static void test_times(UNUSED void **state)
{
	assert_int_equal(try_claims("{\"sub\":\"a\",\"exp\":%d}", -29), TOKEN_OK);
	assert_int_equal(try_claims("{\"sub\":\"a\",\"exp\":%d}", -31), TOKEN_EXPIRED);
	assert_int_equal(try_claims("{\"sub\":\"a\",\"exp\":-5}", 0), TOKEN_EXPIRED);
	assert_int_equal(try_claims("{\"sub\":\"a\",\"exp\":4000000000,\"nbf\":%d}", 29), TOKEN_OK);
	assert_int_equal(try_claims("{\"sub\":\"a\",\"exp\":4000000000,\"nbf\":%d}", 35), TOKEN_NOT_YET);
	assert_int_equal(try_claims("{\"sub\":\"a\",\"exp\":4000000000,\"iat\":%d}", 35), TOKEN_NOT_YET);
	assert_int_equal(try_claims("{\"sub\":\"a\",\"exp\":4000000000,\"iat\":%d,\"nbf\":1}", -500), TOKEN_OK);
}

static void test_claims(UNUSED void **state)
{
	static const char *const bad[] = {
		"{\"sub\":\"a\"}", "{\"exp\":4000000000}", "{\"sub\":\"a\",\"exp\":\"4000000000\"}", "{\"sub\":\"a\",\"exp\":null}",
		"{\"sub\":\"a\",\"exp\":true}", "{\"sub\":5,\"exp\":4000000000}", "{\"sub\":null,\"exp\":4000000000}",
		"{\"sub\":\"\",\"exp\":4000000000}", "{\"sub\":\" a\",\"exp\":4000000000}", "{\"sub\":\"a \",\"exp\":4000000000}",
		"{\"sub\":\"a\\nb\",\"exp\":4000000000}", "{\"sub\":\"a\\u202eb\",\"exp\":4000000000}",
		"{\"user_id\":\"a\\u200bb\",\"exp\":4000000000}", "{\"sub\":\"a\\udb40\\udc41\",\"exp\":4000000000}",
		"{\"sub\":\"\\u00a0a\",\"exp\":4000000000}", "{\"sub\":\"a\",\"user_id\":5,\"exp\":4000000000}",
		"{\"sub\":\"a\",\"exp\":4000000000,\"nbf\":\"0\"}", "{\"sub\":\"a\",\"exp\":4000000000,\"iat\":[]}",
		"{\"sub\":\"a\",\"exp\":4000000000,\"iss\":5}", "{\"sub\":\"a\",\"exp\":4000000000,\"aud\":5}",
		"{\"sub\":\"a\",\"exp\":4000000000,\"aud\":[\"x\",5]}", "{\"sub\":\"a\",\"exp\":4000000000,\"roles\":\"admin\"}",
		"{\"sub\":\"a\",\"exp\":4000000000,\"roles\":[\"admin\",1]}", "{\"sub\":\"a\",\"exp\":4000000000,\"roles\":{}}",
		"{\"sub\":\"a\",\"exp\":4000000000,\"admin\":\"true\"}", "{\"sub\":\"a\",\"exp\":4000000000,\"admin\":1}",
		"{\"sub\":\"a\",\"exp\":4000000000,\"can_create_sessions\":\"false\"}",
	};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (try_signed(HEADER, bad[i]) != TOKEN_CLAIMS)
			fail_msg("taken: %s", bad[i]);
	static const char *const odd[] = {
		"[]", "\"a\"", "{\"sub\":\"a\",\"sub\":\"root\",\"exp\":4000000000}", "{\"sub\":\"a\",\"exp\":1,\"exp\":4000000000}",
		"{\"sub\":\"a\",\"exp\":4000000000}{}", "{\"sub\":\"a\\u0000b\",\"exp\":4000000000}",
		"{\"sub\":\"\xff\",\"exp\":4000000000}", "{\"sub\":\"a\",\"exp\":1e400}",
	};
	for (size_t i = 0; i < ARRAY_LEN(odd); i++)
		if (try_signed(HEADER, odd[i]) != TOKEN_MALFORMED)
			fail_msg("taken: %s", odd[i]);
	char longest[512];
	snprintf(longest, sizeof longest, "{\"sub\":\"%0128d\",\"exp\":4000000000}", 7);
	assert_int_equal(try_signed(HEADER, longest), TOKEN_OK);
	snprintf(longest, sizeof longest, "{\"sub\":\"%0129d\",\"exp\":4000000000}", 7);
	assert_int_equal(try_signed(HEADER, longest), TOKEN_CLAIMS);
}

static void test_parties(UNUSED void **state)
{
	struct token_keys *k = token_keys_new(&(struct token_options){ .secret = SECRET, .issuer = "here", .audience = "us" });
	static const struct {
		const char *claims;
		enum token_fault want;
	} rows[] = {
		{ "\"iss\":\"here\",\"aud\":\"us\"", TOKEN_OK },
		{ "\"iss\":\"here\",\"aud\":[\"them\",\"us\"]", TOKEN_OK },
		{ "\"iss\":\"there\",\"aud\":\"us\"", TOKEN_ISSUER },
		{ "\"aud\":\"us\"", TOKEN_ISSUER },
		{ "\"iss\":\"here\"", TOKEN_AUDIENCE },
		{ "\"iss\":\"here\",\"aud\":\"them\"", TOKEN_AUDIENCE },
		{ "\"iss\":\"here\",\"aud\":[]", TOKEN_AUDIENCE },
	};
	struct caller c;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char payload[256];
		snprintf(payload, sizeof payload, "{\"sub\":\"ann\",\"exp\":4000000000,%s}", rows[i].claims);
		_cleanup_(xfreep) char *t = sign(EVP_sha256(), SECRET, HEADER, payload);
		assert_int_equal(try_token(k, t, &c), rows[i].want);
	}
	_cleanup_(xfreep) char *own = token_mint(k, "ann", NULL, true, 60);
	assert_int_equal(try_token(k, own, &c), TOKEN_OK);
	token_keys_free(k);
}

static void test_spelling(UNUSED void **state)
{
	struct token_keys *k = keys();
	struct caller c;
	_cleanup_(xfreep) char *t = token_mint(k, "ann", NULL, true, 60);
	size_t len = strlen(t);
	for (size_t n = 0; n < len; n++) /* truncated at every position */
		assert_int_not_equal(token_verify(k, t, n, &c), TOKEN_OK);
	for (size_t i = 0; i < len; i++) { /* changed at every position */
		char was = t[i];
		t[i] = was == 'A' ? 'B' : 'A';
		assert_int_not_equal(try_token(k, t, &c), TOKEN_OK);
		t[i] = was;
	}
	/* the last character has two bits that do not belong to the MAC: all but one form are refused */
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	char last = t[len - 1];
	size_t at = (size_t)(strchr(digits, last) - digits);
	for (size_t i = 1; i < 4; i++) {
		t[len - 1] = digits[at + i];
		assert_int_equal(try_token(k, t, &c), TOKEN_MALFORMED);
	}
	t[len - 1] = last;
	assert_int_equal(try_token(k, t, &c), TOKEN_OK);

	static const char *const more[] = { "%s.", "%s=", "%s ", " %s", "%s.x", ".%s", "%s\n", "%s\x01" };
	for (size_t i = 0; i < ARRAY_LEN(more); i++) {
		struct strbuf b = { 0 };
		const char *mark = strstr(more[i], "%s");
		strbuf_add(&b, more[i], (size_t)(mark - more[i]));
		strbuf_puts(&b, t);
		strbuf_puts(&b, mark + 2);
		assert_int_not_equal(try_token(k, b.s, &c), TOKEN_OK);
		strbuf_done(&b);
	}
	static const char *const odd[] = { "", ".", "..", "a..b", "a.b.", ".b.c", "a.b", "a", "a.b.c.d", "Bearer x" };
	for (size_t i = 0; i < ARRAY_LEN(odd); i++)
		assert_int_not_equal(try_token(k, odd[i], &c), TOKEN_OK);
	_cleanup_(xfreep) char *huge = xmalloc(TOKEN_MAX + 2);
	memset(huge, 'a', TOKEN_MAX + 1);
	assert_int_equal(token_verify(k, huge, TOKEN_MAX + 1, &c), TOKEN_MALFORMED);
	token_keys_free(k);
}

static void test_rotation(UNUSED void **state)
{
	struct token_keys *was = token_keys_new(&(struct token_options){ .secret = OTHER });
	struct token_keys *now =
		token_keys_new(&(struct token_options){ .secret = SECRET, .old_secrets = (const char *const[]){ OTHER, NULL } });
	struct token_keys *later = keys();
	struct caller c;
	_cleanup_(xfreep) char *old = token_mint(was, "ann", NULL, true, 60);
	_cleanup_(xfreep) char *fresh = token_mint(now, "bob", NULL, true, 60);
	assert_int_equal(try_token(now, old, &c), TOKEN_OK);
	assert_int_equal(try_token(now, fresh, &c), TOKEN_OK);
	assert_int_equal(try_token(later, fresh, &c), TOKEN_OK);
	assert_int_equal(try_token(later, old, &c), TOKEN_SIGNATURE);
	assert_int_equal(try_token(was, fresh, &c), TOKEN_SIGNATURE);

	/* the kid of one key on a token that another signed */
	char header[128], kid[64];
	const char *dot = strchr(fresh, '.');
	ssize_t n = b64url_decode(header, fresh, (size_t)(dot - fresh));
	header[n] = 0;
	assert_int_equal(sscanf(strstr(header, "\"kid\":\"") + 7, "%63[^\"]", kid), 1);
	snprintf(header, sizeof header, "{\"alg\":\"HS256\",\"kid\":\"%s\"}", kid);
	_cleanup_(xfreep) char *mixed = sign(EVP_sha256(), OTHER, header, "{\"sub\":\"a\",\"exp\":4000000000}");
	_cleanup_(xfreep) char *right = sign(EVP_sha256(), SECRET, header, "{\"sub\":\"a\",\"exp\":4000000000}");
	assert_int_equal(try_token(now, mixed, &c), TOKEN_SIGNATURE);
	assert_int_equal(try_token(now, right, &c), TOKEN_OK);
	token_keys_free(was);
	token_keys_free(now);
	token_keys_free(later);

	assert_null(token_keys_new(&(struct token_options){ .secret = "too short" }));
	assert_null(token_keys_new(
		&(struct token_options){ .secret = SECRET, .old_secrets = (const char *const[]){ "short", NULL } }));
}

static void test_cache(UNUSED void **state)
{
	struct token_keys *k = keys();
	struct caller c;
	_cleanup_(xfreep) char *t = token_mint(k, "ann", NULL, true, 60);
	assert_int_equal(try_token(k, t, &c), TOKEN_OK);
	clock_shift_ms(89000); /* the leeway applies to cached tokens too */
	assert_int_equal(try_token(k, t, &c), TOKEN_OK);
	clock_shift_ms(2000);
	assert_int_equal(try_token(k, t, &c), TOKEN_EXPIRED);
	clock_shift_ms(-200000); /* the clock was set back: not yet valid */
	assert_int_equal(try_token(k, t, &c), TOKEN_NOT_YET);
	clock_shift_ms(109000);
	assert_int_equal(try_token(k, t, &c), TOKEN_OK);

	/* the MAC of a cached token with another body must not match it */
	_cleanup_(xfreep) char *other = token_mint(k, "eve", NULL, true, 60);
	struct strbuf b = { 0 };
	strbuf_add(&b, other, (size_t)(strrchr(other, '.') - other));
	strbuf_puts(&b, strrchr(t, '.'));
	assert_int_equal(try_token(k, b.s, &c), TOKEN_SIGNATURE);
	strbuf_done(&b);

	/* many more than fit: all valid, none confused with another */
	for (int i = 0; i < 6000; i++) {
		char sub[16];
		snprintf(sub, sizeof sub, "user%d", i);
		_cleanup_(xfreep) char *each = token_mint(k, sub, NULL, true, 60);
		assert_int_equal(try_token(k, each, &c), TOKEN_OK);
		assert_string_equal(c.sub, sub);
		assert_int_equal(try_token(k, each, &c), TOKEN_OK);
		assert_string_equal(c.sub, sub);
	}
	token_keys_free(k);
}

static void test_b64url(UNUSED void **state)
{
	unsigned char in[64], out[64];
	char text[128];
	for (size_t n = 0; n < sizeof in; n++) {
		for (size_t i = 0; i < n; i++)
			in[i] = (unsigned char)(i * 37 + n);
		size_t len = b64url_encode(text, in, n);
		assert_int_equal(len, B64URL_TEXT(n));
		assert_int_equal(b64url_decode(out, text, len), n);
		assert_memory_equal(in, out, n);
	}
	static const char *const bad[] = { "A", "AB=", "AB==", "A+AA", "A/AA", "AB", "AAB", "A AA", "AAA\n", "AAAAA" };
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(b64url_decode(out, bad[i], strlen(bad[i])), -1);
	assert_int_equal(b64url_decode(out, "-_-_", 4), 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),	 cmocka_unit_test(test_roles),	  cmocka_unit_test(test_algorithms),
		cmocka_unit_test(test_times),	 cmocka_unit_test(test_claims),	  cmocka_unit_test(test_parties),
		cmocka_unit_test(test_spelling), cmocka_unit_test(test_rotation), cmocka_unit_test(test_cache),
		cmocka_unit_test(test_b64url),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
