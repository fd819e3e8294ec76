#include "fuzz.h"
#include "lucid/record_reader.h"
#include "lucid/record_verify.h"
#include "record/cipher.h"

/*
 * The files of a recording, as a hostile directory may have them. The first byte says what follows: bit 0: tags and signatures are made right
 * beforehand, because the fuzzer cannot; bit 1: manifest, seal, index and chunk 0, separated by 0xff, for the verifier; else a chunk for the
 * reader. Whatever the bytes: they are read the same in one piece and in many, and everything that is reported is within its bounds.
 */
#define MAKE_RIGHT 1
#define PAPERS 2
#define MASTER "0123456789abcdef0123456789abcdef"

struct seen {
	uint16_t width, height;
	uint32_t last_ms, records;
	uint64_t pixels, plain;
	bool in_image;
};

static int on_header(void *arg, const struct record_header *h)
{
	struct seen *s = arg;
	assert(h->width && h->height && (uint32_t)h->width * h->height <= RECORD_AREA_MAX);
	s->width = h->width;
	s->height = h->height;
	return 0;
}

static int on_segment(void *arg, const struct record_segment *s, const uint8_t *data, size_t n)
{
	assert(s->length <= RECORD_SEGMENT_MAX && s->t_last_ms < RECORD_CHUNK_MS_MAX && s->activity <= RECORD_ACTIVITY_MAX && (!data || n == s->length));
	return 0;
}

static int on_plain(void *arg, const uint8_t *data, size_t n)
{
	struct seen *s = arg;
	s->plain += n;
	return 0;
}

static int on_record(void *arg, const struct record_record *r)
{
	struct seen *s = arg;
	assert(r->kind >= RECORD_FRAME && r->kind <= RECORD_GAP && r->t_ms >= s->last_ms && r->t_ms < RECORD_CHUNK_MS_MAX);
	assert(s->records || (r->kind == RECORD_FRAME && r->key));
	s->last_ms = r->t_ms;
	s->in_image = r->kind == RECORD_CURSOR_IMAGE;
	assert(++s->records <= RECORD_RECORDS_MAX);
	return 0;
}

static int on_rows(void *arg, const struct record_rect *b)
{
	struct seen *s = arg;
	uint16_t width = s->in_image ? RECORD_CURSOR_MAX : s->width, height = s->in_image ? RECORD_CURSOR_MAX : s->height;
	assert(b->w && b->h && b->x + b->w <= width && b->y + b->h <= height);
	for (size_t y = 0; y < b->h; y++) /* read every byte */
		for (size_t x = 0; x < (size_t)b->w * 4; x++)
			s->pixels += b->bgrx[y * b->stride + x];
	return 0;
}

