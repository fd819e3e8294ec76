#include "eye/capture.h"

#include <errno.h>
#include <sys/mman.h>
#include <xcb/xcbext.h>

#include "lucid/clock.h"

/* --- size */

void capture_done(struct capture *c)
{
	if (c->picture)
		munmap(c->picture, c->picture_bytes);
	c->picture = NULL;
	xfreep(&c->marked);
	free(c->cursor);
	c->cursor = NULL;
	c->grid = (struct tile_grid){ 0 };
}

void capture_mark_all(struct capture *c)
{
	memset(c->marked, 1, c->grid.n);
	c->hint = 0;
}

int capture_resize(struct capture *c, unsigned width, unsigned height)
{
	capture_done(c); /* before the new one is allocated, so that memory never has two */
	c->resized = false;
	if (!link_size_ok(width, height))
		return -EFBIG;
	tile_grid_init(&c->grid, width, height);
	c->stride = (size_t)width * 4;
	c->picture_bytes = c->stride * height;
	void *picture = mmap(NULL, c->picture_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	c->picture = picture == MAP_FAILED ? NULL : picture;
	c->marked = calloc(c->grid.n, 1);
	if (!c->picture || !c->marked) {
		capture_done(c);
		return -ENOMEM;
	}
	capture_mark_all(c);
	return 0;
}

/* --- requests */

/* As many areas as fit in the shared memory; without it, as many as bounds what the socket has to carry. */
static void ask_for_pictures(struct capture *c, int64_t now_us)
{
	struct link *l = c->link;
	size_t used = 0;
	struct pixel_box b;
	c->n_areas = c->next_area = 0;
	while (c->n_areas < CAPTURE_AREAS) {
		size_t room = (LINK_MEMORY - used) / 4;
		/* one tile row of the widest screen fits, so that an area is at least a run of tiles */
		if (room < TILE * TILE || !tiles_take_area(&c->grid, c->marked, room, &c->hint, &b))
			break;
		uint16_t w = (uint16_t)(b.x1 - b.x0), h = (uint16_t)(b.y1 - b.y0);
		struct capture_area *a = &c->areas[c->n_areas++];
		*a = (struct capture_area){ b, used, 0 };
		if (l->memory)
			a->request = xcb_shm_get_image(l->c, l->root, (int16_t)b.x0, (int16_t)b.y0, w, h, ~0u, XCB_IMAGE_FORMAT_Z_PIXMAP, l->segment, (uint32_t)used).sequence;
		else
			a->request = xcb_get_image(l->c, XCB_IMAGE_FORMAT_Z_PIXMAP, l->root, (int16_t)b.x0, (int16_t)b.y0, w, h, ~0u).sequence;
		used += (format_stride(&l->format, w) * h + 63) & ~(size_t)63;
	}
	c->step = c->n_areas ? CAPTURE_PICTURES : CAPTURE_IDLE;
	c->began_us = now_us;
	if (c->n_areas)
		xcb_flush(l->c);
}

void capture_begin(struct capture *c, const struct capture_wish *w, int64_t now_us)
{
	struct link *l = c->link;
	c->failed = c->moved = c->has_cursor = false;
	c->bytes_read = c->bytes_changed = c->ns = 0;
	c->region_request = c->pointer_request = c->cursor_request = c->geometry_request = 0;
	c->hint = 0;
	if (w->geometry)
		c->geometry_request = xcb_get_geometry(l->c, l->root).sequence;
	if (w->region) {
		/* in this order: what is drawn after the region was taken away causes another event */
		xcb_damage_subtract(l->c, l->damage, XCB_NONE, l->region);
		c->region_request = xcb_xfixes_fetch_region(l->c, l->region).sequence;
	}
	if (w->pointer)
		c->pointer_request = xcb_query_pointer(l->c, l->root).sequence;
	if (w->cursor)
		c->cursor_request = xcb_xfixes_get_cursor_image(l->c).sequence;
	c->step = CAPTURE_REGION;
	c->began_us = now_us;
	xcb_flush(l->c);
}

/* --- answers */

/* True: *ret is the reply, or NULL with the code of an error in c->error, and *request is 0. False: not yet. */
static bool answer(struct capture *c, unsigned int *request, void **ret)
{
	xcb_generic_error_t *err = NULL;
	*ret = NULL;
	if (!xcb_poll_for_reply(c->link->c, *request, ret, &err))
		return false;
	*request = 0;
	c->error = err ? err->error_code : 0;
	free(err);
	return true;
}

/* Each of these takes over the reply. */
static void take_geometry(struct capture *c, void *reply)
{
	const xcb_get_geometry_reply_t *r = reply;
	if (r->width != c->grid.width || r->height != c->grid.height) {
		c->resized = true;
		c->new_width = r->width;
		c->new_height = r->height;
	}
	free(reply);
}

static void take_region(struct capture *c, void *reply)
{
	const xcb_xfixes_fetch_region_reply_t *r = reply;
	const xcb_rectangle_t *rects = xcb_xfixes_fetch_region_rectangles(r);
	for (int i = 0; i < xcb_xfixes_fetch_region_rectangles_length(r); i++)
		tiles_mark(&c->grid, c->marked, rects[i].x, rects[i].y, rects[i].width, rects[i].height);
	free(reply);
}

static void take_pointer(struct capture *c, void *reply)
{
	const xcb_query_pointer_reply_t *r = reply;
	c->moved = true;
	c->x = r->root_x;
	c->y = r->root_y;
	free(reply);
}

static void take_cursor(struct capture *c, void *reply)
{
	free(c->cursor);
	c->cursor = reply;
	c->has_cursor = true;
	c->cursor_error = reply ? 0 : c->error;
}

static bool continue_region(struct capture *c, int64_t now_us)
{
	const struct {
		unsigned int *request;
		void (*take)(struct capture *c, void *reply);
	} asked[] = { /* answers come in the order of the requests */
		{ &c->geometry_request, take_geometry }, { &c->region_request, take_region },
		{ &c->pointer_request, take_pointer },	 { &c->cursor_request, take_cursor },
	};
	bool read = false;
	for (size_t i = 0; i < ARRAY_LEN(asked); i++) {
		void *reply;
		if (!*asked[i].request)
			continue;
		if (!answer(c, asked[i].request, &reply))
			return read;
		read = true;
		if (reply || asked[i].take == take_cursor)
			asked[i].take(c, reply);
		else if (asked[i].take == take_region)
			c->failed = true;
	}
	if (c->failed || c->resized)
		c->step = CAPTURE_IDLE;
	else
		ask_for_pictures(c, now_us);
	return true;
}

/* --- comparison */

/* One row of an area, which both pictures have in sequence: a comparison tile by tile would leave most of the time to memory. */
static void compare_row(struct capture *c, const struct pixel_box *b, int y, const uint8_t *seen, struct tile_box *changed)
{
	uint32_t converted[TILE];
	const struct eye_format *f = &c->link->format;
	uint32_t *kept = (void *)(c->picture + (size_t)y * c->stride);
	for (int x = b->x0; x < b->x1; x += TILE) {
		unsigned w = (unsigned)MIN(b->x1 - x, TILE);
		const uint32_t *pixels = (const void *)seen;
		if (!f->is_bgrx) {
			format_row(f, seen, converted, w);
			pixels = converted;
		}
		tile_compare_row(pixels, kept + x, w, (unsigned)(y % TILE), &changed[x / TILE]);
		seen += (size_t)w * f->bits / 8;
	}
}

/* Tells of the tiles of one row that changed. */
static void tell_row(struct capture *c, const struct pixel_box *b, int y, const struct tile_box *changed)
{
	size_t first = (size_t)y / TILE * c->grid.columns;
	for (int column = b->x0 / TILE; column * TILE < b->x1; column++) {
		const struct tile_box *t = &changed[column];
		if (tile_box_is_empty(t))
			continue;
		c->bytes_changed += (uint64_t)(t->x1 - t->x0) * (unsigned)(t->y1 - t->y0) * 4;
		c->on_tile(c->arg, first + (size_t)column, t);
	}
}

static void compare_area(struct capture *c, const struct pixel_box *b, const uint8_t *seen)
{
	struct tile_box changed[(INT16_MAX + TILE) / TILE];
	size_t stride = format_stride(&c->link->format, (unsigned)(b->x1 - b->x0));
	for (int y = b->y0; y < b->y1; y += TILE) {
		int end = MIN(y + TILE, b->y1);
		memset(changed, 0, c->grid.columns * sizeof *changed);
		for (int row = y; row < end; row++, seen += stride)
			compare_row(c, b, row, seen, changed);
		tell_row(c, b, y, changed);
	}
	c->bytes_read += stride * (size_t)(b->y1 - b->y0);
}

/* The pixels of an answer that came over the socket; NULL if there are too few. */
static const uint8_t *pixels_of(struct capture *c, const struct pixel_box *b, const xcb_get_image_reply_t *r)
{
	size_t need = format_stride(&c->link->format, (unsigned)(b->x1 - b->x0)) * (size_t)(b->y1 - b->y0);
	return (size_t)r->length * 4 >= need ? (const uint8_t *)(r + 1) : NULL;
}

static bool continue_pictures(struct capture *c, int64_t now_us)
{
	bool read = false;
	for (; c->next_area < c->n_areas; c->next_area++) {
		struct capture_area *a = &c->areas[c->next_area];
		void *r;
		if (!answer(c, &a->request, &r))
			return read;
		read = true;
		const uint8_t *pixels = !r ? NULL : c->link->memory ? c->link->memory + a->offset : pixels_of(c, &a->box, r);
		int64_t t0 = clock_mono_ns();
		if (pixels)
			compare_area(c, &a->box, pixels);
		else /* the screen became smaller; what is asked for again includes its size */
			c->failed = true;
		if (c->failed)
			tiles_mark(&c->grid, c->marked, a->box.x0, a->box.y0, (unsigned)(a->box.x1 - a->box.x0), (unsigned)(a->box.y1 - a->box.y0));
		c->ns += (uint64_t)(clock_mono_ns() - t0);
		free(r);
	}
	if (c->failed)
		c->step = CAPTURE_IDLE;
	else
		ask_for_pictures(c, now_us);
	return true;
}

bool capture_continue(struct capture *c, int64_t now_us)
{
	switch (c->step) {
	case CAPTURE_REGION:
		return continue_region(c, now_us);
	case CAPTURE_PICTURES:
		return continue_pictures(c, now_us);
	case CAPTURE_IDLE:
		break;
	}
	return false;
}
