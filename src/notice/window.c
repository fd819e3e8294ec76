#include "notice/window.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "notice/picture.h"

#define IGNORE_MS 600 /* a click or key that was meant for the window below must not close the message unseen */
#define KEEP_MS 200   /* between two looks at the order of windows */
#define KEEP_MORE_MS 40 /* longer after each correction, so that two programs that both want to be on top do not flicker */
#define CASCADE 50    /* pixels at 96 dpi by which a window is below the one before */

enum { KEY_RETURN = 0xff0d, KEY_ESCAPE = 0xff1b, KEY_KEYPAD_ENTER = 0xff8d };

static int64_t now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_BOOTTIME, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* --- contents and place */

/* Sends the picture in pieces that fit a request. */
static xcb_pixmap_t upload(struct window *w, const struct picture *p)
{
	struct screen *s = &w->screen;
	xcb_pixmap_t pixmap = xcb_generate_id(s->c);
	xcb_gcontext_t gc = xcb_generate_id(s->c);
	xcb_create_pixmap(s->c, s->root->root_depth, pixmap, s->root->root, (uint16_t)p->width, (uint16_t)p->height);
	xcb_create_gc(s->c, gc, pixmap, 0, NULL);
	size_t stride = pixel_stride(&s->format, (unsigned)p->width);
	int rows = (int)((s->request_max - 64) / stride);
	rows = rows < 1 ? 1 : rows > p->height ? p->height : rows;
	unsigned char *data = malloc((size_t)rows * stride);
	for (int y = 0; data && y < p->height; y += rows) {
		int n = p->height - y < rows ? p->height - y : rows;
		for (int k = 0; k < n; k++)
			pixel_row(&s->format, p->rgb + (size_t)(y + k) * (size_t)p->stride, (unsigned)p->width, data + (size_t)k * stride);
		xcb_put_image(s->c, XCB_IMAGE_FORMAT_Z_PIXMAP, pixmap, gc, (uint16_t)p->width, (uint16_t)n, 0, (int16_t)y, 0,
			      s->root->root_depth, (uint32_t)((size_t)n * stride), data);
	}
	free(data);
	xcb_free_gc(s->c, gc);
	return pixmap;
}

/* In the upper part of the monitor; a newer one a little lower, so that the headings of older ones stay visible. */
static struct area place_of(const struct window *w, const struct area *monitor, const struct picture *p, double dpi)
{
	int y = monitor->height / 10 + (int)(w->place * CASCADE * dpi / 96), lowest = monitor->height - p->height;
	y = y > lowest ? lowest : y;
	return (struct area){ monitor->x + (monitor->width - p->width) / 2, monitor->y + (y < 0 ? 0 : y), p->width, p->height };
}

/* Draws it for the present size of the screen, and creates or moves the window. 0, or an exit code. */
static int window_draw(struct window *w)
{
	struct screen *s = &w->screen;
	struct area monitor = screen_monitor(s);
	double dpi = screen_dpi(s);
	const struct picture_request r = { (enum notice_level)w->in->level, w->text, w->in->bytes, dpi, monitor.width, monitor.height };
	struct picture p;
	alarm(0); /* the X server has answered; fonts may take longer, within the supervisor's deadline */
	int err = picture_make(&r, &p);
	alarm(NOTICE_X_SECONDS);
	if (err)
		return err;
	struct area a = place_of(w, &monitor, &p, dpi);
	xcb_pixmap_t pixmap = upload(w, &p);
	if (!w->id) {
		const uint32_t values[] = { pixmap, 1, XCB_EVENT_MASK_BUTTON_PRESS | XCB_EVENT_MASK_BUTTON_RELEASE | XCB_EVENT_MASK_KEY_PRESS };
		w->id = xcb_generate_id(s->c);
		xcb_create_window(s->c, XCB_COPY_FROM_PARENT, w->id, s->root->root, (int16_t)a.x, (int16_t)a.y, (uint16_t)a.width, (uint16_t)a.height,
				  0, XCB_WINDOW_CLASS_INPUT_OUTPUT, XCB_COPY_FROM_PARENT,
				  XCB_CW_BACK_PIXMAP | XCB_CW_OVERRIDE_REDIRECT | XCB_CW_EVENT_MASK, values);
	} else {
		const uint32_t place[] = { (uint32_t)a.x, (uint32_t)a.y, (uint32_t)a.width, (uint32_t)a.height };
		xcb_change_window_attributes(s->c, w->id, XCB_CW_BACK_PIXMAP, &pixmap);
		xcb_configure_window(s->c, w->id, XCB_CONFIG_WINDOW_X | XCB_CONFIG_WINDOW_Y | XCB_CONFIG_WINDOW_WIDTH | XCB_CONFIG_WINDOW_HEIGHT, place);
		xcb_clear_area(s->c, 0, w->id, 0, 0, 0, 0);
	}
	xcb_free_pixmap(s->c, pixmap);
	w->missing = p.missing;
	picture_done(&p);
	return 0;
}

