#include "eye/eye.h"

#include <errno.h>
#include <stdio.h>

#include "eye/arrow.h"
#include "eye/capture.h"
#include "eye/view.h"
#include "lucid/clock.h"
#include "lucid/list.h"

#define EVENTS_AT_ONCE 1024 /* of a server that floods; the rest in the next turn */
#define CURSOR_SIDE_MAX 256 /* a larger one is not an image of a cursor that people see; the recording format has the same bound */

struct eye {
	struct link link;
	struct capture capture;
	struct capture_wish wish; /* for the next round: what events said */
	bool must_look;		  /* tiles are marked without an event */
	bool more;		  /* events were left in the queue */
	bool lost;
	struct list views;
	int64_t round_us;    /* when the latest round began */
	int64_t captured_us; /* when it ended */
	struct eye_figures figures;
	struct eye_cursor cursor;
	uint8_t *cursor_pixels;
	int x, y;
	char why_lost[EYE_WHY];
};

struct eye_view {
	struct list link;
	struct eye *eye;
	struct view view;
	struct eye_rect *rects;
	bool cursor, moved; /* has not yet got these */
};

/* --- open and close */

static void on_changed_tile(void *arg, size_t tile, const struct tile_box *changed)
{
	struct eye *e = arg;
	struct eye_view *v;
	LIST_FOREACH (v, &e->views, link)
		if (v->view.grid.n)
			view_mark(&v->view, tile, changed);
}

static bool size_view(struct eye_view *v)
{
	xfreep(&v->rects);
	v->rects = view_resize(&v->view, &v->eye->capture.grid) ? calloc(v->view.grid.n, sizeof *v->rects) : NULL;
	return v->rects != NULL;
}

static void lose(struct eye *e, const char *why)
{
	if (e->lost)
		return;
	e->lost = true;
	e->more = false;
	snprintf(e->why_lost, sizeof e->why_lost, "%s", why);
	e->capture.step = CAPTURE_IDLE;
	link_close(&e->link);
}

static void resize(struct eye *e, unsigned width, unsigned height)
{
	struct eye_view *v;
	int err = capture_resize(&e->capture, width, height);
	e->must_look = true;
	LIST_FOREACH (v, &e->views, link)
		if (!err && !size_view(v))
			err = -ENOMEM;
	if (err)
		lose(e, err == -EFBIG ? "the screen became too large to be captured" : "not enough memory for the new size of the screen");
}

/* Connects, and marks everything. The kept picture remains if it has the right size. */
static int eye_connect(struct eye *e, int x_fd, const uint8_t *cookie, char *why)
{
	int err = link_open(&e->link, x_fd, cookie, why, EYE_WHY);
	if (err)
		return err;
	e->lost = false;
	e->wish = (struct capture_wish){ .region = true, .pointer = true, .cursor = true };
	e->must_look = true;
	if (e->link.width != e->capture.grid.width || e->link.height != e->capture.grid.height)
		resize(e, e->link.width, e->link.height);
	else
		capture_mark_all(&e->capture);
	if (!e->lost)
		return 0;
	snprintf(why, EYE_WHY, "%s", e->why_lost);
	return -ENOMEM;
}

int eye_open(int x_fd, const uint8_t cookie[EYE_COOKIE], struct eye **ret, char why[EYE_WHY])
{
	struct eye *e = XNEW(struct eye);
	list_init(&e->views);
	e->capture.link = &e->link;
	e->capture.arg = e;
	e->capture.on_tile = on_changed_tile;
	e->round_us = INT64_MIN / 2;
	int err = eye_connect(e, x_fd, cookie, why);
	if (err)
		eye_free(e);
	else
		*ret = e;
	return err;
}

int eye_reopen(struct eye *e, int x_fd, const uint8_t cookie[EYE_COOKIE], char why[EYE_WHY])
{
	lose(e, "reopened");
	return eye_connect(e, x_fd, cookie, why);
}

void eye_free(struct eye *e)
{
	if (!e)
		return;
	struct eye_view *v, *next;
	LIST_FOREACH_SAFE (v, next, &e->views, link)
		eye_view_free(v);
	capture_done(&e->capture);
	link_close(&e->link);
	free(e->cursor_pixels);
	free(e);
}

/* --- when */

static bool wishes(const struct eye *e)
{
	return e->must_look || e->wish.region || e->wish.pointer || e->wish.cursor || e->wish.geometry;
}

/* From when on the fastest view takes what changes now. */
static int64_t due_us(const struct eye *e)
{
	int64_t due = EYE_NEVER;
	struct eye_view *v;
	LIST_FOREACH (v, &e->views, link)
		due = MIN(due, MAX(view_due_us(&v->view), e->round_us + v->view.interval_us));
	return due;
}

