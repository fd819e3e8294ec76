/* The embedded store: the common suite, and faults that only a file can have. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "lucid/clock.h"
#include "lucid/id.h"
#include "lucid/str.h"
#include "store/migrations.h"
#include "store/open.h"
#include "test/contract/store_suite.h"

static char root[] = "/tmp/lrdp-store-XXXXXX";

static char *path_of(const char *name)
{
	return xasprintf("%s/%s.db", root, name);
}

/* --- the suite */

static struct store *open_for_suite(struct loop *l, const char *name, const struct store_suite_options *o)
{
	_cleanup_(xfreep) char *path = path_of(name);
	const struct store_options so = { path, o->queue_limit, o->timeout_ms, o->cache_bytes };
	return store_open_embedded(l, &so, NULL, NULL);
}

/* --- one file */

struct file {
	struct loop *l;
	struct store *s;
	char *path;
	int opened; /* number of calls of the callback */
	int err;
	char why[600];
	bool told;
};

static void on_open(int err, const char *why, void *arg)
{
	struct file *f = arg;
	f->opened++;
	f->err = err;
	snprintf(f->why, sizeof f->why, "%s", why);
	f->told = true;
}

static struct file *file_open(const char *path)
{
	struct file *f = XNEW(struct file);
	f->l = loop_new();
	f->path = xstrdup(path);
	const struct store_options o = { f->path, 4096, 5000, 0, root };
	f->s = store_open_embedded(f->l, &o, on_open, f);
	assert_false(f->told);
	suite_until(f->l, &f->told);
	return f;
}

static void file_close(struct file *f)
{
	store_close(f->s);
	loop_free(f->l);
	free(f->path);
	free(f);
}

static enum store_result put(struct file *f, const char *id)
{
	return suite_put(f->l, f->s, STORE_PUT, COL_SERVERS, id, 0, suite_doc(id, 1));
}

static bool has(struct file *f, const char *id)
{
	struct suite_answer a;
	suite_get(f->l, f->s, COL_SERVERS, id, &a);
	assert_int_not_equal(a.result, STORE_FAILED);
	free(a.text);
	return a.result == STORE_OK;
}

static void write_file(const char *path, const void *data, size_t n, off_t at)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, data, n, at), (ssize_t)n);
	close(fd);
}

static size_t read_file(const char *path, char *dst, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	ssize_t n = read(fd, dst, size);
	close(fd);
	assert_true(n >= 0);
	return (size_t)n;
}

static void file_is_private_and_has_the_application_id(UNUSED void **state)
{
	_cleanup_(xfreep) char *path = path_of("private");
	char head[100];
	struct stat st;
	mode_t old = umask(0);
	struct file *f = file_open(path);
	assert_int_equal(f->err, 0);
	assert_int_equal(put(f, "a"), STORE_OK);
	static const char *const beside[] = { "", "-wal", "-shm", ".lock" };
	for (size_t i = 0; i < ARRAY_LEN(beside); i++) {
		_cleanup_(xfreep) char *p = xasprintf("%s%s", path, beside[i]);
		assert_int_equal(stat(p, &st), 0);
		assert_int_equal(st.st_mode & 07777, 0600);
	}
	file_close(f);
	umask(old);
	assert_int_equal(read_file(path, head, sizeof head), sizeof head);
	assert_memory_equal(head + 68, "LRDP", 4);
	assert_int_equal(head[63], store_schema_newest());
}

/* What kill -9 leaves when it comes while the first page is being committed: the page with the application id, and a rollback journal
 * that takes it back. */
static void a_first_start_that_was_killed_is_repeated(UNUSED void **state)
{
	static const unsigned char journal[512] = { 0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7, [11] = 0, [22] = 0x02, [26] = 0x10 };
	_cleanup_(xfreep) char *path = path_of("first"), *beside = xasprintf("%s-journal", path), *made = path_of("private");
	char page[4096];
	assert_int_equal(read_file(made, page, sizeof page), sizeof page);
	memset(page + 60, 0, 4);  /* no schema yet */
	page[18] = page[19] = 1; /* nor a write-ahead log */
	write_file(path, page, sizeof page, 0);
	write_file(beside, journal, sizeof journal, 0);
	for (int i = 0; i < 2; i++) {
		struct file *f = file_open(path);
		assert_string_equal(f->why, "");
		assert_int_equal(f->err, 0);
		assert_int_equal(put(f, i ? "second" : "first"), STORE_OK);
		file_close(f);
	}
}

