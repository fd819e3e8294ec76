#include "eye/format.h"

/* One run of 1 to 16 bits. */
static bool mask_ok(uint32_t mask)
{
	uint32_t run = mask ? mask >> __builtin_ctz(mask) : 0;
	return run && (run & (run + 1)) == 0 && run <= 0xffff;
}

bool format_ok(struct eye_format *f)
{
	uint64_t top = f->bits == 16 ? 0xffff : 0xffffffff;
	if ((f->bits != 16 && f->bits != 32) || (f->pad != 8 && f->pad != 16 && f->pad != 32) || !mask_ok(f->red) || !mask_ok(f->green) ||
	    !mask_ok(f->blue) || ((uint64_t)f->red | f->green | f->blue) > top || (f->red & f->green) || (f->red & f->blue) || (f->green & f->blue))
		return false;
	f->is_bgrx = f->bits == 32 && !f->swapped && f->red == 0xff0000 && f->green == 0xff00 && f->blue == 0xff;
	return true;
}

size_t format_stride(const struct eye_format *f, unsigned width)
{
	return ((size_t)width * f->bits + f->pad - 1) / f->pad * f->pad / 8;
}

/* A colour of any number of bits as 8, so that its lowest and highest values are 0 and 255. */
static uint32_t scale(uint32_t pixel, uint32_t mask)
{
	uint32_t top = mask >> __builtin_ctz(mask);
	return ((pixel & mask) >> __builtin_ctz(mask)) * 255 / top;
}

void format_row(const struct eye_format *f, const uint8_t *src, uint32_t *ret, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		uint32_t pixel;
		if (f->bits == 32) {
			memcpy(&pixel, src + 4 * (size_t)i, sizeof pixel);
			pixel = f->swapped ? __builtin_bswap32(pixel) : pixel;
		} else {
			uint16_t half;
			memcpy(&half, src + 2 * (size_t)i, sizeof half);
			pixel = f->swapped ? __builtin_bswap16(half) : half;
		}
		ret[i] = scale(pixel, f->red) << 16 | scale(pixel, f->green) << 8 | scale(pixel, f->blue);
	}
}
