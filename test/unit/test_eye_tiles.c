/* Tiles, rectangles, views, pixel formats: the parts of src/eye that need no X server. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants these first */
#include <cmocka.h>

#include "eye/format.h"
#include "eye/view.h"

#define MS 1000LL

/* --- marks and areas */

static void test_marks_are_clipped_to_the_picture(UNUSED void **state)
{
	struct tile_grid g;
	uint8_t marked[6] = { 0 };
	tile_grid_init(&g, 150, 100); /* 3 × 2 tiles */
	assert_int_equal(g.n, 6);
	tiles_mark(&g, marked, -50, -50, 20, 20);
	tiles_mark(&g, marked, 150, 0, 10, 10);
	tiles_mark(&g, marked, 0, 100, 65535, 65535);
	tiles_mark(&g, marked, 10, 10, 0, 10);
	for (size_t t = 0; t < g.n; t++)
		assert_int_equal(marked[t], 0);
	tiles_mark(&g, marked, 63, 63, 2, 2);
	assert_memory_equal(marked, ((uint8_t[]){ 1, 1, 0, 1, 1, 0 }), 6);
	tiles_mark(&g, marked, -32768, -32768, 65535, 65535);
	assert_memory_equal(marked, ((uint8_t[]){ 1, 1, 1, 1, 1, 1 }), 6);
}

static void test_areas_cover_each_marked_tile_once(UNUSED void **state)
{
	struct tile_grid g;
	uint8_t marked[20 * 15], seen[20 * 15], was[20 * 15];
	tile_grid_init(&g, 20 * TILE - 5, 15 * TILE - 7);
	srandom(7);
	for (int round = 0; round < 200; round++) {
		size_t hint = 0, max = round % 3 == 0 ? 1 : round % 3 == 1 ? 9 * TILE * TILE : 1 << 20;
		struct pixel_box b;
		memset(seen, 0, sizeof seen);
		for (size_t t = 0; t < g.n; t++)
			was[t] = marked[t] = (int)(random() % 100) < round / 2;
		while (tiles_take_area(&g, marked, max, &hint, &b)) {
			assert_true(b.x1 <= (int)g.width && b.y1 <= (int)g.height && b.x0 < b.x1 && b.y0 < b.y1);
			assert_true((size_t)(b.x1 - b.x0) * (size_t)(b.y1 - b.y0) <= MAX(max, (size_t)TILE * TILE));
			for (int y = b.y0; y < b.y1; y += TILE)
				for (int x = b.x0; x < b.x1; x += TILE)
					seen[(size_t)y / TILE * g.columns + (size_t)x / TILE]++;
		}
		assert_memory_equal(seen, was, g.n);
	}
}

/* --- comparison */

static void test_a_change_is_found_and_its_box_is_exact(UNUSED void **state)
{
	static uint32_t seen[TILE * TILE], kept[TILE * TILE];
	struct tile_box b;
	srandom(3);
	for (int round = 0; round < 500; round++) {
		unsigned w = 1 + (unsigned)random() % TILE, h = 1 + (unsigned)random() % TILE, n = (unsigned)random() % 4;
		struct tile_box want = { TILE, TILE, 0, 0 };
		for (size_t k = 0; k < TILE * TILE; k++) {
			kept[k] = (uint32_t)random() & 0xffffff;
			seen[k] = kept[k] | (uint32_t)random() << 24; /* the unused byte differs everywhere */
		}
		for (unsigned k = 0; k < n; k++) {
			unsigned x = (unsigned)random() % w, y = (unsigned)random() % h;
			seen[y * TILE + x] = ~kept[y * TILE + x];
			want = (struct tile_box){ MIN(want.x0, x), MIN(want.y0, y), MAX(want.x1, x + 1), MAX(want.y1, y + 1) };
		}
		b = (struct tile_box){ 0 };
		for (unsigned y = 0; y < h; y++)
			tile_compare_row(seen + y * TILE, kept + y * TILE, w, y, &b);
		assert_int_equal(tile_box_is_empty(&b), n == 0);
		if (n)
			assert_memory_equal(&b, &want, sizeof b);
		for (unsigned y = 0; y < h; y++)
			for (unsigned x = 0; x < w; x++)
				assert_int_equal(kept[y * TILE + x], seen[y * TILE + x] & 0xffffff);
	}
}

/* --- rectangles */