/* The store is refused permanently, with a reason, and the file is not changed. */
static void refused_untouched(const char *path, const char *word)
{
	static char before[65536], after[65536];
	char *dir = xstrdup(path);
	size_t n = read_file(path, before, sizeof before);
	struct file *f = file_open(path);
	assert_int_equal(f->err, -ERR_INVALID);
	assert_non_null(strstr(f->why, word));
	const char *why;
	assert_false(store_healthy(f->s, &why));
	assert_non_null(strstr(f->why, path));
	assert_non_null(strstr(why, "the store's file "));
	assert_null(strstr(why, "/tmp")); /* anyone can read readiness, so it must not have paths */
	assert_int_equal(put(f, "x"), STORE_FAILED);
	suite_turn(f->l, 2500); /* it is not retried */
	assert_int_equal(f->opened, 1);
	file_close(f);
	assert_int_equal(read_file(path, after, sizeof after), n);
	assert_memory_equal(before, after, n);
	_cleanup_(xfreep) char *wal = xasprintf("%s-wal", path);
	struct stat st;
	assert_true(stat(wal, &st) < 0 || st.st_size == 0);
	free(dir);
}

static void foreign_files_are_refused_and_unchanged(UNUSED void **state)
{
	_cleanup_(xfreep) char *text = path_of("text"), *other = path_of("other"), *newer = path_of("newer");
	write_file(text, "this is somebody's letter\n", 26, 0);
	refused_untouched(text, "not a store");
	char page[4096] = "SQLite format 3";
	page[16] = 0x10;
	page[18] = page[19] = 1;
	write_file(other, page, sizeof page, 0);
	refused_untouched(other, "not a store");
	struct file *f = file_open(newer);
	assert_int_equal(put(f, "a"), STORE_OK);
	file_close(f);
	write_file(newer, "\0\0\0\x63", 4, 60);
	refused_untouched(newer, "newer version");
}

static void directory_in_place_of_the_store_is_refused(UNUSED void **state)
{
	_cleanup_(xfreep) char *path = path_of("dir");
	assert_int_equal(mkdir(path, 0700), 0);
	struct file *f = file_open(path);
	assert_int_equal(f->err, -ERR_INVALID);
	file_close(f);
	rmdir(path);
}

static void fill(struct file *f)
{
	char id[16];
	for (int i = 0; i < 50; i++) {
		snprintf(id, sizeof id, "s%d", i);
		assert_int_equal(put(f, id), STORE_OK);
	}
}

/* All pages except the first. */
static void harm(const char *path)
{
	char junk[4096];
	struct stat st;
	memset(junk, 0xa5, sizeof junk);
	assert_int_equal(stat(path, &st), 0);
	for (off_t at = 4096; at < st.st_size; at += 4096)
		write_file(path, junk, sizeof junk, at);
}

/* The damage is reported permanently, and the file is not changed; the rest of the program works. */
static void said_and_untouched(struct file *f, const char *word)
{
	static char before[1 << 20], after[1 << 20];
	assert_int_equal(f->err, -ERR_UNAVAILABLE);
	assert_non_null(strstr(f->why, "damaged"));
	assert_non_null(strstr(f->why, word));
	size_t n = read_file(f->path, before, sizeof before);
	assert_int_equal(put(f, "x"), STORE_FAILED);
	int opened = f->opened;
	suite_turn(f->l, 2500); /* it is not retried */
	assert_int_equal(f->opened, opened);
	assert_false(store_healthy(f->s, NULL));
	_cleanup_(xfreep) char *path = xstrdup(f->path);
	file_close(f);
	assert_int_equal(read_file(path, after, sizeof after), n);
	assert_memory_equal(before, after, n);
}