/* --- opening */

static void set_properties(struct window *w)
{
	static const char name[] = "Message", class[] = "lucid-rdp-notice\0Lucid-rdp-notice";
	struct screen *s = &w->screen;
	xcb_atom_t type = screen_atom(s, "_NET_WM_WINDOW_TYPE"), notification = screen_atom(s, "_NET_WM_WINDOW_TYPE_NOTIFICATION");
	xcb_change_property(s->c, XCB_PROP_MODE_REPLACE, w->id, XCB_ATOM_WM_NAME, XCB_ATOM_STRING, 8, sizeof name - 1, name);
	xcb_change_property(s->c, XCB_PROP_MODE_REPLACE, w->id, XCB_ATOM_WM_CLASS, XCB_ATOM_STRING, 8, sizeof class, class);
	xcb_change_property(s->c, XCB_PROP_MODE_REPLACE, w->id, type, XCB_ATOM_ATOM, 32, 1, &notification);
	xcb_change_property(s->c, XCB_PROP_MODE_REPLACE, w->id, w->stack.mark, XCB_ATOM_CARDINAL, 32, 1, &w->made);
}

static bool is_shown(struct window *w)
{
	xcb_get_window_attributes_reply_t *r = xcb_get_window_attributes_reply(w->screen.c, xcb_get_window_attributes(w->screen.c, w->id), NULL);
	bool shown = r && r->map_state == XCB_MAP_STATE_VIEWABLE;
	free(r);
	return shown;
}

int window_open(struct window *w, int fd, const struct notice_input *in, const char *text)
{
	struct screen *s = &w->screen;
	*w = (struct window){ .in = in, .text = text, .made = stack_now() };
	w->stack.screen = s;
	int err = screen_open(s, fd, in->cookie, sizeof in->cookie);
	if (err)
		return err;
	w->stack.mark = screen_atom(s, "_LUCID_RDP_NOTICE");
	w->place = stack_make_room(&w->stack);
	err = window_draw(w);
	if (err)
		return err;
	const uint32_t of_root = XCB_EVENT_MASK_SUBSTRUCTURE_NOTIFY | XCB_EVENT_MASK_STRUCTURE_NOTIFY, raise = XCB_STACK_MODE_ABOVE;
	set_properties(w);
	xcb_change_window_attributes(s->c, s->root->root, XCB_CW_EVENT_MASK, &of_root);
	xcb_configure_window(s->c, w->id, XCB_CONFIG_WINDOW_STACK_MODE, &raise);
	xcb_map_window(s->c, w->id);
	return is_shown(w) ? 0 : NOTICE_X_REFUSED;
}

/* --- events */

struct watching {
	struct window *w;
	int64_t accept_from_ms; /* clicks and keys before are ignored */
	int64_t keep_ms;	/* when the order is looked at next; 0: nothing changed */
	int corrections;	/* of the order */
	bool pressed, resized, closed;
};

