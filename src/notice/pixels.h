/* pixels: converts pictures to the pixel format of an X server. Floor F5, in the program of a message window; pure. */
#ifndef NOTICE_PIXELS_H
#define NOTICE_PIXELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pixel_format {
	uint32_t red, green, blue; /* masks of a TrueColor visual */
	unsigned bits;		   /* of a pixel: 8, 16 or 32 */
	unsigned pad;		   /* each row is padded to so many bits */
	bool big_endian;
};

bool pixel_format_ok(const struct pixel_format *f);
size_t pixel_stride(const struct pixel_format *f, unsigned width); /* bytes of a row */
/* One row of 0x00RRGGBB; dst has pixel_stride bytes. */
void pixel_row(const struct pixel_format *f, const uint32_t *rgb, unsigned width, unsigned char *dst);

#endif
