/*
 * view: what one viewer of a display has not yet got: a dirty mask, a pace, and which tiles change all the time. Floor F3, pure: the caller
 * gives the time. Each view is independent of the others; a slow one costs memory for its mask and nothing more.
 *
 * A *busy* tile changed in at least half of the last 30 ticks of the view, as in a video. If the view has a pace for busy tiles, those wait
 * for it, and are delivered with `busy` set, so that the viewer may reduce their colours. Once such a tile is calm it is delivered again,
 * whole: a picture that stands still is exact.
 */
#ifndef EYE_VIEW_H
#define EYE_VIEW_H

#include "eye/tiles.h"

#define VIEW_NEVER INT64_MAX

struct view {
	struct tile_grid grid;
	int64_t interval_us, busy_interval_us; /* busy_interval_us 0: busy tiles are as the others */
	int64_t taken_us, ready_us, busy_ready_us, ticked_us;
	struct tile_box *dirty; /* for each tile; empty: clean */
	uint32_t *history;	/* for each tile, a bit for each tick, the latest lowest; NULL without busy_interval_us */
	bool *rough;		/* for each tile: its latest delivery was busy */
	size_t n_dirty, n_rough;
	bool *chosen;		  /* the tiles of one delivery */
	struct view_rect *rects; /* of the latest delivery */
	size_t n_rects;
	struct tile_rect *joined;
};

struct view_rect {
	uint16_t x, y, w, h;
	bool busy;
};

/* busy_fps 0: no pace of its own for busy tiles. The grid is set by view_resize. */
void view_init(struct view *v, unsigned fps, unsigned busy_fps);
void view_done(struct view *v);
void view_pace(struct view *v, unsigned fps, unsigned busy_fps); /* from now on */
/* A picture of another size, all of which is dirty. False: no memory, and the view is without tiles. */
bool view_resize(struct view *v, const struct tile_grid *g);
void view_all(struct view *v); /* all is dirty, and due at once */

/* Ticks pass: call before the marks of a capture. */
void view_tick(struct view *v, int64_t now_us);
void view_mark(struct view *v, size_t tile, const struct tile_box *b);

/* From when on the next change may be delivered. */
int64_t view_due_us(const struct view *v);
/* When view_take has something to deliver; VIEW_NEVER: not before the next mark. */
int64_t view_next_us(const struct view *v);
/* Puts what is due into v->rects and v->n_rects, in which it remains until the next call. False: nothing is due. */
bool view_take(struct view *v, int64_t now_us);

#endif
