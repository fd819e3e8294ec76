/* start: what a recording is started with. Floor F5, in the recorder; pure. */
#ifndef RECORDER_START_H
#define RECORDER_START_H

#include "lucid/record_keys.h"
#include "recorder/quality.h"

#define START_COOKIE 16

struct start {
	uint8_t id[RECORD_ID_BYTES], key[RECORD_KEY_BYTES], cookie[START_COOKIE], prev_hash[RECORD_HASH_BYTES];
	enum record_codec codec;
	enum record_cipher cipher;
	enum quality quality;
	int level;
	unsigned frame_rate, chunk_ms, max_mb_per_min, max_records;
	uint32_t first_seq;
	int64_t start_us;
	int64_t gap_from_us; /* 0: nothing is missing before */
};
/* From the body of `start`. NULL, or what is wrong (static text). It contains secrets: wipe it. */
const char *start_parse(const json_t *body, struct start *ret);

/* Exactly n bytes from 2n hex digits of either case. */
bool start_hex(const char *text, uint8_t *ret, size_t n);

#endif