static bool key_closes(struct window *w, xcb_keycode_t code)
{
	xcb_get_keyboard_mapping_reply_t *r = xcb_get_keyboard_mapping_reply(w->screen.c, xcb_get_keyboard_mapping(w->screen.c, code, 1), NULL);
	bool closes = false;
	if (r) {
		const xcb_keysym_t *syms = xcb_get_keyboard_mapping_keysyms(r);
		for (int n = 0; n < xcb_get_keyboard_mapping_keysyms_length(r); n++)
			closes |= syms[n] == KEY_RETURN || syms[n] == KEY_ESCAPE || syms[n] == KEY_KEYPAD_ENTER;
	}
	free(r);
	return closes;
}

/* Events of the root window's children mean that the order may have changed; those of the root window itself, its size. */
static void on_structure(struct watching *x, const xcb_generic_event_t *e)
{
	const xcb_configure_notify_event_t *c = (const void *)e;
	bool configured = (e->response_type & 0x7f) == XCB_CONFIGURE_NOTIFY;
	if (configured && c->window == x->w->screen.root->root)
		x->resized = true;
	if (!x->keep_ms && !(configured && c->window == x->w->id))
		x->keep_ms = now_ms() + KEEP_MS + x->corrections * KEEP_MORE_MS;
}

static void on_event(struct watching *x, const xcb_generic_event_t *e)
{
	bool accepts = now_ms() >= x->accept_from_ms;
	switch (e->response_type & 0x7f) {
	case XCB_BUTTON_PRESS:
		x->pressed = accepts && ((const xcb_button_press_event_t *)(const void *)e)->detail <= 3; /* not the wheel */
		break;
	case XCB_BUTTON_RELEASE:
		x->closed |= x->pressed;
		break;
	case XCB_KEY_PRESS:
		x->closed |= accepts && key_closes(x->w, ((const xcb_key_press_event_t *)(const void *)e)->detail);
		break;
	case XCB_DESTROY_NOTIFY:
		x->closed |= ((const xcb_destroy_notify_event_t *)(const void *)e)->window == x->w->id;
		break;
	case XCB_MAP_NOTIFY:
	case XCB_CONFIGURE_NOTIFY:
	case XCB_CIRCULATE_NOTIFY:
	case XCB_REPARENT_NOTIFY:
		on_structure(x, e);
		break;
	}
}

/* What events asked for, at most every KEEP_MS, because a window that is moved causes hundreds a second. */
static void keep_in_place(struct watching *x, int64_t now)
{
	if (!x->keep_ms || now < x->keep_ms)
		return;
	x->keep_ms = 0;
	if (x->resized)
		window_draw(x->w);
	x->resized = false;
	x->corrections += stack_keep(&x->w->stack, x->w->id, x->w->made);
}

int window_run(struct window *w)
{
	xcb_connection_t *c = w->screen.c;
	int64_t now = now_ms(), until = now + (int64_t)w->in->seconds * 1000;
	struct watching x = { .w = w, .accept_from_ms = now + IGNORE_MS, .keep_ms = now + KEEP_MS };
	while (!x.closed && !xcb_connection_has_error(c) && (now = now_ms()) < until) {
		xcb_generic_event_t *e;
		/* a server that does not answer must not keep the program longer than its time */
		alarm((unsigned)((until - now) / 1000) + NOTICE_X_SECONDS);
		while (!x.closed && (e = xcb_poll_for_event(c))) {
			on_event(&x, e);
			free(e);
		}
		keep_in_place(&x, now);
		xcb_flush(c);
		struct pollfd p = { .fd = xcb_get_file_descriptor(c), .events = POLLIN };
		int64_t wait = (x.keep_ms && x.keep_ms < until ? x.keep_ms : until) - now_ms();
		if (!x.closed)
			poll(&p, 1, wait > 0 ? (int)wait : 0);
	}
	return NOTICE_OK;
}
