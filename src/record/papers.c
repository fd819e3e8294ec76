#include "lucid/record_papers.h"

#include <stdio.h>

#include "lucid/clock.h"
#include "lucid/str.h"
#include "record/bytes.h"

/* Each text ends with this, the signature in hex, and END. */
#define MEMBER ",\"signature\":\""
#define END "\"}\n"
#define SIGNATURE_BYTES 64
#define TAIL_BYTES (sizeof MEMBER - 1 + 2 * SIGNATURE_BYTES + sizeof END - 1)

#define MANIFEST_FORMAT "rck1"
#define MANIFEST_CONTEXT "rck1 manifest"
#define SEAL_FORMAT "rck1 seal"
#define SEAL_CONTEXT "rck1 seal"

static bool paper_fail(char why[RECORD_WHY_SIZE], const char *reason)
{
	snprintf(why, RECORD_WHY_SIZE, "%s", reason);
	return false;
}

static void set_hex(json_t *doc, const char *key, const uint8_t *data, size_t n)
{
	char hex[2 * RECORD_WRAPPED_BYTES + 1];
	str_hex(hex, data, n);
	hex[2 * n] = 0;
	doc_set_str(doc, key, hex);
}

static bool get_hex(const json_t *doc, const char *key, uint8_t *dst, size_t n)
{
	const char *hex = doc_str(doc, key, "");
	return strlen(hex) == 2 * n && bytes_from_hex(dst, hex, n);
}

/* --- signed texts */

/* Consumes the document, adds public key and signature. NULL: too long. */
static char *paper_sign(json_t *consume_doc, const char *context, const struct record_master *m)
{
	uint8_t signature[SIGNATURE_BYTES];
	char hex[2 * SIGNATURE_BYTES];
	set_hex(consume_doc, "public_key", m->public_key, sizeof m->public_key);
	_cleanup_(xfreep) char *text = doc_text(consume_doc);
	json_decref(consume_doc);
	size_t len = strlen(text) - 1; /* without the brace, in whose place the signature comes */
	if (len + TAIL_BYTES > RECORD_PAPER_MAX)
		return NULL;
	record_sign(m, context, text, len, signature);
	str_hex(hex, signature, sizeof signature);
	return xasprintf("%.*s" MEMBER "%.*s" END, (int)len, text, (int)sizeof hex, hex);
}

/* The document of a signed text, with the public key that has signed it; NULL with a sentence. */
static json_t *paper_open(const char *text, size_t len, const char *format, const char *context, uint8_t ret_public[RECORD_PUBLIC_BYTES], char why[RECORD_WHY_SIZE])
{
	uint8_t signature[SIGNATURE_BYTES];
	const char *tail = text + len - TAIL_BYTES;
	if (len > RECORD_PAPER_MAX || len <= TAIL_BYTES || memcmp(tail, MEMBER, sizeof MEMBER - 1) != 0 ||
	    memcmp(text + len - (sizeof END - 1), END, sizeof END - 1) != 0 || !bytes_from_hex(signature, tail + sizeof MEMBER - 1, sizeof signature)) {
		paper_fail(why, len > RECORD_PAPER_MAX ? "it is too long" : "it does not end with a signature: it was modified, or is truncated");
		return NULL;
	}
	_cleanup_(doc_unrefp) json_t *doc = doc_parse(text, len, NULL, 0);
	if (!json_is_object(doc) || !str_eq(doc_str(doc, "format", ""), format) || !get_hex(doc, "public_key", ret_public, RECORD_PUBLIC_BYTES)) {
		paper_fail(why, "it is not JSON of this format: it was modified, or is of another version");
		return NULL;
	}
	if (!record_signature_good(ret_public, context, text, len - TAIL_BYTES, signature)) {
		paper_fail(why, "its signature does not match: it was modified");
		return NULL;
	}
	return TAKE_PTR(doc);
}

static bool recording_is_valid(const json_t *recording, uint8_t ret_id[RECORD_ID_BYTES])
{
	return json_is_object(recording) && record_id_parse(doc_str(recording, "recording_id", ""), ret_id);
}

/* --- manifest */

char *record_manifest_text(const json_t *recording, const struct record_wrapped *key, const struct record_master *m)
{
	uint8_t id[RECORD_ID_BYTES];
	if (!recording_is_valid(recording, id))
		return NULL;
	json_t *doc = json_object(), *wrapped = key ? json_object() : NULL;
	doc_set_str(doc, "format", MANIFEST_FORMAT);
	doc_set(doc, "recording", json_deep_copy(recording));
	if (key) {
		doc_set_str(wrapped, "kek_id", key->kek_id);
		set_hex(wrapped, "wrapped", key->data, sizeof key->data);
	}
	doc_set(doc, "key", wrapped);
	return paper_sign(doc, MANIFEST_CONTEXT, m);
}

static bool get_wrapped(const json_t *doc, struct record_manifest *m)
{
	const json_t *key = json_object_get(doc, "key");
	m->encrypted = !json_is_null(key);
	if (!m->encrypted)
		return key;
	const char *id = doc_str(key, "kek_id", "");
	return strlen(id) == RECORD_KEK_ID_SIZE - 1 && str_copy(m->key.kek_id, sizeof m->key.kek_id, id) && get_hex(key, "wrapped", m->key.data, sizeof m->key.data);
}

