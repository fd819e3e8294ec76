#include "record/records.h"

#include "record/bytes.h"

#define HEAD 8 /* of a record, and of a rectangle */
#define PIXEL 4

enum parser_state { AT_HEAD, AT_RECT, AT_ROWS, AT_IMAGE_HEAD, AT_IMAGE, AT_POSITION, AT_GAP };

struct record_parser {
	const char *why;
	int (*on_record)(void *arg, const struct record_record *r);
	int (*on_rows)(void *arg, const struct record_rect *band);
	void *arg;
	uint16_t width, height;
	enum parser_state state;
	struct record_record record;
	struct record_rect rect; /* the rows that are still to come */
	uint32_t rects_left, area; /* of the frame: rectangles to come, pixels so far */
	uint32_t records, last_ms;
	uint8_t small[HEAD];
	size_t have; /* bytes in `small`, `row` or `image` */
	uint8_t *row;
	uint8_t *image;
	struct record_tally tally;
};

struct record_parser *record_parser_new(const struct record_reader_args *a, uint16_t width, uint16_t height)
{
	struct record_parser *p = XNEW(struct record_parser);
	p->on_record = a->on_record;
	p->on_rows = a->on_rows;
	p->arg = a->arg;
	p->width = width;
	p->height = height;
	return p;
}

void record_parser_free(struct record_parser *p)
{
	if (!p)
		return;
	free(p->row);
	free(p->image);
	free(p);
}

static int record_refuse(struct record_parser *p, const char *why)
{
	p->why = why;
	return RECORD_BAD_RECORD;
}

static int report_record(struct record_parser *p)
{
	return p->on_record ? p->on_record(p->arg, &p->record) : 0;
}

static void touch(struct record_parser *p)
{
	if (!p->tally.any)
		p->tally.first_ms = p->record.t_ms;
	p->tally.any = true;
	p->tally.last_ms = p->record.t_ms;
}

static int parse_head(struct record_parser *p, const uint8_t *b)
{
	static const enum parser_state next[] = { AT_HEAD, AT_RECT, AT_IMAGE_HEAD, AT_POSITION, AT_GAP };
	struct record_record r = { .t_ms = bytes_get32(b), .rects = bytes_get16(b + 4), .key = b[6], .kind = b[7] };
	if (r.t_ms >= RECORD_CHUNK_MS_MAX || r.t_ms < p->last_ms)
		return record_refuse(p, "its time is out of bounds");
	if (p->records >= RECORD_RECORDS_MAX)
		return record_refuse(p, "there are too many");
	if (r.kind < RECORD_FRAME || r.kind > RECORD_GAP || b[6] > (r.kind == RECORD_FRAME))
		return record_refuse(p, "its kind is unknown");
	if (!p->records && !r.key)
		return record_refuse(p, "the first one is not a full picture");
	if ((r.kind == RECORD_FRAME && !r.rects) || (r.kind == RECORD_CURSOR_IMAGE && r.rects != 1) || (r.kind == RECORD_CURSOR_POS && r.rects))
		return record_refuse(p, "its number of rectangles is out of bounds");
	p->records++;
	p->last_ms = r.t_ms;
	p->record = r;
	p->state = next[r.kind];
	p->rects_left = r.rects;
	p->area = 0;
	touch(p);
	p->tally.key |= r.key;
	p->tally.gap |= r.kind == RECORD_GAP;
	if (r.kind == RECORD_GAP) {
		p->record.reason = r.rects;
		p->record.rects = 0;
	}
	return r.kind == RECORD_FRAME ? report_record(p) : 0;
}

static int parse_rect(struct record_parser *p, const uint8_t *b)
{
	struct record_rect r = { .x = bytes_get16(b), .y = bytes_get16(b + 2), .w = bytes_get16(b + 4), .h = bytes_get16(b + 6) };
	if (!r.w || !r.h || r.x + r.w > p->width || r.y + r.h > p->height)
		return record_refuse(p, "a rectangle is outside of the picture");
	p->area += (uint32_t)r.w * r.h;
	if (p->area > (uint32_t)p->width * p->height)
		return record_refuse(p, "its rectangles are larger than the picture");
	p->rect = r;
	p->rect.stride = (size_t)r.w * PIXEL;
	p->rects_left--;
	p->state = AT_ROWS;
	return 0;
}

static int parse_image_head(struct record_parser *p, const uint8_t *b)
{
	struct record_record *r = &p->record;
	r->x = bytes_get16(b);
	r->y = bytes_get16(b + 2);
	r->width = bytes_get16(b + 4);
	r->height = bytes_get16(b + 6);
	if (r->width > RECORD_CURSOR_MAX || r->height > RECORD_CURSOR_MAX || !r->width != !r->height)
		return record_refuse(p, "the size of the cursor is out of bounds");
	p->state = r->width ? AT_IMAGE : AT_HEAD;
	return report_record(p);
}

