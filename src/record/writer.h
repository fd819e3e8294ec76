/*
 * writer: writes one recording into a directory: compresses, encrypts, stores. Floor F2, one thread; blocks while the disk does.
 *
 * The caller brings frames and calls tick when record_writer_next_us says so. The writer opens chunks (00000000.rck …, O_EXCL) when a frame
 * comes, ends a segment at each full second of the chunk and at 256 KiB, calls fdatasync each 5 s, and closes the chunk after chunk_ms,
 * RECORD_CLOSE_FILE, RECORD_CLOSE_RAW, or with a new size. A still screen opens none.
 *
 * After a failed write the chunk is cut back to its last whole segment and the writer is done for: every call returns the same error.
 * To continue, free it, call record_recover (recover.h) and make another one from its result. Never two writers for a directory: the index
 * is locked (flock) while there is one.
 */
#ifndef RECORD_WRITER_H
#define RECORD_WRITER_H

#include "lucid/record.h"

struct record_writer_args {
	int dir_fd; /* borrowed; must stay open */
	uint8_t id[RECORD_ID_BYTES];
	const uint8_t *key; /* RECORD_KEY_BYTES, copied; not used with RECORD_PLAIN */
	enum record_codec codec;
	int level; /* zstd 1 … 19, 0: 3. Long-distance matching from level 2 on */
	enum record_cipher cipher;
	unsigned chunk_ms;    /* RECORD_CHUNK_MS_MIN … MAX */
	uint32_t first_seq;   /* 0, or what record_recover says */
	uint8_t prev_hash[RECORD_HASH_BYTES]; /* of chunk first_seq - 1; zeros for 0 */
	int64_t start_us;     /* CLOCK_MONOTONIC at the recording's start */
	unsigned max_records; /* of a chunk; 0 or more than RECORD_RECORDS_MAX: that */
	void *arg;
	/* A chunk was closed, and is on the disk with its index entry. May be NULL. */
	void (*on_chunk)(void *arg, const struct record_index_entry *e);
};

struct record_writer;
/* 0, or -EINVAL; -ENOSYS: the codec's library is missing; -EWOULDBLOCK: another writer has the directory; -EBADMSG: first_seq and prev_hash
 * are not those that follow the index (recover first); another -errno. */
int record_writer_new(const struct record_writer_args *a, struct record_writer **ret);
/* Without closing the chunk, which is torn then: close it before. Takes NULL. Wipes the keys. */
void record_writer_free(struct record_writer *w);

/* Times are µs of CLOCK_MONOTONIC; a time before the one before it is taken as that. All return 0 or -errno. */

/* Whether a frame of this size at this time must be a full picture: the first of a chunk, or of another size. */
bool record_writer_wants_key(const struct record_writer *w, int64_t now_us, unsigned width, unsigned height);
/* `changed`: how many pixels differ from the picture before; of a full picture that only opens a chunk these may be few. With `key` the
 * rectangles cover the picture exactly. Rectangles do not overlap. -EINVAL: wants_key says otherwise, or they are out of bounds. */
int record_writer_frame(struct record_writer *w, int64_t t_us, unsigned width, unsigned height, bool key, uint64_t changed,
			const struct record_rect *rects, size_t n);
/* Cursor image and position are kept, and written again at the begin of each chunk; without an open chunk they do not open one. argb: w × h
 * × 4 bytes B G R A, premultiplied; w = h = 0: no cursor. */
struct record_cursor {
	uint16_t hot_x, hot_y, w, h;
	const uint8_t *argb;
};
int record_writer_cursor_image(struct record_writer *w, int64_t t_us, const struct record_cursor *c);
int record_writer_cursor_pos(struct record_writer *w, int64_t t_us, unsigned x, unsigned y);
/* From from_us to t_us nothing was recorded. Without an open chunk it is kept for the next one. */
int record_writer_gap(struct record_writer *w, int64_t t_us, int64_t from_us, enum record_gap reason);

int record_writer_tick(struct record_writer *w, int64_t now_us);
int64_t record_writer_next_us(const struct record_writer *w); /* when tick is due; INT64_MAX: never */
/* Ends the chunk, if one is open: end segment, fdatasync, index entry, on_chunk. */
int record_writer_close_chunk(struct record_writer *w);
/* For the next chunk: compression level, and chunk codec under load. */
void record_writer_set_level(struct record_writer *w, int level);

/* The stages of the pipeline. The first has the frames given to the writer; its times are for the caller to fill in. */
enum record_stage { RECORD_STAGE_RECORDING, RECORD_STAGE_COMPRESSION, RECORD_STAGE_ENCRYPTION, RECORD_STAGE_STORAGE, RECORD_STAGES };
struct record_figures {
	uint64_t items, bytes_in, bytes_out, ns_sum, ns_max, errors;
	int64_t last_us; /* CLOCK_MONOTONIC; 0: never */
};
const struct record_figures *record_writer_figures(const struct record_writer *w); /* RECORD_STAGES of them */
struct record_written {
	uint32_t next_seq;
	uint8_t head[RECORD_HASH_BYTES]; /* of the last closed chunk */
	bool open;
	uint32_t open_bytes; /* of the open chunk, on the disk */
};
void record_writer_written(const struct record_writer *w, struct record_written *ret);

#endif