static void damaged_file_is_reported(UNUSED void **state)
{
	_cleanup_(xfreep) char *path = path_of("damaged");
	struct file *f = file_open(path);
	fill(f);
	file_close(f);
	harm(path);
	said_and_untouched(file_open(path), "contains no backup");
	/* a copy without a manifest is no backup; of several backups, the newest is named */
	static const char *const names[] = { "lucid-20260102T030405.678Z.db", "lucid-20260102T030405.678Z.json", "lucid-20260101T000000.000Z.db",
					     "lucid-20260101T000000.000Z.json", "lucid-20270101T000000.000Z.db" };
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		_cleanup_(xfreep) char *p = xasprintf("%s/%s", root, names[i]);
		write_file(p, "x", 1, 0);
	}
	said_and_untouched(file_open(path), "restore /tmp/lrdp-store-");
	f = file_open(path);
	assert_non_null(strstr(f->why, names[0]));
	file_close(f);
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		_cleanup_(xfreep) char *p = xasprintf("%s/%s", root, names[i]);
		unlink(p);
	}
}

/* The damage is found by a read long after the start: then the whole file is checked. */
static void damage_found_later_is_reported(UNUSED void **state)
{
	_cleanup_(xfreep) char *path = path_of("later");
	struct file *f = file_open(path);
	fill(f);
	file_close(f);
	f = file_open(path);
	assert_int_equal(f->err, 0);
	suite_turn(f->l, 2500); /* until the WAL is checkpointed into the file */
	f->told = false;
	harm(path);
	struct suite_answer a;
	suite_get(f->l, f->s, COL_SERVERS, "s7", &a);
	assert_int_equal(a.result, STORE_FAILED);
	suite_until(f->l, &f->told);
	said_and_untouched(f, "damaged");
}

static void second_process_waits_for_the_lock(UNUSED void **state)
{
	_cleanup_(xfreep) char *path = path_of("shared");
	struct file *a = file_open(path);
	assert_int_equal(a->err, 0);
	struct file *b = XNEW(struct file);
	b->l = loop_new();
	b->path = xstrdup(path);
	const struct store_options o = { path, 100, 30000, 0 };
	b->s = store_open_embedded(b->l, &o, on_open, b);
	struct suite_answer got = { .done = false };
	suite_turn(b->l, 200);
	assert_false(b->told); /* it waits for the other process */
	assert_int_equal(put(a, "from-a"), STORE_OK);
	file_close(a);
	suite_get(b->l, b->s, COL_SERVERS, "from-a", &got);
	assert_int_equal(got.result, STORE_OK);
	free(got.text);
	assert_int_equal(b->err, 0);
	/* a process that keeps the lock: the message names it */
	struct file *c = file_open(path);
	assert_int_equal(c->err, -ERR_UNAVAILABLE);
	char pid[16];
	snprintf(pid, sizeof pid, "(%d)", (int)getpid());
	assert_non_null(strstr(c->why, pid));
	assert_int_equal(put(c, "x"), STORE_FAILED);
	file_close(b);
	c->told = false;
	suite_until(c->l, &c->told); /* and the store opens once that process has exited */
	assert_int_equal(c->err, 0);
	assert_int_equal(put(c, "x"), STORE_OK);
	file_close(c);
}

/* --- another process's lock: a child locks the byte that SQLite's writers lock (wal.c, WAL_WRITE_LOCK) */

