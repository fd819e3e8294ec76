/* The parts of the recorder that need no X server: what it is started with, qualities, the bound on megabytes a minute, its limits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants these first */
#include <cmocka.h>
#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lucid/str.h"
#include "recorder/budget.h"
#include "recorder/control.h"
#include "recorder/sandbox.h"
#include "recorder/start.h"

/* --- start */

#define COOKIE "00112233445566778899aabbccddeeff"
#define KEY "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
#define ID "0f8fad5b-d9cb-469f-a165-70867728950e"

static json_t *start_body(void)
{
	json_t *d = json_object();
	doc_set_str(d, "recording_id", ID);
	doc_set_str(d, "key", KEY);
	doc_set_str(d, "cookie", COOKIE);
	doc_set_int(d, "start_us", 5000000);
	return d;
}

static void test_a_start_is_read(UNUSED void **state)
{
	struct start s;
	json_t *d = start_body();
	doc_set_str(d, "codec", "lz4");
	doc_set_str(d, "cipher", "chacha20-poly1305");
	doc_set_str(d, "quality", "medium");
	doc_set_int(d, "frame_rate", 12);
	doc_set_int(d, "first_seq", 7);
	assert_null(start_parse(d, &s));
	for (unsigned k = 0; k < sizeof s.key; k++)
		assert_int_equal(s.key[k], k);
	assert_true(s.cookie[0] == 0 && s.cookie[1] == 0x11 && s.cookie[15] == 0xff && s.id[0] == 0x0f && s.id[15] == 0x0e);
	assert_true(s.codec == RECORD_LZ4 && s.cipher == RECORD_CHACHA20_POLY1305 && s.quality == QUALITY_MEDIUM);
	assert_true(s.frame_rate == 12 && s.first_seq == 7 && s.chunk_ms == 30000 && s.start_us == 5000000 && s.max_mb_per_min == 0);
	json_decref(d);
}

