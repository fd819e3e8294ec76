/*
 * link: the connection to an X server and what the eye needs of it: extensions, events, pixel format, and memory that the X server writes
 * pictures to. Floor F3. link_open blocks, for at most LINK_OPEN_SECONDS; nothing else does.
 *
 * The X server belongs to the user of the desktop, so it is not trusted: it may send any size, and may try to truncate the shared memory,
 * which is sealed against that.
 */
#ifndef EYE_LINK_H
#define EYE_LINK_H

#include <xcb/damage.h>
#include <xcb/shm.h>
#include <xcb/xcb.h>
#include <xcb/xfixes.h>

#include "eye/format.h"

#define LINK_OPEN_SECONDS 5
#define LINK_MEMORY (4u << 20) /* of pictures in transit; a larger screen is fetched in several steps */
#define LINK_COOKIE 16
#define LINK_PIXELS_MAX (40u << 20) /* of a screen: 8K with some room */

struct link {
	xcb_connection_t *c;
	xcb_window_t root;
	unsigned width, height; /* when it was opened */
	unsigned depth;
	struct eye_format format;
	uint8_t damage_event, cursor_event; /* types of events */
	uint8_t input_opcode;		    /* major opcode of XInput, whose events tell that the pointer moved; 0: it has none */
	xcb_damage_damage_t damage;
	xcb_xfixes_region_t region;
	xcb_shm_seg_t segment;
	uint8_t *memory; /* NULL: the X server takes no memory, so pictures come over the socket */
};

/* Takes over the socket, also on failure. SIGALRM is used meanwhile. 0, or -errno with a sentence in `why`: ETIMEDOUT, EACCES (refused),
 * EPROTO (an answer that is not one of an X server), ENOTSUP (an extension or pixel format is missing), EFBIG (the screen is too large). */
int link_open(struct link *l, int x_fd, const uint8_t cookie[LINK_COOKIE], char *why, size_t size);
void link_close(struct link *l); /* may be repeated, and follow a failure */

/* Whether a screen of this size can be captured. */
bool link_size_ok(unsigned width, unsigned height);

#endif
