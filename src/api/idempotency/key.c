#include "api/idempotency/key.h"

#include "lucid/str.h"

#define KEY_MAX 128

/* Any printable characters are allowed, including spaces. */
const char *key_fault(const char *key, bool again)
{
	size_t n = strlen(key);
	if (again)
		return "more than one Idempotency-Key header; send exactly one";
	for (size_t i = 0; i < n; i++)
		if (key[i] < 0x20 || key[i] > 0x7e)
			n = 0;
	return n && n <= KEY_MAX ? NULL : "Idempotency-Key must be 1 to 128 printable ASCII characters, such as a UUID";
}

/* Without secrets: a digest in the store must not help to guess a password. */
static void digest_request(char ret[ID_DIGEST_SIZE], const struct call_args *args)
{
	struct strbuf b = { 0 };
	_cleanup_(doc_unrefp) json_t *plain = shape_without_secrets(args->op->in, args->body);
	_cleanup_(xfreep) char *body = plain ? json_dumps(plain, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY) : NULL;
	strbuf_puts(&b, args->op->name);
	for (size_t i = 0; i < OP_MAX_PARAMS; i++)
		strbuf_printf(&b, "\n%s", args->params[i] ? args->params[i] : "");
	strbuf_printf(&b, "\n%s", body ? body : "");
	id_digest(ret, b.s, b.len);
	strbuf_done(&b);
}

void key_name(struct key_names *ret, const char *sub, const char *key, const struct call_args *args)
{
	char digest[ID_DIGEST_SIZE];
	size_t n = strlen(sub);
	_Static_assert(CALLER_NAME_MAX + 1 + ID_DIGEST_SIZE <= sizeof ret->id, "a name and a digest must fit an id");
	id_digest(digest, key, strlen(key));
	memcpy(ret->id, sub, n);
	ret->id[n] = ':';
	memcpy(ret->id + n + 1, digest, sizeof digest);
	digest_request(ret->digest, args);
}
