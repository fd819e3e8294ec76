/*
 * codec: the compressed stream of one chunk, through one of three codecs. Floor F2, one thread, never blocks after record_codec_load.
 *
 * zstd: one frame, window 8 MiB. lz4: blocks of u32 size, u32 compressed size, data; each at most 64 KiB and dependent on the 64 KiB before
 * it; two zeros at the end. none: the bytes themselves. The libraries are loaded at run time, so that the program starts without them.
 */
#ifndef RECORD_CODEC_H
#define RECORD_CODEC_H

#include "lucid/record.h"

/* Output that grows as needed; the first `len` bytes are used. */
struct pack_buffer {
	uint8_t *data;
	size_t len, cap;
};
/* Makes room for n more bytes, and returns where they go. */
uint8_t *pack_buffer_room(struct pack_buffer *b, size_t n);

#define PACK_PIECE 65536 /* most that packer_add takes at once */

struct packer;
struct packer *packer_new(enum record_codec c); /* NULL: the library is not installed */
void packer_free(struct packer *p);		/* takes NULL */
/* Begins a stream. level: of zstd; from 2 on with long-distance matching. */
bool packer_begin(struct packer *p, int level);
/* Adds at most PACK_PIECE bytes, and what comes out to `out`. False: the library failed. */
bool packer_add(struct packer *p, const uint8_t *data, size_t n, struct pack_buffer *out);
/* After a flush, everything added so far can be inflated from what came out. */
bool packer_flush(struct packer *p, struct pack_buffer *out);
bool packer_end(struct packer *p, struct pack_buffer *out);

struct unpacker;
struct unpacker *unpacker_new(enum record_codec c); /* NULL: the library is not installed */
void unpacker_free(struct unpacker *u);		    /* takes NULL */
/* Inflates n bytes and passes everything that can be had from them to the sink, which returns 0 to continue. Returns what the sink returned, or
 * UNPACK_BAD: the bytes are not the stream of this codec, or follow its end. */
#define UNPACK_BAD (-2000)
typedef int (*unpack_sink)(void *arg, const uint8_t *data, size_t n);
int unpacker_feed(struct unpacker *u, const uint8_t *data, size_t n, unpack_sink sink, void *arg);
/* Whether the stream may end here. */
bool unpacker_ended(const struct unpacker *u);

/* A codec's functions; codec.c has the table of codecs. State is what new_packer and new_unpacker return. */
struct codec_ops {
	bool (*load)(char *why, size_t size);
	void *(*packer)(void);
	void (*packer_free)(void *state);
	bool (*begin)(void *state, int level);
	bool (*add)(void *state, const uint8_t *data, size_t n, struct pack_buffer *out);
	bool (*flush)(void *state, struct pack_buffer *out);
	bool (*end)(void *state, struct pack_buffer *out);
	void *(*unpacker)(void);
	void (*unpacker_free)(void *state);
	int (*feed)(void *state, const uint8_t *data, size_t n, unpack_sink sink, void *arg);
	bool (*ended)(const void *state);
};
extern const struct codec_ops codec_zstd, codec_lz4;
/* Opens a library and fills in `functions` in the order of `names` (NULL-ended). False, with a sentence in why: it is not there. */
bool codec_library(const char *file, const char *package, const char *const *names, void **functions, char *why, size_t size);

#endif
