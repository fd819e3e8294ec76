/*
 * picture: the contents of a message window: heading, text and hint, wrapped to the monitor. Floor F5, in the program of a message window.
 * Uses Pango and Cairo, which read the fonts of the host. No mark-up: every character of the text is shown as it is.
 */
#ifndef NOTICE_PICTURE_H
#define NOTICE_PICTURE_H

#include <stddef.h>
#include <stdint.h>

#include "host/message/notice_wire.h"

struct picture_request {
	enum notice_level level;
	const char *text; /* UTF-8 */
	size_t bytes;
	double dpi;
	int max_width, max_height; /* of the monitor, in pixels */
};
struct picture {
	int width, height, stride; /* in pixels */
	const uint32_t *rgb;	   /* 0x00RRGGBB */
	int missing;		   /* characters of the text without a glyph */
	void *surface;
};

/* 0, or NOTICE_NO_FONT: no font, or none of the text can be shown. A text that does not fit the monitor is set in a smaller font, then
 * cut with "…". */
int picture_make(const struct picture_request *r, struct picture *ret);
void picture_done(struct picture *p);

#endif