static void test_rectangles_cover_the_boxes_and_do_not_overlap(UNUSED void **state)
{
	enum { W = 12, H = 9 };
	static uint8_t cover[H * TILE][W * TILE];
	struct tile_grid g;
	struct tile_box boxes[W * H];
	uint32_t of[W * H];
	bool chosen[W * H];
	struct tile_rect ret[W * H];
	tile_grid_init(&g, W * TILE, H * TILE);
	srandom(11);
	for (int round = 0; round < 60; round++) {
		size_t n = 0;
		memset(chosen, 0, sizeof chosen);
		for (uint32_t t = 0; t < g.n; t++) {
			if ((int)(random() % 60) >= round)
				continue;
			uint8_t x0 = random() % 3 ? 0 : (uint8_t)(random() % 63), y0 = random() % 3 ? 0 : (uint8_t)(random() % 63);
			boxes[t] = (struct tile_box){ x0, y0, random() % 3 ? TILE : (uint8_t)(x0 + 1), random() % 3 ? TILE : (uint8_t)(y0 + 1) };
			of[n++] = t;
			chosen[t] = true;
		}
		size_t made = tiles_join(&g, boxes, chosen, ret), covered = 0, changed = 0;
		assert_true(made <= n);
		for (size_t k = 0; k < made; k++)
			covered += (size_t)(ret[k].box.x1 - ret[k].box.x0) * (size_t)(ret[k].box.y1 - ret[k].box.y0);
		for (size_t k = 0; k < n; k++)
			changed += (size_t)(boxes[of[k]].x1 - boxes[of[k]].x0) * (size_t)(boxes[of[k]].y1 - boxes[of[k]].y0);
		assert_true(covered <= changed + changed / 2);
		memset(cover, 0, sizeof cover);
		for (size_t k = 0; k < made; k++)
			for (int y = ret[k].box.y0; y < ret[k].box.y1; y++)
				for (int x = ret[k].box.x0; x < ret[k].box.x1; x++)
					assert_int_equal(cover[y][x]++, 0);
		for (size_t k = 0; k < n; k++)
			for (unsigned y = boxes[of[k]].y0; y < boxes[of[k]].y1; y++)
				for (unsigned x = boxes[of[k]].x0; x < boxes[of[k]].x1; x++)
					assert_int_equal(cover[of[k] / W * TILE + y][of[k] % W * TILE + x], 1);
	}
}

static void test_a_whole_picture_is_a_rectangle_for_each_strip(UNUSED void **state)
{
	struct tile_grid g;
	struct tile_box boxes[64];
	bool chosen[64];
	struct tile_rect ret[64];
	tile_grid_init(&g, 500, 400);
	for (size_t t = 0; t < g.n; t++) {
		boxes[t] = tile_box_whole(&g, t);
		chosen[t] = true;
	}
	assert_int_equal(tiles_join(&g, boxes, chosen, ret), 3);
	for (int k = 0; k < 3; k++)
		assert_true(ret[k].box.x0 == k * STRIP * TILE && ret[k].box.y0 == 0 && ret[k].box.x1 == MIN((k + 1) * STRIP * TILE, 500) && ret[k].box.y1 == 400);
}

/* --- views */

static struct tile_grid small_grid(void)
{
	struct tile_grid g;
	tile_grid_init(&g, 2 * TILE, TILE);
	return g;
}

static const struct tile_box DOT = { 10, 10, 12, 12 };

static void change(struct view *v, size_t tile, int64_t now_us)
{
	view_tick(v, now_us);
	view_mark(v, tile, &DOT);
}

static void test_views_have_their_own_pace(UNUSED void **state)
{
	struct view fast, slow;
	struct tile_grid g = small_grid();
	int taken_fast = 0, taken_slow = 0;
	view_init(&fast, 30, 0);
	view_init(&slow, 2, 0);
	assert_true(view_resize(&fast, &g) && view_resize(&slow, &g));
	for (int64_t now = 0; now < 10000 * MS; now += 10 * MS) {
		change(&fast, 0, now);
		change(&slow, 0, now);
		taken_fast += view_take(&fast, now);
		taken_slow += view_take(&slow, now);
	}
	assert_in_range(taken_fast, 240, 301); /* the steps are 10 ms */
	assert_in_range(taken_slow, 20, 21);
	view_done(&fast);
	view_done(&slow);
}

static void test_a_clean_view_needs_no_timer(UNUSED void **state)
{
	struct view v;
	struct tile_grid g = small_grid();
	view_init(&v, 30, 10);
	assert_true(view_resize(&v, &g) && view_take(&v, 0));
	assert_int_equal(v.n_rects, 1);
	assert_int_equal(v.rects[0].w, 2 * TILE);
	assert_true(view_next_us(&v) == VIEW_NEVER && !view_take(&v, 1000 * MS));
	change(&v, 1, 2000 * MS);
	assert_true(view_next_us(&v) <= 2000 * MS && view_take(&v, 2000 * MS));
	assert_true(v.rects[0].x == TILE + 10 && v.rects[0].y == 10 && v.rects[0].w == 2 && v.rects[0].h == 2 && !v.rects[0].busy);
	assert_true(view_next_us(&v) == VIEW_NEVER);
	view_done(&v);
}

