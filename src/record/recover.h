/*
 * recover: makes a directory consistent after its recorder died, without the key. Floor F2; blocks while it reads the chunks that the index
 * does not list, at most a few.
 *
 * Chunks are never changed, and nothing is appended to a torn one. Each chunk beyond the index gets an entry: complete, or with
 * RECORD_ENTRY_TORN. A piece of an entry at the end of the index is cut off. The recording continues with the next number. Safe to interrupt and repeat at any point.
 */
#ifndef RECORD_RECOVER_H
#define RECORD_RECOVER_H

#include "lucid/record_papers.h"

struct record_recovered {
	uint32_t next_seq; /* for record_writer_args.first_seq */
	uint8_t prev_hash[RECORD_HASH_BYTES];
	uint64_t end_ms;   /* end of the last chunk since the recording's start */
	uint32_t added;	   /* entries that were added */
	uint32_t torn;	   /* of these */
};
/* on_entry (may be NULL) gets each entry that was added. 0; -EWOULDBLOCK: a writer has the directory; -EBADMSG with a sentence in why: a
 * chunk or entry is of another recording, or the last listed chunk is missing; another -errno. */
int record_recover(int dir_fd, const uint8_t id[RECORD_ID_BYTES], void (*on_entry)(void *arg, const struct record_index_entry *e), void *arg,
		   struct record_recovered *ret, char why[RECORD_WHY_SIZE]);

#endif
