#include "notice/pixels.h"

#include <string.h>

static bool mask_ok(uint32_t mask, unsigned bits)
{
	uint32_t low = mask & -mask;
	return mask && (((mask / low) + 1) & (mask / low)) == 0 && (bits == 32 || mask < (uint32_t)1 << bits);
}

bool pixel_format_ok(const struct pixel_format *f)
{
	return (f->bits == 8 || f->bits == 16 || f->bits == 32) && (f->pad == 8 || f->pad == 16 || f->pad == 32) &&
	       mask_ok(f->red, f->bits) && mask_ok(f->green, f->bits) && mask_ok(f->blue, f->bits);
}

size_t pixel_stride(const struct pixel_format *f, unsigned width)
{
	size_t row_bits = (size_t)width * f->bits;
	return (row_bits + f->pad - 1) / f->pad * f->pad / 8;
}

/* Scales 0-255 to the range of the mask, rounded. */
static uint32_t scaled(uint32_t value, uint32_t mask)
{
	uint64_t low = mask & -mask, most = mask / low;
	return (uint32_t)((value * most + 127) / 255 * low);
}

void pixel_row(const struct pixel_format *f, const uint32_t *rgb, unsigned width, unsigned char *dst)
{
	unsigned bytes = f->bits / 8;
	memset(dst, 0, pixel_stride(f, width));
	for (unsigned x = 0; x < width; x++, dst += bytes) {
		uint32_t p = scaled(rgb[x] >> 16 & 255, f->red) | scaled(rgb[x] >> 8 & 255, f->green) | scaled(rgb[x] & 255, f->blue);
		for (unsigned b = 0; b < bytes; b++)
			dst[f->big_endian ? bytes - 1 - b : b] = (unsigned char)(p >> 8 * b);
	}
}
