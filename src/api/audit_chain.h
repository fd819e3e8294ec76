/*
 * audit_chain: what ties one entry of the audit log to the one before it. Floor F5, any thread, never blocks. An entry is a
 * document with `seq` (from 1, without gaps), `prev` (the hash of the entry before it, or 64 zeros) and `hash`: SHA-256 in hex
 * over the entry's compact JSON without `hash` itself, members in their order; as `prev` is one of them, each hash covers all
 * entries before it. An anchor stands for entries that were removed for their age: the number and the hash of the last one.
 *
 * What it proves: an entry that was changed, taken out or moved is found, unless every later one was rewritten too. Against
 * that, and against entries missing at the end, the log stream has the head of the chain from time to time.
 * Not for: writing and keeping entries (audit.c).
 */
#ifndef API_AUDIT_CHAIN_H
#define API_AUDIT_CHAIN_H

#include "lucid/doc.h"
#include "lucid/id.h"

#define AUDIT_ID_SIZE 21
#define AUDIT_ANCHOR "!anchor" /* its id; stands before all numbers */
#define AUDIT_VERSION 1	       /* entries never change */

struct audit_head {
	int64_t seq; /* 0: there is none */
	char hash[ID_DIGEST_SIZE];
};
void audit_head_init(struct audit_head *h); /* before the first entry */

void audit_id(char dst[AUDIT_ID_SIZE], int64_t seq); /* 20 digits, so that ids sort as numbers do */
/* Makes `entry` the next one: sets seq, prev, version and hash, and moves the head on. */
void audit_chain_add(struct audit_head *h, json_t *entry);
json_t *audit_anchor(const struct audit_head *h);
/* Head from a stored entry or anchor. False when it is neither. */
bool audit_head_from(struct audit_head *ret, const json_t *doc);

/* For checking: give it everything in order of id. False: this one is broken, and `why` says how. An anchor comes first. */
struct audit_check {
	struct audit_head last;
	int64_t entries;
	char first_time[32], last_time[32];
	char why[512];
};
void audit_check_init(struct audit_check *c);
bool audit_check_next(struct audit_check *c, const char *id, const char *text, size_t len);

#endif
