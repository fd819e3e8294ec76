/*
 * records: takes the inflated stream of a chunk apart into records, as it comes. Floor F2, one thread, never blocks. Rows are passed on from
 * the input where they are whole, otherwise from a buffer of one row; a cursor image comes as a whole.
 */
#ifndef RECORD_RECORDS_H
#define RECORD_RECORDS_H

#include "lucid/record_reader.h"

/* What the records of one segment must agree with. */
struct record_tally {
	bool any, key, gap;
	uint32_t first_ms, last_ms; /* of the records that have a byte in it */
	uint32_t frames;	    /* that end in it */
};

struct record_parser;
/* a: on_record, on_rows and arg are used. */
struct record_parser *record_parser_new(const struct record_reader_args *a, uint16_t width, uint16_t height);
void record_parser_free(struct record_parser *p); /* takes NULL */
/* 0, RECORD_BAD_RECORD, or what a callback returned. */
int record_parser_feed(struct record_parser *p, const uint8_t *data, size_t n);
/* What is wrong, after RECORD_BAD_RECORD. */
const char *record_parser_why(const struct record_parser *p);
/* True between records, and between the parts of a frame: where a segment may end. `whole`: between records only. */
bool record_parser_at_rest(const struct record_parser *p, bool whole);
uint32_t record_parser_records(const struct record_parser *p);
/* The tally since the last call; a frame that continues counts for the next one. */
struct record_tally record_parser_tally(struct record_parser *p);

#endif
