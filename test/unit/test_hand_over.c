/* Data of another owner: handed over if that is safe, otherwise refused with the file and the command that corrects it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lucid/str.h"
#include "sys/privileges.h"

static const struct run_user owner = { 61234, 61235 };
static char dir[64], why[1024];

static void make(const char *name, uid_t uid, mode_t mode)
{
	_cleanup_(xfreep) char *path = xasprintf("%s/%s", dir, name);
	_cleanup_(closep) int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	assert_true(fd >= 0);
	assert_int_equal(fchown(fd, uid, uid) | fchmod(fd, mode), 0);
}

static uid_t uid_of(const char *name)
{
	_cleanup_(xfreep) char *path = xasprintf("%s/%s", dir, name);
	struct stat st;
	assert_int_equal(lstat(path, &st), 0);
	return st.st_uid;
}

static int set_up(UNUSED void **state)
{
	snprintf(dir, sizeof dir, "/tmp/lrdp-own-XXXXXX");
	why[0] = '\0';
	return geteuid() == 0 && mkdtemp(dir) && chown(dir, owner.uid, owner.gid) == 0 && chmod(dir, 0700) == 0 ? 0 : -1;
}

static int tear_down(UNUSED void **state)
{
	_cleanup_(xfreep) char *command = xasprintf("rm -rf %s %s.outside", dir, dir);
	return system(command);
}

static void test_regular_files_are_handed_over(UNUSED void **state)
{
	_cleanup_(xfreep) char *sub = xasprintf("%s/sub", dir);
	make("lucid.db", 0, 0600);
	make("lucid.db-wal", 1234, 0600);
	make("own", owner.uid, 0600);
	assert_int_equal(mkdir(sub, 0700), 0);
	make("sub/file", 0, 0600);
	assert_true(privileges_hand_over(dir, &owner, 8, why, sizeof why));
	static const char *const names[] = { "lucid.db", "lucid.db-wal", "own", "sub", "sub/file" };
	for (size_t n = 0; n < ARRAY_LEN(names); n++)
		assert_int_equal(uid_of(names[n]), owner.uid);
	assert_true(privileges_hand_over(dir, &owner, 8, why, sizeof why)); /* repeating it is no error */
}

static void test_no_deeper_than_asked(UNUSED void **state)
{
	_cleanup_(xfreep) char *sub = xasprintf("%s/sub", dir);
	assert_int_equal(mkdir(sub, 0700), 0);
	make("sub/file", 0, 0600);
	assert_true(privileges_hand_over(dir, &owner, 0, why, sizeof why));
	assert_int_equal(uid_of("sub"), owner.uid);
	assert_int_equal(uid_of("sub/file"), 0);
}

/* The owner of the directory could otherwise obtain another user's file through a hard link. */
static void test_a_file_with_two_names_is_refused(UNUSED void **state)
{
	_cleanup_(xfreep) char *outside = xasprintf("%s.outside", dir), *name = xasprintf("%s/lucid.db", dir);
	_cleanup_(closep) int fd = open(outside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(link(outside, name), 0);
	assert_false(privileges_hand_over(dir, &owner, 8, why, sizeof why));
	assert_int_equal(uid_of("lucid.db"), 0);
	assert_non_null(strstr(why, name));
	assert_non_null(strstr(why, "user 0"));
	assert_non_null(strstr(why, "chown -R 61234:61235 "));
}

static void test_links_are_not_followed(UNUSED void **state)
{
	_cleanup_(xfreep) char *outside = xasprintf("%s.outside", dir), *name = xasprintf("%s/link", dir), *file = xasprintf("%s/file", outside);
	assert_int_equal(mkdir(outside, 0700) | symlink(outside, name), 0);
	_cleanup_(closep) int fd = open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	struct stat st;
	assert_true(fd >= 0);
	assert_true(privileges_hand_over(dir, &owner, 8, why, sizeof why));
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_uid, 0);
	assert_int_equal(uid_of("link"), 0);
}

static void test_a_link_in_place_of_the_directory_is_named(UNUSED void **state)
{
	_cleanup_(xfreep) char *name = xasprintf("%s/link", dir), *file = xasprintf("%s/file", dir);
	assert_int_equal(symlink("/tmp", name), 0);
	make("file", owner.uid, 0600);
	assert_false(privileges_hand_over(name, &owner, 8, why, sizeof why));
	assert_non_null(strstr(why, "link is a symbolic link, but must be a directory"));
	assert_false(privileges_hand_over(file, &owner, 8, why, sizeof why));
	assert_non_null(strstr(why, "file is a file, but must be a directory"));
}

/* A process that is not root changes nothing, and reports what it cannot use. */
static void test_without_root_it_is_said(UNUSED void **state)
{
	int status;
	make("lucid.db", 0, 0600);
	make("readable.db", 0, 0666);
	pid_t pid = fork();
	if (pid == 0) {
		if (setgid(owner.gid) < 0 || setuid(owner.uid) < 0)
			_exit(2);
		bool ok = privileges_hand_over(dir, &owner, 8, why, sizeof why);
		_exit(!ok && strstr(why, "lucid.db is a file owned by user 0") && strstr(why, "chown -R") ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(uid_of("lucid.db"), 0);
}

static void test_nothing_there_is_no_fault(UNUSED void **state)
{
	_cleanup_(xfreep) char *none = xasprintf("%s/none", dir);
	assert_true(privileges_hand_over(none, &owner, 8, why, sizeof why));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = { T(test_regular_files_are_handed_over), T(test_no_deeper_than_asked), T(test_a_file_with_two_names_is_refused),
					    T(test_links_are_not_followed), T(test_a_link_in_place_of_the_directory_is_named),
					    T(test_without_root_it_is_said), T(test_nothing_there_is_no_fault) };
#undef T
	return cmocka_run_group_tests(tests, NULL, NULL);
}
