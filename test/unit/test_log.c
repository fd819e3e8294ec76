/* The log file: three of 10 MB, whole lines, in order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sys/log.h"
#include "sys/log_file.h"

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
	char line[LINE + 8];
	for (int i = first; i < first + n; i++) {
		snprintf(line, sizeof line, "%08d%*s", i, LINE - 9, "");
		line[LINE - 1] = '\n';
		log_raw(line, LINE);
	}
	log_flush();
}

/* Numbers of the first and last line; all between them must be there. */
static void look(const char *name, int *ret_first, int *ret_last)
{
	char line[LINE];
	FILE *f = fopen(name, "re");
	struct stat st;
	assert_non_null(f);
	assert_int_equal(fstat(fileno(f), &st), 0);
	assert_true(st.st_size % LINE == 0);
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

static off_t size_of(const char *name)
{
	struct stat st;
	return stat(name, &st) == 0 ? st.st_size : -1;
}

/* The copying thread has truncated the file. */
static void until_moved(void)
{
	for (int n = 0; n < 2000 && size_of("log") >= LOG_FILE_BYTES; n++)
		usleep(10000);
	assert_true(size_of("log") < LOG_FILE_BYTES);
}

static void test_three_are_kept(UNUSED void **state)
{
	int fds[1 + LOG_OLD], first[3] = { 0 }, last[3] = { 0 };
	open_all(fds);
	write_lines(0, 11000);
	until_moved();
	log_setup(LOG_INFO_, LOG_JSON, 2); /* waits for the copying */
	close(fds[0]), close(fds[1]), close(fds[2]);
	open_all(fds); /* the next process: it continues in the file */
	write_lines(11000, 11000);
	until_moved();
	write_lines(22000, 11000);
	until_moved();
	write_lines(33000, 2000);
	for (int i = 0; i < 3; i++)
		look(names[i], &first[i], &last[i]);
	assert_int_equal(last[0], 34999);
	assert_int_equal(last[1], first[0] - 1);
	assert_int_equal(last[2], first[1] - 1);
	assert_true(last[1] - first[1] >= LOG_FILE_BYTES / LINE - 100);
	assert_true(first[2] > 0);
	assert_int_equal(log_dropped(), 0);
	log_setup(LOG_INFO_, LOG_TEXT, STDERR_FILENO);
	close(fds[0]), close(fds[1]), close(fds[2]);
}

/* Health checks and scrapes are logged at DEBUG, other requests at INFO. */
static void test_probes_are_logged_at_debug(UNUSED void **state)
{
	static const enum log_level levels[] = { LOG_INFO_, LOG_DEBUG_ };
	for (size_t i = 0; i < ARRAY_LEN(levels); i++) {
		char text[2000] = "";
		int fds[2];
		assert_int_equal(pipe(fds), 0);
		log_setup(levels[i], LOG_JSON, fds[1]);
		struct log_access a = { .service = "api", .method = "GET", .endpoint = "/health", .request_id = "r", .principal = "-",
					.client = "::1", .status = 200, .quiet = true };
		log_access(&a);
		a.endpoint = "/servers";
		a.quiet = false;
		log_access(&a);
		assert_true(read(fds[0], text, sizeof text - 1) > 0);
		assert_int_equal(strstr(text, "/health") != NULL, levels[i] == LOG_DEBUG_);
		assert_int_equal(strstr(text, "\"level\":\"DEBUG\"") != NULL, levels[i] == LOG_DEBUG_);
		assert_non_null(strstr(text, "\"level\":\"INFO\""));
		log_setup(LOG_INFO_, LOG_TEXT, STDERR_FILENO);
		close(fds[0]), close(fds[1]);
	}
}

static const struct run_user nobody;
static int asked;

static int rotate(UNUSED void *arg)
{
	asked++;
	return log_file_rotate("log", &nobody);
}

static void test_rotation_renames(UNUSED void **state)
{
	struct stat full, one;
	int first[3] = { 0 }, last[3] = { 0 }, fd = log_file_open("log", &nobody);
	assert_true(fd >= 0);
	asked = 0;
	log_setup(LOG_INFO_, LOG_JSON, fd);
	log_setup_more(rotate, NULL);
	write_lines(0, 10000);
	assert_int_equal(stat("log", &full), 0);
	write_lines(10000, 1000);
	assert_int_equal(stat("log.1", &one), 0);
	assert_true(one.st_ino == full.st_ino); /* renamed: nothing was copied */
	assert_int_equal(asked, 1);
	write_lines(11000, 34000);
	for (int i = 0; i < 3; i++) {
		look(names[i], &first[i], &last[i]);
		assert_true(size_of(names[i]) <= LOG_FILE_BYTES);
	}
	assert_int_equal(last[0], 44999);
	assert_int_equal(last[1], first[0] - 1);
	assert_int_equal(last[2], first[1] - 1);
	struct stat at, now;
	assert_int_equal(fstat(fd, &at) | stat("log", &now), 0);
	assert_true(at.st_ino == now.st_ino); /* the descriptor number is the same, for processes that inherit it */
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	log_setup(LOG_INFO_, LOG_TEXT, STDERR_FILENO);
	close(fd);
}

static int ask_only(UNUSED void *arg)
{
	asked++;
	return -1;
}

/* The new file arrives later, from the supervisor: until then lines go to the old one, and it is requested once per file length. */
static void test_a_new_file_may_come_later(UNUSED void **state)
{
	int fd = log_file_open("log", &nobody);
	asked = 0;
	log_setup(LOG_INFO_, LOG_JSON, fd);
	log_setup_more(ask_only, NULL);
	assert_false(log_is_full());
	write_lines(0, 15000);
	assert_int_equal(asked, 1);
	assert_true(log_is_full());
	int next = log_file_rotate("log", &nobody);
	assert_true(next >= 0);
	log_replace(next);
	assert_false(log_is_full());
	write_lines(15000, 10);
	assert_int_equal(size_of("log"), 10 * LINE);
	assert_int_equal(size_of("log.1"), 15000 * LINE);
	assert_int_equal(log_dropped(), 0);
	log_setup(LOG_INFO_, LOG_TEXT, STDERR_FILENO);
	close(fd);
}

/* If no new file can be created, nothing is moved or lost. */
static void test_rotation_that_fails_moves_nothing(UNUSED void **state)
{
	int fd = log_file_open("log", &nobody);
	close(fd);
	assert_int_equal(mkdir("log.new", 0700), 0);
	assert_true(log_file_rotate("log", &nobody) < 0);
	assert_int_equal(size_of("log"), 0);
	assert_int_equal(size_of("log.1"), -1);
	assert_int_equal(rmdir("log.new"), 0);
}

/* The file size limit stands for a full disk: two lines and a half fit. */
static void test_each_line_that_a_full_disk_drops_is_counted(UNUSED void **state)
{
	int fds[1 + LOG_OLD];
	struct rlimit was, full;
	uint64_t before = log_dropped();
	struct loop *l = loop_new();
	open_all(fds);
	log_attach(l); /* the lines are written together */
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
	full = (struct rlimit){ 2 * LINE + LINE / 2, was.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &full), 0);
	write_lines(0, 6);
	int rc = setrlimit(RLIMIT_FSIZE, &was);
	signal(SIGXFSZ, SIG_DFL);
	write_lines(6, 1); /* after the end of the cut line */
	log_attach(NULL);
	loop_free(l);
	log_setup(LOG_INFO_, LOG_TEXT, STDERR_FILENO);
	assert_int_equal(rc, 0);
	assert_int_equal(size_of("log"), 2 * LINE + LINE / 2 + 1 + LINE);
	assert_int_equal(log_dropped() - before, 4);
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
	unlink("log.new");
	return chdir("/") || rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_probes_are_logged_at_debug),
					    cmocka_unit_test_setup_teardown(test_three_are_kept, set_up, tear_down),
					    cmocka_unit_test_setup_teardown(test_rotation_renames, set_up, tear_down),
					    cmocka_unit_test_setup_teardown(test_a_new_file_may_come_later, set_up, tear_down),
					    cmocka_unit_test_setup_teardown(test_rotation_that_fails_moves_nothing, set_up, tear_down),
					    cmocka_unit_test_setup_teardown(test_each_line_that_a_full_disk_drops_is_counted, set_up, tear_down) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
