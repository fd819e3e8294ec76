/* The eye on real X servers: Xvfb in 24 and 16 bits, and Xvnc. What it has is compared bit by bit with a screenshot. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants these first */
#include <cmocka.h>
#include <errno.h>
#include <poll.h>

#include "eye/eye.h"
#include "eye/format.h"
#include "lucid/clock.h"
#include "x_rig.h"

static const char *const XVFB[] = { "Xvfb", "-screen", "0", "1000x700x24", NULL };
static const char *const XVFB_16[] = { "Xvfb", "-screen", "0", "1000x700x16", NULL };
static const char *const XVFB_NO_SHM[] = { "Xvfb", "-screen", "0", "1000x700x24", "-extension", "MIT-SHM", NULL };
static const char *const XVNC[] = { "Xtigervnc", "-geometry", "1000x700", "-depth", "24", "-rfbport", "-1", "-SecurityTypes", "None", NULL };

#define PATIENCE_US 20000000

/* A viewer: a picture put together from what its view delivered. */
struct viewer {
	struct eye_view *view;
	uint32_t *pixels;
	unsigned width, height, frames, cursors, moves, cursor_w;
	int x, y;
};

static void viewer_take(struct viewer *w, int64_t now_us)
{
	struct eye_frame f;
	while (eye_view_take(w->view, now_us, &f)) {
		if (f.width != w->width || f.height != w->height) {
			free(w->pixels);
			w->pixels = xcalloc((size_t)f.width * f.height, 4);
			w->width = f.width;
			w->height = f.height;
		}
		for (size_t i = 0; i < f.n; i++)
			for (size_t y = 0; y < f.rects[i].h; y++)
				memcpy(w->pixels + (f.rects[i].y + y) * f.width + f.rects[i].x, f.rects[i].bgrx + y * f.stride, (size_t)f.rects[i].w * 4);
		w->frames += f.n > 0;
		w->cursors += f.cursor != NULL;
		w->cursor_w = f.cursor ? f.cursor->w : w->cursor_w;
		w->moves += f.moved;
		if (f.moved) {
			w->x = f.x;
			w->y = f.y;
		}
	}
}

/* Runs the eye until check() holds, or for so long. */
static bool run_until(struct eye *e, struct viewer *v, size_t n, int64_t limit_us, bool (*check)(void *arg), void *arg)
{
	int64_t end = clock_mono_us() + limit_us;
	while (!check || !check(arg)) {
		int64_t now = clock_mono_us(), next = MIN(eye_next_us(e), end);
		struct pollfd p = { .fd = eye_fd(e), .events = POLLIN };
		if (now >= end)
			return false;
		poll(&p, 1, (int)(MAX(next - now, 0) / 1000 + (next > now)));
		now = clock_mono_us();
		eye_run(e, now);
		for (size_t k = 0; k < n; k++)
			viewer_take(&v[k], now);
	}
	return true;
}

static uint32_t *screenshot(struct x_rig *x, unsigned *ret_w, unsigned *ret_h)
{
	xcb_get_geometry_reply_t *g = xcb_get_geometry_reply(x->c, xcb_get_geometry(x->c, x->root->root), NULL);
	xcb_get_image_reply_t *r = xcb_get_image_reply(
		x->c, xcb_get_image(x->c, XCB_IMAGE_FORMAT_Z_PIXMAP, x->root->root, 0, 0, g->width, g->height, ~0u), NULL);
	assert_non_null(r);
	bool half = r->depth == 16;
	struct eye_format f = half ? (struct eye_format){ 0xf800, 0x07e0, 0x1f, 16, 32, false, false } :
				     (struct eye_format){ 0xff0000, 0xff00, 0xff, 32, 32, false, false };
	assert_true(format_ok(&f));
	uint32_t *pixels = xcalloc((size_t)g->width * g->height, 4);
	for (unsigned y = 0; y < g->height; y++)
		format_row(&f, xcb_get_image_data(r) + y * format_stride(&f, g->width), pixels + (size_t)y * g->width, g->width);
	*ret_w = g->width;
	*ret_h = g->height;
	free(g);
	free(r);
	return pixels;
}

struct equal {
	struct x_rig *x;
	struct viewer *v;
};

static bool is_equal(void *arg)
{
	struct equal *q = arg;
	unsigned w, h;
	uint32_t *pixels = screenshot(q->x, &w, &h);
	bool same = q->v->pixels && w == q->v->width && h == q->v->height && memcmp(pixels, q->v->pixels, (size_t)w * h * 4) == 0;
	free(pixels);
	return same;
}

