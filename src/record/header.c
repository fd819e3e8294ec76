#include "record/header.h"

#include "record/bytes.h"

#define FLAG_KEY 1
#define ACTIVITY_SHIFT 4

void record_header_put(uint8_t dst[RECORD_HEADER_BYTES], const struct record_header *h)
{
	memset(dst, 0, RECORD_HEADER_BYTES);
	memcpy(dst, "RCK1", 4);
	dst[4] = h->version;
	dst[5] = h->codec;
	dst[6] = h->cipher;
	dst[7] = h->flags;
	memcpy(dst + 8, h->id, sizeof h->id);
	bytes_put32(dst + 24, h->seq);
	bytes_put16(dst + 28, h->width);
	bytes_put16(dst + 30, h->height);
	bytes_put64(dst + 32, h->t0_ms);
	memcpy(dst + 40, h->salt, sizeof h->salt);
	memcpy(dst + 56, h->prev_hash, sizeof h->prev_hash);
}

const char *record_header_get(struct record_header *ret, const uint8_t src[RECORD_HEADER_BYTES])
{
	struct record_header h = {
		.version = src[4],
		.codec = src[5],
		.cipher = src[6],
		.flags = src[7],
		.seq = bytes_get32(src + 24),
		.width = bytes_get16(src + 28),
		.height = bytes_get16(src + 30),
		.t0_ms = bytes_get64(src + 32),
	};
	memcpy(h.id, src + 8, sizeof h.id);
	memcpy(h.salt, src + 40, sizeof h.salt);
	memcpy(h.prev_hash, src + 56, sizeof h.prev_hash);
	if (memcmp(src, "RCK1", 4) != 0)
		return "it does not begin with RCK1";
	if (h.version != RECORD_VERSION)
		return "the version is unknown";
	if (h.codec > RECORD_ZSTD || h.cipher > RECORD_CHACHA20_POLY1305)
		return "codec or cipher is unknown";
	if (h.flags || !bytes_are_zero(src + 88, 8))
		return "reserved bytes are not 0";
	if (!h.width || !h.height || h.width > RECORD_SIDE_MAX || h.height > RECORD_SIDE_MAX || (uint32_t)h.width * h.height > RECORD_AREA_MAX)
		return "the size of the picture is out of bounds";
	if (h.seq >= RECORD_CHUNKS_MAX || h.t0_ms >= RECORD_TIME_MAX)
		return "number or time is out of bounds";
	*ret = h;
	return NULL;
}

void record_segment_put(uint8_t dst[RECORD_SEGMENT_BYTES], const struct record_segment *s)
{
	bytes_put32(dst, s->length);
	bytes_put32(dst + 4, s->number);
	bytes_put32(dst + 8, s->t_first_ms);
	bytes_put32(dst + 12, s->t_last_ms);
	bytes_put16(dst + 16, s->frames);
	dst[18] = s->type;
	dst[19] = (uint8_t)((s->key ? FLAG_KEY : 0) | s->activity << ACTIVITY_SHIFT);
}

const char *record_segment_get(struct record_segment *ret, const uint8_t src[RECORD_SEGMENT_BYTES], const struct record_segment *before)
{
	struct record_segment s = {
		.length = bytes_get32(src),
		.number = bytes_get32(src + 4),
		.t_first_ms = bytes_get32(src + 8),
		.t_last_ms = bytes_get32(src + 12),
		.frames = bytes_get16(src + 16),
		.type = src[18],
		.activity = src[19] >> ACTIVITY_SHIFT,
		.key = src[19] & FLAG_KEY,
	};
	if (s.type < RECORD_SEGMENT_DATA || s.type > RECORD_SEGMENT_GAP || src[19] & 0x0e)
		return "the type or a flag is unknown";
	if (s.length > RECORD_SEGMENT_MAX || (!s.length && s.type != RECORD_SEGMENT_END))
		return "the length is out of bounds";
	if (s.number != (before ? before->number + 1 : 0))
		return "the number is out of order";
	if (s.t_first_ms > s.t_last_ms || s.t_last_ms >= RECORD_CHUNK_MS_MAX || s.t_first_ms / 1000 != s.t_last_ms / 1000)
		return "the times are out of bounds";
	if (before && s.t_first_ms < before->t_last_ms)
		return "it begins before the end of the one before it";
	if (before && s.t_first_ms / 1000 == before->t_last_ms / 1000 && s.activity < before->activity)
		return "its activity is less than that of the one before it";
	if (!before && !s.key)
		return "the first one has no full picture";
	*ret = s;
	return NULL;
}
