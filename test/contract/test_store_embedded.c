/* The embedded store: the suite every store passes, and what only a file can do wrong. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
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
	int opened; /* how often it was told */
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

static void the_file_is_private_and_named_as_ours(UNUSED void **state)
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
	assert_int_equal(head[63], store_migrations[store_migrations_n - 1].number);
}

/* Refused for good, with a sentence, and not a byte of it changed. */
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
	assert_string_equal(why, f->why);
	assert_int_equal(put(f, "x"), STORE_FAILED);
	suite_turn(f->l, 2500); /* not tried again */
	assert_int_equal(f->opened, 1);
	file_close(f);
	assert_int_equal(read_file(path, after, sizeof after), n);
	assert_memory_equal(before, after, n);
	_cleanup_(xfreep) char *wal = xasprintf("%s-wal", path);
	struct stat st;
	assert_true(stat(wal, &st) < 0 || st.st_size == 0);
	free(dir);
}

static void what_is_not_ours_is_left_alone(UNUSED void **state)
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

static void a_directory_is_no_store(UNUSED void **state)
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

/* All pages but the first. */
static void harm(const char *path)
{
	char junk[4096];
	struct stat st;
	memset(junk, 0xa5, sizeof junk);
	assert_int_equal(stat(path, &st), 0);
	for (off_t at = 4096; at < st.st_size; at += 4096)
		write_file(path, junk, sizeof junk, at);
}

/* Said for good, and not a byte of it changed; the rest of the program stays. */
static void said_and_untouched(struct file *f, const char *word)
{
	static char before[1 << 20], after[1 << 20];
	assert_int_equal(f->err, -ERR_UNAVAILABLE);
	assert_non_null(strstr(f->why, "damaged"));
	assert_non_null(strstr(f->why, word));
	size_t n = read_file(f->path, before, sizeof before);
	assert_int_equal(put(f, "x"), STORE_FAILED);
	int opened = f->opened;
	suite_turn(f->l, 2500); /* not tried again */
	assert_int_equal(f->opened, opened);
	assert_false(store_healthy(f->s, NULL));
	_cleanup_(xfreep) char *path = xstrdup(f->path);
	file_close(f);
	assert_int_equal(read_file(path, after, sizeof after), n);
	assert_memory_equal(before, after, n);
}

static void a_damaged_file_says_so(UNUSED void **state)
{
	_cleanup_(xfreep) char *path = path_of("damaged");
	struct file *f = file_open(path);
	fill(f);
	file_close(f);
	harm(path);
	said_and_untouched(file_open(path), "there is no backup");
	/* a copy without a manifest is not a backup; of several the newest is named */
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

/* Found by a read long after the start: the whole file is then looked at. */
static void damage_that_is_met_later_says_so(UNUSED void **state)
{
	_cleanup_(xfreep) char *path = path_of("later");
	struct file *f = file_open(path);
	fill(f);
	file_close(f);
	f = file_open(path);
	assert_int_equal(f->err, 0);
	suite_turn(f->l, 2500); /* the log is folded into the file */
	f->told = false;
	harm(path);
	struct suite_answer a;
	suite_get(f->l, f->s, COL_SERVERS, "s7", &a);
	assert_int_equal(a.result, STORE_FAILED);
	suite_until(f->l, &f->told);
	said_and_untouched(f, "damaged");
}

static void two_do_not_share_a_file(UNUSED void **state)
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
	assert_false(b->told); /* it waits for its predecessor */
	assert_int_equal(put(a, "from-a"), STORE_OK);
	file_close(a);
	suite_get(b->l, b->s, COL_SERVERS, "from-a", &got);
	assert_int_equal(got.result, STORE_OK);
	free(got.text);
	assert_int_equal(b->err, 0);
	/* one that stays: the sentence names the process */
	struct file *c = file_open(path);
	assert_int_equal(c->err, -ERR_UNAVAILABLE);
	char pid[16];
	snprintf(pid, sizeof pid, "(%d)", (int)getpid());
	assert_non_null(strstr(c->why, pid));
	assert_int_equal(put(c, "x"), STORE_FAILED);
	file_close(b);
	c->told = false;
	suite_until(c->l, &c->told); /* and heals once that has gone */
	assert_int_equal(c->err, 0);
	assert_int_equal(put(c, "x"), STORE_OK);
	file_close(c);
}

/* --- someone else's lock: a child takes the byte that SQLite's writers lock (wal.c, WAL_WRITE_LOCK) */

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