static void assert_equal_to_screen(struct x_rig *x, struct eye *e, struct viewer *v, size_t n)
{
	for (size_t k = 0; k < n; k++)
		assert_true(run_until(e, v, n, PATIENCE_US, is_equal, &(struct equal){ x, &v[k] }));
}

static struct eye *open_eye(struct x_rig *x)
{
	struct eye *e = NULL;
	char why[EYE_WHY] = "";
	if (eye_open(x_rig_socket(x), x->cookie, &e, why))
		fail_msg("%s", why);
	return e;
}

static void paint(struct x_rig *x, int round)
{
	for (int k = 0; k < 40; k++)
		x_rig_fill(x, (uint32_t)random() & 0xffffff, (int)(random() % 1000), (int)(random() % 700), 1 + (unsigned)random() % (round % 2 ? 8 : 300),
			   1 + (unsigned)random() % (round % 3 ? 8 : 300));
	x_rig_sync(x);
}

static void check_pixels(const char *const *command)
{
	struct x_rig x;
	assert_true(x_rig_start(&x, command));
	struct eye *e = open_eye(&x);
	struct viewer v[2] = { { .view = eye_view_new(e, 60, 0) }, { .view = eye_view_new(e, 10, 5) } };
	assert_equal_to_screen(&x, e, v, 2);
	for (int round = 0; round < 12; round++) {
		paint(&x, round);
		run_until(e, v, 2, round * 1000, NULL, NULL); /* so that painting goes on within a round */
		paint(&x, round);
		assert_equal_to_screen(&x, e, v, 2);
	}
	eye_free(e);
	x_rig_stop(&x);
	free(v[0].pixels);
	free(v[1].pixels);
}

static void test_views_equal_the_screen_on_xvfb(UNUSED void **state)
{
	check_pixels(XVFB);
}

static void test_views_equal_the_screen_in_16_bits(UNUSED void **state)
{
	check_pixels(XVFB_16);
}

static void test_views_equal_the_screen_without_shared_memory(UNUSED void **state)
{
	check_pixels(XVFB_NO_SHM);
}

static void test_views_equal_the_screen_on_xvnc(UNUSED void **state)
{
	check_pixels(XVNC);
}

static void test_a_still_screen_causes_no_work(UNUSED void **state)
{
	struct x_rig x;
	assert_true(x_rig_start(&x, XVFB));
	struct eye *e = open_eye(&x);
	struct viewer v = { .view = eye_view_new(e, 60, 10) };
	assert_equal_to_screen(&x, e, &v, 1);
	run_until(e, &v, 1, 100000, NULL, NULL);
	uint64_t captures = eye_figures(e)->captures;
	unsigned frames = v.frames;
	assert_true(eye_next_us(e) == EYE_NEVER);
	run_until(e, &v, 1, 300000, NULL, NULL);
	assert_int_equal(eye_figures(e)->captures, captures);
	assert_int_equal(v.frames, frames);
	eye_free(e);
	x_rig_stop(&x);
	free(v.pixels);
}

static void test_each_view_keeps_its_pace(UNUSED void **state)
{
	struct x_rig x;
	assert_true(x_rig_start(&x, XVFB));
	struct eye *e = open_eye(&x);
	struct viewer v[2] = { { .view = eye_view_new(e, 20, 0) }, { .view = eye_view_new(e, 4, 0) } };
	assert_equal_to_screen(&x, e, v, 2);
	unsigned fast = v[0].frames, slow = v[1].frames;
	int64_t began = clock_mono_us();
	for (int k = 0; k < 400; k++) {
		x_rig_fill(&x, (uint32_t)k * 77, 10, 10, 50, 50);
		x_rig_sync(&x);
		run_until(e, v, 2, 4000, NULL, NULL);
	}
	int64_t passed = clock_mono_us() - began;
	assert_in_range(v[0].frames - fast, 5, passed / 50000 + 2);
	assert_in_range(v[1].frames - slow, 2, passed / 250000 + 2);
	assert_equal_to_screen(&x, e, v, 2);
	eye_free(e);
	x_rig_stop(&x);
	free(v[0].pixels);
	free(v[1].pixels);
}

/* --- cursor */

static bool is_at_300_200(void *arg)
{
	struct viewer *v = arg;
	return v->x == 300 && v->y == 200;
}

static bool has_cursor(void *arg)
{
	struct viewer *v = arg;
	return v->cursors > 1 && v->cursor_w > 0;
}

