#include "notice/screen.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xcb/randr.h>

#include "host/message/notice_wire.h"

#define RESOURCES_MAX 65536
#define DPI_MIN 72
#define DPI_MAX 384

static const xcb_visualtype_t *visual_of(const xcb_screen_t *root)
{
	for (xcb_depth_iterator_t d = xcb_screen_allowed_depths_iterator(root); d.rem; xcb_depth_next(&d))
		for (xcb_visualtype_iterator_t v = xcb_depth_visuals_iterator(d.data); v.rem; xcb_visualtype_next(&v))
			if (v.data->visual_id == root->root_visual)
				return v.data;
	return NULL;
}

/* Of the root window's visual, which must have fixed colours. */
static bool read_format(struct screen *s)
{
	const xcb_setup_t *setup = xcb_get_setup(s->c);
	const xcb_visualtype_t *v = visual_of(s->root);
	if (!v || (v->_class != XCB_VISUAL_CLASS_TRUE_COLOR && v->_class != XCB_VISUAL_CLASS_DIRECT_COLOR))
		return false;
	s->format = (struct pixel_format){ v->red_mask, v->green_mask, v->blue_mask, 0, 0, setup->image_byte_order == XCB_IMAGE_ORDER_MSB_FIRST };
	for (xcb_format_iterator_t f = xcb_setup_pixmap_formats_iterator(setup); f.rem; xcb_format_next(&f))
		if (f.data->depth == s->root->root_depth) {
			s->format.bits = f.data->bits_per_pixel;
			s->format.pad = f.data->scanline_pad;
		}
	return pixel_format_ok(&s->format);
}

int screen_open(struct screen *s, int fd, const unsigned char *cookie, size_t cookie_len)
{
	static char name[] = "MIT-MAGIC-COOKIE-1";
	char data[NOTICE_COOKIE];
	memcpy(data, cookie, cookie_len < sizeof data ? cookie_len : sizeof data);
	xcb_auth_info_t auth = { sizeof name - 1, name, (int)sizeof data, data };
	s->c = xcb_connect_to_fd(fd, &auth);
	explicit_bzero(data, sizeof data);
	if (!s->c || xcb_connection_has_error(s->c))
		return NOTICE_X_REFUSED;
	xcb_screen_iterator_t i = xcb_setup_roots_iterator(xcb_get_setup(s->c));
	s->root = i.rem ? i.data : NULL;
	s->request_max = (size_t)xcb_get_maximum_request_length(s->c) * 4;
	return s->root && read_format(s) ? 0 : NOTICE_X_REFUSED;
}

xcb_atom_t screen_atom(struct screen *s, const char *name)
{
	xcb_intern_atom_reply_t *r = xcb_intern_atom_reply(s->c, xcb_intern_atom(s->c, 0, (uint16_t)strlen(name), name), NULL);
	xcb_atom_t atom = r ? r->atom : XCB_ATOM_NONE;
	free(r);
	return atom;
}

double screen_dpi(struct screen *s)
{
	xcb_get_property_reply_t *r = xcb_get_property_reply(
		s->c, xcb_get_property(s->c, 0, s->root->root, XCB_ATOM_RESOURCE_MANAGER, XCB_ATOM_STRING, 0, RESOURCES_MAX / 4), NULL);
	double dpi = 96;
	if (r && xcb_get_property_value_length(r) > 0) {
		size_t n = (size_t)xcb_get_property_value_length(r);
		char *text = strndup(xcb_get_property_value(r), n);
		const char *at = text ? strstr(text, "Xft.dpi:") : NULL;
		double found = at ? atof(at + strlen("Xft.dpi:")) : 0;
		if (found >= DPI_MIN && found <= DPI_MAX)
			dpi = found;
		free(text);
	}
	free(r);
	return dpi;
}

static struct area whole_screen(struct screen *s)
{
	xcb_get_geometry_reply_t *r = xcb_get_geometry_reply(s->c, xcb_get_geometry(s->c, s->root->root), NULL);
	struct area a = { 0, 0, r ? r->width : s->root->width_in_pixels, r ? r->height : s->root->height_in_pixels };
	free(r);
	return a;
}

static bool area_has(const struct area *a, int x, int y)
{
	return x >= a->x && y >= a->y && x < a->x + a->width && y < a->y + a->height;
}

struct area screen_monitor(struct screen *s)
{
	struct area found = whole_screen(s);
	const xcb_query_extension_reply_t *randr = xcb_get_extension_data(s->c, &xcb_randr_id);
	if (!randr || !randr->present)
		return found;
	xcb_randr_query_version_reply_t *version = xcb_randr_query_version_reply(s->c, xcb_randr_query_version(s->c, 1, 5), NULL);
	bool has_monitors = version && (version->major_version > 1 || version->minor_version >= 5);
	free(version);
	if (!has_monitors)
		return found;
	xcb_query_pointer_reply_t *pointer = xcb_query_pointer_reply(s->c, xcb_query_pointer(s->c, s->root->root), NULL);
	xcb_randr_get_monitors_reply_t *r = xcb_randr_get_monitors_reply(s->c, xcb_randr_get_monitors(s->c, s->root->root, 1), NULL);
	if (r && pointer)
		for (xcb_randr_monitor_info_iterator_t i = xcb_randr_get_monitors_monitors_iterator(r); i.rem; xcb_randr_monitor_info_next(&i)) {
			struct area a = { i.data->x, i.data->y, i.data->width, i.data->height };
			if (a.width > 0 && a.height > 0 && area_has(&a, pointer->root_x, pointer->root_y))
				found = a;
		}
	free(pointer);
	free(r);
	return found;
}
