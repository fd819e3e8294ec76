/* A file is read completely or not at all, whatever is at its path; directories are made with their parents. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lucid/str.h"
#include "sys/files.h"

static char dir[64];

static int set_up(UNUSED void **state)
{
	snprintf(dir, sizeof dir, "/tmp/lrdp-files-XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int tear_down(UNUSED void **state)
{
	_cleanup_(xfreep) char *command = xasprintf("rm -rf %s", dir);
	return system(command);
}

/* A file of n bytes, including a NUL. */
static char *file_of(size_t n)
{
	char *path = xasprintf("%s/file", dir);
	_cleanup_(xfreep) char *text = xcalloc(1, n + 1);
	_cleanup_(closep) int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	memset(text, 'x', n);
	text[n / 2] = 0;
	assert_int_equal(write(fd, text, n), n);
	return path;
}

static void test_a_file_is_read_whole_or_not_at_all(UNUSED void **state)
{
	static const size_t sizes[] = { 0, 1, 4094, 4095, 4096, 4097, 9999, 10000 };
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		_cleanup_(xfreep) char *path = file_of(sizes[i]);
		size_t len = 77;
		_cleanup_(xfreep) char *text = file_read(path, 10000, &len);
		assert_non_null(text);
		assert_int_equal(len, sizes[i]);
		assert_int_equal(text[len], 0);
		for (size_t k = 0; k < len; k++)
			assert_int_equal(text[k], k == sizes[i] / 2 ? 0 : 'x');
	}
	static const size_t over[] = { 10001, 16384, 100000 };
	for (size_t i = 0; i < ARRAY_LEN(over); i++) {
		_cleanup_(xfreep) char *path = file_of(over[i]);
		size_t len = 77;
		assert_null(file_read(path, 10000, &len));
		assert_int_equal(errno, EFBIG);
		assert_int_equal(len, 77); /* outputs are unchanged */
	}
}

/* Files of /proc have a size of 0 and may be longer than one read: here with enough mappings for 4000 lines. */
static void test_a_file_without_a_size_is_read_whole(UNUSED void **state)
{
	enum { LINES = 4000 };
	size_t page = (size_t)sysconf(_SC_PAGESIZE), len = 0, lines = 0;
	char *map = mmap(NULL, LINES * page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(map, MAP_FAILED);
	for (size_t n = 0; n < LINES; n += 2)
		assert_int_equal(mprotect(map + n * page, page, PROT_NONE), 0);
	_cleanup_(xfreep) char *text = file_read("/proc/self/maps", 64 << 20, &len);
	assert_non_null(text);
	for (const char *p = text; (p = strchr(p, '\n')); p++)
		lines++;
	assert_true(lines > LINES);
	assert_int_equal(text[len - 1], '\n');
	assert_null(file_read("/proc/self/maps", 65536, NULL));
	assert_int_equal(errno, EFBIG);
	assert_int_equal(munmap(map, LINES * page), 0);
}

static void test_anything_but_a_regular_file_is_refused(UNUSED void **state)
{
	_cleanup_(xfreep) char *pipe = xasprintf("%s/pipe", dir), *none = xasprintf("%s/none", dir), *link = xasprintf("%s/link", dir);
	_cleanup_(xfreep) char *path = file_of(3);
	struct stat st;
	assert_int_equal(mkfifo(pipe, 0600) | symlink(path, link), 0);
	assert_null(file_read(dir, 100, NULL));
	assert_int_equal(errno, EISDIR);
	assert_null(file_read(pipe, 100, NULL)); /* it does not wait for a writer */
	assert_int_equal(errno, EINVAL);
	assert_null(file_read("/dev/null", 100, NULL));
	assert_int_equal(errno, EINVAL);
	assert_null(file_read(none, 100, NULL));
	assert_int_equal(errno, ENOENT);
	assert_int_equal(file_open(link, O_NOFOLLOW, &st), -1);
	assert_int_equal(errno, ELOOP);
	_cleanup_(xfreep) char *text = file_read(link, 100, NULL);
	assert_non_null(text);
	_cleanup_(closep) int fd = file_open(path, O_NOFOLLOW, &st);
	assert_true(fd >= 0);
	assert_int_equal(st.st_size, 3);
}

static mode_t mode_of(const char *path)
{
	struct stat st;
	assert_int_equal(stat(path, &st), 0);
	return st.st_mode & 07777;
}

static void test_directories_are_made_with_their_parents(UNUSED void **state)
{
	_cleanup_(xfreep) char *a = xasprintf("%s/a", dir), *b = xasprintf("%s/a/b", dir), *c = xasprintf("%s/a/b/c", dir);
	_cleanup_(xfreep) char *socket = xasprintf("%s/d/e/socket", dir), *e = xasprintf("%s/d/e", dir);
	mode_t old = umask(022);
	assert_int_equal(dir_make(c, 0700), 0);
	assert_int_equal(mode_of(a), 0755);
	assert_int_equal(mode_of(b), 0755);
	assert_int_equal(mode_of(c), 0700);
	assert_int_equal(dir_make(c, 0755), 0); /* an existing one is not changed */
	assert_int_equal(mode_of(c), 0700);
	assert_int_equal(dir_make_parents(socket), 0);
	assert_int_equal(mode_of(e), 0755);
	assert_int_equal(access(socket, F_OK), -1);
	assert_int_equal(dir_make("/", 0700), 0);
	umask(old);
	_cleanup_(xfreep) char *path = file_of(3), *below = xasprintf("%s/f/g", path);
	assert_int_equal(dir_make(below, 0700), -ENOTDIR);
}

static void test_files_of_the_program_are_found(UNUSED void **state)
{
	_cleanup_(xfreep) char *program = program_path(), *beside = program_file("test_files"), *above = program_file("liblucid.a");
	const char *slash = strrchr(program, '/');
	assert_string_equal(slash, "/test_files");
	assert_string_equal(beside, program);
	assert_non_null(above); /* in the folder of the build, which has the modules */
	assert_null(program_file("no-such-file"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_a_file_is_read_whole_or_not_at_all, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_file_without_a_size_is_read_whole, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_anything_but_a_regular_file_is_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_directories_are_made_with_their_parents, set_up, tear_down),
		cmocka_unit_test(test_files_of_the_program_are_found),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
