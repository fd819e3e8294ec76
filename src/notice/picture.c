#include "notice/picture.h"

#include <pango/pangocairo.h>
#include <stdbool.h>

#define FONT "Sans"
#define POINTS 11.0
#define POINTS_MIN 7.0
/* lengths at 96 dpi */
#define PADDING 18
#define GAP 10
#define BAR 6
#define TEXT_WIDTH 460
#define MARGIN 32 /* between the window and the edge of its monitor */
#define SMALL 320 /* on monitors of less height, lengths other than fonts shrink with it */

static const struct look {
	const char *heading;
	double red, green, blue;
} looks[NOTICE_LEVELS] = {
	[NOTICE_INFO] = { "Message", 0.15, 0.39, 0.68 },
	[NOTICE_WARNING] = { "Warning", 0.76, 0.44, 0.0 },
	[NOTICE_CRITICAL] = { "Important warning", 0.75, 0.12, 0.12 },
};

struct sheet {
	PangoContext *context;
	PangoLayout *heading, *text, *hint;
	double scale;
	int width, height;
};

static int scaled_length(const struct sheet *s, int length)
{
	return (int)(length * s->scale + 0.5);
}

static int layout_height(PangoLayout *l)
{
	int height;
	pango_layout_get_pixel_size(l, NULL, &height);
	return height;
}

static PangoLayout *layout_new(PangoContext *context, const char *text, int bytes, double points, bool bold)
{
	PangoLayout *l = pango_layout_new(context);
	PangoFontDescription *font = pango_font_description_from_string(FONT);
	pango_font_description_set_size(font, (int)(points * PANGO_SCALE));
	if (bold)
		pango_font_description_set_weight(font, PANGO_WEIGHT_BOLD);
	pango_layout_set_font_description(l, font);
	pango_font_description_free(font);
	pango_layout_set_text(l, text, bytes);
	return l;
}

static void sheet_free(struct sheet *s)
{
	g_clear_object(&s->heading);
	g_clear_object(&s->text);
	g_clear_object(&s->hint);
}

/* Sets everything in this size of font and width; its height follows. */
static void sheet_set(struct sheet *s, const struct picture_request *r, double points, int text_width)
{
	sheet_free(s);
	s->heading = layout_new(s->context, looks[r->level].heading, -1, points + 1, true);
	s->text = layout_new(s->context, r->text, (int)r->bytes, points, false);
	s->hint = layout_new(s->context, "Click to close", -1, points - 2, false);
	pango_layout_set_wrap(s->text, PANGO_WRAP_WORD_CHAR);
	pango_layout_set_auto_dir(s->text, TRUE);
	pango_layout_set_width(s->text, text_width * PANGO_SCALE);
	pango_layout_set_width(s->heading, text_width * PANGO_SCALE);
	pango_layout_set_width(s->hint, text_width * PANGO_SCALE);
	pango_layout_set_ellipsize(s->heading, PANGO_ELLIPSIZE_END);
	pango_layout_set_ellipsize(s->hint, PANGO_ELLIPSIZE_END);
	pango_layout_set_alignment(s->hint, PANGO_ALIGN_RIGHT);
	s->width = text_width + 2 * scaled_length(s, PADDING);
	s->height = layout_height(s->heading) + layout_height(s->text) + layout_height(s->hint) +
		    scaled_length(s, BAR + 2 * PADDING + 2 * GAP);
}

/* First the usual size, then the whole monitor's width, then smaller fonts; at last the text is cut. */
static void sheet_fit(struct sheet *s, const struct picture_request *r)
{
	int margin = scaled_length(s, MARGIN), most_height = MAX(r->max_height - 2 * margin, r->max_height / 2);
	int widest = MAX(MAX(r->max_width - 2 * margin, r->max_width / 2) - 2 * scaled_length(s, PADDING), 16);
	sheet_set(s, r, POINTS, MIN(scaled_length(s, TEXT_WIDTH), widest));
	for (double points = POINTS; s->height > most_height && points >= POINTS_MIN; points--)
		sheet_set(s, r, points, widest);
	if (s->height <= most_height)
		return;
	int rest = most_height - (s->height - layout_height(s->text));
	pango_layout_set_height(s->text, MAX(rest, 1) * PANGO_SCALE);
	pango_layout_set_ellipsize(s->text, PANGO_ELLIPSIZE_END);
	s->height = most_height;
}

/* Draws a layout below `y`, and returns the y below it. */
static int layout_draw(cairo_t *cr, PangoLayout *l, int x, int y)
{
	cairo_move_to(cr, x, y);
	pango_cairo_show_layout(cr, l);
	return y + layout_height(l);
}

static void sheet_draw(const struct sheet *s, cairo_t *cr, const struct look *look)
{
	int bar = scaled_length(s, BAR), padding = scaled_length(s, PADDING), gap = scaled_length(s, GAP);
	cairo_set_source_rgb(cr, 0.99, 0.99, 0.99);
	cairo_paint(cr);
	cairo_set_source_rgb(cr, look->red, look->green, look->blue);
	cairo_rectangle(cr, 0, 0, s->width, bar);
	cairo_fill(cr);
	cairo_set_line_width(cr, 1);
	cairo_rectangle(cr, 0.5, 0.5, s->width - 1, s->height - 1);
	cairo_stroke(cr);
	int y = layout_draw(cr, s->heading, padding, bar + padding);
	cairo_set_source_rgb(cr, 0.1, 0.1, 0.1);
	layout_draw(cr, s->text, padding, y + gap);
	cairo_set_source_rgb(cr, 0.4, 0.4, 0.4);
	layout_draw(cr, s->hint, padding, s->height - padding - layout_height(s->hint));
}

/* Whether anything but blanks can be shown. */
static bool text_is_legible(const struct picture_request *r, int missing)
{
	int visible = 0;
	for (const char *p = r->text; p < r->text + r->bytes; p = g_utf8_next_char(p))
		visible += g_unichar_isgraph(g_utf8_get_char(p));
	return visible == 0 || missing < visible;
}

int picture_make(const struct picture_request *r, struct picture *ret)
{
	PangoFontMap *map = pango_cairo_font_map_get_default();
	struct sheet s = { .scale = MIN(r->dpi / 96, r->max_height / (double)SMALL) };
	s.context = pango_font_map_create_context(map);
	pango_cairo_context_set_resolution(s.context, r->dpi);
	sheet_fit(&s, r);
	cairo_surface_t *surface = cairo_image_surface_create(CAIRO_FORMAT_RGB24, s.width, s.height);
	cairo_t *cr = cairo_create(surface);
	sheet_draw(&s, cr, &looks[r->level]);
	bool drawn = cairo_status(cr) == CAIRO_STATUS_SUCCESS;
	cairo_destroy(cr);
	cairo_surface_flush(surface);
	*ret = (struct picture){ .width = s.width, .height = s.height, .surface = surface,
				 .stride = cairo_image_surface_get_stride(surface) / 4,
				 .rgb = (const uint32_t *)(const void *)cairo_image_surface_get_data(surface),
				 .missing = pango_layout_get_unknown_glyphs_count(s.text) };
	sheet_free(&s);
	g_object_unref(s.context);
	if (drawn && text_is_legible(r, ret->missing))
		return 0;
	picture_done(ret);
	return NOTICE_NO_FONT;
}

void picture_done(struct picture *p)
{
	if (p->surface)
		cairo_surface_destroy(p->surface);
	*p = (struct picture){ 0 };
}