static void test_the_cursor_is_followed(UNUSED void **state)
{
	struct x_rig x;
	assert_true(x_rig_start(&x, XVFB));
	struct eye *e = open_eye(&x);
	struct viewer v = { .view = eye_view_new(e, 60, 0) };
	assert_equal_to_screen(&x, e, &v, 1);
	/* the image: another one for the root window, which has the pointer */
	xcb_font_t font = xcb_generate_id(x.c);
	xcb_cursor_t cursor = xcb_generate_id(x.c);
	xcb_open_font(x.c, font, 6, "cursor");
	xcb_create_glyph_cursor(x.c, cursor, font, font, 34, 35, 0xffff, 0, 0, 0, 0xffff, 0);
	xcb_change_window_attributes(x.c, x.root->root, XCB_CW_CURSOR, &cursor);
	x_rig_sync(&x);
	assert_true(run_until(e, &v, 1, PATIENCE_US, has_cursor, &v));
	/* the position: a warp causes no motion of a device, so it is seen with the next change of the screen */
	xcb_warp_pointer(x.c, XCB_NONE, x.root->root, 0, 0, 0, 0, 300, 200);
	x_rig_fill(&x, 0xff0000, 1, 1, 4, 4);
	x_rig_sync(&x);
	assert_true(run_until(e, &v, 1, PATIENCE_US, is_at_300_200, &v));
	eye_free(e);
	x_rig_stop(&x);
	free(v.pixels);
}

/* Runs a client of the display; false: it is not installed, or failed. */
static bool run_client(struct x_rig *x, const char *command)
{
	char text[256];
	snprintf(text, sizeof text, "DISPLAY=:%d XAUTHORITY=%s %s >/dev/null 2>&1", x->display, x->authority, command);
	return system(text) == 0;
}

static void test_motion_is_seen_on_a_still_screen(UNUSED void **state)
{
	struct x_rig x;
	assert_true(x_rig_start(&x, XVFB));
	struct eye *e = open_eye(&x);
	struct viewer v = { .view = eye_view_new(e, 60, 0) };
	assert_equal_to_screen(&x, e, &v, 1);
	assert_true(run_client(&x, "xdotool mousemove 299 199 mousemove_relative 1 1"));
	assert_true(run_until(e, &v, 1, PATIENCE_US, is_at_300_200, &v));
	eye_free(e);
	x_rig_stop(&x);
	free(v.pixels);
}

static bool has_arrow(void *arg)
{
	return ((struct viewer *)arg)->cursor_w == 12;
}

/* An X server with the extension SECURITY refuses to show the cursor of a client that is gone: an arrow takes its place. */
static void test_a_cursor_that_is_not_shown_becomes_an_arrow(UNUSED void **state)
{
	struct x_rig x;
	assert_true(x_rig_start(&x, XVFB));
	xcb_query_extension_reply_t *r = xcb_query_extension_reply(x.c, xcb_query_extension(x.c, 8, "SECURITY"), NULL);
	bool has_security = r && r->present;
	free(r);
	struct eye *e = open_eye(&x);
	struct viewer v = { .view = eye_view_new(e, 60, 0) };
	assert_equal_to_screen(&x, e, &v, 1);
	assert_true(has_security); /* as Debian builds Xvfb */
	assert_true(run_client(&x, "xsetroot -cursor_name left_ptr"));
	assert_true(run_until(e, &v, 1, PATIENCE_US, has_arrow, &v));
	eye_free(e);
	x_rig_stop(&x);
	free(v.pixels);
}

/* --- size */

static void test_another_size_is_followed(UNUSED void **state)
{
	struct x_rig x;
	assert_true(x_rig_start(&x, XVNC));
	assert_true(run_client(&x, "xrandr"));
	struct eye *e = open_eye(&x);
	struct viewer v[2] = { { .view = eye_view_new(e, 60, 0) }, { .view = eye_view_new(e, 10, 5) } };
	assert_equal_to_screen(&x, e, v, 2);
	for (int round = 0; round < 6; round++) {
		paint(&x, round);
		assert_true(run_client(&x, round % 3 == 0 ? "xrandr -s 800x600" : round % 3 == 1 ? "xrandr -s 1920x1080" : "xrandr -s 640x480"));
		paint(&x, round + 1);
		assert_equal_to_screen(&x, e, v, 2);
		assert_int_equal(v[0].width, round % 3 == 0 ? 800 : round % 3 == 1 ? 1920 : 640);
	}
	assert_null(eye_lost(e));
	eye_free(e);
	x_rig_stop(&x);
	free(v[0].pixels);
	free(v[1].pixels);
}

/* --- loss */

static bool is_lost(void *arg)
{
	return eye_lost(arg) != NULL;
}