/* A tile that changes at 30 a second beside one that changes once: the first is delivered 10 times a second, and exactly once it is calm. */
static void test_busy_tiles_are_slower_and_then_exact(UNUSED void **state)
{
	struct view v;
	struct tile_grid g = small_grid();
	int busy = 0, calm_beside = 0, whole_after = 0;
	int64_t now = 0;
	view_init(&v, 30, 10);
	assert_true(view_resize(&v, &g) && view_take(&v, now));
	for (int k = 1; k <= 150; k++) {
		now = k * 33334;
		change(&v, 0, now);
		if (k == 100)
			change(&v, 1, now);
		if (now >= view_next_us(&v) && view_take(&v, now))
			for (size_t r = 0; r < v.n_rects; r++) {
				busy += k > 60 && v.rects[r].busy;
				calm_beside += k == 100 && v.rects[r].x >= TILE && !v.rects[r].busy;
				assert_true(k < 20 || v.rects[r].x >= TILE || v.rects[r].busy);
			}
	}
	assert_in_range(busy, 22, 31); /* in 3 s */
	assert_int_equal(calm_beside, 1);
	for (int wakeups = 0; view_next_us(&v) != VIEW_NEVER; wakeups++) {
		assert_true(wakeups < 100);
		now = MAX(now, view_next_us(&v));
		if (view_take(&v, now))
			for (size_t r = 0; r < v.n_rects; r++)
				whole_after += !v.rects[r].busy && v.rects[r].w == TILE && v.rects[r].h == TILE;
	}
	assert_int_equal(whole_after, 1);
	view_done(&v);
}

static void test_all_is_due_at_once_on_request(UNUSED void **state)
{
	struct view v;
	struct tile_grid g = small_grid();
	view_init(&v, 1, 0);
	assert_true(view_resize(&v, &g) && view_take(&v, 0));
	view_all(&v);
	assert_true(view_take(&v, 1) && v.n_rects == 1 && v.rects[0].w == 2 * TILE && v.rects[0].h == TILE);
	view_done(&v);
}

/* --- formats */

static void test_formats_become_bgrx(UNUSED void **state)
{
	struct eye_format native = { 0xff0000, 0xff00, 0xff, 32, 32, false, false }, half = { 0xf800, 0x07e0, 0x001f, 16, 32, false, false },
			  swapped = { 0xff0000, 0xff00, 0xff, 32, 32, true, false }, deep = { 0x3ff00000, 0xffc00, 0x3ff, 32, 32, false, false };
	uint32_t ret[3];
	assert_true(format_ok(&native) && native.is_bgrx);
	assert_true(format_ok(&half) && !half.is_bgrx && format_ok(&swapped) && !swapped.is_bgrx && format_ok(&deep));
	assert_int_equal(format_stride(&half, 3), 8);
	format_row(&half, (const void *)(uint16_t[]){ 0xffff, 0xf800, 0x0000 }, ret, 3);
	assert_memory_equal(ret, ((uint32_t[]){ 0xffffff, 0xff0000, 0 }), 12);
	format_row(&swapped, (const uint8_t[]){ 0, 0x12, 0x34, 0x56 }, ret, 1);
	assert_int_equal(ret[0], 0x123456);
	format_row(&deep, (const void *)(uint32_t[]){ 0x3fffffff }, ret, 1);
	assert_int_equal(ret[0], 0xffffff);
}

static void test_unusable_formats_are_refused_by_the_eye(UNUSED void **state)
{
	struct eye_format bad[] = { { 0xff0000, 0xff00, 0xff, 24, 32, false, false }, { 0xff0000, 0xff00, 0xff, 16, 32, false, false },
				    { 0, 0xff00, 0xff, 32, 32, false, false }, { 0xf0f000, 0x0f00, 0xff, 32, 32, false, false },
				    { 0xff0000, 0xff00, 0xff, 32, 0, false, false }, { 0xff00, 0xff00, 0xff, 32, 32, false, false } };
	for (size_t k = 0; k < ARRAY_LEN(bad); k++)
		assert_false(format_ok(&bad[k]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_marks_are_clipped_to_the_picture), cmocka_unit_test(test_areas_cover_each_marked_tile_once),
		cmocka_unit_test(test_a_change_is_found_and_its_box_is_exact), cmocka_unit_test(test_rectangles_cover_the_boxes_and_do_not_overlap),
		cmocka_unit_test(test_a_whole_picture_is_a_rectangle_for_each_strip), cmocka_unit_test(test_views_have_their_own_pace),
		cmocka_unit_test(test_a_clean_view_needs_no_timer), cmocka_unit_test(test_busy_tiles_are_slower_and_then_exact),
		cmocka_unit_test(test_all_is_due_at_once_on_request), cmocka_unit_test(test_formats_become_bgrx),
		cmocka_unit_test(test_unusable_formats_are_refused_by_the_eye),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
