/*
 * record: the words of the recording format: limits, codecs, ciphers, kinds of records, index entries. Floor F2 (implemented in
 * src/record), any thread, never blocks. docs/recording-format.md describes the bytes.
 *
 * A recording is a directory: manifest.json, a file of 96 bytes and segments for each chunk (00000000.rck …), index, and at the end
 * seal.json. src/record/writer.h writes chunks and the index, src/record/recover.h repairs a directory after a crash,
 * lucid/record_reader.h decodes a chunk, lucid/record_papers.h writes and reads manifest and seal, lucid/record_keys.h has the keys, and
 * lucid/record_verify.h checks a whole recording. Not for: where the pictures come from (src/eye), who may see them (the role).
 */
#ifndef LUCID_RECORD_H
#define LUCID_RECORD_H

#include "lucid/doc.h"

/* The numbers are those in the files. */
enum record_codec { RECORD_NONE = 0, RECORD_LZ4 = 1, RECORD_ZSTD = 2 };
enum record_cipher { RECORD_PLAIN = 0, RECORD_AES256_GCM = 1, RECORD_CHACHA20_POLY1305 = 2 };
enum record_kind { RECORD_FRAME = 1, RECORD_CURSOR_IMAGE = 2, RECORD_CURSOR_POS = 3, RECORD_GAP = 4 };
enum record_gap {
	RECORD_GAP_LOST = 1,	/* the connection to the X server was cut */
	RECORD_GAP_PAUSED = 2,	/* on request */
	RECORD_GAP_RESTART = 3, /* the recorder died, or was ended because it hung */
	RECORD_GAP_DISK = 4,	/* the disk was full, or writing failed */
};

#define RECORD_ID_BYTES 16 /* of the recording's UUID, in the order of its digits */
#define RECORD_KEY_BYTES 32
#define RECORD_HASH_BYTES 32
#define RECORD_HEADER_BYTES 96
#define RECORD_SEGMENT_BYTES 20 /* the header of a segment */
#define RECORD_TAG_BYTES 16
#define RECORD_WHY_SIZE 256 /* of a sentence that says what is wrong */
#define RECORD_ENTRY_BYTES 128

/* Bounds that the writer keeps and the reader insists on. */
#define RECORD_SIDE_MAX 16384		      /* pixels */
#define RECORD_AREA_MAX (1u << 26)	      /* pixels of a picture */
#define RECORD_CURSOR_MAX 256		      /* pixels, width and height of a cursor image */
#define RECORD_CHUNK_MS_MIN 5000
#define RECORD_CHUNK_MS_MAX 60000	      /* every time within a chunk is less */
#define RECORD_RECORDS_MAX 65536	      /* records of a chunk */
#define RECORD_SEGMENT_MAX (1u << 20)	      /* ciphertext of a segment, without its tag */
#define RECORD_SEGMENT_RAW (8u << 20)	      /* what a segment inflates to */
#define RECORD_CLOSE_FILE (8u << 20)	      /* a chunk is closed after the record that reaches this size of its file … */
#define RECORD_CLOSE_RAW (128u << 20)	      /* … or this size before compression */
#define RECORD_FILE_MAX (512u << 20)	      /* of a chunk */
#define RECORD_CHUNKS_MAX (1u << 19)	      /* of a recording: 182 days of chunks of 30 s */
#define RECORD_TIME_MAX ((uint64_t)1 << 48)   /* ms since the recording's start */
#define RECORD_WINDOW_LOG 23		      /* zstd: 8 MiB, the most that browsers accept (RFC 9659) */

#define RECORD_MANIFEST "manifest.json"
#define RECORD_INDEX "index"
#define RECORD_SEAL "seal.json"
#define RECORD_NAME_SIZE 16
/* "00000007.rck"; returns dst. */
const char *record_chunk_name(char dst[RECORD_NAME_SIZE], uint32_t seq);

