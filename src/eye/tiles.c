#include "eye/tiles.h"

typedef uint32_t pixels4 __attribute__((vector_size(16), aligned(4), may_alias));
#define RGB 0x00ffffffu /* without the unused byte; all machines that this program runs on are little-endian */

void tile_grid_init(struct tile_grid *g, unsigned width, unsigned height)
{
	*g = (struct tile_grid){ width, height, (width + TILE - 1) / TILE, (height + TILE - 1) / TILE, 0 };
	g->n = (size_t)g->columns * g->rows;
}

void tile_box_add(struct tile_box *b, const struct tile_box *more)
{
	if (tile_box_is_empty(more))
		return;
	if (tile_box_is_empty(b)) {
		*b = *more;
		return;
	}
	b->x0 = MIN(b->x0, more->x0);
	b->y0 = MIN(b->y0, more->y0);
	b->x1 = MAX(b->x1, more->x1);
	b->y1 = MAX(b->y1, more->y1);
}

struct tile_box tile_box_whole(const struct tile_grid *g, size_t tile)
{
	unsigned x = (unsigned)(tile % g->columns) * TILE, y = (unsigned)(tile / g->columns) * TILE;
	return (struct tile_box){ 0, 0, (uint8_t)MIN(g->width - x, (unsigned)TILE), (uint8_t)MIN(g->height - y, (unsigned)TILE) };
}

/* --- what is to be fetched */

void tiles_mark(const struct tile_grid *g, uint8_t *marked, int x, int y, unsigned w, unsigned h)
{
	int64_t x1 = MIN((int64_t)x + w, (int64_t)g->width), y1 = MIN((int64_t)y + h, (int64_t)g->height);
	x = MAX(x, 0);
	y = MAX(y, 0);
	if (x >= x1 || y >= y1)
		return;
	size_t first = (size_t)x / TILE, last = (size_t)(x1 - 1) / TILE;
	for (size_t row = (size_t)y / TILE; row <= (size_t)(y1 - 1) / TILE; row++)
		memset(marked + row * g->columns + first, 1, last - first + 1);
}

static bool all_marked(const uint8_t *marked, size_t n)
{
	return memchr(marked, 0, n) == NULL;
}

bool tiles_take_area(const struct tile_grid *g, uint8_t *marked, size_t max_pixels, size_t *hint, struct pixel_box *ret)
{
	const uint8_t *found = *hint < g->n ? memchr(marked + *hint, 1, g->n - *hint) : NULL;
	if (!found)
		return false;
	size_t at = (size_t)(found - marked), row = at / g->columns, column = at % g->columns;
	size_t most = MAX(max_pixels / (TILE * TILE), (size_t)1), wide = 1, high = 1;
	while (column + wide < g->columns && wide < most && marked[at + wide])
		wide++;
	while (row + high < g->rows && wide * (high + 1) <= most && all_marked(marked + at + high * g->columns, wide))
		high++;
	for (size_t k = 0; k < high; k++)
		memset(marked + at + k * g->columns, 0, wide);
	*hint = at + wide;
	*ret = (struct pixel_box){ (int)column * TILE, (int)row * TILE, (int)MIN((column + wide) * TILE, g->width),
				   (int)MIN((row + high) * TILE, g->height) };
	return true;
}

/* --- what changed */

static bool row_differs(const uint32_t *a, const uint32_t *b, unsigned n)
{
	pixels4 diff = { 0 };
	unsigned i = 0;
	for (; i + 4 <= n; i += 4)
		diff |= *(const pixels4 *)(a + i) ^ *(const pixels4 *)(b + i);
	uint32_t rest = 0;
	for (; i < n; i++)
		rest |= a[i] ^ b[i];
	return ((diff[0] | diff[1] | diff[2] | diff[3] | rest) & RGB) != 0;
}

static void row_keep(const uint32_t *seen, uint32_t *kept, unsigned n)
{
	const pixels4 rgb = { RGB, RGB, RGB, RGB };
	unsigned i = 0;
	for (; i + 4 <= n; i += 4)
		*(pixels4 *)(kept + i) = *(const pixels4 *)(seen + i) & rgb;
	for (; i < n; i++)
		kept[i] = seen[i] & RGB;
}

