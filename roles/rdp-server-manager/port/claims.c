#include "roles/rdp-server-manager/port/claims.h"

#include <stdio.h>

#include "lucid/id.h"
#include "lucid/str.h"

char *claim_port_id(char dst[CLAIM_ID_SIZE], const char *node, int port)
{
	snprintf(dst, CLAIM_ID_SIZE, "%s:%d", node, port);
	return dst;
}

char *claim_name_id(char dst[CLAIM_ID_SIZE], const char *owner, const char *name)
{
	struct strbuf b = { 0 };
	for (const char *p = owner; *p; p++) {
		if (*p == '%' || *p == ':')
			strbuf_printf(&b, "%%%02X", (unsigned)*p);
		else
			strbuf_putc(&b, *p);
	}
	strbuf_putc(&b, ':');
	strbuf_puts(&b, name);
	if (b.len <= STORE_ID_MAX) {
		memcpy(dst, b.s, b.len + 1);
	} else {
		memcpy(dst, "%%", 2);
		id_digest(dst + 2, b.s, b.len);
	}
	strbuf_done(&b);
	return dst;
}

int64_t claim_version(const char *server_id)
{
	int64_t v = 0;
	for (int digits = 0; *server_id && digits < 13; server_id++) {
		if (*server_id == '-')
			continue;
		v = v << 4 | (*server_id <= '9' ? *server_id - '0' : *server_id - 'a' + 10);
		digits++;
	}
	return v | 1;
}

static json_t *claim_doc(const char *server_id, int64_t now_ms)
{
	json_t *doc = json_object();
	doc_set_str(doc, "server_id", server_id);
	doc_set_time(doc, "created_at", now_ms);
	doc_set_int(doc, "version", claim_version(server_id));
	return doc;
}

json_t *claim_port_doc(const char *server_id, const char *node, int port, int64_t now_ms)
{
	json_t *doc = claim_doc(server_id, now_ms);
	doc_set_str(doc, "node", node);
	doc_set_int(doc, "port", port);
	return doc;
}

json_t *claim_name_doc(const char *server_id, const char *owner, const char *name, int64_t now_ms)
{
	json_t *doc = claim_doc(server_id, now_ms);
	doc_set_str(doc, "owner", owner);
	doc_set_str(doc, "name", name);
	return doc;
}

/* One write for each claim, because a list of writes stops at the first missing document. */
static void given(enum store_result result, size_t index, int err, void *arg)
{
	struct claims_back *b = arg;
	if (b->name_id[0] && !b->name_tried) {
		b->name_tried = true;
		struct store_op op = { STORE_DELETE, COL_NAMES, b->name_id, b->version, NULL };
		store_write(b->store, &op, 1, given, b);
		return;
	}
	if (b->done)
		b->done(b->arg);
	free(b);
}

void claims_give_back(struct claims_back *b)
{
	if (!b->port_id[0]) {
		given(STORE_OK, 0, 0, b);
		return;
	}
	struct store_op op = { STORE_DELETE, COL_PORTS, b->port_id, b->version, NULL };
	store_write(b->store, &op, 1, given, b);
}