bool record_manifest_parse(const char *text, size_t len, struct record_manifest *ret, char why[RECORD_WHY_SIZE])
{
	struct record_manifest m = { 0 };
	_cleanup_(doc_unrefp) json_t *doc = paper_open(text, len, MANIFEST_FORMAT, MANIFEST_CONTEXT, m.public_key, why);
	if (!doc)
		return false;
	m.recording = json_object_get(doc, "recording");
	if (!recording_is_valid(m.recording, m.id) || !get_wrapped(doc, &m))
		return paper_fail(why, "recording_id or key is missing or invalid");
	json_incref(m.recording);
	*ret = m;
	return true;
}

void record_manifest_done(struct record_manifest *m)
{
	json_decref(m->recording);
	memset(m, 0, sizeof *m);
}

/* --- seal */

bool record_seal_add_up(struct record_seal *s, const uint8_t *index, size_t len)
{
	struct record_merkle tree = { 0 };
	struct record_index_entry e = { 0 };
	uint64_t bytes = 0, raw = 0, frames = 0, end = 0;
	uint32_t n = 0, torn = 0;
	uint8_t head[RECORD_HASH_BYTES] = { 0 };
	for (; (size_t)n * RECORD_ENTRY_BYTES + RECORD_ENTRY_BYTES <= len; n++, index += RECORD_ENTRY_BYTES) {
		if (n >= RECORD_CHUNKS_MAX || !record_entry_get(&e, index) || e.seq != n || memcmp(e.prev_hash, head, sizeof head) != 0 || e.t0_ms < end)
			return false;
		record_merkle_add(&tree, index);
		bytes += e.bytes;
		raw += e.raw_bytes;
		frames += e.frames;
		torn += e.flags & RECORD_ENTRY_TORN;
		end = e.t0_ms + e.duration_ms;
		memcpy(head, e.hash, sizeof head);
	}
	if ((size_t)n * RECORD_ENTRY_BYTES != len)
		return false;
	s->chunks = n;
	s->torn = torn;
	s->bytes = bytes;
	s->raw_bytes = raw;
	s->frames = frames;
	s->duration_ms = end;
	memcpy(s->head, head, sizeof head);
	record_merkle_root(&tree, s->root);
	return true;
}

char *record_seal_text(const struct record_seal *s, const struct record_master *m)
{
	json_t *doc = json_object();
	doc_set_str(doc, "format", SEAL_FORMAT);
	doc_set(doc, "recording", json_deep_copy(s->recording));
	doc_set_str(doc, "state", s->state);
	doc_set_int(doc, "ended_ms", s->ended_ms);
	doc_set_int(doc, "chunks", s->chunks);
	doc_set_int(doc, "torn", s->torn);
	doc_set_int(doc, "frames", (int64_t)s->frames);
	doc_set_int(doc, "duration_ms", (int64_t)s->duration_ms);
	doc_set_int(doc, "bytes", (int64_t)s->bytes);
	doc_set_int(doc, "raw_bytes", (int64_t)s->raw_bytes);
	set_hex(doc, "head", s->head, sizeof s->head);
	set_hex(doc, "merkle_root", s->root, sizeof s->root);
	return paper_sign(doc, SEAL_CONTEXT, m);
}

static bool get_count(const json_t *doc, const char *key, uint64_t max, uint64_t *ret)
{
	int64_t v = doc_int(doc, key, -1);
	if (v < 0 || (uint64_t)v > max)
		return false;
	*ret = (uint64_t)v;
	return true;
}

bool record_seal_parse(const char *text, size_t len, struct record_seal *ret, char why[RECORD_WHY_SIZE])
{
	struct record_seal s = { 0 };
	uint64_t chunks, torn, ended;
	uint8_t id[RECORD_ID_BYTES];
	_cleanup_(doc_unrefp) json_t *doc = paper_open(text, len, SEAL_FORMAT, SEAL_CONTEXT, s.public_key, why);
	if (!doc)
		return false;
	s.recording = json_object_get(doc, "recording");
	bool good = recording_is_valid(s.recording, id) && get_count(doc, "chunks", RECORD_CHUNKS_MAX, &chunks) && get_count(doc, "torn", RECORD_CHUNKS_MAX, &torn) &&
		    get_count(doc, "frames", INT64_MAX, &s.frames) && get_count(doc, "duration_ms", INT64_MAX, &s.duration_ms) && get_count(doc, "bytes", INT64_MAX, &s.bytes) &&
		    get_count(doc, "raw_bytes", INT64_MAX, &s.raw_bytes) && get_count(doc, "ended_ms", INT64_MAX, &ended) && get_hex(doc, "head", s.head, sizeof s.head) &&
		    get_hex(doc, "merkle_root", s.root, sizeof s.root) && str_copy(s.state, sizeof s.state, doc_str(doc, "state", ""));
	if (!good)
		return paper_fail(why, "a member is missing or out of bounds");
	s.chunks = (uint32_t)chunks;
	s.torn = (uint32_t)torn;
	s.ended_ms = (int64_t)ended;
	json_incref(s.recording);
	*ret = s;
	return true;
}

void record_seal_done(struct record_seal *s)
{
	json_decref(s->recording);
	memset(s, 0, sizeof *s);
}
