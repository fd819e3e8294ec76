/* seal: what is sealed opens only with its key, in its place, and unchanged; each other case has a result of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>

#include "auth/b64url.h"
#include "lucid/doc.h"
#include "lucid/seal.h"
#include "lucid/str.h"

#define KEY "0123456789abcdef0123456789abcdef"
#define NEXT "fedcba9876543210fedcba9876543210"

static const struct seal_place place = { "rdp-password", "rdp_sessions", "sess-0123456789abcdef", "rdp_config.password" };

static struct seal *seal_with(const char *key, const char *const *old)
{
	struct seal *s = seal_new(key, old);
	assert_non_null(s);
	return s;
}

static void expect_open(const struct seal *s, const struct seal_place *at, const char *text, enum seal_result expected)
{
	char *secret = NULL;
	enum seal_result r = seal_open(s, at, text, &secret, NULL);
	if (r != expected)
		fail_msg("\"%.80s\": %s, expected: %s", text, seal_result_to_string(r), seal_result_to_string(expected));
	assert_true((secret != NULL) == (expected == SEAL_OK));
	seal_forget(secret);
}

static void a_sealed_secret_opens_as_it_was(void **state)
{
	struct seal *s = seal_with(KEY, NULL);
	char big[SEAL_MAX + 1];
	memset(big, 'x', sizeof big);
	big[7] = 0;
	static const size_t lens[] = { 0, 1, 15, 16, 17, 300, SEAL_MAX };
	for (size_t i = 0; i < ARRAY_LEN(lens); i++) {
		_cleanup_(xfreep) char *text = seal_text(s, &place, big, lens[i]);
		_cleanup_(seal_forgetp) char *secret = NULL;
		size_t len = 9;
		assert_int_equal(seal_open(s, &place, text, &secret, &len), SEAL_OK);
		assert_int_equal(len, lens[i]);
		assert_memory_equal(secret, big, len);
		assert_int_equal(secret[len], 0);
	}
	assert_null(seal_text(s, &place, big, SEAL_MAX + 1));
	seal_free(s);
}

static void a_sealed_text_is_one_word_without_the_secret(void **state)
{
	struct seal *s = seal_with(KEY, NULL);
	_cleanup_(xfreep) char *a = seal_text(s, &place, "correct horse", 13), *b = seal_text(s, &place, "correct horse", 13);
	assert_true(str_starts(a, "seal1."));
	assert_null(strstr(a, "horse"));
	assert_int_equal(strspn(a, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_."), strlen(a));
	assert_string_not_equal(a, b); /* a new nonce each time: equal passwords cannot be seen to be equal */
	_cleanup_(doc_unrefp) json_t *doc = json_object();
	doc_set_str(doc, "password", a);
	_cleanup_(xfreep) char *json = doc_text(doc);
	assert_non_null(strstr(json, a));
	seal_free(s);
}

static void another_place_does_not_open_it(void **state)
{
	struct seal *s = seal_with(KEY, NULL);
	_cleanup_(xfreep) char *text = seal_text(s, &place, "pw", 2);
	struct seal_place other[] = { place, place, place, place, place };
	other[0].purpose = "recording-key";
	other[1].collection = "rdp_servers";
	other[2].id = "sess-0123456789abcdee";
	other[3].field = "rdp_config.passwor";
	other[4].collection = "rdp_sessionss"; /* the same letters in other parts */
	other[4].id = "ess-0123456789abcdef";
	for (size_t i = 0; i < ARRAY_LEN(other); i++)
		expect_open(s, &other[i], text, SEAL_TAMPERED);
	expect_open(s, &place, text, SEAL_OK);
	seal_free(s);
}

static void each_changed_character_is_found(void **state)
{
	struct seal *s = seal_with(KEY, NULL);
	_cleanup_(xfreep) char *text = seal_text(s, &place, "a password", 10);
	for (size_t i = 0; text[i]; i++) {
		char *secret = NULL, was = text[i];
		text[i] = was == '7' ? '8' : '7';
		enum seal_result r = seal_open(s, &place, text, &secret, NULL);
		assert_null(secret);
		assert_true(r != SEAL_OK);
		if (i >= strlen("seal1.") + SEAL_KEY_ID_SIZE + strlen("10."))
			assert_int_equal(r, SEAL_TAMPERED);
		text[i] = was;
	}
	_cleanup_(xfreep) char *longer = xasprintf("%sA", text);
	expect_open(s, &place, longer, SEAL_TAMPERED);
	seal_free(s);
}

static void each_truncation_is_found(void **state)
{
	struct seal *s = seal_with(KEY, NULL);
	_cleanup_(xfreep) char *text = seal_text(s, &place, "a password", 10);
	for (size_t n = strlen(text) - 1; n > 0; n--) {
		_cleanup_(xfreep) char *some = xstrndup(text, n);
		expect_open(s, &place, some, SEAL_TRUNCATED);
	}
	expect_open(s, &place, "", SEAL_NOT_SEALED);
	seal_free(s);
}

static void what_is_no_sealed_text_is_told_apart(void **state)
{
	struct seal *s = seal_with(KEY, NULL);
	static const char *const texts[] = { "hunter2", "seal2.0123456789abcdef.1.AA", "seal1.0123456789abcdeF.1.AA", "seal1.0123456789abcdef0.1.AA",
					     "seal1.0123456789abcdef..AA", "seal1.0123456789abcdef.-1.AA", "seal1.0123456789abcdef.1000000.AA" };
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		expect_open(s, &place, texts[i], SEAL_NOT_SEALED);
	_cleanup_(xfreep) char *huge = xasprintf("seal1.%s.99999.AA", seal_key_id(s));
	expect_open(s, &place, huge, SEAL_TAMPERED);
	seal_free(s);
}