static pid_t lock_holder(const char *path)
{
	_cleanup_(xfreep) char *shm = xasprintf("%s-shm", path);
	int p[2];
	char c = 0;
	assert_int_equal(pipe(p), 0);
	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0) {
		int fd = open(shm, O_RDWR | O_CLOEXEC);
		struct flock fl = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 120, .l_len = 1 };
		if (fd < 0 || fcntl(fd, F_SETLKW, &fl) < 0 || write(p[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(p[1]);
	assert_int_equal(read(p[0], &c, 1), 1);
	close(p[0]);
	return pid;
}

static void locked_file_is_reported_until_unlocked(UNUSED void **state)
{
	_cleanup_(xfreep) char *path = path_of("locked");
	struct file f = { .path = path };
	struct suite_answer a;
	json_t *doc = suite_doc("x", 2);
	struct store_op op = { STORE_PUT, COL_SERVERS, "x", 0, doc };
	f.l = loop_new();
	f.s = store_open_embedded(f.l, &(struct store_options){ path, 4096, 300, 0 }, on_open, &f);
	suite_until(f.l, &f.told);
	assert_int_equal(put(&f, "x"), STORE_OK);
	pid_t pid = lock_holder(path);
	/* answered within its time limit as certain: the write was never begun */
	suite_write(f.l, f.s, &op, 1, &a);
	assert_int_equal(a.result, STORE_FAILED);
	assert_int_equal(a.err, -ERR_DEADLINE);
	assert_true(has(&f, "x")); /* reading still works */
	const char *why;
	for (int i = 0; i < 20000 && store_healthy(f.s, &why); i++)
		suite_turn(f.l, 1);
	assert_false(store_healthy(f.s, &why));
	assert_non_null(strstr(why, "locked"));
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	for (int i = 0; i < 20000 && !store_healthy(f.s, NULL); i++)
		suite_turn(f.l, 1);
	assert_true(store_healthy(f.s, NULL));
	suite_get(f.l, f.s, COL_SERVERS, "x", &a);
	assert_int_equal(a.version, 1); /* it was not applied later either */
	free(a.text);
	suite_write(f.l, f.s, &op, 1, &a);
	assert_int_equal(a.result, STORE_OK);
	json_decref(doc);
	store_close(f.s);
	loop_free(f.l);
}

/* --- kill -9 */

struct child {
	int out; /* acknowledged writes, one line each */
	struct store *s;
	struct loop *l;
	int next, left;
};

struct child_write {
	struct child *c;
	int n;
	bool del;
};

static void child_go(struct child *c, int n, bool del);

static void on_child(enum store_result result, UNUSED size_t i, int err, void *arg)
{
	struct child_write *w = arg;
	char line[32];
	if (result != STORE_OK) {
		fprintf(stderr, "write %d (%s): result %d, err %d\n", w->n, w->del ? "delete" : "insert", result, err);
		_exit(3);
	}
	int len = snprintf(line, sizeof line, "%c%d\n", w->del ? '-' : '+', w->n);
	if (write(w->c->out, line, (size_t)len) != len)
		_exit(4);
	if (!w->del && w->n % 3 == 0)
		child_go(w->c, w->n, true);
	else
		child_go(w->c, w->c->next++, false);
	free(w);
}

static void child_go(struct child *c, int n, bool del)
{
	char id[32], name[32];
	struct child_write *w = XNEW(struct child_write);
	*w = (struct child_write){ c, n, del };
	snprintf(id, sizeof id, "d%d", n);
	snprintf(name, sizeof name, "u:d%d", n);
	json_t *doc = del ? NULL : suite_doc(id, 1);
	enum store_verb v = del ? STORE_DELETE : STORE_INSERT;
	struct store_op two[] = { { v, COL_NAMES, name, 0, doc }, { v, COL_SERVERS, id, 0, doc } };
	store_write(c->s, two, 2, on_child, w);
	json_decref(doc);
}

static void on_child_open(int err, const char *why, UNUSED void *arg)
{
	if (err)
		fprintf(stderr, "the store does not open: %d, %s\n", err, why);
}

static NORETURN void child_main(const char *path, int out, int first)
{
	struct child c = { .out = out, .next = first };
	const struct store_options o = { path, 4096, 30000, 0 };
	c.l = loop_new();
	c.s = store_open_embedded(c.l, &o, on_child_open, NULL);
	for (int i = 0; i < 16; i++)
		child_go(&c, c.next++, false);
	loop_run(c.l);
	_exit(5);
}

#define MAX_ACKS 200000
static char acked[MAX_ACKS]; /* '+', '-', or 0 */

static void read_acks(int fd, int *highest)
{
	FILE *in = fdopen(fd, "r");
	char sign;
	int n;
	while (fscanf(in, "%c%d\n", &sign, &n) == 2)
		if (n < MAX_ACKS) {
			acked[n] = sign;
			*highest = MAX(*highest, n);
		}
	fclose(in);
}

static void acknowledged_writes_survive_kill(UNUSED void **state)
{
	_cleanup_(xfreep) char *path = path_of("killed");
	int first = 0, total = 0;
	for (int round = 0; round < 20; round++) {
		int p[2], status, highest = first;
		unsigned char r;
		assert_int_equal(pipe(p), 0);
		fcntl(p[1], F_SETPIPE_SZ, 1 << 20);
		pid_t pid = fork();
		if (pid == 0) {
			close(p[0]);
			child_main(path, p[1], first);
		}
		close(p[1]);
		id_random(&r, 1);
		if (round % 2) /* in odd rounds during writes, however slow the machine is; in even ones also while it opens and creates the file */
			poll(&(struct pollfd){ p[0], POLLIN, 0 }, 1, 60000);
		usleep(2000 + r * 400u);
		kill(pid, SIGKILL);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, SIGKILL); /* it was ended by nothing else */
		read_acks(p[0], &highest);
		struct file *f = file_open(path);
		assert_int_equal(f->err, 0);
		for (int i = first; i <= highest; i++) {
			char id[32], name[32];
			struct suite_answer a;
			snprintf(id, sizeof id, "d%d", i);
			snprintf(name, sizeof name, "u:d%d", i);
			bool there = has(f, id);
			if (acked[i] == '+' && i % 3)
				assert_true(there);
			if (acked[i] == '-')
				assert_false(there);
			suite_get(f->l, f->s, COL_NAMES, name, &a); /* both documents or none */
			assert_int_equal(a.result == STORE_OK, there);
			free(a.text);
			total += acked[i] != 0;
		}
		file_close(f);
		first = highest + 100; /* beyond the writes in flight */
		assert_true(first < MAX_ACKS);
	}
	assert_true(total > 0);
	print_message("%d acknowledged writes looked up\n", total);
}

/* --- disks: in the mount namespace of a child */

static bool disk_child(void (*fn)(const char *dir))
{
	_cleanup_(xfreep) char *dir = xasprintf("%s/disk", root);
	int status;
	mkdir(dir, 0700);
	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0) {
		if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
		    mount("tmpfs", dir, "tmpfs", 0, "size=2m") < 0)
			_exit(77);
		fn(dir);
		exit(0); /* exit, so that sanitizers report */
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		return false; /* not root: no disk can be filled */
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	return true;
}

