/*
 * record_papers: the two signed texts of a recording, manifest.json and seal.json. Floor F2 (implemented in src/record), any thread, never
 * blocks. The controller, which has MASTER_KEY, makes both.
 *
 * Each is one line of JSON, whose last member is the signature over every byte before it; so every change of a byte is detected, and a
 * reader needs no canonical form:
 *
 *     {"format":"rck1","recording":{…},"key":{"kek_id":…,"wrapped":…},"public_key":…,"signature":"128 hex digits"}\n
 *     {"format":"rck1 seal","recording":{…},"chunks":…,…,"head":…,"merkle_root":…,"public_key":…,"signature":…}\n
 *
 * `recording` says what was recorded and how; it never changes. The seal repeats it, so that the manifest can be written again with a key
 * that is wrapped anew, and the seal remains valid.
 */
#ifndef LUCID_RECORD_PAPERS_H
#define LUCID_RECORD_PAPERS_H

#include "lucid/record_keys.h"

#define RECORD_PAPER_MAX 65536 /* bytes of either text */

/* The text of a manifest, which the caller frees. `recording` must have recording_id (a UUID); members that the format names are listed in
 * docs/recording-format.md (session_id, server_id, user, display, source, started_at, clock, config …), others are allowed. NULL: it is
 * invalid or too long. `key` NULL: the recording is not encrypted (RECORD_PLAIN), and the manifest has "key":null. */
char *record_manifest_text(const json_t *recording, const struct record_wrapped *key, const struct record_master *m);

struct record_manifest {
	json_t *recording; /* owned */
	uint8_t id[RECORD_ID_BYTES];
	bool encrypted;
	struct record_wrapped key;
	uint8_t public_key[RECORD_PUBLIC_BYTES];
};
/* Parses a manifest and checks its signature against the public key in it: whether that key is the right one is for the caller to check.
 * False, with a sentence in why: it is malformed or was modified. */
bool record_manifest_parse(const char *text, size_t len, struct record_manifest *ret, char why[RECORD_WHY_SIZE]);
void record_manifest_done(struct record_manifest *m); /* takes a zeroed one */

/* What a seal says. Sums are those of the index entries. */
struct record_seal {
	json_t *recording; /* owned if parsed, borrowed if written */
	uint32_t chunks, torn;
	uint64_t bytes, raw_bytes, frames, duration_ms; /* duration: end of the last chunk since the recording's start */
	uint8_t head[RECORD_HASH_BYTES]; /* hash of the last chunk; zeros without one */
	uint8_t root[RECORD_HASH_BYTES];
	int64_t ended_ms; /* wall time */
	char state[16];	  /* "complete" or "truncated" */
	uint8_t public_key[RECORD_PUBLIC_BYTES];
};
/* Adds up the entries of an index, n × 128 bytes, into chunks … root. False: an entry is invalid, or the entries are not one chain; the seal
 * must then not be written. The caller has compared the entries with what it was told when each chunk was closed. */
bool record_seal_add_up(struct record_seal *s, const uint8_t *index, size_t len);
/* The signed text, which the caller frees; public_key is set from m. NULL: too long. */
char *record_seal_text(const struct record_seal *s, const struct record_master *m);
bool record_seal_parse(const char *text, size_t len, struct record_seal *ret, char why[RECORD_WHY_SIZE]);
void record_seal_done(struct record_seal *s); /* of a parsed one; takes a zeroed one */

#endif