static void a_locked_file_is_said_and_heals(UNUSED void **state)
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
	/* answered in its time, and as what did not happen: it was never begun */
	suite_write(f.l, f.s, &op, 1, &a);
	assert_int_equal(a.result, STORE_FAILED);
	assert_int_equal(a.err, -ERR_DEADLINE);
	assert_true(has(&f, "x")); /* reading goes on */
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
	assert_int_equal(a.version, 1); /* it did not happen later either */
	free(a.text);
	suite_write(f.l, f.s, &op, 1, &a);
	assert_int_equal(a.result, STORE_OK);
	json_decref(doc);
	store_close(f.s);
	loop_free(f.l);
}

/* --- kill -9 */

struct child {
	int out; /* acknowledged: one line each */
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

static void on_child(enum store_result result, UNUSED size_t i, UNUSED int err, void *arg)
{
	struct child_write *w = arg;
	char line[32];
	if (result != STORE_OK)
		_exit(3);
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

static NORETURN void child_main(const char *path, int out, int first)
{
	struct child c = { .out = out, .next = first };
	const struct store_options o = { path, 4096, 30000, 0 };
	c.l = loop_new();
	c.s = store_open_embedded(c.l, &o, NULL, NULL);
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

static void nothing_acknowledged_is_lost_to_kill(UNUSED void **state)
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
		usleep(2000 + r * 400u); /* also while it opens and makes the file */
		kill(pid, SIGKILL);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status));
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
			suite_get(f->l, f->s, COL_NAMES, name, &a); /* both or none */
			assert_int_equal(a.result == STORE_OK, there);
			free(a.text);
			total += acked[i] != 0;
		}
		file_close(f);
		first = highest + 100; /* beyond what was under way */
		assert_true(first < MAX_ACKS);
	}
	assert_true(total > 0);
	print_message("%d acknowledged writes looked up\n", total);
}

/* --- disks: in a mount namespace of a child's own */

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
		exit(0); /* with the sanitizers' last look */
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		return false; /* not root: there is no disk to fill */
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
		suite_turn(f->l, 100); /* by itself, without a write */
	CHILD_CHECK(store_healthy(f->s, NULL));
	CHILD_CHECK(put(f, "after") == STORE_OK);
	file_close(f);
	f = file_open(path);
	CHILD_CHECK(has(f, "before") && has(f, "after"));
	file_close(f);
}

/* What was stored is there to read; writing begins by itself once there is room. */
static void full_at_start(const char *dir)
{
	_cleanup_(xfreep) char *path = xasprintf("%s/s.db", dir), *ballast = xasprintf("%s/ballast", dir);
	struct file *f = file_open(path);
	CHILD_CHECK(put(f, "before") == STORE_OK);
	file_close(f);
	/* what was freed a moment ago is counted late: until a second look finds no room either */
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

static void a_full_disk_is_said_and_heals(UNUSED void **state)
{
	if (!disk_child(full_disk))
		skip(); /* no file system may be mounted here: not root, or a container without the capability */
}

static void a_start_on_a_full_disk_reads(UNUSED void **state)
{
	if (!disk_child(full_at_start))
		skip(); /* no file system may be mounted here: not root, or a container without the capability */
}

static void a_read_only_disk_is_said_and_heals(UNUSED void **state)
{
	if (!disk_child(read_only_disk))
		skip(); /* no file system may be mounted here: not root, or a container without the capability */
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
		cmocka_unit_test(the_file_is_private_and_named_as_ours),
		cmocka_unit_test(what_is_not_ours_is_left_alone),
		cmocka_unit_test(a_directory_is_no_store),
		cmocka_unit_test(a_damaged_file_says_so),
		cmocka_unit_test(damage_that_is_met_later_says_so),
		cmocka_unit_test(a_start_on_a_full_disk_reads),
		cmocka_unit_test(two_do_not_share_a_file),
		cmocka_unit_test(a_locked_file_is_said_and_heals),
		cmocka_unit_test(nothing_acknowledged_is_lost_to_kill),
		cmocka_unit_test(a_full_disk_is_said_and_heals),
		cmocka_unit_test(a_read_only_disk_is_said_and_heals),
	};
	if (!mkdtemp(root))
		return 2;
	int failed = store_suite_run(&factory);
	return failed + cmocka_run_group_tests_name("store: the file", tests, NULL, remove_root);
}
