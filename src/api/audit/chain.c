#include "api/audit/chain.h"

#include <stdio.h>

#include "lucid/str.h"

void audit_head_init(struct audit_head *h)
{
	h->seq = 0;
	memset(h->hash, '0', sizeof h->hash - 1);
	h->hash[sizeof h->hash - 1] = 0;
}

void audit_id(char dst[AUDIT_ID_SIZE], int64_t seq)
{
	snprintf(dst, AUDIT_ID_SIZE, "%020lld", (long long)seq);
}

static void digest_of(const json_t *entry, char ret[ID_DIGEST_SIZE])
{
	_cleanup_(xfreep) char *text = doc_text(entry);
	id_digest(ret, text, strlen(text));
}

void audit_chain_add(struct audit_head *h, json_t *entry)
{
	json_object_del(entry, "hash"); /* from an earlier attempt to write it with another number */
	doc_set_int(entry, "seq", ++h->seq);
	doc_set_str(entry, "prev", h->hash);
	doc_set_int(entry, "version", AUDIT_VERSION);
	digest_of(entry, h->hash);
	doc_set_str(entry, "hash", h->hash);
}

json_t *audit_anchor(const struct audit_head *h)
{
	return json_pack("{s:I, s:s, s:i}", "seq", (json_int_t)h->seq, "hash", h->hash, "version", AUDIT_VERSION);
}

bool audit_head_from(struct audit_head *ret, const json_t *doc)
{
	int64_t seq = doc_int(doc, "seq", 0);
	if (seq < 1 || strlen(doc_str(doc, "hash", "")) != sizeof ret->hash - 1)
		return false;
	ret->seq = seq;
	return str_copy(ret->hash, sizeof ret->hash, doc_str(doc, "hash", ""));
}

/* --- checking */

void audit_check_init(struct audit_check *c)
{
	*c = (struct audit_check){ .entries = 0 };
	audit_head_init(&c->last);
}

static bool chain_broken(struct audit_check *c, const char *fmt, ...) PRINTF(2, 3);
static bool chain_broken(struct audit_check *c, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(c->why, sizeof c->why, fmt, ap);
	va_end(ap);
	return false;
}

static bool self_consistent(json_t *entry, struct audit_head *ret)
{
	char hash[ID_DIGEST_SIZE];
	if (!audit_head_from(ret, entry))
		return false;
	json_object_del(entry, "hash");
	digest_of(entry, hash);
	return str_eq(hash, ret->hash);
}

static bool check_entry(struct audit_check *c, const char *id, json_t *entry)
{
	struct audit_head h;
	char expected[AUDIT_ID_SIZE];
	long long want = (long long)c->last.seq + 1;
	_cleanup_(xfreep) char *prev = xstrdup(doc_str(entry, "prev", ""));
	if (!self_consistent(entry, &h))
		return chain_broken(c, "entry %.40s was modified: its hash does not match its content", id);
	audit_id(expected, h.seq);
	if (!str_eq(expected, id))
		return chain_broken(c, "entry %lld is at the position of %.40s: entries were reordered", (long long)h.seq, id);
	if (h.seq == want + 1)
		return chain_broken(c, "entry %lld is missing", want);
	if (h.seq > want)
		return chain_broken(c, "entries %lld to %lld are missing", want, (long long)h.seq - 1);
	if (!str_eq(prev, c->last.hash))
		return chain_broken(c, "entry %lld does not link to its predecessor: the predecessor was replaced", (long long)h.seq);
	if (!str_copy(c->last_time, sizeof c->last_time, doc_str(entry, "time", "")))
		return chain_broken(c, "entry %lld has no timestamp", (long long)h.seq);
	if (!c->entries++)
		memcpy(c->first_time, c->last_time, sizeof c->first_time);
	c->last = h;
	return true;
}

bool audit_check_next(struct audit_check *c, const char *id, const char *text, size_t len)
{
	char expected[AUDIT_ID_SIZE];
	_cleanup_(doc_unrefp) json_t *doc = doc_parse(text, len, NULL, 0);
	if (str_eq(id, AUDIT_ANCHOR))
		return audit_head_from(&c->last, doc) || chain_broken(c, "the anchor of the expired entries was modified");
	/* a crash may have interrupted the removal of expired entries after their anchor was written */
	audit_id(expected, c->last.seq);
	if (!c->entries && strcmp(id, expected) <= 0)
		return true;
	return check_entry(c, id, doc);
}
