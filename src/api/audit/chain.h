/*
 * chain: the hash chain of the audit log. Floor F5, any thread, never blocks. An entry is a document with `seq` (from 1, without gaps),
 * `prev` (the hash of the previous entry, or 64 zeros) and `hash`: SHA-256 in hex over the entry's compact JSON without `hash`, members in
 * their order. Since `prev` is one of them, each hash covers all earlier entries. An anchor replaces expired entries that were removed: it
 * has the number and hash of the last one.
 *
 * The chain reveals an entry that was modified, removed or moved, unless all later entries were rewritten too. To detect that, and entries
 * removed at the end, the log has the head of the chain from time to time. Not for: writing and storing entries (audit.c).
 */
#ifndef API_AUDIT_CHAIN_H
#define API_AUDIT_CHAIN_H

#include "lucid/doc.h"
#include "lucid/id.h"

#define AUDIT_ID_SIZE 21
#define AUDIT_ANCHOR "!anchor" /* its id; sorts before all numbers */
#define AUDIT_VERSION 1	       /* entries never change */

struct audit_head {
	int64_t seq; /* 0: there is none */
	char hash[ID_DIGEST_SIZE];
};
void audit_head_init(struct audit_head *h); /* before the first entry */

void audit_id(char dst[AUDIT_ID_SIZE], int64_t seq); /* 20 digits, so that ids sort like numbers */
/* Makes `entry` the next one: sets its seq, prev, version and hash, and advances the head. */
void audit_chain_add(struct audit_head *h, json_t *entry);
json_t *audit_anchor(const struct audit_head *h);
/* The head from a stored entry or anchor. False: the document is neither. */
bool audit_head_from(struct audit_head *ret, const json_t *doc);

/* Verification: call audit_check_next for all entries in order of id; an anchor is first. False: this entry is invalid, see `why`. */
struct audit_check {
	struct audit_head last;
	int64_t entries;
	char first_time[32], last_time[32];
	char why[512];
};
void audit_check_init(struct audit_check *c);
bool audit_check_next(struct audit_check *c, const char *id, const char *text, size_t len);

#endif