int eye_fd(const struct eye *e)
{
	return e->lost ? -1 : xcb_get_file_descriptor(e->link.c);
}

int64_t eye_next_us(const struct eye *e)
{
	int64_t next = EYE_NEVER;
	struct eye_view *v;
	if (e->more)
		return 0;
	if (e->capture.step != CAPTURE_IDLE)
		return EYE_NEVER; /* an answer wakes the caller */
	if (wishes(e) && !e->lost)
		next = due_us(e);
	LIST_FOREACH (v, &e->views, link)
		next = MIN(next, eye_view_next_us(v));
	return next;
}

const char *eye_lost(const struct eye *e)
{
	return e->lost ? e->why_lost : NULL;
}

int64_t eye_waits_since_us(const struct eye *e)
{
	return e->capture.step == CAPTURE_IDLE || e->lost ? EYE_NEVER : e->capture.began_us;
}

const struct eye_figures *eye_figures(const struct eye *e)
{
	return &e->figures;
}

/* --- events */

static void on_event(struct eye *e, const xcb_generic_event_t *event)
{
	uint8_t type = event->response_type & 0x7f;
	if (type == e->link.damage_event) {
		e->wish.region = e->wish.pointer = true;
	} else if (type == e->link.cursor_event) {
		e->wish.cursor = e->wish.pointer = true;
	} else if (type == XCB_CONFIGURE_NOTIFY) {
		const xcb_configure_notify_event_t *c = (const void *)event;
		if (c->window == e->link.root && (c->width != e->capture.grid.width || c->height != e->capture.grid.height))
			e->wish.geometry = true;
	} else if (type == XCB_GE_GENERIC && e->link.input_opcode && ((const xcb_ge_generic_event_t *)event)->extension == e->link.input_opcode) {
		e->wish.pointer = true;
	}
}

static bool read_events(struct eye *e, size_t *left)
{
	bool read = false;
	while (*left) {
		xcb_generic_event_t *event = xcb_poll_for_event(e->link.c);
		if (!event)
			break;
		on_event(e, event);
		free(event);
		read = true;
		--*left;
	}
	return read;
}

/* --- a round */

/* BadAccess: with the extension SECURITY, an X server does not show a cursor whose client is gone, such as xsetroot. Another error: there is no
 * cursor. */
static void keep_cursor(struct eye *e, const xcb_xfixes_get_cursor_image_reply_t *r)
{
	size_t pixels = r ? (size_t)r->width * r->height : 0;
	struct eye_view *v;
	if (r && (r->width > CURSOR_SIDE_MAX || r->height > CURSOR_SIDE_MAX || (size_t)r->length < pixels))
		return;
	free(e->cursor_pixels);
	if (!r && e->capture.cursor_error == XCB_ACCESS) {
		e->cursor_pixels = arrow_pixels();
		e->cursor = (struct eye_cursor){ 0, 0, ARROW_WIDTH, ARROW_HEIGHT, e->cursor_pixels };
	} else {
		e->cursor_pixels = xmalloc(MAX(pixels * 4, (size_t)1));
		if (pixels)
			memcpy(e->cursor_pixels, xcb_xfixes_get_cursor_image_cursor_image(r), pixels * 4);
		e->cursor = (struct eye_cursor){ 0, 0, 0, 0, e->cursor_pixels };
		if (pixels)
			e->cursor = (struct eye_cursor){ MIN(r->xhot, r->width), MIN(r->yhot, r->height), r->width, r->height, e->cursor_pixels };
	}
	LIST_FOREACH (v, &e->views, link)
		v->cursor = true;
}

static void keep_pointer(struct eye *e)
{
	struct eye_view *v;
	/* it can be out of the picture after a resize */
	int x = MAX(MIN(e->capture.x, (int)e->capture.grid.width - 1), 0), y = MAX(MIN(e->capture.y, (int)e->capture.grid.height - 1), 0);
	if (x == e->x && y == e->y)
		return;
	e->x = x;
	e->y = y;
	LIST_FOREACH (v, &e->views, link)
		v->moved = true;
}

static void end_round(struct eye *e, int64_t now_us)
{
	struct capture *c = &e->capture;
	struct eye_figures *f = &e->figures;
	f->captures++;
	f->late += due_us(e) < now_us;
	f->bytes_read += c->bytes_read;
	f->bytes_changed += c->bytes_changed;
	f->ns_sum += c->ns;
	f->ns_max = MAX(f->ns_max, c->ns);
	f->last_us = e->captured_us = now_us;
	if (c->moved)
		keep_pointer(e);
	if (c->has_cursor) {
		keep_cursor(e, c->cursor);
		free(c->cursor);
		c->cursor = NULL;
	}
	if (c->failed) { /* the size changed under it */
		e->wish.geometry = e->wish.region = true;
		e->must_look = true;
	}
	if (c->resized) {
		e->must_look = true;
		resize(e, c->new_width, c->new_height);
	}
}

