#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>

#include "lucid/record_reader.h"
#include "lucid/record_verify.h"
#include "lucid/str.h"

struct record_check {
	struct record_check_args args;
	struct record_verdict verdict;
	struct record_manifest manifest;
	struct record_seal seal;
	bool has_manifest, has_seal, can_decrypt;
	uint8_t id[RECORD_ID_BYTES], key[RECORD_KEY_BYTES];
	uint8_t *index; /* a copy of its whole entries */
	uint32_t entries;
	/* the chunk that is being fed */
	uint32_t seq;
	struct record_reader *reader;
	EVP_MD_CTX *hash;
	uint64_t size;
	bool tags_checked; /* of all chunks so far */
};

const char *record_finding_to_string(enum record_finding_kind k)
{
	static const char *const names[] = {
		[RECORD_FOUND_MANIFEST] = "manifest", [RECORD_FOUND_SIGNER] = "signer",	    [RECORD_FOUND_KEY] = "key",	      [RECORD_FOUND_INDEX] = "index",
		[RECORD_FOUND_MISSING] = "missing",   [RECORD_FOUND_EXTRA] = "extra",	    [RECORD_FOUND_MODIFIED] = "modified", [RECORD_FOUND_CUT] = "cut",
		[RECORD_FOUND_SPLICED] = "spliced",   [RECORD_FOUND_CHAIN] = "chain",	    [RECORD_FOUND_RECORDS] = "records",	  [RECORD_FOUND_SEAL] = "seal",
		[RECORD_FOUND_HEAD] = "head",	      [RECORD_FOUND_IO] = "io",
	};
	return names[k];
}

const char *record_state_found_to_string(enum record_state_found s)
{
	static const char *const names[] = { [RECORD_WHOLE] = "whole", [RECORD_UNSEALED] = "unsealed", [RECORD_BROKEN] = "broken", [RECORD_UNREADABLE] = "unreadable" };
	return names[s];
}

static void found(struct record_check *c, enum record_finding_kind kind, int64_t seq, const char *fmt, ...) PRINTF(4, 5);
static void found(struct record_check *c, enum record_finding_kind kind, int64_t seq, const char *fmt, ...)
{
	struct record_verdict *v = &c->verdict;
	if (v->n_findings++ >= RECORD_FINDINGS_MAX)
		return;
	struct record_finding *f = &v->findings[v->n_kept++];
	va_list ap;
	f->kind = kind;
	f->seq = seq;
	va_start(ap, fmt);
	vsnprintf(f->text, sizeof f->text, fmt, ap);
	va_end(ap);
}

struct record_check *record_check_new(const struct record_check_args *a)
{
	struct record_check *c = XNEW(struct record_check);
	c->args = *a;
	c->tags_checked = true;
	c->hash = EVP_MD_CTX_new();
	if (!c->hash)
		abort();
	if (a->id)
		memcpy(c->id, a->id, sizeof c->id);
	return c;
}

void record_check_free(struct record_check *c)
{
	if (!c)
		return;
	record_reader_free(c->reader);
	EVP_MD_CTX_free(c->hash);
	record_manifest_done(&c->manifest);
	record_seal_done(&c->seal);
	free(c->index);
	mem_wipe(c, sizeof *c);
	free(c);
}

/* --- manifest and seal */

/* Whether a signer is expected; without any expectation each one is unknown, which is not a fault. */
static bool check_signer(struct record_check *c, const uint8_t public_key[RECORD_PUBLIC_BYTES], const char *what)
{
	const struct record_check_args *a = &c->args;
	char hex[2 * RECORD_PUBLIC_BYTES];
	bool known = false;
	for (size_t i = 0; i < a->n_masters; i++)
		known |= memcmp(a->masters[i].public_key, public_key, RECORD_PUBLIC_BYTES) == 0;
	for (size_t i = 0; i < a->n_public_keys; i++)
		known |= memcmp(a->public_keys[i], public_key, RECORD_PUBLIC_BYTES) == 0;
	str_hex(hex, public_key, RECORD_PUBLIC_BYTES);
	if (!known && a->n_masters + a->n_public_keys)
		found(c, RECORD_FOUND_SIGNER, -1, "the %s is signed by the key %.*s, which is not an expected one", what, (int)sizeof hex, hex);
	return known;
}