void tile_compare_row(const uint32_t *seen, uint32_t *kept, unsigned w, unsigned y, struct tile_box *box)
{
	if (!row_differs(seen, kept, w))
		return;
	unsigned x0 = tile_box_is_empty(box) ? w : box->x0, x1 = box->x1, left = 0, right = w;
	while (left < x0 && !((seen[left] ^ kept[left]) & RGB))
		left++;
	while (right > x1 && !((seen[right - 1] ^ kept[right - 1]) & RGB))
		right--;
	x0 = MIN(x0, left);
	x1 = MAX(x1, right);
	row_keep(seen + x0, kept + x0, x1 - x0);
	*box = (struct tile_box){ (uint8_t)x0, tile_box_is_empty(box) ? (uint8_t)y : box->y0, (uint8_t)x1, (uint8_t)(y + 1) };
}

/* --- rectangles */

static int64_t area_of(const struct pixel_box *b)
{
	return (int64_t)(b->x1 - b->x0) * (b->y1 - b->y0);
}

/* One rectangle around both, if that adds few unchanged pixels. */
static bool join(struct tile_rect *a, const struct tile_rect *b)
{
	struct pixel_box both = { MIN(a->box.x0, b->box.x0), MIN(a->box.y0, b->box.y0), MAX(a->box.x1, b->box.x1), MAX(a->box.y1, b->box.y1) };
	int64_t changed = (int64_t)a->changed + b->changed;
	if (area_of(&both) > changed + changed / 2)
		return false;
	*a = (struct tile_rect){ both, (uint32_t)changed };
	return true;
}

static struct tile_rect tile_place(const struct tile_grid *g, const struct tile_box *b, size_t tile)
{
	int x = (int)(tile % g->columns) * TILE, y = (int)(tile / g->columns) * TILE;
	return (struct tile_rect){ { x + b->x0, y + b->y0, x + b->x1, y + b->y1 }, (uint32_t)(b->x1 - b->x0) * (uint32_t)(b->y1 - b->y0) };
}

/* A rectangle with the same left and right edge that ends in the row of tiles above, joined to this one. */
static bool join_above(struct tile_rect *above, size_t n, const struct tile_rect *r)
{
	for (size_t k = 0; k < n; k++) {
		const struct pixel_box *a = &above[k].box, *b = &r->box;
		if (a->x0 == b->x0 && a->x1 == b->x1 && (a->y1 - 1) / TILE == b->y0 / TILE - 1)
			return join(&above[k], r);
	}
	return false;
}

/* One row of tiles of a strip: runs of chosen tiles. */
static size_t join_row(const struct tile_grid *g, const struct tile_box *boxes, const bool *chosen, size_t first, size_t end, struct tile_rect *ret)
{
	size_t made = 0;
	bool open = false;
	for (size_t t = first; t < end; t++) {
		if (chosen[t]) {
			struct tile_rect r = tile_place(g, &boxes[t], t);
			if (!open || !join(&ret[made - 1], &r))
				ret[made++] = r;
		}
		open = chosen[t];
	}
	return made;
}

size_t tiles_join(const struct tile_grid *g, const struct tile_box *boxes, const bool *chosen, struct tile_rect *ret)
{
	size_t made = 0;
	for (size_t left = 0; left < g->columns; left += STRIP) {
		size_t above = made; /* where the rectangles of the row above, and those joined to it, begin */
		for (size_t row = 0; row < g->rows; row++) {
			size_t first = row * g->columns + left, end = row * g->columns + MIN(left + STRIP, (size_t)g->columns);
			struct tile_rect runs[STRIP];
			size_t n = join_row(g, boxes, chosen, first, end, runs), before = made;
			for (size_t k = 0; k < n; k++)
				if (!join_above(ret + above, before - above, &runs[k]))
					ret[made++] = runs[k];
			above = made - MIN(made - above, (size_t)2 * STRIP);
		}
	}
	return made;
}
