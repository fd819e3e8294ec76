/*
 * screen: the X server of a message window: connection, pixel format, resolution, monitors. Floor F5, in the program of a message window.
 * Blocks on the X server; the program's alarm bounds that.
 */
#ifndef NOTICE_SCREEN_H
#define NOTICE_SCREEN_H

#include <xcb/xcb.h>

#include "notice/pixels.h"

struct screen {
	xcb_connection_t *c;
	xcb_screen_t *root;
	struct pixel_format format;
	size_t request_max; /* bytes */
};

/* Over a connected socket. 0, or an exit code of notice_wire.h. */
int screen_open(struct screen *s, int fd, const unsigned char *cookie, size_t cookie_len);
xcb_atom_t screen_atom(struct screen *s, const char *name); /* XCB_ATOM_NONE: the X server does not answer */
double screen_dpi(struct screen *s); /* Xft.dpi of the desktop, or 96 */

struct area {
	int x, y, width, height;
};
/* The monitor with the pointer; the whole screen if the X server knows none. */
struct area screen_monitor(struct screen *s);

#endif
