/*
 * record_reader: decodes one chunk from bytes as they come: complete, torn or still growing. Floor F2 (implemented in src/record), any
 * thread, never blocks. Every length is checked before memory is used for it; the memory is bounded (zstd 8 MiB, a segment, a band of
 * 256 KiB).
 *
 * What it does follows from the callbacks: without a key it checks the structure; with one it authenticates and decrypts each segment
 * (on_segment), inflates (on_plain) and takes the records apart (on_record, on_rows). A callback returns 0 to continue, or a negative value
 * that ends the reading and is returned by record_reader_feed.
 */
#ifndef LUCID_RECORD_READER_H
#define LUCID_RECORD_READER_H

#include "lucid/record_keys.h"

struct record_header {
	uint8_t version, codec, cipher, flags;
	uint8_t id[RECORD_ID_BYTES];
	uint32_t seq;
	uint16_t width, height;
	uint64_t t0_ms;
	uint8_t salt[16], prev_hash[RECORD_HASH_BYTES];
};
enum record_segment_type { RECORD_SEGMENT_DATA = 1, RECORD_SEGMENT_END = 2, RECORD_SEGMENT_GAP = 3 };
struct record_segment {
	uint32_t length, number, t_first_ms, t_last_ms; /* length: of the ciphertext without its tag */
	uint16_t frames;
	uint8_t type;	  /* enum record_segment_type; GAP is DATA that has a gap record */
	uint8_t activity; /* of this second of the chunk, up to here */
	bool key;	  /* a full picture begins in it */
};

/* A record. Frame and cursor image are followed by on_rows. */
struct record_record {
	uint32_t t_ms; /* since the chunk's t0_ms */
	uint8_t kind;  /* enum record_kind */
	bool key;      /* a full picture */
	uint16_t rects;
	uint16_t x, y;		    /* CURSOR_POS: position; CURSOR_IMAGE: hot spot */
	uint16_t width, height;	    /* CURSOR_IMAGE; 0: no cursor is shown */
	uint64_t from_ms;	    /* GAP: its begin, since the recording's start */
	uint16_t reason;	    /* GAP: enum record_gap */
};

struct record_reader_args {
	const uint8_t *key; /* the recording's data key, copied; NULL: only structure, or RECORD_PLAIN */
	const uint8_t *id;  /* the recording that the chunk must belong to, copied; NULL: any */
	int64_t seq;	    /* sequence number that it must have; -1: any */
	void *arg;
	int (*on_header)(void *arg, const struct record_header *h);
	/* data: decrypted, still compressed; all segments joined are one compressed stream (one zstd frame). NULL without a key. */
	int (*on_segment)(void *arg, const struct record_segment *s, const uint8_t *data, size_t n);
	int (*on_plain)(void *arg, const uint8_t *data, size_t n); /* inflated: the records as bytes */
	int (*on_record)(void *arg, const struct record_record *r); /* when its fixed part is there */
	/* Rows of a rectangle, from top to bottom, in bands: x, w as stored, y and h of the band. Cursor images come whole, at x = y = 0. The
	 * pixels are valid during the callback. */
	int (*on_rows)(void *arg, const struct record_rect *band);
	bool records; /* take the records apart and check them even without on_record and on_rows */
};

enum record_fault {
	RECORD_OK = 0,
	RECORD_BAD_HEADER = -1000,  /* not a chunk, an unknown version, or a value out of bounds */
	RECORD_OTHER_CHUNK = -1001, /* of another recording, or with another number */
	RECORD_BAD_SEGMENT = -1002, /* a segment header out of bounds or out of order */
	RECORD_BAD_TAG = -1003,	    /* modified, or another key */
	RECORD_BAD_STREAM = -1004,  /* does not inflate */
	RECORD_BAD_RECORD = -1005,  /* a record out of bounds */
	RECORD_AFTER_END = -1006,   /* bytes after the end segment */
	RECORD_NO_CODEC = -1007,    /* the codec's library is not installed */
};

struct record_reader;
struct record_reader *record_reader_new(const struct record_reader_args *a);
void record_reader_free(struct record_reader *r); /* takes NULL; wipes keys */
/* Takes the next n bytes of the file. 0, an enum record_fault, or what a callback returned; after a failure it returns the same again. */
int record_reader_feed(struct record_reader *r, const void *bytes, size_t n);
/* The same up to the end of a segment; *ret_used says how many bytes were taken. For callers that pass on what is inflated: a segment inflates
 * to at most RECORD_SEGMENT_RAW, but 64 KiB of file may have many segments, and a whole chunk of 128 MiB. */
int record_reader_step(struct record_reader *r, const void *bytes, size_t n, size_t *ret_used);

/* What there is after the bytes fed so far. */
struct record_progress {
	bool header, complete;	 /* complete: the end segment is there */
	uint32_t segments, frames, records;
	uint64_t fed, valid;	 /* bytes; up to the end of the last whole segment (or header): the rest is a piece of one */
	uint64_t raw;		 /* inflated bytes */
	uint32_t last_ms;	 /* time of the last segment's last record */
	uint8_t activity[RECORD_SECONDS];
	bool gap;
};
const struct record_progress *record_reader_progress(const struct record_reader *r);
/* After a failure: a sentence with the place, such as "segment 12 at byte 48123: the tag does not match". */
const char *record_reader_why(const struct record_reader *r);
const struct record_header *record_reader_header(const struct record_reader *r); /* NULL: not there yet */

#endif