/* The data key, from the arguments or by unwrapping that of the manifest. */
static void find_key(struct record_check *c)
{
	const struct record_check_args *a = &c->args;
	enum record_unwrap rc = RECORD_OTHER_MASTER;
	c->can_decrypt = a->key || !c->manifest.encrypted;
	if (a->key)
		memcpy(c->key, a->key, sizeof c->key);
	if (c->can_decrypt || !a->n_masters)
		return;
	for (size_t i = 0; i < a->n_masters && rc == RECORD_OTHER_MASTER; i++)
		rc = record_key_unwrap(&a->masters[i], c->manifest.id, &c->manifest.key, c->key);
	c->can_decrypt = rc == RECORD_UNWRAPPED;
	if (rc == RECORD_OTHER_MASTER)
		found(c, RECORD_FOUND_KEY, -1, "the data key is wrapped under another MASTER_KEY, with the id %s", c->manifest.key.kek_id);
	else if (rc == RECORD_KEY_MODIFIED)
		found(c, RECORD_FOUND_KEY, -1, "the wrapped data key was modified, or belongs to another recording");
}

void record_check_manifest(struct record_check *c, const char *text, size_t len)
{
	char why[RECORD_WHY_SIZE];
	if (!text) {
		found(c, RECORD_FOUND_MANIFEST, -1, "the manifest is missing");
		return;
	}
	if (!record_manifest_parse(text, len, &c->manifest, why)) {
		found(c, RECORD_FOUND_MANIFEST, -1, "the manifest cannot be used: %.200s", why);
		return;
	}
	c->has_manifest = true;
	if (c->args.id && memcmp(c->manifest.id, c->id, sizeof c->id) != 0)
		found(c, RECORD_FOUND_MANIFEST, -1, "the manifest is that of another recording, %s", doc_str(c->manifest.recording, "recording_id", ""));
	if (!c->args.id)
		memcpy(c->id, c->manifest.id, sizeof c->id);
	c->verdict.signer_known = check_signer(c, c->manifest.public_key, "manifest");
	memcpy(c->verdict.public_key, c->manifest.public_key, sizeof c->verdict.public_key);
	find_key(c);
}

void record_check_seal(struct record_check *c, const char *text, size_t len)
{
	char why[RECORD_WHY_SIZE];
	if (!text)
		return;
	c->verdict.sealed = true;
	if (!record_seal_parse(text, len, &c->seal, why)) {
		found(c, RECORD_FOUND_SEAL, -1, "the seal cannot be used: %.200s", why);
		return;
	}
	c->has_seal = true;
	bool known = check_signer(c, c->seal.public_key, "seal");
	c->verdict.signer_known = known && c->verdict.signer_known;
	memcpy(c->verdict.public_key, c->seal.public_key, sizeof c->verdict.public_key);
	if (!c->has_manifest || json_equal(c->seal.recording, c->manifest.recording))
		return;
	const char *id = doc_str(c->seal.recording, "recording_id", "");
	if (str_eq(id, doc_str(c->manifest.recording, "recording_id", "")))
		found(c, RECORD_FOUND_SEAL, -1, "the seal and the manifest describe the recording differently");
	else
		found(c, RECORD_FOUND_SEAL, -1, "the seal is that of another recording, %s", id);
}

/* --- index */

static void check_entry(struct record_check *c, uint32_t seq, const struct record_index_entry *before)
{
	struct record_index_entry e;
	static const uint8_t zero[RECORD_HASH_BYTES];
	if (!record_entry_get(&e, c->index + (size_t)seq * RECORD_ENTRY_BYTES))
		found(c, RECORD_FOUND_INDEX, seq, "its index entry is out of bounds: it was modified");
	else if (e.seq != seq)
		found(c, RECORD_FOUND_INDEX, seq, "its index entry is that of chunk %u: entries were moved or removed", e.seq);
	else if (memcmp(e.prev_hash, before ? before->hash : zero, RECORD_HASH_BYTES) != 0)
		found(c, RECORD_FOUND_CHAIN, seq, "its index entry does not continue the one before it");
	else if (before && e.t0_ms < before->t0_ms + before->duration_ms)
		found(c, RECORD_FOUND_INDEX, seq, "by its index entry it begins before the end of the chunk before it");
}

static void compare_with_seal(struct record_check *c)
{
	struct record_seal sum = { 0 };
	const struct record_seal *s = &c->seal;
	if (!c->has_seal)
		return;
	if (s->chunks != c->entries)
		found(c, RECORD_FOUND_SEAL, -1, "the seal covers %u chunks, but the index lists %u", s->chunks, c->entries);
	else if (!record_seal_add_up(&sum, c->index, (size_t)c->entries * RECORD_ENTRY_BYTES))
		found(c, RECORD_FOUND_SEAL, -1, "the index is not the one that was sealed");
	else if (memcmp(sum.root, s->root, sizeof sum.root) != 0 || memcmp(sum.head, s->head, sizeof sum.head) != 0)
		found(c, RECORD_FOUND_SEAL, -1, "the index was modified after it was sealed: its Merkle root is another");
	else if (sum.torn != s->torn || sum.bytes != s->bytes || sum.raw_bytes != s->raw_bytes || sum.frames != s->frames || sum.duration_ms != s->duration_ms)
		found(c, RECORD_FOUND_SEAL, -1, "the sums in the seal are not those of the index");
}

