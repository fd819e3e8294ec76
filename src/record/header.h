/* header: the bytes of the header of a chunk and of a segment. Floor F2, pure. */
#ifndef RECORD_HEADER_H
#define RECORD_HEADER_H

#include "lucid/record_reader.h"

#define RECORD_VERSION 1

void record_header_put(uint8_t dst[RECORD_HEADER_BYTES], const struct record_header *h);
/* NULL: good; otherwise what is wrong with it. */
const char *record_header_get(struct record_header *ret, const uint8_t src[RECORD_HEADER_BYTES]);

void record_segment_put(uint8_t dst[RECORD_SEGMENT_BYTES], const struct record_segment *s);
/* `before`: the segment before it; NULL: it is the first. NULL: good; otherwise what is wrong with it. */
const char *record_segment_get(struct record_segment *ret, const uint8_t src[RECORD_SEGMENT_BYTES], const struct record_segment *before);

#endif
