/* cipher: encrypts and authenticates the segments of one chunk, in place. Floor F2, one thread, never blocks. The nonce is the segment's
 * number; the headers of chunk and segment are authenticated. RECORD_PLAIN: the tag is the begin of SHA-256(headers ‖ data). */
#ifndef RECORD_CIPHER_H
#define RECORD_CIPHER_H

#include "lucid/record.h"

struct segment_cipher;
/* chunk_key: that of record_chunk_key; not used with RECORD_PLAIN. */
struct segment_cipher *segment_cipher_new(enum record_cipher kind, const uint8_t *chunk_key, const uint8_t header[RECORD_HEADER_BYTES], bool encrypt);
void segment_cipher_free(struct segment_cipher *c); /* takes NULL; wipes */
void segment_cipher_seal(struct segment_cipher *c, const uint8_t segment[RECORD_SEGMENT_BYTES], uint8_t *data, size_t n, uint8_t ret_tag[RECORD_TAG_BYTES]);
/* False: data, tag, headers or key are not those that were sealed; data is then undefined. */
bool segment_cipher_open(struct segment_cipher *c, const uint8_t segment[RECORD_SEGMENT_BYTES], uint8_t *data, size_t n, const uint8_t tag[RECORD_TAG_BYTES]);

#endif