static uint32_t get32(const uint8_t *p)
{
	return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* Makes every tag right: those of RECORD_PLAIN. */
static void make_tags(uint8_t *data, size_t size)
{
	if (size < RECORD_HEADER_BYTES)
		return;
	data[6] = RECORD_PLAIN;
	struct segment_cipher *c = segment_cipher_new(RECORD_PLAIN, NULL, data, true);
	for (size_t at = RECORD_HEADER_BYTES; size - at >= RECORD_SEGMENT_BYTES + RECORD_TAG_BYTES;) {
		size_t n = get32(data + at);
		if (n > size - at - RECORD_SEGMENT_BYTES - RECORD_TAG_BYTES)
			break;
		uint8_t *body = data + at + RECORD_SEGMENT_BYTES;
		segment_cipher_seal(c, data + at, body, n, body + n);
		at += RECORD_SEGMENT_BYTES + n + RECORD_TAG_BYTES;
	}
	segment_cipher_free(c);
}

/* --- the reader */

static int read_pieces(const uint8_t *data, size_t size, size_t piece, struct seen *seen, struct record_progress *ret)
{
	static const uint8_t key[RECORD_KEY_BYTES] = { 1 };
	struct record_reader_args a = { .key = key, .seq = -1, .arg = seen, .on_header = on_header, .on_segment = on_segment, .on_plain = on_plain, .on_record = on_record, .on_rows = on_rows };
	struct record_reader *r = record_reader_new(&a);
	int rc = 0;
	for (size_t at = 0; at < size && rc == 0; at += piece)
		rc = record_reader_feed(r, data + at, piece < size - at ? piece : size - at);
	*ret = *record_reader_progress(r);
	assert(ret->valid <= ret->fed && ret->fed <= size && (rc || ret->fed == size));
	assert(!rc == !*record_reader_why(r));
	assert(record_reader_feed(r, "", 0) == rc);
	record_reader_free(r);
	return rc;
}

static void read_chunk(const uint8_t *data, size_t size)
{
	struct seen one = { 0 }, many = { 0 };
	struct record_progress p, q;
	int a = read_pieces(data, size, size ? size : 1, &one, &p), b = read_pieces(data, size, 7, &many, &q);
	assert(a == b && p.valid == q.valid && p.segments == q.segments && p.frames == q.frames && p.complete == q.complete && p.last_ms == q.last_ms);
	assert(one.records == many.records && one.pixels == many.pixels && (a || one.plain == many.plain));
	assert(memcmp(p.activity, q.activity, sizeof p.activity) == 0);
}

/* --- the verifier */

static const struct record_master *master(void)
{
	static struct record_master m;
	if (!*m.kek_id)
		record_master_init(&m, MASTER, sizeof MASTER - 1);
	return &m;
}

/* The text with a signature that is right; the caller frees it. */
static char *with_signature(const char *text, size_t size, const char *context, size_t *ret_size)
{
	static const char member[] = ",\"signature\":\"", end[] = "\"}\n";
	uint8_t signature[64];
	size_t body = size > 145 ? size - 145 : size;
	char *all = malloc(body + 146), *p = all + body;
	memcpy(all, text, body);
	record_sign(master(), context, text, body, signature);
	memcpy(p, member, sizeof member - 1);
	p += sizeof member - 1;
	for (size_t i = 0; i < sizeof signature; i++, p += 2)
		memcpy(p, (char[]){ "0123456789abcdef"[signature[i] >> 4], "0123456789abcdef"[signature[i] & 15] }, 2);
	memcpy(p, end, sizeof end - 1);
	*ret_size = body + 145;
	return all;
}

static void give_text(struct record_check *c, void (*give)(struct record_check *c, const char *text, size_t len), const char *text, size_t size, const char *context, bool right)
{
	char *own = right ? with_signature(text, size, context, &size) : malloc(size + 1);
	if (!right)
		memcpy(own, text, size);
	give(c, own, size);
	free(own);
}

static void check_files(const uint8_t *const part[4], const size_t size[4], bool right)
{
	struct record_check_args a = { .masters = master(), .n_masters = 1 };
	struct record_check *c = record_check_new(&a);
	static struct record_verdict v;
	give_text(c, record_check_manifest, (const char *)part[0], size[0], "rck1 manifest", right);
	if (size[1])
		give_text(c, record_check_seal, (const char *)part[1], size[1], "rck1 seal", right);
	record_check_index(c, part[2], size[2]);
	uint32_t n = record_check_chunks(c);
	assert(n <= RECORD_CHUNKS_MAX);
	for (uint32_t seq = 0; seq < n && seq < 3; seq++) {
		record_check_chunk_begin(c, seq);
		if (seq == 0)
			record_check_chunk_data(c, part[3], size[3]);
		record_check_chunk_end(c, seq ? -2 : 0);
	}
	record_check_finish(c, &v);
	assert((v.state == RECORD_BROKEN) == (v.n_findings > 0) && v.n_kept <= RECORD_FINDINGS_MAX && v.n_kept <= v.n_findings);
	assert(v.state != RECORD_WHOLE || v.sealed);
	for (size_t i = 0; i < v.n_kept; i++)
		assert(*v.findings[i].text && strlen(v.findings[i].text) < RECORD_WHY_SIZE);
	record_check_free(c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!size)
		return 0;
	uint8_t flags = data[0], *copy = malloc(size), *p = copy;
	const uint8_t *part[4];
	size_t sizes[4] = { 0 }, left = size - 1;
	memcpy(copy, data + 1, left);
	if (!(flags & PAPERS)) {
		if (flags & MAKE_RIGHT)
			make_tags(copy, left);
		read_chunk(copy, left);
	} else {
		for (size_t i = 0; i < 4; i++) { /* the first two end with 0xff, the index has a length */
			uint8_t *end = i < 2 ? memchr(p, 0xff, left) : NULL;
			size_t n = end ? (size_t)(end - p) : i == 2 && left ? (size_t)*p % 4 * RECORD_ENTRY_BYTES + 1 : left;
			n = n < left ? n : left;
			part[i] = i == 2 && n ? p + 1 : p;
			sizes[i] = i == 2 && n ? n - 1 : n;
			p += n + (end != NULL);
			left -= n + (end != NULL);
		}
		if (flags & MAKE_RIGHT)
			make_tags((uint8_t *)(uintptr_t)part[3], sizes[3]);
		check_files(part, sizes, flags & MAKE_RIGHT);
	}
	free(copy);
	return 0;
}
