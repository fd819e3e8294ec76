/* The session part of the PAM file: which lines come from the host's files, and that jumps keep their targets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "host/xrdp_config/pam_session.h"
#include "lucid/str.h"

struct file {
	const char *name, *text;
};

static char *read_file(void *arg, const char *name)
{
	for (const struct file *f = arg; f->name; f++)
		if (str_eq(f->name, name))
			return xstrdup(f->text);
	return NULL;
}

static const char *const usual[] = { "pam_systemd.so", NULL };

static void take(struct pam_session *s, const struct file *files)
{
	pam_session_take(s, read_file, (void *)(uintptr_t)files, usual);
}

#define HEAD "#%PAM-1.0\n"
#define LIMITS "session required pam_limits.so\n"

static void becomes(const struct file *files, const char *want)
{
	struct pam_session s;
	take(&s, files);
	assert_string_equal(s.text[0], want);
	pam_session_done(&s);
}

static void test_only_session_lines_are_copied(void **state)
{
	becomes((const struct file[]){ { "xrdp-sesman", "auth required pam_env.so\n@include common-auth\n@include common-session\n" },
				       { "common-auth", "auth required pam_unix.so\n" },
				       { "common-session", "# a comment\n\nsession\trequired pam_unix.so # why\nsession optional pam_mkhomedir.so "
							   "umask=0077\naccount required pam_deny.so\n-session optional pam_mount.so\n" },
				       { NULL, NULL } },
		HEAD LIMITS "session\trequired pam_unix.so \nsession optional pam_mkhomedir.so umask=0077\n-session optional pam_mount.so\n");
}

static void test_common_session_is_used_if_sesman_does_not_include_it(void **state)
{
	becomes((const struct file[]){ { "xrdp-sesman", "session required pam_permit.so\n" },
				       { "common-session", "session required pam_umask.so\n" },
				       { NULL, NULL } },
		HEAD LIMITS "session required pam_umask.so\n");
	becomes((const struct file[]){ { "common-session", "session required pam_umask.so\n" }, { NULL, NULL } },
		HEAD LIMITS "session required pam_umask.so\n");
	/* what the administrator adds to xrdp's own file is part of the host's too */
	becomes((const struct file[]){ { "xrdp-sesman", "@include common-session\nsession optional pam_mail.so\n" },
				       { "common-session", "session required pam_umask.so\n" },
				       { NULL, NULL } },
		HEAD LIMITS "session required pam_umask.so\nsession optional pam_mail.so\n");
}

static void test_includes_are_followed(void **state)
{
	becomes((const struct file[]){ { "xrdp-sesman", "session include system-auth\nsession optional pam_keyinit.so\n" },
				       { "system-auth", "auth required pam_unix.so\nsession required pam_unix.so\nsession include /opt/more\n" },
				       { "/opt/more", "session optional pam_krb5.so\n" },
				       { NULL, NULL } },
		HEAD LIMITS "session required pam_unix.so\nsession optional pam_krb5.so\nsession optional pam_keyinit.so\n");
}

static void test_host_without_session_modules(void **state)
{
	struct pam_session s;
	take(&s, (const struct file[]){ { "xrdp-sesman", "auth required pam_unix.so\n" }, { NULL, NULL } });
	assert_string_equal(s.text[0], HEAD LIMITS "session required pam_unix.so\n");
	assert_non_null(strstr(s.notes, "no session modules"));
	pam_session_done(&s);
}

static void test_excluded_line_keeps_its_place(void **state)
{
	becomes((const struct file[]){ { "common-session",
					 "session [success=1 default=ignore] pam_systemd.so\nsession requisite pam_deny.so\n"
					 "-session\toptional\t/lib/x86_64-linux-gnu/security/pam_systemd.so kill=1\nsession [success=2 "
					 "default=ignore] pam_succeed_if.so service = pam_systemd.so\nsession optional pam_systemd_home.so\n" },
				       { NULL, NULL } },
		HEAD LIMITS "session [success=1 default=ignore] pam_permit.so\nsession requisite pam_deny.so\n-session optional pam_permit.so\n"
			    "session [success=2 default=ignore] pam_succeed_if.so service = pam_systemd.so\nsession optional "
			    "pam_systemd_home.so\n");
}

static void test_caller_names_excluded_modules(void **state)
{
	const struct file files[] = { { "common-session", "session required pam_systemd.so\nsession required pam_mount.so\n" }, { NULL, NULL } };
	struct pam_session s;
	pam_session_take(&s, read_file, (void *)(uintptr_t)files, (const char *const[]){ "pam_mount", NULL });
	assert_string_equal(s.text[0], HEAD LIMITS "session required pam_systemd.so\nsession required pam_permit.so\n");
	pam_session_done(&s);
	pam_session_take(&s, read_file, (void *)(uintptr_t)files, NULL);
	assert_string_equal(s.text[0], HEAD LIMITS "session required pam_systemd.so\nsession required pam_mount.so\n");
	pam_session_done(&s);
}