static bool entry_of(const struct record_check *c, uint32_t seq, struct record_index_entry *ret)
{
	return seq < c->entries && record_entry_get(ret, c->index + (size_t)seq * RECORD_ENTRY_BYTES);
}

void record_check_index(struct record_check *c, const uint8_t *data, size_t len)
{
	struct record_index_entry e;
	struct record_verdict *v = &c->verdict;
	c->entries = (uint32_t)MIN(len / RECORD_ENTRY_BYTES, (size_t)RECORD_CHUNKS_MAX);
	c->index = xmalloc((size_t)c->entries * RECORD_ENTRY_BYTES + 1);
	memcpy(c->index, data, (size_t)c->entries * RECORD_ENTRY_BYTES);
	if (len % RECORD_ENTRY_BYTES && c->verdict.sealed)
		found(c, RECORD_FOUND_INDEX, -1, "the index ends within an entry");
	for (uint32_t i = 0; i < c->entries; i++) {
		struct record_index_entry before;
		check_entry(c, i, i && entry_of(c, i - 1, &before) ? &before : NULL);
		if (!entry_of(c, i, &e))
			continue;
		v->torn += e.flags & RECORD_ENTRY_TORN;
		v->frames += e.frames;
		v->duration_ms = MAX(v->duration_ms, e.t0_ms + e.duration_ms);
		memcpy(v->head, e.hash, sizeof v->head);
	}
	compare_with_seal(c);
	if (!c->args.head_hash)
		return;
	if (!entry_of(c, c->args.head_seq, &e))
		found(c, RECORD_FOUND_HEAD, c->args.head_seq, "it was announced, but the index does not list it: the recording was cut short");
	else if (memcmp(e.hash, c->args.head_hash, RECORD_HASH_BYTES) != 0)
		found(c, RECORD_FOUND_HEAD, c->args.head_seq, "it was announced with another hash: the recording was replaced");
}

uint32_t record_check_chunks(const struct record_check *c)
{
	return c->has_seal ? MAX(c->entries, c->seal.chunks) : c->entries;
}

/* --- chunks */

void record_check_chunk_begin(struct record_check *c, uint32_t seq)
{
	struct record_reader_args a = { .key = c->can_decrypt ? c->key : NULL, .id = c->has_manifest || c->args.id ? c->id : NULL, .seq = seq, .records = c->can_decrypt };
	c->seq = seq;
	c->size = 0;
	c->reader = record_reader_new(&a);
	if (EVP_DigestInit_ex(c->hash, EVP_sha256(), NULL) != 1)
		abort();
}

void record_check_chunk_data(struct record_check *c, const uint8_t *data, size_t len)
{
	c->size += len;
	EVP_DigestUpdate(c->hash, data, len);
	record_reader_feed(c->reader, data, len);
}

/* The fields of an entry that follow from the chunk. */
static const char *entry_difference(const struct record_check *c, const struct record_index_entry *e)
{
	const struct record_progress *p = record_reader_progress(c->reader);
	const struct record_header *h = record_reader_header(c->reader);
	bool torn = !p->complete || p->valid != c->size;
	if (torn != !!(e->flags & RECORD_ENTRY_TORN))
		return torn ? "the chunk has no end, but its index entry does not say so" : "its index entry says that it is torn, but it has an end";
	if (e->width != (h ? h->width : 0) || e->height != (h ? h->height : 0) || (h && e->t0_ms != h->t0_ms))
		return "size or time in its index entry are not those of the chunk";
	if (e->frames != p->frames || e->duration_ms != p->last_ms || p->gap != !!(e->flags & RECORD_ENTRY_GAP))
		return "frames, duration or gap in its index entry are not those of the chunk";
	if (memcmp(e->activity, p->activity, sizeof p->activity) != 0)
		return "the activity in its index entry is not that of the chunk";
	if (c->can_decrypt && e->raw_bytes != p->raw && !(e->flags & (RECORD_ENTRY_REBUILT | RECORD_ENTRY_TORN)))
		return "the size before compression in its index entry is not that of the chunk";
	return NULL;
}

/* What the reader found. True: something that explains a wrong hash, too. Behind the last whole segment of a torn chunk may be anything; and
 * after a power failure, in its last segments, whose tags then do not match. If it is listed, its hash tells whether it was modified. */
