/* doctor's knowledge of xrdp versions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "app/doctor/doctor.h"

static void vulnerable_versions_are_recognised(void **state)
{
	(void)state;
	static const struct {
		const char *version, *package;
		enum doctor_state state;
		const char *has, *has_not;
	} rows[] = {
		{ "0.9.21.1", "0.9.21.1-1+deb12u3", DOCTOR_OK, "", "CVE" },
		{ "0.9.21.1", "0.9.21.1-1+deb12u4", DOCTOR_OK, "", "CVE" },
		{ "0.9.21.1", "0.9.21.1-1+deb12u2", DOCTOR_FAIL, "CVE-2026-55645", "CVE-2025-68670" },
		{ "0.9.21.1", "0.9.21.1-1+deb12u1", DOCTOR_FAIL, "CVE-2025-68670", "CVE-2024-39917" },
		{ "0.9.21.1", "0.9.21.1-1", DOCTOR_FAIL, "CVE-2023-40184", "CVE-2022-23468" },
		{ "0.9.21.1", "", DOCTOR_FAIL, "CVE-2023-40184", "CVE-2022-23468" },
		{ "0.9.23.1", "", DOCTOR_FAIL, "CVE-2024-39917", "CVE-2023-42822" },
		{ "0.9.13", "", DOCTOR_FAIL, "CVE-2020-4044", "CVE-2019" },
		{ "0.10.4", "0.10.4-2", DOCTOR_FAIL, "CVE-2025-68670", "CVE-2024-39917" },
		{ "0.10.6", "", DOCTOR_FAIL, "CVE-2026-41252", "CVE-2026-32105" },
		{ "0.10.6.1", "", DOCTOR_OK, "", "CVE" },
		{ "0.11", "", DOCTOR_OK, "", "CVE" },
		{ "1.0", "1.0-1", DOCTOR_OK, "", "CVE" },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char names[600];
		assert_int_equal(doctor_known_faults(rows[i].version, rows[i].package, names, sizeof names), rows[i].state);
		assert_non_null(strstr(names, rows[i].has));
		assert_null(strstr(names, rows[i].has_not));
	}
}

static void names_are_truncated(void **state)
{
	(void)state;
	char names[32];
	memset(names, 'x', sizeof names);
	doctor_known_faults("0.9.1", "", names, 20);
	assert_int_equal(strlen(names), 19);
	assert_int_equal(names[20], 'x');
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(vulnerable_versions_are_recognised),
		cmocka_unit_test(names_are_truncated),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