static int parse_position(struct record_parser *p, const uint8_t *b)
{
	p->record.x = bytes_get16(b);
	p->record.y = bytes_get16(b + 2);
	p->state = AT_HEAD;
	return report_record(p);
}

static int parse_gap(struct record_parser *p, const uint8_t *b)
{
	p->record.from_ms = bytes_get64(b);
	p->state = AT_HEAD;
	return p->record.from_ms < RECORD_TIME_MAX ? report_record(p) : record_refuse(p, "the begin of the gap is out of bounds");
}

/* The parts of a fixed size, by state. */
static const struct {
	size_t size;
	int (*parse)(struct record_parser *p, const uint8_t *b);
} parts[] = {
	[AT_HEAD] = { HEAD, parse_head },	    [AT_RECT] = { HEAD, parse_rect }, [AT_IMAGE_HEAD] = { HEAD, parse_image_head },
	[AT_POSITION] = { 4, parse_position }, [AT_GAP] = { 8, parse_gap },
};

static int report_rows(struct record_parser *p, const uint8_t *data, uint16_t rows)
{
	struct record_rect band = p->rect;
	band.h = rows;
	band.bgrx = data;
	p->rect.y = (uint16_t)(p->rect.y + rows);
	p->rect.h = (uint16_t)(p->rect.h - rows);
	if (!p->rect.h) {
		p->state = p->rects_left ? AT_RECT : AT_HEAD;
		p->tally.frames += !p->rects_left;
		if (!p->rects_left && p->record.key && p->area != (uint32_t)p->width * p->height)
			return record_refuse(p, "the full picture is not complete");
	}
	return p->on_rows ? p->on_rows(p->arg, &band) : 0;
}

/* Takes rows from the data; returns how many bytes in *ret_used. */
static int feed_rows(struct record_parser *p, const uint8_t *data, size_t n, size_t *ret_used)
{
	size_t stride = p->rect.stride;
	touch(p);
	if (!p->have && n >= stride) {
		size_t rows = MIN(n / stride, (size_t)p->rect.h);
		*ret_used = rows * stride;
		return report_rows(p, data, (uint16_t)rows);
	}
	if (!p->row)
		p->row = xmalloc((size_t)p->width * PIXEL);
	size_t take = MIN(n, stride - p->have);
	memcpy(p->row + p->have, data, take);
	p->have += take;
	*ret_used = take;
	if (p->have < stride)
		return 0;
	p->have = 0;
	return report_rows(p, p->row, 1);
}

static int feed_image(struct record_parser *p, const uint8_t *data, size_t n, size_t *ret_used)
{
	size_t size = (size_t)p->record.width * p->record.height * PIXEL;
	if (!p->image)
		p->image = xmalloc((size_t)RECORD_CURSOR_MAX * RECORD_CURSOR_MAX * PIXEL);
	size_t take = MIN(n, size - p->have);
	memcpy(p->image + p->have, data, take);
	p->have += take;
	*ret_used = take;
	if (p->have < size)
		return 0;
	p->have = 0;
	p->state = AT_HEAD;
	struct record_rect whole = { 0, 0, p->record.width, p->record.height, p->image, (size_t)p->record.width * PIXEL };
	return p->on_rows ? p->on_rows(p->arg, &whole) : 0;
}

static int feed_part(struct record_parser *p, const uint8_t *data, size_t n, size_t *ret_used)
{
	size_t take = MIN(n, parts[p->state].size - p->have);
	memcpy(p->small + p->have, data, take);
	p->have += take;
	*ret_used = take;
	if (p->have < parts[p->state].size)
		return 0;
	p->have = 0;
	return parts[p->state].parse(p, p->small);
}

int record_parser_feed(struct record_parser *p, const uint8_t *data, size_t n)
{
	while (n) {
		size_t used = 0;
		int rc = p->state == AT_ROWS ? feed_rows(p, data, n, &used) : p->state == AT_IMAGE ? feed_image(p, data, n, &used) : feed_part(p, data, n, &used);
		if (rc)
			return rc;
		data += used;
		n -= used;
	}
	return 0;
}

const char *record_parser_why(const struct record_parser *p)
{
	return p->why ? p->why : "";
}

bool record_parser_at_rest(const struct record_parser *p, bool whole)
{
	return (p->state == AT_HEAD && !p->have) || (!whole && (p->state == AT_ROWS || (p->state == AT_RECT && !p->have)));
}

uint32_t record_parser_records(const struct record_parser *p)
{
	return p->records;
}

struct record_tally record_parser_tally(struct record_parser *p)
{
	struct record_tally t = p->tally;
	p->tally = (struct record_tally){ 0 };
	return t;
}