static xcb_window_t eyes_resource(struct x_rig *x)
{
	/* clients have consecutive resource bases; the eye connected after the painter */
	const xcb_setup_t *s = xcb_get_setup(x->c);
	return s->resource_id_base + s->resource_id_mask + 1;
}

static void test_a_cut_connection_is_replaced(UNUSED void **state)
{
	struct x_rig x;
	char why[EYE_WHY];
	assert_true(x_rig_start(&x, XVFB));
	struct eye *e = open_eye(&x);
	struct viewer v = { .view = eye_view_new(e, 60, 0) };
	assert_equal_to_screen(&x, e, &v, 1);
	for (int round = 0; round < 3; round++) {
		for (uint32_t k = 0; k < 8; k++) /* whichever of the next clients it is */
			xcb_kill_client(x.c, eyes_resource(&x) + k * (xcb_get_setup(x.c)->resource_id_mask + 1));
		x_rig_sync(&x);
		assert_true(run_until(e, &v, 1, PATIENCE_US, is_lost, e));
		assert_int_equal(eye_fd(e), -1);
		paint(&x, round); /* not seen */
		assert_int_equal(eye_reopen(e, x_rig_socket(&x), x.cookie, why), 0);
		assert_null(eye_lost(e));
		assert_equal_to_screen(&x, e, &v, 1);
	}
	eye_free(e);
	x_rig_stop(&x);
	free(v.pixels);
}

static void test_a_server_that_ends_is_a_loss(UNUSED void **state)
{
	struct x_rig x;
	char why[EYE_WHY] = "";
	assert_true(x_rig_start(&x, XVFB));
	struct eye *e = open_eye(&x);
	struct viewer v = { .view = eye_view_new(e, 60, 0) };
	assert_equal_to_screen(&x, e, &v, 1);
	int late = x_rig_socket(&x);
	kill(x.pid, SIGKILL);
	assert_true(run_until(e, &v, 1, PATIENCE_US, is_lost, e));
	assert_int_not_equal(eye_reopen(e, late, x.cookie, why), 0);
	assert_true(*why && eye_lost(e));
	eye_free(e);
	x_rig_stop(&x);
	free(v.pixels);
}

static void test_a_wrong_cookie_is_refused(UNUSED void **state)
{
	struct x_rig x;
	struct eye *e = NULL;
	char why[EYE_WHY] = "";
	const uint8_t wrong[EYE_COOKIE] = { 1 };
	assert_true(x_rig_start(&x, XVFB));
	assert_int_equal(eye_open(x_rig_socket(&x), wrong, &e, why), -EACCES);
	assert_true(*why && !e);
	x_rig_stop(&x);
}

/* A stopped server delays pictures and nothing else. */
static void test_a_stopped_server_blocks_nothing(UNUSED void **state)
{
	struct x_rig x;
	char why[EYE_WHY] = "";
	struct eye *other = NULL;
	assert_true(x_rig_start(&x, XVFB));
	struct eye *e = open_eye(&x);
	struct viewer v = { .view = eye_view_new(e, 60, 0) };
	assert_equal_to_screen(&x, e, &v, 1);
	paint(&x, 0);
	kill(x.pid, SIGSTOP);
	assert_false(run_until(e, &v, 1, 300000, is_lost, e));
	assert_true(eye_waits_since_us(e) != EYE_NEVER);
	assert_int_equal(eye_open(x_rig_socket(&x), x.cookie, &other, why), -ETIMEDOUT);
	kill(x.pid, SIGCONT);
	assert_equal_to_screen(&x, e, &v, 1);
	eye_free(e);
	x_rig_stop(&x);
	free(v.pixels);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_views_equal_the_screen_on_xvfb), cmocka_unit_test(test_views_equal_the_screen_in_16_bits),
		cmocka_unit_test(test_views_equal_the_screen_on_xvnc), cmocka_unit_test(test_views_equal_the_screen_without_shared_memory),
		cmocka_unit_test(test_a_still_screen_causes_no_work), cmocka_unit_test(test_each_view_keeps_its_pace),
		cmocka_unit_test(test_the_cursor_is_followed),
		cmocka_unit_test(test_motion_is_seen_on_a_still_screen), cmocka_unit_test(test_another_size_is_followed),
		cmocka_unit_test(test_a_cursor_that_is_not_shown_becomes_an_arrow),
		cmocka_unit_test(test_a_cut_connection_is_replaced), cmocka_unit_test(test_a_server_that_ends_is_a_loss),
		cmocka_unit_test(test_a_wrong_cookie_is_refused), cmocka_unit_test(test_a_stopped_server_blocks_nothing),
	};
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
