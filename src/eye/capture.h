/*
 * capture: one round of fetching what changed: asks for the damaged region, then for pictures of the marked tiles, one piece of shared
 * memory after another, and compares them with the kept picture. Floor F3; never blocks: each step ends when the X server owes an answer.
 */
#ifndef EYE_CAPTURE_H
#define EYE_CAPTURE_H

#include "eye/link.h"
#include "eye/tiles.h"

#define CAPTURE_AREAS 128 /* of one step */

enum capture_step { CAPTURE_IDLE, CAPTURE_REGION, CAPTURE_PICTURES };

struct capture_area {
	struct pixel_box box;
	size_t offset; /* in the shared memory */
	unsigned int request;
};

struct capture {
	struct link *link;
	struct tile_grid grid;
	uint8_t *picture; /* what was captured, BGRX, the fourth byte 0 */
	size_t stride, picture_bytes;
	uint8_t *marked; /* for each tile: is to be fetched */
	size_t hint;
	enum capture_step step;
	int64_t began_us; /* when the present step's requests were sent */
	unsigned int region_request, pointer_request, cursor_request, geometry_request; /* 0: none */
	struct capture_area areas[CAPTURE_AREAS];
	size_t n_areas, next_area;
	/* results */
	bool failed; /* the X server refused a request: what was asked for is to be asked again */
	bool resized; /* to this size: capture_resize is due */
	unsigned new_width, new_height;
	bool moved, has_cursor;
	int x, y;
	xcb_xfixes_get_cursor_image_reply_t *cursor; /* with has_cursor: NULL after an error */
	uint8_t error, cursor_error; /* codes of errors: of the latest answer; of the cursor image */
	uint64_t bytes_read, bytes_changed, ns; /* of this round */
	void *arg;
	void (*on_tile)(void *arg, size_t tile, const struct tile_box *changed);
};

/* What a round is to ask for. */
struct capture_wish {
	bool region, pointer, cursor, geometry;
};

/* Another size: a black picture, all of which is marked. 0, -EFBIG or -ENOMEM. */
int capture_resize(struct capture *c, unsigned width, unsigned height);
void capture_done(struct capture *c);
void capture_mark_all(struct capture *c);

void capture_begin(struct capture *c, const struct capture_wish *w, int64_t now_us);
/* Reads answers and asks for more. True: something was read. The round is over when c->step is CAPTURE_IDLE. */
bool capture_continue(struct capture *c, int64_t now_us);

#endif