#define CHILD_CHECK(x)                                                                                                 \
	do {                                                                                                           \
		if (!(x)) {                                                                                            \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #x);                                        \
			_exit(1);                                                                                      \
		}                                                                                                      \
	} while (0)

static int64_t fill_disk(const char *dir)
{
	_cleanup_(xfreep) char *path = xasprintf("%s/ballast", dir);
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	char block[4096] = { 1 };
	int64_t n = 0;
	while (write(fd, block, sizeof block) > 0)
		n++;
	close(fd);
	return n;
}

static void full_disk(const char *dir)
{
	_cleanup_(xfreep) char *path = xasprintf("%s/s.db", dir), *ballast = xasprintf("%s/ballast", dir);
	struct file *f = file_open(path);
	CHILD_CHECK(f->err == 0);
	CHILD_CHECK(put(f, "before") == STORE_OK);
	CHILD_CHECK(fill_disk(dir) > 0);
	char *text = xcalloc(1, 40001);
	memset(text, 't', 40000);
	int failed = 0;
	for (int i = 0; i < 20 && !failed; i++) {
		char id[16];
		snprintf(id, sizeof id, "b%d", i);
		json_t *doc = suite_doc(id, 1);
		doc_set_str(doc, "text", text);
		struct store_op op = { STORE_INSERT, COL_SERVERS, id, 0, doc };
		struct suite_answer a;
		suite_write(f->l, f->s, &op, 1, &a);
		json_decref(doc);
		if (a.result == STORE_OK)
			continue;
		CHILD_CHECK(a.result == STORE_FAILED && a.err == -ERR_UNAVAILABLE);
		failed = 1;
		const char *why;
		CHILD_CHECK(!store_healthy(f->s, &why));
		CHILD_CHECK(strstr(why, "full"));
		CHILD_CHECK(!has(f, id));
	}
	free(text);
	CHILD_CHECK(failed);
	CHILD_CHECK(has(f, "before"));
	unlink(ballast);
	for (int i = 0; i < 100 && !store_healthy(f->s, NULL); i++)
		suite_turn(f->l, 100); /* without a write by the test */
	CHILD_CHECK(store_healthy(f->s, NULL));
	CHILD_CHECK(put(f, "after") == STORE_OK);
	file_close(f);
	f = file_open(path);
	CHILD_CHECK(has(f, "before") && has(f, "after"));
	file_close(f);
}

