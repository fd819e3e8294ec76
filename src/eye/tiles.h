/*
 * tiles: a picture divided into squares of 64×64 pixels: which of them are to be fetched, and the part of each that changed. Floor F3,
 * pure. Pixels are 32 bits, BGRX in memory; the fourth byte is ignored in what is compared, and 0 in what is kept.
 */
#ifndef EYE_TILES_H
#define EYE_TILES_H

#include "lucid/base.h"

#define TILE 64

struct tile_grid {
	unsigned width, height, columns, rows;
	size_t n;
};
void tile_grid_init(struct tile_grid *g, unsigned width, unsigned height);

struct pixel_box { /* x1 and y1 are exclusive */
	int x0, y0, x1, y1;
};

/* The part of a tile that changed, from its upper left corner. x1 is 0 if nothing changed. */
struct tile_box {
	uint8_t x0, y0, x1, y1;
};
static inline bool tile_box_is_empty(const struct tile_box *b)
{
	return b->x1 == 0;
}
void tile_box_add(struct tile_box *b, const struct tile_box *more);
/* All of the tile with this number; tiles at the right and lower edge are smaller. */
struct tile_box tile_box_whole(const struct tile_grid *g, size_t tile);

/* Marks the tiles that the rectangle touches. It may exceed the picture. */
void tiles_mark(const struct tile_grid *g, uint8_t *marked, int x, int y, unsigned w, unsigned h);

/* Removes a rectangle of marked tiles from the marks: the first run in reading order, and the same columns of the rows below. It has at most
 * max_pixels pixels, or is one tile. False: no tile is marked. `*hint` is 0 for the first call; tiles before it are known to be unmarked. */
bool tiles_take_area(const struct tile_grid *g, uint8_t *marked, size_t max_pixels, size_t *hint, struct pixel_box *ret);

/* Compares row y of a tile, w pixels, with those of the picture `kept`, copies what differs, and adds it to the box, which is empty before the
 * first row. */
void tile_compare_row(const uint32_t *seen, uint32_t *kept, unsigned w, unsigned y, struct tile_box *box);

struct tile_rect {
	struct pixel_box box;
	uint32_t changed; /* pixels of the boxes in it */
};
/* Joins the boxes of the chosen tiles to rectangles that do not overlap; `ret` has room for g->n. Returns their number. At most a third of
 * what they cover did not change.
 *
 * The picture is divided into strips of STRIP tiles, from top to bottom, and no rectangle is wider: compression finds text that scrolled, or a
 * window that moved, as few long matches, because the rows of rectangles have the same length from one frame to the next. Strips of one tile are
 * best for text, the whole width for windows that move sideways; three cost either little. */
#define STRIP 3
size_t tiles_join(const struct tile_grid *g, const struct tile_box *boxes, const bool *chosen, struct tile_rect *ret);

#endif
