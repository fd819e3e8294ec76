/* Whether an account of this host may log in, by NSS and by the lists of a server. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants these first */
#include <cmocka.h>
#include <pwd.h>

#include "lucid/str.h"
#include "roles/xrdp-integration/accounts.h"

static const char *said(const char *name, const json_t *users, const json_t *groups)
{
	const char *why = account_refused(name, users, groups);
	return why ? why : "";
}

static void test_accounts_that_cannot_log_in_are_reported(UNUSED void **state)
{
	assert_string_equal(said("root", NULL, NULL), "root");
	assert_string_equal(said("daemon", NULL, NULL), "system_account");
	assert_string_equal(said("nobody", NULL, NULL), "system_account");
	assert_string_equal(said("no-such-account-here", NULL, NULL), "unknown");
	assert_string_equal(said("DOMAIN\\nobody here", NULL, NULL), "unknown");
	/* a listed account must still be able to log in */
	_cleanup_(doc_unrefp) json_t *list = json_pack("[s,s]", "root", "daemon");
	assert_string_equal(said("root", list, NULL), "root");
	assert_string_equal(said("daemon", list, list), "system_account");
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_accounts_that_cannot_log_in_are_reported) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
