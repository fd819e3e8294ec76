/* format: pixels of an X server as BGRX. Floor F3, pure. */
#ifndef EYE_FORMAT_H
#define EYE_FORMAT_H

#include "lucid/base.h"

struct eye_format {
	uint32_t red, green, blue; /* masks of a TrueColor visual */
	unsigned bits, pad;	   /* of a pixel: 16 or 32; of a row */
	bool swapped;		   /* most significant byte first */
	bool is_bgrx;		   /* set by format_ok: nothing is to be converted */
};

/* Whether pixels of this format can be converted. */
bool format_ok(struct eye_format *f);
size_t format_stride(const struct eye_format *f, unsigned width); /* bytes of a row */
/* n pixels of a row; the fourth byte is 0. */
void format_row(const struct eye_format *f, const uint8_t *src, uint32_t *ret, unsigned n);

#endif
