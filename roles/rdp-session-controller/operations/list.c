#include "roles/rdp-session-controller/operations/list.h"

#include "lucid/listing.h"
#include "lucid/str.h"
#include "roles/rdp-session-controller/agent.h"
#include "roles/rdp-session-controller/operations/export.h"
#include "roles/rdp-session-controller/operations/query.h"
#include "roles/rdp-session-controller/session/session.h"

/* The stored texts of the sessions are copied into the response. */
struct listed {
	struct controller *c;
	struct call *call;
	struct listing_page page;
};

/* The nodes whose agents do not answer: their sessions are listed as they were seen last. */
static json_t *unreachable_nodes(struct controller *c)
{
	struct map_pos pos = { 0 };
	const struct place *p;
	json_t *list = json_array();
	while ((p = place_next(c, &pos)))
		if (p->lost || agent_unreachable(c, p->g.name))
			json_array_append_new(list, json_string(p->g.name));
	return list;
}

static void sessions_listed(enum store_result result, struct blob *const *docs, size_t n, int64_t total, int err, void *arg)
{
	_cleanup_(xfreep) struct listed *w = arg;
	struct strbuf b = { 0 };
	if (result != STORE_OK) {
		objects_fail_call(w->c->objects, w->call, err, ERR_INTERNAL);
		return;
	}
	_cleanup_(doc_unrefp) json_t *nodes = unreachable_nodes(w->c);
	_cleanup_(doc_unrefp) json_t *pagination = listing_pagination(&w->page, total);
	_cleanup_(xfreep) char *missing = doc_text(nodes), *pages = doc_text(pagination);
	strbuf_puts(&b, "{\"sessions\":[");
	for (size_t i = 0; i < n; i++) {
		if (i)
			strbuf_putc(&b, ',');
		strbuf_add(&b, docs[i]->data, docs[i]->len);
	}
	strbuf_printf(&b, "],\"unreachable\":%s,\"pagination\":%s}", missing, pages);
	call_ok_blob(w->call, blob_new(b.s, b.len), NULL);
	strbuf_done(&b);
}

void op_sessions(struct call *c, void *ctx)
{
	struct controller *s = ctx;
	struct store_query q;
	if (op_streams(call_op(c), call_query(c))) {
		sessions_export(s, c, sessions_viewer(c));
		return;
	}
	struct listed *w = XNEW(struct listed);
	*w = (struct listed){ s, c, listing_page(call_query(c)) };
	sessions_query(call_query(c), sessions_viewer(c), &w->page, &q);
	store_list(s->env.store, COL_SESSIONS, &q, sessions_listed, w);
}