static void another_key_is_named_as_the_reason(void **state)
{
	struct seal *s = seal_with(KEY, NULL), *other = seal_with(NEXT, NULL);
	_cleanup_(xfreep) char *text = seal_text(s, &place, "pw", 2);
	assert_string_not_equal(seal_key_id(s), seal_key_id(other));
	expect_open(other, &place, text, SEAL_OTHER_KEY);
	assert_false(seal_has_key(other, text));
	assert_non_null(strstr(seal_result_to_string(SEAL_OTHER_KEY), "MASTER_KEYS_OLD"));
	/* the id is that of the other key, but it was sealed with this one */
	memcpy(text + strlen("seal1."), seal_key_id(other), SEAL_KEY_ID_SIZE - 1);
	expect_open(other, &place, text, SEAL_TAMPERED);
	seal_free(s);
	seal_free(other);
}

static void after_a_rotation_old_texts_open_and_new_ones_use_the_new_key(void **state)
{
	static const char *const old[] = { KEY, NULL };
	struct seal *s = seal_with(KEY, NULL);
	_cleanup_(xfreep) char *text = seal_text(s, &place, "pw", 2);
	assert_true(seal_is_current(s, text));
	seal_replace(s, seal_with(NEXT, old));
	expect_open(s, &place, text, SEAL_OK);
	assert_false(seal_is_current(s, text));
	assert_true(seal_has_key(s, text));
	_cleanup_(xfreep) char *again = seal_text(s, &place, "pw", 2);
	assert_true(seal_is_current(s, again));
	seal_replace(s, seal_with(NEXT, NULL));
	expect_open(s, &place, text, SEAL_OTHER_KEY);
	expect_open(s, &place, again, SEAL_OK);
	seal_free(s);
}

static void short_and_too_many_keys_are_refused(void **state)
{
	static const char *const eight[] = { KEY, KEY, KEY, KEY, KEY, KEY, KEY, KEY, NULL }, *const one[] = { "short", NULL };
	assert_null(seal_new("0123456789abcdef0123456789abcde", NULL));
	assert_null(seal_new(KEY, one));
	assert_null(seal_new(KEY, eight));
	struct seal *s = seal_new(KEY, eight + 1);
	assert_non_null(s);
	seal_free(s);
	seal_free(NULL);
	seal_forget(NULL);
}

/* --- the form, computed again from its description: a later version must still read what this one wrote */

static void hkdf(const void *from, size_t len, const char *salt, const char *info, unsigned char *ret, size_t n)
{
	EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_id(EVP_PKEY_HKDF, NULL);
	assert_true(EVP_PKEY_derive_init(c) == 1 && EVP_PKEY_CTX_set_hkdf_md(c, EVP_sha256()) == 1);
	assert_true(EVP_PKEY_CTX_set1_hkdf_salt(c, (const unsigned char *)salt, (int)strlen(salt)) == 1);
	assert_true(EVP_PKEY_CTX_set1_hkdf_key(c, from, (int)len) == 1);
	assert_true(EVP_PKEY_CTX_add1_hkdf_info(c, (const unsigned char *)info, (int)strlen(info)) == 1);
	assert_true(EVP_PKEY_derive(c, ret, &n) == 1);
	EVP_PKEY_CTX_free(c);
}

static void the_form_is_the_documented_one(void **state)
{
	unsigned char root[32], key[32], data[64], out[64];
	int n = 0, rest = 0;
	struct seal *s = seal_with(KEY, NULL);
	_cleanup_(xfreep) char *text = seal_text(s, &place, "a password", 10);
	const char *b64 = strrchr(text, '.') + 1;
	assert_int_equal(b64url_decode(data, b64, strlen(b64)), 12 + 10 + 16);
	hkdf(KEY, strlen(KEY), "lucid-rdp seal 1", "root", root, sizeof root);
	hkdf(root, sizeof root, "lucid-rdp seal 1 purpose", place.purpose, key, sizeof key);
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	assert_true(EVP_DecryptInit_ex(c, EVP_aes_256_gcm(), NULL, key, data) == 1);
	struct strbuf aad = { 0 };
	strbuf_add(&aad, text, (size_t)(b64 - text));
	const char *const parts[] = { place.purpose, place.collection, place.id, place.field };
	for (size_t i = 0; i < ARRAY_LEN(parts); i++)
		strbuf_add(&aad, parts[i], strlen(parts[i]) + 1);
	assert_true(EVP_DecryptUpdate(c, NULL, &n, (unsigned char *)aad.s, (int)aad.len) == 1);
	assert_true(EVP_DecryptUpdate(c, out, &n, data + 12, 10) == 1);
	assert_true(EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_SET_TAG, 16, data + 22) == 1);
	assert_int_equal(EVP_DecryptFinal_ex(c, out + n, &rest), 1);
	assert_memory_equal(out, "a password", 10);
	EVP_CIPHER_CTX_free(c);
	strbuf_done(&aad);
	seal_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_sealed_secret_opens_as_it_was),
		cmocka_unit_test(a_sealed_text_is_one_word_without_the_secret),
		cmocka_unit_test(another_place_does_not_open_it),
		cmocka_unit_test(each_changed_character_is_found),
		cmocka_unit_test(each_truncation_is_found),
		cmocka_unit_test(what_is_no_sealed_text_is_told_apart),
		cmocka_unit_test(another_key_is_named_as_the_reason),
		cmocka_unit_test(after_a_rotation_old_texts_open_and_new_ones_use_the_new_key),
		cmocka_unit_test(short_and_too_many_keys_are_refused),
		cmocka_unit_test(the_form_is_the_documented_one),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