const char *record_codec_to_string(enum record_codec c); /* "none", "lz4", "zstd"; static */
bool record_codec_from_string(const char *s, enum record_codec *ret);
const char *record_cipher_to_string(enum record_cipher c); /* "none", "aes-256-gcm", "chacha20-poly1305"; static */
const char *record_gap_to_string(enum record_gap g);	   /* "lost", "paused", "restart", "disk"; "other" for others; static */

/* Loads the library of a codec (libzstd.so.1, liblz4.so.1) once. False: it is not installed, with a sentence in why[size]. Call it before
 * seccomp. RECORD_NONE is always there. */
bool record_codec_load(enum record_codec c, char *why, size_t size);

/* The 16 bytes of a UUID, and back. False: the text is not a UUID in lower case. */
bool record_id_parse(const char *uuid, uint8_t ret[RECORD_ID_BYTES]);
void record_id_text(char dst[37], const uint8_t id[RECORD_ID_BYTES]);

/* A rectangle of pixels: rows of w × 4 bytes B G R X, each `stride` bytes after the one before. */
struct record_rect {
	uint16_t x, y, w, h;
	const uint8_t *bgrx;
	size_t stride;
};

/* How much changed, for each second of a chunk: 0 nothing; 1 … 15: floor(log2(changed pixels × 1024 / pixels of the screen)) + 1, so 11 is
 * the whole screen once. The index has it in the clear, for the time line. */
#define RECORD_SECONDS (RECORD_CHUNK_MS_MAX / 1000)
#define RECORD_ACTIVITY_MAX 15
uint8_t record_activity_level(uint64_t changed_pixels, uint64_t screen_pixels);

enum record_entry_flag {
	RECORD_ENTRY_TORN = 1,	  /* the chunk has no end: its recorder died; what is whole in it is valid */
	RECORD_ENTRY_REBUILT = 2, /* made from the chunk without its key: raw_bytes is 0, unknown */
	RECORD_ENTRY_GAP = 4,	  /* it has a gap record */
};
struct record_index_entry {
	uint32_t seq;
	uint8_t flags;	/* enum record_entry_flag */
	uint16_t width, height; /* 0: torn before its header was whole */
	uint64_t t0_ms; /* since the recording's start */
	uint32_t duration_ms; /* time of the last record */
	uint32_t frames;
	uint32_t bytes;	    /* of the file */
	uint32_t raw_bytes; /* before compression; 0: unknown */
	uint8_t activity[RECORD_SECONDS];
	uint8_t hash[RECORD_HASH_BYTES];      /* SHA-256 of the file */
	uint8_t prev_hash[RECORD_HASH_BYTES]; /* of the chunk before; zeros for the first */
};
void record_entry_put(uint8_t dst[RECORD_ENTRY_BYTES], const struct record_index_entry *e);
/* False: a value is out of its bounds, or reserved bytes are not 0. */
bool record_entry_get(struct record_index_entry *ret, const uint8_t src[RECORD_ENTRY_BYTES]);

/* {seq, t0_ms, duration_ms, width, height, frames, bytes, raw_bytes, torn, gap, hash, prev_hash, activity: "0a3…" (a hex digit for each
 * second), entry: the 128 bytes in hex}. The caller owns it. */
json_t *record_entry_doc(const struct record_index_entry *e);
/* Reads `entry` alone. False: it is missing or invalid. */
bool record_entry_from_doc(const json_t *doc, struct record_index_entry *ret);

/* The root of the Merkle tree over index entries, as in RFC 6962: leaf SHA-256(00 ‖ entry), node SHA-256(01 ‖ left ‖ right). Without entries:
 * SHA-256 of nothing. Entries are added in order; needs 33 hashes of memory. */
struct record_merkle {
	uint8_t level[33][RECORD_HASH_BYTES];
	uint32_t n;
};
void record_merkle_add(struct record_merkle *m, const uint8_t entry[RECORD_ENTRY_BYTES]);
void record_merkle_root(const struct record_merkle *m, uint8_t ret[RECORD_HASH_BYTES]);

#endif