static void test_limits_are_set_once(void **state)
{
	becomes((const struct file[]){ { "common-session", "session required pam_limits.so conf=/etc/own\n" }, { NULL, NULL } },
		HEAD "session required pam_limits.so conf=/etc/own\n");
}

static void test_substack_is_a_file_of_its_own(void **state)
{
	struct pam_session s;
	take(&s, (const struct file[]){ { "common-session", "session [success=1 default=ignore] pam_x.so\nsession substack inner\nsession "
							     "required pam_y.so\n" },
					{ "inner", "session sufficient pam_systemd.so\nsession substack deeper\n" },
					{ "deeper", "session required pam_z.so\n" },
					{ NULL, NULL } });
	assert_int_equal(s.n, 3);
	assert_string_equal(s.text[0], HEAD LIMITS "session [success=1 default=ignore] pam_x.so\nsession substack /etc/xrdp/pam-session-1\nsession "
							"required pam_y.so\n");
	assert_string_equal(s.text[1], "session sufficient pam_permit.so\nsession substack /etc/xrdp/pam-session-2\n");
	assert_string_equal(s.text[2], "session required pam_z.so\n");
	assert_string_equal(s.notes, "");
	pam_session_done(&s);
}

static void test_lines_joined_by_a_backslash(void **state)
{
	becomes((const struct file[]){ { "common-session", "session required \\\n  pam_umask.so \\\n umask=077\nsession optional pam_a.so # \\\n"
							   "session optional pam_b.so" },
				       { NULL, NULL } },
		HEAD LIMITS "session required    pam_umask.so   umask=077\nsession optional pam_a.so \nsession optional pam_b.so\n");
}

static void test_comments_and_blank_lines_do_not_end_a_continued_line(void **state)
{
	becomes((const struct file[]){ { "common-session", "session optional \\\n# why\n  # and when \\\n\n \t\npam_a.so x\n# not continued \\\n"
							   "session optional pam_b.so\n" },
				       { NULL, NULL } },
		HEAD LIMITS "session optional  pam_a.so x\nsession optional pam_b.so\n");
}

static void test_unreadable_files_are_omitted_and_named(void **state)
{
	struct pam_session s;
	take(&s, (const struct file[]){ { "common-session", "@include gone\nsession include vanished\nsession required\nsession required pam_unix.so\n" },
					{ NULL, NULL } });
	assert_string_equal(s.text[0], HEAD LIMITS "session required pam_unix.so\n");
	assert_non_null(strstr(s.notes, "gone is omitted"));
	assert_non_null(strstr(s.notes, "vanished is omitted"));
	assert_non_null(strstr(s.notes, "names no module"));
	pam_session_done(&s);
}

static void test_files_that_include_themselves_end(void **state)
{
	struct pam_session s;
	take(&s, (const struct file[]){ { "common-session", "session required pam_unix.so\n@include common-session\n@include common-session\nsession "
							     "substack common-session\n" },
					{ NULL, NULL } });
	assert_true(s.n <= PAM_SESSION_FILES);
	assert_non_null(strstr(s.notes, "more than"));
	assert_true(strlen(s.notes) <= PAM_SESSION_NOTES_MAX);
	pam_session_done(&s);
}

static void test_size_is_bounded(void **state)
{
	struct strbuf b = { 0 };
	for (int n = 0; n < 3000; n++)
		strbuf_puts(&b, "session optional pam_permit.so some arguments of it\n");
	struct pam_session s;
	take(&s, (const struct file[]){ { "common-session", b.s }, { NULL, NULL } });
	assert_true(strlen(s.text[0]) < PAM_SESSION_FILE_MAX + 256);
	assert_non_null(strstr(s.notes, "exceeds"));
	pam_session_done(&s);
	strbuf_done(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_only_session_lines_are_copied),
		cmocka_unit_test(test_common_session_is_used_if_sesman_does_not_include_it),
		cmocka_unit_test(test_includes_are_followed),
		cmocka_unit_test(test_host_without_session_modules),
		cmocka_unit_test(test_excluded_line_keeps_its_place),
		cmocka_unit_test(test_caller_names_excluded_modules),
		cmocka_unit_test(test_limits_are_set_once),
		cmocka_unit_test(test_substack_is_a_file_of_its_own),
		cmocka_unit_test(test_lines_joined_by_a_backslash),
		cmocka_unit_test(test_comments_and_blank_lines_do_not_end_a_continued_line),
		cmocka_unit_test(test_unreadable_files_are_omitted_and_named),
		cmocka_unit_test(test_files_that_include_themselves_end),
		cmocka_unit_test(test_size_is_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
