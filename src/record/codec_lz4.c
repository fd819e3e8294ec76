#include <lz4.h>
#include <pthread.h>

#include "record/bytes.h"
#include "record/codec.h"

#define BLOCK ((size_t)65536)  /* most that one block holds */
#define WINDOW ((size_t)65536) /* how far a block refers back */
#define HEAD 8
#define PACKED_MAX LZ4_COMPRESSBOUND(65536)

/* the functions of the library, in the order of `names` */
static struct {
	__typeof__(&LZ4_createStream) create;
	__typeof__(&LZ4_freeStream) release;
	__typeof__(&LZ4_resetStream_fast) reset;
	__typeof__(&LZ4_compress_fast_continue) compress;
	__typeof__(&LZ4_saveDict) save;
	__typeof__(&LZ4_decompress_safe_usingDict) decompress;
} l;
static const char *const names[] = { "LZ4_createStream", "LZ4_freeStream", "LZ4_resetStream_fast", "LZ4_compress_fast_continue", "LZ4_saveDict", "LZ4_decompress_safe_usingDict", NULL };

static bool lz4_load(char *why, size_t size)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	static bool loaded;
	void *functions[ARRAY_LEN(names) - 1];
	_Static_assert(sizeof functions == sizeof l, "a name for each function");
	pthread_mutex_lock(&lock);
	if (!loaded && codec_library("liblz4.so.1", "liblz4-1", names, functions, why, size)) {
		memcpy(&l, functions, sizeof l);
		loaded = true;
	}
	bool good = loaded;
	pthread_mutex_unlock(&lock);
	return good;
}

/* The window and the block after it are contiguous. */
struct lz4_packer {
	LZ4_stream_t *stream;
	size_t done, len; /* compressed; collected */
	char buffer[WINDOW + 2 * BLOCK];
};

static void *lz4_packer(void)
{
	struct lz4_packer *p = XNEW(struct lz4_packer);
	p->stream = l.create();
	if (p->stream)
		return p;
	free(p);
	return NULL;
}

static void lz4_packer_free(void *state)
{
	struct lz4_packer *p = state;
	l.release(p->stream);
	free(p);
}

static bool lz4_begin(void *state, UNUSED int level)
{
	struct lz4_packer *p = state;
	p->done = p->len = 0;
	l.reset(p->stream);
	return true;
}

static bool lz4_flush(void *state, struct pack_buffer *out)
{
	struct lz4_packer *p = state;
	size_t n = p->len - p->done;
	if (!n)
		return true;
	uint8_t *to = pack_buffer_room(out, HEAD + PACKED_MAX);
	int packed = l.compress(p->stream, p->buffer + p->done, (char *)to + HEAD, (int)n, PACKED_MAX, 1);
	if (packed <= 0)
		return false;
	bytes_put32(to, (uint32_t)n);
	bytes_put32(to + 4, (uint32_t)packed);
	out->len += HEAD + (size_t)packed;
	p->done = p->len;
	if (p->len > WINDOW + BLOCK)
		p->done = p->len = (size_t)l.save(p->stream, p->buffer, WINDOW);
	return true;
}

static bool lz4_add(void *state, const uint8_t *data, size_t n, struct pack_buffer *out)
{
	struct lz4_packer *p = state;
	while (n) {
		size_t take = MIN(n, BLOCK - (p->len - p->done));
		memcpy(p->buffer + p->len, data, take);
		p->len += take;
		data += take;
		n -= take;
		if (p->len - p->done == BLOCK && !lz4_flush(p, out))
			return false;
	}
	return true;
}

static bool lz4_end(void *state, struct pack_buffer *out)
{
	if (!lz4_flush(state, out))
		return false;
	memset(pack_buffer_room(out, HEAD), 0, HEAD);
	out->len += HEAD;
	return true;
}

/* --- inflating */

struct lz4_unpacker {
	bool ended;
	uint8_t head[HEAD];
	size_t have_head, have; /* bytes of the head, of the block */
	size_t window;		/* bytes of it in `out`, before the block */
	char packed[PACKED_MAX];
	char out[WINDOW + BLOCK];
};

static void *lz4_unpacker(void)
{
	return XNEW(struct lz4_unpacker);
}

static int lz4_block(struct lz4_unpacker *u, size_t raw, unpack_sink sink, void *arg)
{
	char *to = u->out + u->window;
	if (l.decompress(u->packed, to, (int)u->have, (int)raw, u->out, (int)u->window) != (int)raw)
		return UNPACK_BAD;
	u->have_head = u->have = 0;
	int rc = sink(arg, (const uint8_t *)to, raw);
	size_t all = u->window + raw;
	u->window = MIN(all, WINDOW);
	memmove(u->out, u->out + all - u->window, u->window);
	return rc;
}

static int lz4_feed(void *state, const uint8_t *data, size_t n, unpack_sink sink, void *arg)
{
	struct lz4_unpacker *u = state;
	while (n) {
		if (u->ended)
			return UNPACK_BAD;
		size_t take = MIN(n, HEAD - u->have_head);
		memcpy(u->head + u->have_head, data, take);
		u->have_head += take;
		data += take;
		n -= take;
		if (u->have_head < HEAD)
			return 0;
		size_t raw = bytes_get32(u->head), packed = bytes_get32(u->head + 4);
		u->ended = !raw && !packed;
		if (u->ended)
			continue;
		if (!raw || raw > BLOCK || !packed || packed > PACKED_MAX)
			return UNPACK_BAD;
		take = MIN(n, packed - u->have);
		memcpy(u->packed + u->have, data, take);
		u->have += take;
		data += take;
		n -= take;
		int rc = u->have == packed ? lz4_block(u, raw, sink, arg) : 0;
		if (rc)
			return rc;
	}
	return 0;
}

static bool lz4_ended(const void *state)
{
	return ((const struct lz4_unpacker *)state)->ended;
}

const struct codec_ops codec_lz4 = {
	lz4_load, lz4_packer, lz4_packer_free, lz4_begin, lz4_add, lz4_flush, lz4_end, lz4_unpacker, free, lz4_feed, lz4_ended,
};
