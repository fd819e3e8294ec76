/*
 * record_verify: checks a whole recording and names what is wrong with it. Floor F2 (implemented in src/record), any thread. The check takes
 * the files in pieces and never blocks, so that it can run on a stream of another host; record_verify_dir reads a directory and blocks.
 *
 * Without a key: signatures, the manifest against the seal, every index entry against its chunk (header, segments, size, SHA-256), the chain,
 * the Merkle root. With the data key, or a MASTER_KEY that unwraps it: also the tag of each segment, and every record.
 */
#ifndef LUCID_RECORD_VERIFY_H
#define LUCID_RECORD_VERIFY_H

#include "lucid/record_papers.h"

#define RECORD_FINDINGS_MAX 64 /* more are counted, not kept */

enum record_finding_kind {
	RECORD_FOUND_MANIFEST, /* missing, malformed, modified, of another recording */
	RECORD_FOUND_SIGNER,   /* signed by a key that is not among the expected ones */
	RECORD_FOUND_KEY,      /* the data key cannot be unwrapped */
	RECORD_FOUND_INDEX,    /* an entry is missing, modified, or differs from its chunk */
	RECORD_FOUND_MISSING,  /* a chunk file is missing */
	RECORD_FOUND_EXTRA,    /* a chunk file that the index does not list */
	RECORD_FOUND_MODIFIED, /* a chunk differs from its hash, or a tag does not match */
	RECORD_FOUND_CUT,      /* a chunk ends before its end */
	RECORD_FOUND_SPLICED,  /* a chunk of another recording, or in another's place */
	RECORD_FOUND_CHAIN,    /* a chunk does not continue the one before it */
	RECORD_FOUND_RECORDS,  /* a chunk does not inflate, or a record is out of bounds */
	RECORD_FOUND_SEAL,     /* malformed, modified, of another recording, or it does not cover what is there */
	RECORD_FOUND_HEAD,     /* the chunk that was announced is not there, or another */
	RECORD_FOUND_IO,       /* a file could not be read */
};
const char *record_finding_to_string(enum record_finding_kind k); /* "manifest", "signer", …; static */
struct record_finding {
	enum record_finding_kind kind;
	int64_t seq; /* of the chunk; -1: the recording as a whole */
	char text[RECORD_WHY_SIZE];
};

enum record_state_found {
	RECORD_WHOLE,	 /* sealed, and all that was checked is right */
	RECORD_UNSEALED, /* right, but there is no seal: it is still running, or was cut short and its seal removed */
	RECORD_BROKEN,	 /* findings say what is wrong */
	RECORD_UNREADABLE, /* there is no recording, or it cannot be read */
};
const char *record_state_found_to_string(enum record_state_found s); /* "whole", "unsealed", "broken", "unreadable"; static */

struct record_verdict {
	enum record_state_found state;
	char id[37];
	uint32_t chunks, torn;
	uint64_t bytes, frames, duration_ms;
	bool sealed, signer_known; /* signer_known: both signatures are of an expected key */
	bool decrypted;		   /* tags and records were checked */
	bool open;		   /* a chunk is being written, or was when its recorder died */
	uint8_t public_key[RECORD_PUBLIC_BYTES]; /* of the seal, or of the manifest without one */
	uint8_t head[RECORD_HASH_BYTES];
	struct record_finding findings[RECORD_FINDINGS_MAX];
	size_t n_findings, n_kept;
};

struct record_check_args {
	const struct record_master *masters; /* to unwrap the key, and whose public keys are expected; may be none */
	size_t n_masters;
	const uint8_t (*public_keys)[RECORD_PUBLIC_BYTES]; /* further expected signers */
	size_t n_public_keys;
	const uint8_t *key;  /* the data key, if known; NULL: unwrapped with a master, if one fits */
	const uint8_t *id;   /* expected recording; NULL: that of the manifest */
	/* a chunk that is known from elsewhere (store, audit log): it must be there with this hash. NULL: none. */
	const uint8_t *head_hash;
	uint32_t head_seq;
};

/* In pieces: manifest, seal (NULL: there is none) and index as a whole, then each chunk, from number 0 to record_check_chunks() - 1. */
struct record_check;
struct record_check *record_check_new(const struct record_check_args *a); /* what it points to must stay */
void record_check_free(struct record_check *c);				     /* takes NULL */
void record_check_manifest(struct record_check *c, const char *text, size_t len); /* NULL: missing */
void record_check_seal(struct record_check *c, const char *text, size_t len);	  /* NULL: missing */
void record_check_index(struct record_check *c, const uint8_t *data, size_t len);
uint32_t record_check_chunks(const struct record_check *c);
void record_check_chunk_begin(struct record_check *c, uint32_t seq);
void record_check_chunk_data(struct record_check *c, const uint8_t *data, size_t len);
/* `rc`: 0; -ENOENT: there is no such file; another -errno: it could not be read. */
void record_check_chunk_end(struct record_check *c, int rc);
/* A chunk file that record_check_chunks does not count. True: it is the one that a running recording writes; feed it like the others, it may
 * end anywhere. False: it was reported. */
bool record_check_extra(struct record_check *c, uint32_t seq);
void record_check_finish(struct record_check *c, struct record_verdict *ret);

/* A directory. Blocks for as long as reading takes; `progress` (may be NULL) is called with the bytes done so far. */
void record_verify_dir(int dir_fd, const struct record_check_args *a, void (*progress)(void *arg, uint64_t bytes), void *arg, struct record_verdict *ret);

#endif