static void test_a_bad_start_is_refused(UNUSED void **state)
{
	static const struct {
		const char *name, *text;
		int64_t number;
	} bad[] = {
		{ "recording_id", "x", 0 }, { "key", "AAEC", 0 }, { "key", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8*", 0 },
		{ "key", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYX GBkaGxwdHh=", 0 }, { "cookie", "0011", 0 },
		{ "cookie", "0011223344556677889zaabbccddeeff", 0 }, { "prev_hash", "00", 0 }, { "codec", "gzip", 0 }, { "cipher", "rot13", 0 },
		{ "quality", "best", 0 }, { "level", NULL, 20 }, { "level", NULL, -1 }, { "frame_rate", NULL, 0 }, { "frame_rate", NULL, 61 },
		{ "chunk_seconds", NULL, 4 }, { "chunk_seconds", NULL, 61 }, { "max_mb_per_min", NULL, -1 }, { "first_seq", NULL, -1 },
		{ "start_us", NULL, -1 }, { "gap_from_us", NULL, -1 }, { "max_records", NULL, 65537 },
	};
	for (size_t k = 0; k < ARRAY_LEN(bad); k++) {
		struct start s;
		json_t *d = start_body();
		if (bad[k].text)
			doc_set_str(d, bad[k].name, bad[k].text);
		else
			doc_set_int(d, bad[k].name, bad[k].number);
		if (!start_parse(d, &s))
			fail_msg("accepted: %s, row %zu", bad[k].name, k);
		json_decref(d);
	}
}

/* --- control */

static void test_packets_of_another_form_end_the_control_socket(UNUSED void **state)
{
	static const char *const bad[] = { "", "x", "[]", "{}", "{\"stop\":{},\"pause\":{}}", "{\"stop\":{}", "\"stop\"" };
	int ends[2], fds[CONTROL_FDS_MAX];
	json_t *message, *body;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
	assert_int_equal(control_receive(ends[1], &message, fds), CONTROL_NOTHING);
	for (size_t k = 0; k < ARRAY_LEN(bad); k++) {
		assert_int_equal(send(ends[0], bad[k], strlen(bad[k]), 0), strlen(bad[k]));
		assert_int_equal(control_receive(ends[1], &message, fds), CONTROL_CLOSED);
	}
	control_send(ends[0], "stop", json_object());
	assert_int_equal(control_receive(ends[1], &message, fds), CONTROL_MESSAGE);
	assert_string_equal(control_name(message, &body), "stop");
	assert_true(json_is_object(body) && fds[0] == -1 && fds[1] == -1);
	json_decref(message);
	close(ends[0]);
	assert_int_equal(control_receive(ends[1], &message, fds), CONTROL_CLOSED);
	close(ends[1]);
}

/* --- quality */

static void test_reduced_colours_stay_within_their_bound(UNUSED void **state)
{
	static const int bound[] = { [QUALITY_LOW] = 15, [QUALITY_MEDIUM] = 7, [QUALITY_HIGH] = 0 };
	for (int q = QUALITY_LOW; q <= QUALITY_HIGH; q++)
		for (uint32_t v = 0; v < 256; v++) {
			uint32_t pixel = v << 16 | (255 - v) << 8 | v, ret;
			quality_reduce((enum quality)q, &pixel, &ret, 1);
			for (int shift = 0; shift < 24; shift += 8)
				assert_true(abs((int)(pixel >> shift & 255) - (int)(ret >> shift & 255)) <= bound[q]);
			assert_int_equal(ret >> 24, 0);
			assert_true(v != 255 || (ret >> 16) == 255);
			assert_true(v != 0 || (ret >> 16) == 0);
		}
}

static void test_paces_of_the_qualities(UNUSED void **state)
{
	struct quality_pace p = quality_pace(QUALITY_HIGH, 30);
	assert_true(p.fps == 30 && p.busy_fps == 0);
	p = quality_pace(QUALITY_MEDIUM, 30);
	assert_true(p.fps == 30 && p.busy_fps == 10);
	p = quality_pace(QUALITY_MEDIUM, 8);
	assert_true(p.fps == 8 && p.busy_fps == 0);
	p = quality_pace(QUALITY_LOW, 30);
	assert_true(p.fps == 5 && p.busy_fps == 2);
	p = quality_pace(QUALITY_LOW, 1);
	assert_true(p.fps == 1 && p.busy_fps == 0);
}

static void test_only_what_must_be_is_copied(UNUSED void **state)
{
	enum { W = 100, H = 80 };
	static uint32_t picture[W * H];
	for (size_t k = 0; k < W * H; k++)
		picture[k] = (uint32_t)(k * 2654435761u) & 0xffffff;
	const struct eye_rect rects[] = { { 0, 0, 10, 10, false, (void *)picture }, { 20, 30, 7, 9, true, (void *)(picture + 30 * W + 20) } };
	const struct eye_frame f = { .width = W, .height = H, .stride = W * 4, .picture = (void *)picture, .rects = rects, .n = 2 };
	struct quality_copy c = { 0 };
	size_t n = 0;
	const struct record_rect *r = quality_apply(&c, QUALITY_HIGH, &f, false, &n);
	assert_true(n == 2 && r[0].bgrx == (void *)picture && r[1].bgrx == rects[1].bgrx && r[1].stride == W * 4);
	r = quality_apply(&c, QUALITY_MEDIUM, &f, false, &n);
	assert_true(n == 2 && r[0].bgrx == (void *)picture && r[1].bgrx != rects[1].bgrx && r[1].stride == 7 * 4 && r[1].x == 20 && r[1].w == 7);
	for (size_t y = 0; y < 9; y++)
		for (size_t x = 0; x < 7; x++) {
			uint32_t want;
			quality_reduce(QUALITY_MEDIUM, picture + (30 + y) * W + 20 + x, &want, 1);
			assert_memory_equal(r[1].bgrx + y * r[1].stride + x * 4, &want, 4);
		}
	r = quality_apply(&c, QUALITY_MEDIUM, &f, true, &n);
	assert_true(n == 1 && r[0].bgrx == (void *)picture && r[0].w == W && r[0].h == H);
	r = quality_apply(&c, QUALITY_LOW, &f, true, &n);
	assert_true(n == 1 && r[0].bgrx != (void *)picture && r[0].w == W && r[0].h == H && r[0].stride == W * 4);
	if (c.pixels)
		munmap(c.pixels, c.bytes);
	free(c.rects);
}

/* --- budget */

/* Megabytes a second at each quality, for so long; returns what was written, and the last quality. */
static double spend(struct budget *b, const double *rate, int seconds, enum quality *q)
{
	double total = (double)b->total;
	for (int k = 0; k < seconds; k++) {
		total += rate[*q] * 1e6;
		*q = budget_second(b, (uint64_t)total, *q, QUALITY_HIGH);
	}
	return total / 1e6;
}

static void test_a_bound_lowers_the_quality_and_calm_raises_it(UNUSED void **state)
{
	static const double video[] = { [QUALITY_LOW] = 0.7, [QUALITY_MEDIUM] = 2, [QUALITY_HIGH] = 7 }, calm[] = { 0.02, 0.05, 0.1 };
	struct budget b;
	enum quality q = QUALITY_HIGH;
	budget_init(&b, 60);
	double written = spend(&b, video, 120, &q);
	assert_int_equal(q, QUALITY_LOW);
	assert_true(written < 240); /* without the bound: 840 */
	spend(&b, calm, 200, &q);
	assert_int_equal(q, QUALITY_HIGH);
}

static void test_without_a_bound_the_quality_is_the_best(UNUSED void **state)
{
	static const double flood[] = { 100, 100, 100 };
	struct budget b;
	enum quality q = QUALITY_LOW;
	budget_init(&b, 0);
	spend(&b, flood, 3, &q);
	assert_int_equal(q, QUALITY_HIGH);
}

static void test_a_short_burst_within_the_bound_changes_nothing(UNUSED void **state)
{
	static const double burst[] = { 5, 5, 5 }, calm[] = { 0, 0, 0 };
	struct budget b;
	enum quality q = QUALITY_HIGH;
	budget_init(&b, 60);
	spend(&b, burst, 5, &q);
	spend(&b, calm, 60, &q);
	assert_int_equal(q, QUALITY_HIGH);
}

/* --- sandbox */

static int in_sandbox(void)
{
	struct rlimit core;
	if (!sandbox_begin() || !sandbox_close())
		return 1;
	if (prctl(PR_GET_SECCOMP, 0, 0, 0, 0) != -1 || errno != EPERM) /* prctl is not among the calls */
		return 2;
	if (socket(AF_INET, SOCK_STREAM, 0) >= 0 || errno != EPERM)
		return 3;
	if (execl("/bin/true", "true", NULL) != -1 || errno != EPERM)
		return 4;
	if (fork() >= 0 || kill(getppid(), 0) == 0 || getrlimit(RLIMIT_CORE, &core) == 0)
		return 5;
	void *p = malloc(SANDBOX_MEMORY);
	if (p)
		return 6;
	p = malloc(1 << 20);
	if (!p)
		return 7;
	free(p);
	return 0;
}

static void test_the_sandbox_refuses_what_a_recording_does_not_need(UNUSED void **state)
{
	int status;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	skip(); /* a sanitizer needs more addresses and other calls */
#endif
	pid_t pid = fork();
	if (!pid)
		_exit(in_sandbox());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_start_is_read), cmocka_unit_test(test_a_bad_start_is_refused),
		cmocka_unit_test(test_packets_of_another_form_end_the_control_socket), cmocka_unit_test(test_reduced_colours_stay_within_their_bound),
		cmocka_unit_test(test_paces_of_the_qualities), cmocka_unit_test(test_only_what_must_be_is_copied),
		cmocka_unit_test(test_a_bound_lowers_the_quality_and_calm_raises_it), cmocka_unit_test(test_without_a_bound_the_quality_is_the_best),
		cmocka_unit_test(test_a_short_burst_within_the_bound_changes_nothing),
		cmocka_unit_test(test_the_sandbox_refuses_what_a_recording_does_not_need),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
