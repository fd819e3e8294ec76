#include "recorder/quality.h"

#include <sys/mman.h>

#include "lucid/str.h"

#define KEEP_BYTES (1u << 20) /* of copies, from one frame to the next */

static const struct {
	const char *name;
	unsigned fps, busy_fps; /* 0: the frame rate; as the other tiles */
	unsigned bits;		/* that are kept of each colour */
	bool calm_too;		/* reduces all tiles */
} qualities[] = {
	[QUALITY_LOW] = { "low", 5, 2, 4, true },
	[QUALITY_MEDIUM] = { "medium", 0, 10, 5, false },
	[QUALITY_HIGH] = { "high", 0, 0, 8, false },
};

const char *quality_to_string(enum quality q)
{
	return qualities[q].name;
}

bool quality_from_string(const char *s, enum quality *ret)
{
	for (size_t q = 0; q < ARRAY_LEN(qualities); q++)
		if (str_eq(s, qualities[q].name)) {
			*ret = (enum quality)q;
			return true;
		}
	return false;
}

struct quality_pace quality_pace(enum quality q, unsigned frame_rate)
{
	unsigned fps = qualities[q].fps ? MIN(qualities[q].fps, frame_rate) : frame_rate;
	return (struct quality_pace){ fps, qualities[q].busy_fps < fps ? qualities[q].busy_fps : 0 };
}

void quality_reduce(enum quality q, const uint32_t *src, uint32_t *ret, size_t n)
{
	unsigned bits = qualities[q].bits;
	uint32_t high = (0xffu << (8 - bits) & 0xff) * 0x010101u, low = (0xffu >> bits) * 0x010101u;
	for (size_t i = 0; i < n; i++)
		ret[i] = (src[i] & high) | (src[i] >> bits & low);
}

static bool is_reduced(enum quality q, bool busy)
{
	return qualities[q].bits < 8 && (busy || qualities[q].calm_too);
}

/* Memory by mmap, so that what a large frame needed can be returned. */
static bool make_room(struct quality_copy *c, size_t bytes)
{
	if (bytes <= c->bytes)
		return true;
	if (c->pixels)
		munmap(c->pixels, c->bytes);
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	c->pixels = p == MAP_FAILED ? NULL : p;
	c->bytes = c->pixels ? bytes : 0;
	return c->pixels != NULL;
}

void quality_trim(struct quality_copy *c)
{
	if (c->bytes <= KEEP_BYTES)
		return;
	munmap(c->pixels, c->bytes);
	c->pixels = NULL;
	c->bytes = 0;
}

static void copy_rect(enum quality q, struct record_rect *r, uint8_t *to)
{
	for (size_t y = 0; y < r->h; y++)
		quality_reduce(q, (const void *)(r->bgrx + y * r->stride), (void *)(to + y * r->w * 4), r->w);
	r->bgrx = to;
	r->stride = (size_t)r->w * 4;
}

const struct record_rect *quality_apply(struct quality_copy *c, enum quality q, const struct eye_frame *f, bool whole, size_t *ret_n)
{
	size_t n = whole ? 1 : f->n, bytes = 0, used = 0;
	if (n > c->cap) {
		free(c->rects);
		c->cap = n;
		c->rects = xcalloc(n, sizeof *c->rects);
	}
	for (size_t i = 0; i < n; i++) {
		const struct eye_rect all = { 0, 0, (uint16_t)f->width, (uint16_t)f->height, false, f->picture }, *r = whole ? &all : &f->rects[i];
		c->rects[i] = (struct record_rect){ r->x, r->y, r->w, r->h, r->bgrx, f->stride };
		bytes += is_reduced(q, r->busy) ? (size_t)r->w * r->h * 4 : 0;
	}
	if (!make_room(c, bytes))
		return NULL;
	for (size_t i = 0; i < n; i++)
		if (is_reduced(q, !whole && f->rects[i].busy)) {
			copy_rect(q, &c->rects[i], c->pixels + used);
			used += (size_t)c->rects[i].w * c->rects[i].h * 4;
		}
	*ret_n = n;
	return c->rects;
}