/* Stored documents can be read; writes work again without help once there is space. */
static void full_at_start(const char *dir)
{
	_cleanup_(xfreep) char *path = xasprintf("%s/s.db", dir), *ballast = xasprintf("%s/ballast", dir);
	struct file *f = file_open(path);
	CHILD_CHECK(put(f, "before") == STORE_OK);
	file_close(f);
	/* space freed a moment ago is counted late: wait until a second check finds none either */
	for (int64_t n = 0, more; (more = fill_disk(dir)) > n; n = more)
		usleep(50000);
	f = file_open(path);
	CHILD_CHECK(f->err == 0 && f->opened == 1);
	const char *why;
	suite_turn(f->l, 100);
	CHILD_CHECK(!store_healthy(f->s, &why) && strstr(why, "full"));
	CHILD_CHECK(has(f, "before"));
	CHILD_CHECK(put(f, "now") == STORE_FAILED);
	CHILD_CHECK(has(f, "before") && !has(f, "now"));
	unlink(ballast);
	for (int i = 0; i < 100 && !store_healthy(f->s, NULL); i++)
		suite_turn(f->l, 100);
	CHILD_CHECK(put(f, "after") == STORE_OK);
	CHILD_CHECK(f->opened == 1);
	file_close(f);
}

static void read_only_disk(const char *dir)
{
	_cleanup_(xfreep) char *path = xasprintf("%s/s.db", dir);
	for (int existing = 0; existing < 2; existing++) {
		CHILD_CHECK(mount(NULL, dir, NULL, MS_REMOUNT | MS_RDONLY, NULL) == 0);
		struct file *f = file_open(path);
		CHILD_CHECK(f->err == -ERR_UNAVAILABLE);
		CHILD_CHECK(strstr(f->why, "writable"));
		CHILD_CHECK(put(f, "x") == STORE_FAILED);
		CHILD_CHECK(mount(NULL, dir, NULL, MS_REMOUNT, NULL) == 0);
		f->told = false;
		suite_until(f->l, &f->told);
		CHILD_CHECK(f->err == 0);
		CHILD_CHECK(put(f, "x") == STORE_OK);
		file_close(f);
	}
}

/* Only an account that may not mount is excused: with CAP_SYS_ADMIN a disk that cannot be made is a failure. */
static void in_disk_child(void (*fn)(const char *dir))
{
	enum { SYS_ADMIN = 21 };
	unsigned long long caps = 0;
	char line[256];
	if (disk_child(fn))
		return;
	FILE *f = fopen("/proc/self/status", "re");
	while (f && fgets(line, sizeof line, f) && sscanf(line, "CapEff: %llx", &caps) != 1)
		;
	assert_non_null(f);
	fclose(f);
	if (caps >> SYS_ADMIN & 1)
		fail_msg("no file system can be mounted, although this process may");
	skip();
}

static void full_disk_is_reported_until_freed(UNUSED void **state)
{
	in_disk_child(full_disk);
}

static void store_on_a_full_disk_can_be_read(UNUSED void **state)
{
	in_disk_child(full_at_start);
}

static void read_only_disk_is_reported_until_writable(UNUSED void **state)
{
	in_disk_child(read_only_disk);
}

static int remove_root(UNUSED void **state)
{
	DIR *d = opendir(root);
	struct dirent *e;
	while (d && (e = readdir(d))) {
		_cleanup_(xfreep) char *p = xasprintf("%s/%s", root, e->d_name);
		if (unlink(p) < 0)
			rmdir(p);
	}
	if (d)
		closedir(d);
	return rmdir(root);
}

int main(void)
{
	static const struct store_factory factory = { "store: embedded", true, open_for_suite, store_close };
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(file_is_private_and_has_the_application_id),
		cmocka_unit_test(a_first_start_that_was_killed_is_repeated),
		cmocka_unit_test(foreign_files_are_refused_and_unchanged),
		cmocka_unit_test(directory_in_place_of_the_store_is_refused),
		cmocka_unit_test(damaged_file_is_reported),
		cmocka_unit_test(damage_found_later_is_reported),
		cmocka_unit_test(store_on_a_full_disk_can_be_read),
		cmocka_unit_test(second_process_waits_for_the_lock),
		cmocka_unit_test(locked_file_is_reported_until_unlocked),
		cmocka_unit_test(acknowledged_writes_survive_kill),
		cmocka_unit_test(full_disk_is_reported_until_freed),
		cmocka_unit_test(read_only_disk_is_reported_until_writable),
	};
	if (!mkdtemp(root))
		return 2;
	if (getenv("ONLY")) { cmocka_set_test_filter(getenv("ONLY")); return cmocka_run_group_tests(tests, NULL, remove_root);} int failed = store_suite_run(&factory);
	return failed + cmocka_run_group_tests_name("store: the file", tests, NULL, remove_root);
}
