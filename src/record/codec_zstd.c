#include <pthread.h>
#include <zstd.h>

#include "record/bytes.h"
#include "record/codec.h"

#define LEVEL_DEFAULT 3
#define LEVEL_MAX 19
#define LEVEL_LONG 2 /* from this level on, long-distance matching in a window of 8 MiB */
#define FAR_MATCH_MIN 128 /* bytes; with the default of 64, text that scrolls takes a twentieth more and as long */
#define OUT_BYTES ((size_t)1 << 17)

/* the functions of the library, in the order of `names` */
static struct {
	__typeof__(&ZSTD_createCCtx) create_c;
	__typeof__(&ZSTD_freeCCtx) free_c;
	__typeof__(&ZSTD_CCtx_reset) reset_c;
	__typeof__(&ZSTD_CCtx_setParameter) set_c;
	__typeof__(&ZSTD_compressStream2) compress;
	__typeof__(&ZSTD_createDCtx) create_d;
	__typeof__(&ZSTD_freeDCtx) free_d;
	__typeof__(&ZSTD_DCtx_setParameter) set_d;
	__typeof__(&ZSTD_decompressStream) decompress;
	__typeof__(&ZSTD_isError) is_error;
} z;
static const char *const names[] = {
	"ZSTD_createCCtx", "ZSTD_freeCCtx", "ZSTD_CCtx_reset", "ZSTD_CCtx_setParameter", "ZSTD_compressStream2",
	"ZSTD_createDCtx", "ZSTD_freeDCtx", "ZSTD_DCtx_setParameter", "ZSTD_decompressStream", "ZSTD_isError", NULL,
};

static bool zstd_load(char *why, size_t size)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	static bool loaded;
	void *functions[ARRAY_LEN(names) - 1];
	_Static_assert(sizeof functions == sizeof z, "a name for each function");
	pthread_mutex_lock(&lock);
	if (!loaded && codec_library("libzstd.so.1", "libzstd1", names, functions, why, size)) {
		memcpy(&z, functions, sizeof z);
		loaded = true;
	}
	bool good = loaded;
	pthread_mutex_unlock(&lock);
	return good;
}

static void *zstd_packer(void)
{
	return z.create_c();
}

static void zstd_packer_free(void *state)
{
	z.free_c(state);
}

static bool zstd_begin(void *state, int level)
{
	level = level <= 0 ? LEVEL_DEFAULT : MIN(level, LEVEL_MAX);
	bool far = level >= LEVEL_LONG;
	return !z.is_error(z.reset_c(state, ZSTD_reset_session_and_parameters)) && !z.is_error(z.set_c(state, ZSTD_c_compressionLevel, level)) &&
	       (!far || (!z.is_error(z.set_c(state, ZSTD_c_windowLog, RECORD_WINDOW_LOG)) && !z.is_error(z.set_c(state, ZSTD_c_enableLongDistanceMatching, 1)) &&
			 !z.is_error(z.set_c(state, ZSTD_c_ldmMinMatch, FAR_MATCH_MIN))));
}

static bool zstd_run(void *state, const uint8_t *data, size_t n, ZSTD_EndDirective how, struct pack_buffer *out)
{
	ZSTD_inBuffer in = { data, n, 0 };
	size_t left;
	do {
		ZSTD_outBuffer to = { pack_buffer_room(out, OUT_BYTES), OUT_BYTES, 0 };
		left = z.compress(state, &to, &in, how);
		out->len += to.pos;
	} while (!z.is_error(left) && (how == ZSTD_e_continue ? in.pos < n : left != 0));
	return !z.is_error(left);
}

static bool zstd_add(void *state, const uint8_t *data, size_t n, struct pack_buffer *out)
{
	return zstd_run(state, data, n, ZSTD_e_continue, out);
}

static bool zstd_flush(void *state, struct pack_buffer *out)
{
	return zstd_run(state, NULL, 0, ZSTD_e_flush, out);
}

static bool zstd_end(void *state, struct pack_buffer *out)
{
	return zstd_run(state, NULL, 0, ZSTD_e_end, out);
}

/* --- inflating */

struct zstd_unpacker {
	ZSTD_DCtx *ctx;
	bool ended;
	uint8_t magic[4]; /* only one frame, no skippable one, which has another number */
	size_t have;
	uint8_t out[OUT_BYTES];
};

static void zstd_unpacker_free(void *state)
{
	struct zstd_unpacker *u = state;
	z.free_d(u->ctx);
	free(u);
}

static void *zstd_unpacker(void)
{
	struct zstd_unpacker *u = XNEW(struct zstd_unpacker);
	u->ctx = z.create_d();
	if (u->ctx && !z.is_error(z.set_d(u->ctx, ZSTD_d_windowLogMax, RECORD_WINDOW_LOG)))
		return u;
	zstd_unpacker_free(u);
	return NULL;
}

static int zstd_inflate(struct zstd_unpacker *u, const uint8_t *data, size_t n, unpack_sink sink, void *arg)
{
	ZSTD_inBuffer in = { data, n, 0 };
	bool full = false;
	while (in.pos < n || full) {
		if (u->ended)
			return UNPACK_BAD;
		ZSTD_outBuffer to = { u->out, sizeof u->out, 0 };
		size_t left = z.decompress(u->ctx, &to, &in);
		if (z.is_error(left))
			return UNPACK_BAD;
		u->ended = left == 0;
		full = !u->ended && to.pos == sizeof u->out;
		int rc = to.pos ? sink(arg, u->out, to.pos) : 0;
		if (rc)
			return rc;
	}
	return 0;
}

static int zstd_feed(void *state, const uint8_t *data, size_t n, unpack_sink sink, void *arg)
{
	struct zstd_unpacker *u = state;
	size_t take = MIN(sizeof u->magic - u->have, n);
	if (take) {
		memcpy(u->magic + u->have, data, take);
		u->have += take;
		if (u->have < sizeof u->magic)
			return 0;
		if (bytes_get32(u->magic) != ZSTD_MAGICNUMBER)
			return UNPACK_BAD;
		int rc = zstd_inflate(u, u->magic, sizeof u->magic, sink, arg);
		if (rc)
			return rc;
	}
	return zstd_inflate(u, data + take, n - take, sink, arg);
}

static bool zstd_ended(const void *state)
{
	return ((const struct zstd_unpacker *)state)->ended;
}

const struct codec_ops codec_zstd = {
	zstd_load, zstd_packer, zstd_packer_free, zstd_begin, zstd_add, zstd_flush, zstd_end, zstd_unpacker, zstd_unpacker_free, zstd_feed, zstd_ended,
};
