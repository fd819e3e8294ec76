#include "eye/view.h"

#define TICKS 30
#define TICKS_MASK ((1u << TICKS) - 1)

static int64_t interval_of(unsigned fps)
{
	return fps ? 1000000 / fps : 0;
}

void view_init(struct view *v, unsigned fps, unsigned busy_fps)
{
	*v = (struct view){ .taken_us = INT64_MIN / 2, .ready_us = INT64_MIN / 2, .busy_ready_us = INT64_MIN / 2, .ticked_us = INT64_MIN / 2 };
	view_pace(v, fps, busy_fps);
}

static void view_forget(struct view *v)
{
	xfreep(&v->dirty);
	xfreep(&v->history);
	xfreep(&v->rough);
	xfreep(&v->chosen);
	xfreep(&v->rects);
	xfreep(&v->joined);
	v->n_dirty = v->n_rough = v->n_rects = 0;
	v->grid = (struct tile_grid){ 0 };
}

void view_done(struct view *v)
{
	view_forget(v);
}

void view_pace(struct view *v, unsigned fps, unsigned busy_fps)
{
	v->interval_us = interval_of(MAX(fps, 1u));
	v->busy_interval_us = interval_of(busy_fps);
	v->ready_us = v->taken_us + v->interval_us;
	v->busy_ready_us = MIN(v->busy_ready_us, v->taken_us + v->busy_interval_us);
}

bool view_resize(struct view *v, const struct tile_grid *g)
{
	view_forget(v);
	v->dirty = calloc(g->n, sizeof *v->dirty);
	v->history = calloc(g->n, sizeof *v->history);
	v->rough = calloc(g->n, sizeof *v->rough);
	v->chosen = calloc(g->n, sizeof *v->chosen);
	v->rects = calloc(g->n, sizeof *v->rects);
	v->joined = calloc(g->n, sizeof *v->joined);
	if (!v->dirty || !v->history || !v->rough || !v->chosen || !v->rects || !v->joined) {
		view_forget(v);
		return false;
	}
	v->grid = *g;
	view_all(v);
	return true;
}

void view_all(struct view *v)
{
	for (size_t t = 0; t < v->grid.n; t++) {
		v->dirty[t] = tile_box_whole(&v->grid, t);
		v->rough[t] = false;
		v->history[t] = 0; /* all of it is due now, also what was busy */
	}
	v->n_dirty = v->grid.n;
	v->n_rough = 0;
	v->ready_us = INT64_MIN / 2;
}

static bool is_busy(const struct view *v, size_t tile)
{
	return v->busy_interval_us && __builtin_popcount(v->history[tile] & TICKS_MASK) >= TICKS / 2;
}

void view_tick(struct view *v, int64_t now_us)
{
	int64_t passed = (now_us - v->ticked_us + v->interval_us / 2) / v->interval_us;
	if (passed <= 0)
		return;
	v->ticked_us = now_us;
	for (size_t t = 0; t < v->grid.n; t++)
		v->history[t] = passed < 32 ? v->history[t] << passed : 0;
}

void view_mark(struct view *v, size_t tile, const struct tile_box *b)
{
	v->n_dirty += tile_box_is_empty(&v->dirty[tile]);
	tile_box_add(&v->dirty[tile], b);
	v->history[tile] |= 1;
	if (!is_busy(v, tile))
		v->ready_us = MIN(v->ready_us, v->taken_us + v->interval_us);
}

int64_t view_due_us(const struct view *v)
{
	return v->taken_us + v->interval_us;
}

int64_t view_next_us(const struct view *v)
{
	return v->n_dirty || v->n_rough ? v->ready_us : VIEW_NEVER;
}

/* A busy tile waits for its pace; one that no longer is, and was delivered as such, is delivered whole. */
static bool choose_tile(struct view *v, size_t t, bool busy, bool busy_due)
{
	if (is_busy(v, t))
		return busy && busy_due && !tile_box_is_empty(&v->dirty[t]);
	if (v->rough[t] && !busy) {
		struct tile_box whole = tile_box_whole(&v->grid, t);
		v->n_dirty += tile_box_is_empty(&v->dirty[t]);
		v->dirty[t] = whole;
	}
	return !busy && !tile_box_is_empty(&v->dirty[t]);
}

static void deliver(struct view *v, bool busy, bool busy_due)
{
	for (size_t t = 0; t < v->grid.n; t++)
		v->chosen[t] = choose_tile(v, t, busy, busy_due);
	size_t made = tiles_join(&v->grid, v->dirty, v->chosen, v->joined);
	for (size_t k = 0; k < made; k++) {
		const struct pixel_box *b = &v->joined[k].box;
		v->rects[v->n_rects++] = (struct view_rect){ (uint16_t)b->x0, (uint16_t)b->y0, (uint16_t)(b->x1 - b->x0), (uint16_t)(b->y1 - b->y0), busy };
	}
	for (size_t t = 0; t < v->grid.n; t++)
		if (v->chosen[t]) {
			v->dirty[t] = (struct tile_box){ 0 };
			v->n_dirty--;
			v->n_rough += (size_t)busy - v->rough[t];
			v->rough[t] = busy;
		}
}

bool view_take(struct view *v, int64_t now_us)
{
	v->n_rects = 0;
	if (now_us < view_next_us(v) || !v->grid.n)
		return false;
	bool busy_due = now_us >= v->busy_ready_us;
	view_tick(v, now_us);
	deliver(v, false, busy_due);
	size_t calm = v->n_rects;
	if (v->busy_interval_us)
		deliver(v, true, busy_due);
	if (v->n_rects > calm)
		v->busy_ready_us = now_us + v->busy_interval_us;
	if (v->n_rects) {
		v->taken_us = now_us;
		v->ready_us = now_us + v->interval_us;
	} else {
		/* busy tiles wait, or are not yet known to be calm */
		v->ready_us = busy_due ? now_us + v->busy_interval_us : v->busy_ready_us;
	}
	return v->n_rects > 0;
}
