/*
 * eye: what is on one X display, for several views at once: a recording, and viewers, each with its own pace. Floor F3, one thread. Only
 * eye_open and eye_reopen block, for at most LINK_OPEN_SECONDS: an X server that is stopped later delays pictures, never the caller.
 *
 * The caller waits for eye_fd to be readable or eye_next_us to pass, and calls eye_run; then it asks each view for what is due. While
 * nothing changes on the display, neither happens.
 *
 *     XDamage ─► region ─► marked tiles ─► ShmGetImage into 4 MiB ─► compared with the kept picture ─► dirty masks of the views
 *
 * A capture begins when the display has changed and a view is due, so the pace is that of the fastest view. Nothing is queued: what changes
 * meanwhile is marked, and captured next time. Memory is the picture, 4 MiB, and some bytes for each tile and view.
 *
 * Not for: finding the X server and its cookie, and what becomes of pictures.
 */
#ifndef EYE_EYE_H
#define EYE_EYE_H

#include "lucid/base.h"

#define EYE_COOKIE 16
#define EYE_WHY 160
#define EYE_NEVER INT64_MAX

struct eye;
/* Owns the connected socket from now on, also on failure. 0; -ETIMEDOUT, -EACCES, -EPROTO, -ENOTSUP, -EFBIG or -ENOMEM with a sentence in
 * `why`. Uses SIGALRM meanwhile. */
int eye_open(int x_fd, const uint8_t cookie[EYE_COOKIE], struct eye **ret, char why[EYE_WHY]);
/* The same display by a new connection, after eye_lost. The views remain; all of the picture is compared with the one that was kept. After a
 * failure it is lost still. */
int eye_reopen(struct eye *e, int x_fd, const uint8_t cookie[EYE_COOKIE], char why[EYE_WHY]);
void eye_free(struct eye *e); /* with its views; takes NULL */

int eye_fd(const struct eye *e);	   /* to poll for reading; -1 while lost */
int64_t eye_next_us(const struct eye *e); /* when eye_run is due without input: now or later; EYE_NEVER */
void eye_run(struct eye *e, int64_t now_us);
/* Why the connection ended; NULL: it did not. */
const char *eye_lost(const struct eye *e);
/* Since when the X server has owed an answer; EYE_NEVER: it owes none. */
int64_t eye_waits_since_us(const struct eye *e);

struct eye_figures {
	uint64_t captures, bytes_read, bytes_changed, ns_sum, ns_max; /* ns: of this process, without waiting for the X server */
	uint64_t late; /* captures that ended after the next one was due */
	int64_t last_us;
};
const struct eye_figures *eye_figures(const struct eye *e);

/* --- views */

struct eye_view;
/* max_fps: an upper bound. busy_fps: of tiles that change all the time (view.h), 0: as the others. At first all of the picture is due. */
struct eye_view *eye_view_new(struct eye *e, unsigned max_fps, unsigned busy_fps);
void eye_view_free(struct eye_view *v); /* takes NULL */
void eye_view_pace(struct eye_view *v, unsigned max_fps, unsigned busy_fps);
void eye_view_all(struct eye_view *v); /* the whole picture is due again, at once */
/* When eye_view_take may have something; EYE_NEVER: not before the display changes. eye_next_us includes it. */
int64_t eye_view_next_us(const struct eye_view *v);

struct eye_rect {
	uint16_t x, y, w, h;
	bool busy;	     /* of tiles that change all the time: will be delivered again when they are calm */
	const uint8_t *bgrx; /* its first pixel in the kept picture */
};
struct eye_cursor {
	uint16_t hot_x, hot_y, w, h;
	const uint8_t *argb; /* premultiplied, B G R A in memory */
};
struct eye_frame {
	int64_t captured_us; /* when the X server had the picture at the latest */
	unsigned width, height;
	size_t stride;
	const uint8_t *picture; /* all of it */
	const struct eye_rect *rects; /* what changed since the last frame of this view; they do not overlap */
	size_t n;
	uint64_t changed; /* pixels in the rectangles */
	const struct eye_cursor *cursor; /* NULL: as before */
	bool moved;			 /* the pointer is now at x, y */
	int x, y;
};
/* What is due, borrowed until the next call of a function of this eye. False: nothing is. A frame may consist of the cursor alone (n 0). */
bool eye_view_take(struct eye_view *v, int64_t now_us, struct eye_frame *ret);

#endif
