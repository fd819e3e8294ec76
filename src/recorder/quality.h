/*
 * quality: what the three qualities of a recording do to pace and colours. Floor F5, in the recorder.
 *
 *   high    every picture at the frame rate, exact
 *   medium  tiles that change all the time 10 times a second in 15 bits: each colour is within 7 of what it was. Once they are calm, exact.
 *   low     everything at most 5 times a second, such tiles twice, in 12 bits: each colour is within 15 of what it was
 */
#ifndef RECORDER_QUALITY_H
#define RECORDER_QUALITY_H

#include "eye/eye.h"
#include "lucid/record.h"

enum quality { QUALITY_LOW, QUALITY_MEDIUM, QUALITY_HIGH };
const char *quality_to_string(enum quality q);
bool quality_from_string(const char *s, enum quality *ret);

struct quality_pace {
	unsigned fps, busy_fps; /* as for eye_view_new */
};
struct quality_pace quality_pace(enum quality q, unsigned frame_rate);

/* n pixels with fewer bits, the highest of which fill the others, so that black and white remain. */
void quality_reduce(enum quality q, const uint32_t *src, uint32_t *ret, size_t n);

/* Rectangles as they are to be recorded: those of the eye, or copies with fewer colours. Initialise with {0}. */
struct quality_copy {
	uint8_t *pixels;
	size_t bytes;
	struct record_rect *rects;
	size_t cap;
};
/* The rectangles of a frame, or with `whole` the picture as one. ret_n gets their number. They are valid until the next call, and as long as
 * the frame. NULL: no memory. */
const struct record_rect *quality_apply(struct quality_copy *c, enum quality q, const struct eye_frame *f, bool whole, size_t *ret_n);
/* Returns memory that only a large frame needed. */
void quality_trim(struct quality_copy *c);

#endif
