/* The accounts of users, and the digest of long claim ids. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants these first */
#include <cmocka.h>

#include "lucid/account.h"
#include "lucid/id.h"

static void test_accounts(void **state)
{
	const char *const map[] = { "alice=al", "bo=x", "bob=robert", "eve=x=ev", NULL };
	assert_string_equal(account_of_user(map, "alice"), "al");
	assert_string_equal(account_of_user(map, "bob"), "robert");
	assert_string_equal(account_of_user(map, "b"), "b");
	assert_string_equal(account_of_user(map, "eve=x"), "ev");
	assert_string_equal(account_of_user(map, "eve"), "eve");
	assert_string_equal(account_of_user(NULL, "carol"), "carol");
}

static void test_sha256(void **state)
{
	static const struct {
		const char *text, *hex;
	} rows[] = {
		{ "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
		{ "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
		{ "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
		  "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1" },
	};
	char hex[ID_DIGEST_SIZE];
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		id_digest(hex, rows[i].text, strlen(rows[i].text));
		assert_string_equal(hex, rows[i].hex);
	}
	char long_text[1000];
	memset(long_text, 'a', sizeof long_text);
	id_digest(hex, long_text, sizeof long_text);
	assert_string_equal(hex, "41edece42d63e8d9bf515a9ba6932e1c20cbc9f5a5d134645adb5db1b9737ea3");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_accounts),
		cmocka_unit_test(test_sha256),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