static void begin_round(struct eye *e, int64_t now_us)
{
	struct eye_view *v;
	LIST_FOREACH (v, &e->views, link)
		view_tick(&v->view, now_us);
	struct capture_wish wish = e->wish;
	e->wish = (struct capture_wish){ 0 };
	e->must_look = false;
	e->round_us = now_us;
	capture_begin(&e->capture, &wish, now_us);
}

void eye_run(struct eye *e, int64_t now_us)
{
	size_t left = EVENTS_AT_ONCE;
	bool again;
	if (e->lost)
		return;
	/* libxcb reads events while it looks for a reply, and the reverse, so that the socket no longer tells of them */
	do {
		again = read_events(e, &left);
		if (e->capture.step != CAPTURE_IDLE) {
			again |= capture_continue(&e->capture, now_us);
			if (e->capture.step == CAPTURE_IDLE)
				end_round(e, now_us);
		}
		if (!e->lost && e->capture.step == CAPTURE_IDLE && wishes(e) && due_us(e) <= now_us) {
			begin_round(e, now_us);
			again = true;
		}
		if (!e->lost && xcb_connection_has_error(e->link.c))
			lose(e, "the connection to the X server was closed: by the X server, which ended, or by a program on the desktop");
	} while (again && left && !e->lost);
	e->more = !left && !e->lost;
}

/* --- views */

struct eye_view *eye_view_new(struct eye *e, unsigned max_fps, unsigned busy_fps)
{
	struct eye_view *v = XNEW(struct eye_view);
	v->eye = e;
	view_init(&v->view, max_fps, busy_fps);
	list_append(&e->views, &v->link);
	v->cursor = e->cursor_pixels != NULL;
	v->moved = true;
	if (!size_view(v))
		lose(e, "not enough memory for another view");
	e->must_look = true; /* for a view that begins between events, what was not captured while there was none */
	return v;
}

void eye_view_free(struct eye_view *v)
{
	if (!v)
		return;
	list_remove(&v->link);
	view_done(&v->view);
	free(v->rects);
	free(v);
}

void eye_view_pace(struct eye_view *v, unsigned max_fps, unsigned busy_fps)
{
	view_pace(&v->view, max_fps, busy_fps);
}

void eye_view_all(struct eye_view *v)
{
	view_all(&v->view);
	v->cursor = v->eye->cursor_pixels != NULL;
	v->moved = true;
}

int64_t eye_view_next_us(const struct eye_view *v)
{
	int64_t next = view_next_us(&v->view);
	return v->cursor || v->moved ? MIN(next, view_due_us(&v->view)) : next;
}

bool eye_view_take(struct eye_view *v, int64_t now_us, struct eye_frame *ret)
{
	struct eye *e = v->eye;
	const struct capture *c = &e->capture;
	/* within a round, or before the first, the picture has old and new parts; after a loss, what was captured is still delivered */
	if (c->step != CAPTURE_IDLE || (e->must_look && !e->lost) || !v->rects || now_us < eye_view_next_us(v))
		return false;
	/* its pace counts from the begin of the round, so that the duration of rounds does not lower the rate */
	int64_t at = now_us - e->round_us < v->view.interval_us ? MAX(e->round_us, eye_view_next_us(v)) : now_us;
	bool pixels = view_take(&v->view, at);
	if (!pixels && !v->cursor && !v->moved)
		return false;
	*ret = (struct eye_frame){ .captured_us = e->captured_us, .width = c->grid.width, .height = c->grid.height, .stride = c->stride,
				   .picture = c->picture, .rects = v->rects, .n = v->view.n_rects, .cursor = v->cursor ? &e->cursor : NULL,
				   .moved = v->moved, .x = e->x, .y = e->y };
	for (size_t i = 0; i < v->view.n_rects; i++) {
		const struct view_rect *r = &v->view.rects[i];
		v->rects[i] = (struct eye_rect){ r->x, r->y, r->w, r->h, r->busy, c->picture + r->y * c->stride + (size_t)r->x * 4 };
		ret->changed += (uint64_t)r->w * r->h;
	}
	if (!pixels)
		v->view.taken_us = at;
	v->cursor = v->moved = false;
	return true;
}
