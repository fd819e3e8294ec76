/* Files and trees that root trusts: a file is copied completely or not at all, and everything that users leave is removed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/kernel/fs.h"
#include "lucid/str.h"
#include "sys/files.h"

static char dir[64];

static int set_up(UNUSED void **state)
{
	snprintf(dir, sizeof dir, "/tmp/lrdp-fs-XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int tear_down(UNUSED void **state)
{
	return fs_remove_tree(dir) == 0 && access(dir, F_OK) < 0 ? 0 : -1;
}

static void test_a_file_is_copied_whole_or_not_at_all(UNUSED void **state)
{
	_cleanup_(xfreep) char *path = xasprintf("%s/file", dir), *copy = xasprintf("%s/copy", dir), *big = xcalloc(1, 5 << 20);
	memset(big, 'x', (5 << 20) - 1);
	assert_int_equal(fs_write(path, "as it was", 0600, 0), 0);
	assert_int_equal(fs_copy(path, copy, 0600, 0), 0);
	_cleanup_(xfreep) char *back = file_read(copy, 100, NULL);
	assert_string_equal(back, "as it was");
	assert_int_equal(unlink(copy), 0);
	assert_int_equal(fs_write(path, big, 0600, 0), 0);
	assert_int_equal(fs_copy(path, copy, 0600, 0), -EFBIG);
	assert_int_equal(access(copy, F_OK), -1);
}

/* Deeper than a path can name: created and entered level by level. */
static void make_deep(const char *path, int levels)
{
	assert_int_equal(mkdir(path, 0700), 0);
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (int n = 0; n < levels; n++) {
		assert_int_equal(mkdirat(fd, "deeper", 0700), 0);
		int file = openat(fd, "file", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
		assert_true(file >= 0);
		close(file);
		int next = openat(fd, "deeper", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		close(fd);
		fd = next;
		assert_true(fd >= 0);
	}
	close(fd);
}

static void test_a_tree_of_any_depth_is_removed(UNUSED void **state)
{
	_cleanup_(xfreep) char *path = xasprintf("%s/tree", dir);
	static const int levels[] = { 1, 63, 64, 65, 300, 5000 };
	for (size_t n = 0; n < ARRAY_LEN(levels); n++) {
		make_deep(path, levels[n]);
		assert_int_equal(fs_remove_tree(path), 0);
		assert_int_equal(access(path, F_OK), -1);
	}
}

/* Also with few descriptors. */
static void test_a_deep_tree_needs_few_descriptors(UNUSED void **state)
{
	_cleanup_(xfreep) char *path = xasprintf("%s/tree", dir);
	struct rlimit was, few;
	int lowest = dup(0);
	close(lowest);
	make_deep(path, 1000);
	getrlimit(RLIMIT_NOFILE, &was);
	few = was;
	few.rlim_cur = (rlim_t)lowest + 3;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	int r = fs_remove_tree(path);
	setrlimit(RLIMIT_NOFILE, &was);
	assert_int_equal(r, 0);
	assert_int_equal(access(path, F_OK), -1);
}

static void test_links_are_removed_and_not_followed(UNUSED void **state)
{
	_cleanup_(xfreep) char *path = xasprintf("%s/tree", dir), *other = xasprintf("%s/other", dir), *kept = xasprintf("%s/other/kept", dir),
			       *link = xasprintf("%s/tree/link", dir), *name = xasprintf("%s/tree/.removed-0", dir), *next = xasprintf("%s/tree/.removed-1", dir);
	assert_int_equal(mkdir(path, 0700) | mkdir(other, 0700) | fs_write(kept, "x", 0600, 0) | symlink(other, link), 0);
	assert_int_equal(mkdir(name, 0700), 0); /* a name that the removal itself uses */
	make_deep(next, 3);
	assert_int_equal(fs_remove_tree(path), 0);
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(access(kept, F_OK), 0);
	assert_int_equal(symlink(other, path), 0); /* the tree itself is a symbolic link */
	assert_int_equal(fs_remove_tree(path), 0);
	assert_int_equal(access(kept, F_OK), 0);
	assert_int_equal(fs_remove_tree(path), 0); /* a missing tree is no error */
}

static void test_discarding_is_one_rename(UNUSED void **state)
{
	_cleanup_(xfreep) char *path = xasprintf("%s/tree", dir), *trash = xasprintf("%s/trash", dir), *file = xasprintf("%s/file", dir);
	struct stat before, after;
	for (int n = 0; n < 3; n++) {
		make_deep(path, 10);
		assert_int_equal(stat(path, &before), 0);
		assert_int_equal(fs_discard(path, trash), 0);
		assert_int_equal(access(path, F_OK), -1);
	}
	assert_int_equal(fs_write(file, "x", 0600, 0) | fs_discard(file, trash), 0);
	assert_int_equal(stat(trash, &after), 0);
	assert_int_equal(after.st_mode & 0777, 0700);
	size_t found = 0, same = 0;
	DIR *d = opendir(trash);
	struct dirent *e;
	while ((e = readdir(d))) {
		struct stat st;
		found += e->d_name[0] != '.';
		same += fstatat(dirfd(d), e->d_name, &st, 0) == 0 && st.st_ino == before.st_ino;
	}
	closedir(d);
	assert_int_equal(found, 4);
	assert_int_equal(same, 1); /* moved, not copied */
	assert_int_equal(fs_empty(trash), 0);
	assert_int_equal(access(trash, F_OK), -1);
	assert_int_equal(fs_empty(trash), 0);
	assert_int_equal(fs_discard(path, trash), 0); /* a missing tree is no error */
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = { T(test_a_file_is_copied_whole_or_not_at_all), T(test_a_tree_of_any_depth_is_removed),
					    T(test_a_deep_tree_needs_few_descriptors),	T(test_links_are_removed_and_not_followed),
					    T(test_discarding_is_one_rename) };
#undef T
	return cmocka_run_group_tests(tests, NULL, NULL);
}
