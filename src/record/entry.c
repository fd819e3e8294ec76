#include <openssl/evp.h>

#include "lucid/record.h"
#include "lucid/str.h"
#include "record/bytes.h"

/* offsets in an entry of the index */
enum {
	AT_SEQ = 0,
	AT_FLAGS = 4,
	AT_RESERVED = 5,
	AT_WIDTH = 6,
	AT_T0 = 8,
	AT_DURATION = 16,
	AT_FRAMES = 20,
	AT_BYTES = 24,
	AT_RAW = 28,
	AT_HEIGHT = 32,
	AT_ACTIVITY = 34,
	AT_HASH = 64,
	AT_PREV = 96,
};

void record_entry_put(uint8_t dst[RECORD_ENTRY_BYTES], const struct record_index_entry *e)
{
	memset(dst, 0, RECORD_ENTRY_BYTES);
	bytes_put32(dst + AT_SEQ, e->seq);
	dst[AT_FLAGS] = e->flags;
	bytes_put16(dst + AT_WIDTH, e->width);
	bytes_put64(dst + AT_T0, e->t0_ms);
	bytes_put32(dst + AT_DURATION, e->duration_ms);
	bytes_put32(dst + AT_FRAMES, e->frames);
	bytes_put32(dst + AT_BYTES, e->bytes);
	bytes_put32(dst + AT_RAW, e->raw_bytes);
	bytes_put16(dst + AT_HEIGHT, e->height);
	for (size_t i = 0; i < RECORD_SECONDS; i++)
		dst[AT_ACTIVITY + i / 2] |= (uint8_t)(e->activity[i] << i % 2 * 4);
	memcpy(dst + AT_HASH, e->hash, RECORD_HASH_BYTES);
	memcpy(dst + AT_PREV, e->prev_hash, RECORD_HASH_BYTES);
}

static bool entry_size_ok(const struct record_index_entry *e)
{
	if (!e->width && !e->height)
		return (e->flags & RECORD_ENTRY_TORN) && !e->frames && !e->duration_ms;
	return e->width && e->height && e->width <= RECORD_SIDE_MAX && e->height <= RECORD_SIDE_MAX && (uint32_t)e->width * e->height <= RECORD_AREA_MAX;
}

bool record_entry_get(struct record_index_entry *ret, const uint8_t src[RECORD_ENTRY_BYTES])
{
	struct record_index_entry e = {
		.seq = bytes_get32(src + AT_SEQ),
		.flags = src[AT_FLAGS],
		.width = bytes_get16(src + AT_WIDTH),
		.t0_ms = bytes_get64(src + AT_T0),
		.duration_ms = bytes_get32(src + AT_DURATION),
		.frames = bytes_get32(src + AT_FRAMES),
		.bytes = bytes_get32(src + AT_BYTES),
		.raw_bytes = bytes_get32(src + AT_RAW),
		.height = bytes_get16(src + AT_HEIGHT),
	};
	memcpy(e.hash, src + AT_HASH, RECORD_HASH_BYTES);
	memcpy(e.prev_hash, src + AT_PREV, RECORD_HASH_BYTES);
	bool good = e.seq < RECORD_CHUNKS_MAX && e.flags <= (RECORD_ENTRY_TORN | RECORD_ENTRY_REBUILT | RECORD_ENTRY_GAP) && !src[AT_RESERVED] &&
		    e.t0_ms < RECORD_TIME_MAX && e.duration_ms < RECORD_CHUNK_MS_MAX && e.frames <= RECORD_RECORDS_MAX && e.bytes <= RECORD_FILE_MAX &&
		    (!e.raw_bytes || !(e.flags & RECORD_ENTRY_REBUILT)) && entry_size_ok(&e);
	for (size_t i = 0; i < RECORD_SECONDS; i++) {
		e.activity[i] = src[AT_ACTIVITY + i / 2] >> i % 2 * 4 & 15;
		good = good && (i <= e.duration_ms / 1000 || !e.activity[i]);
	}
	if (good)
		*ret = e;
	return good;
}

