#include "roles/rdp-server-manager/server/reading.h"

#include "roles/rdp-server-manager/manager.h"

bool server_visible(const struct caller *c, const json_t *doc)
{
	return object_visible(c, doc_str(doc, "user_id", ""));
}

void reading_free(struct reading *w)
{
	json_decref(w->doc);
	free(w->account);
	free(w);
}

static void got_doc(enum store_result result, const struct store_doc *d, int err, void *arg)
{
	struct reading *w = arg;
	w->doc = result == STORE_OK ? doc_parse(d->text->data, d->text->len, NULL, 0) : NULL;
	if (w->doc && server_visible(call_caller(w->call), w->doc)) {
		w->then(w);
		return;
	}
	if (result == STORE_FAILED)
		objects_fail_call(w->m->objects, w->call, err, ERR_INTERNAL);
	else
		call_fail(w->call, ERR_SERVER_NOT_FOUND, NULL);
	reading_free(w);
}

void reading_begin(struct manager *m, struct call *c, void (*then)(struct reading *w))
{
	struct reading *w = XNEW(struct reading);
	w->m = m;
	w->call = c;
	w->then = then;
	store_get(m->env.store, COL_SERVERS, call_param(c, "server_id"), got_doc, w);
}
