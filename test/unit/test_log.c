/* The log's file: three of 10 MB, whole lines, in order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sys/log.h"

#define LINE 1000

static char dir[64];
static const char *const names[] = { "log", "log.1", "log.2" };

static void open_all(int fds[1 + LOG_OLD])
{
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		fds[i] = open(names[i], O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
		assert_true(fds[i] >= 0);
	}
	log_setup(LOG_INFO_, LOG_JSON, fds[0]);
	log_setup_old(fds + 1);
}

static void write_lines(int first, int n)
{
	char line[LINE + 1];
	for (int i = first; i < first + n; i++) {
		snprintf(line, sizeof line, "%08d%*s", i, LINE - 9, "");
		line[LINE - 1] = '\n';
		log_raw(line, LINE);
	}
	log_flush();
}

/* Numbers of the first and last line; every one between is there. */
static void look(const char *name, int *ret_first, int *ret_last)
{
	char line[LINE];
	FILE *f = fopen(name, "re");
	struct stat st;
	assert_non_null(f);
	assert_int_equal(fstat(fileno(f), &st), 0);
	assert_true(st.st_size <= LOG_FILE_BYTES && st.st_size % LINE == 0);
	for (int at = 0; fread(line, LINE, 1, f) == 1; at++) {
		int n = (int)strtol(line, NULL, 10);
		assert_int_equal(line[LINE - 1], '\n');
		if (!at)
			*ret_first = n;
		else
			assert_int_equal(n, *ret_last + 1);
		*ret_last = n;
	}
	fclose(f);
}

static void test_three_are_kept(UNUSED void **state)
{
	int fds[1 + LOG_OLD], first[3] = { 0 }, last[3] = { 0 };
	open_all(fds);
	write_lines(0, 20000);
	close(fds[0]), close(fds[1]), close(fds[2]);
	open_all(fds); /* another life: it goes on where the file is */
	write_lines(20000, 25000);
	for (int i = 0; i < 3; i++)
		look(names[i], &first[i], &last[i]);
	assert_int_equal(last[0], 44999);
	assert_int_equal(last[1], first[0] - 1);
	assert_int_equal(last[2], first[1] - 1);
	assert_true(last[1] - first[1] >= LOG_FILE_BYTES / LINE - 100);
	assert_true(first[2] > 0);
	assert_int_equal(log_dropped(), 0);
	log_setup(LOG_INFO_, LOG_TEXT, STDERR_FILENO);
	close(fds[0]), close(fds[1]), close(fds[2]);
}

static int set_up(UNUSED void **state)
{
	snprintf(dir, sizeof dir, "/tmp/lrdp-log-XXXXXX");
	return mkdtemp(dir) && chdir(dir) == 0 ? 0 : -1;
}

static int tear_down(UNUSED void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		unlink(names[i]);
	return chdir("/") || rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test_setup_teardown(test_three_are_kept, set_up, tear_down) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