static void doc_set_hex(json_t *doc, const char *key, const uint8_t *data, size_t n)
{
	char hex[2 * RECORD_ENTRY_BYTES + 1];
	str_hex(hex, data, n);
	hex[2 * n] = 0;
	doc_set_str(doc, key, hex);
}

json_t *record_entry_doc(const struct record_index_entry *e)
{
	char activity[RECORD_SECONDS + 1];
	uint8_t bytes[RECORD_ENTRY_BYTES];
	json_t *doc = json_object();
	record_entry_put(bytes, e);
	size_t seconds = e->width ? e->duration_ms / 1000 + 1 : 0;
	for (size_t i = 0; i < seconds; i++)
		activity[i] = "0123456789abcdef"[e->activity[i] & 15];
	activity[seconds] = 0;
	doc_set_int(doc, "seq", e->seq);
	doc_set_int(doc, "t0_ms", (int64_t)e->t0_ms);
	doc_set_int(doc, "duration_ms", e->duration_ms);
	doc_set_int(doc, "width", e->width);
	doc_set_int(doc, "height", e->height);
	doc_set_int(doc, "frames", e->frames);
	doc_set_int(doc, "bytes", e->bytes);
	doc_set_int(doc, "raw_bytes", e->raw_bytes);
	doc_set_bool(doc, "torn", e->flags & RECORD_ENTRY_TORN);
	doc_set_bool(doc, "gap", e->flags & RECORD_ENTRY_GAP);
	doc_set_hex(doc, "hash", e->hash, sizeof e->hash);
	doc_set_hex(doc, "prev_hash", e->prev_hash, sizeof e->prev_hash);
	doc_set_str(doc, "activity", activity);
	doc_set_hex(doc, "entry", bytes, sizeof bytes);
	return doc;
}

bool record_entry_from_doc(const json_t *doc, struct record_index_entry *ret)
{
	uint8_t bytes[RECORD_ENTRY_BYTES];
	const char *hex = doc_str(doc, "entry", "");
	return strlen(hex) == 2 * sizeof bytes && bytes_from_hex(bytes, hex, sizeof bytes) && record_entry_get(ret, bytes);
}

/* --- Merkle tree */

static void merkle_hash(uint8_t prefix, const void *a, const void *b, size_t n, uint8_t ret[RECORD_HASH_BYTES])
{
	uint8_t text[1 + 2 * RECORD_ENTRY_BYTES] = { prefix };
	memcpy(text + 1, a, n);
	if (b)
		memcpy(text + 1 + n, b, n);
	if (!EVP_Digest(text, 1 + (b ? 2 * n : n), ret, NULL, EVP_sha256(), NULL))
		abort(); /* without SHA-256, libcrypto cannot do anything else that this program needs */
}

/* level[i] is the root of a whole subtree of 2^i leaves wherever bit i of n is set. */
void record_merkle_add(struct record_merkle *m, const uint8_t entry[RECORD_ENTRY_BYTES])
{
	uint8_t hash[RECORD_HASH_BYTES];
	size_t i = 0;
	merkle_hash(0, entry, NULL, RECORD_ENTRY_BYTES, hash);
	for (; m->n >> i & 1; i++)
		merkle_hash(1, m->level[i], hash, sizeof hash, hash);
	memcpy(m->level[i], hash, sizeof hash);
	m->n++;
}

void record_merkle_root(const struct record_merkle *m, uint8_t ret[RECORD_HASH_BYTES])
{
	bool any = false;
	if (!m->n)
		EVP_Digest("", 0, ret, NULL, EVP_sha256(), NULL);
	for (size_t i = 0; i < 32; i++) {
		if (!(m->n >> i & 1))
			continue;
		if (any)
			merkle_hash(1, m->level[i], ret, RECORD_HASH_BYTES, ret);
		else
			memcpy(ret, m->level[i], RECORD_HASH_BYTES);
		any = true;
	}
}