static bool report_reader(struct record_check *c, bool known, bool torn)
{
	const struct record_progress *p = record_reader_progress(c->reader);
	const char *why = record_reader_why(c->reader);
	switch (record_reader_feed(c->reader, "", 0)) {
	case RECORD_OK:
		if (!p->complete && !torn)
			found(c, RECORD_FOUND_CUT, c->seq, "it is cut short: it ends after %llu bytes, %llu of them are whole segments", (unsigned long long)c->size,
			      (unsigned long long)p->valid);
		return !p->complete && !torn;
	case RECORD_OTHER_CHUNK:
		found(c, RECORD_FOUND_SPLICED, c->seq, "the file is in the wrong place: %.200s", why);
		return true;
	case RECORD_BAD_STREAM:
	case RECORD_BAD_RECORD:
		found(c, RECORD_FOUND_RECORDS, c->seq, "%s", why);
		return true;
	case RECORD_NO_CODEC:
		c->tags_checked = false; /* the hash was checked */
		return false;
	case RECORD_BAD_TAG:
		if (torn && known)
			return false;
		break;
	case RECORD_BAD_SEGMENT:
	case RECORD_BAD_HEADER:
	case RECORD_AFTER_END:
		if (torn)
			return false;
	}
	found(c, RECORD_FOUND_MODIFIED, c->seq, "it was modified: %.200s", why);
	return true;
}

/* Whether each of its bytes was authenticated. */
static bool chunk_is_proven(const struct record_check *c)
{
	const struct record_header *h = record_reader_header(c->reader);
	return c->can_decrypt && h && h->cipher != RECORD_PLAIN && record_reader_progress(c->reader)->complete;
}

static void compare_chunk(struct record_check *c, const uint8_t hash[RECORD_HASH_BYTES])
{
	struct record_index_entry e;
	const struct record_header *h = record_reader_header(c->reader);
	bool known = entry_of(c, c->seq, &e), explained = report_reader(c, known, !known || e.flags & RECORD_ENTRY_TORN);
	if (!known)
		return; /* the index was reported, or this chunk is being written */
	if (h && memcmp(h->prev_hash, e.prev_hash, sizeof e.prev_hash) != 0 && !explained)
		found(c, RECORD_FOUND_CHAIN, c->seq, "it does not continue the chunk before it");
	if (memcmp(hash, e.hash, RECORD_HASH_BYTES) != 0) {
		if (c->size < e.bytes && !explained)
			found(c, RECORD_FOUND_CUT, c->seq, "it is cut short: %llu of %u bytes", (unsigned long long)c->size, e.bytes);
		else if (!explained && chunk_is_proven(c))
			found(c, RECORD_FOUND_INDEX, c->seq, "its index entry was modified: the SHA-256 is another, but all tags of the chunk match");
		else if (!explained)
			found(c, RECORD_FOUND_MODIFIED, c->seq, "the chunk or its index entry was modified: its SHA-256 is another");
		return;
	}
	int rc = record_reader_feed(c->reader, "", 0);
	const char *difference = explained || rc == RECORD_NO_CODEC || rc == RECORD_BAD_TAG ? NULL : entry_difference(c, &e);
	if (difference || e.bytes != c->size)
		found(c, RECORD_FOUND_INDEX, c->seq, "its index entry was modified: %s", difference ? difference : "the size of the file is another");
}

void record_check_chunk_end(struct record_check *c, int rc)
{
	uint8_t hash[RECORD_HASH_BYTES];
	if (EVP_DigestFinal_ex(c->hash, hash, NULL) != 1)
		abort();
	if (rc == -ENOENT)
		found(c, RECORD_FOUND_MISSING, c->seq, "it is missing");
	else if (rc < 0)
		found(c, RECORD_FOUND_IO, c->seq, "it cannot be read: %s", strerror(-rc));
	else
		compare_chunk(c, hash);
	c->verdict.chunks += rc == 0 && c->seq < c->entries;
	c->verdict.open |= rc == 0 && c->seq >= c->entries;
	c->verdict.bytes += c->size;
	record_reader_free(TAKE_PTR(c->reader));
}

bool record_check_extra(struct record_check *c, uint32_t seq)
{
	if (!c->verdict.sealed && seq == c->entries)
		return true;
	found(c, RECORD_FOUND_EXTRA, seq, "it is not listed in the index");
	return false;
}

void record_check_finish(struct record_check *c, struct record_verdict *ret)
{
	struct record_verdict *v = &c->verdict;
	record_id_text(v->id, c->id);
	v->decrypted = c->can_decrypt && c->tags_checked;
	v->state = v->n_findings ? RECORD_BROKEN : c->has_seal ? RECORD_WHOLE : RECORD_UNSEALED;
	*ret = *v;
}
