#include "roles/rdp-session-controller/foreign/secret_sweep.h"

#include "lucid/clock.h"
#include "lucid/str.h"
#include "roles/rdp-session-controller/foreign/secret.h"

#define EVERY_MS (10 * 60 * 1000)
#define SOON_MS 1000
#define PAGE 100
#define NEW_MS 60000 /* a password is stored before its session */

struct secret_sweep {
	struct controller *c;
	struct loop_timer *timer;
	bool running;
	json_t *page; /* the documents that are looked at */
	size_t offset, at;
	/* passwords that cannot be opened: how many, and the first of them */
	size_t closed;
	enum seal_result why;
	char session_id[SESSION_ID_SIZE];
};

static void secrets_page(struct secret_sweep *w);
static void secrets_next(struct secret_sweep *w);

static void secrets_end(struct secret_sweep *w)
{
	if (w->closed)
		log_warn(SERVICE, "%zu stored passwords of foreign RDP hosts cannot be opened; the one of session %s %s", w->closed, w->session_id,
			 seal_result_to_string(w->why));
	json_decref(w->page);
	w->page = NULL;
	w->running = false;
	objects_release(w->c->objects);
}

/* Another process may have changed or deleted it: the next pass looks at it again. */
static void secret_written(UNUSED enum store_result result, UNUSED size_t index, UNUSED int err, void *arg)
{
	secrets_next(arg);
}

static void secret_delete(struct secret_sweep *w, const json_t *secret)
{
	struct store_op op = { STORE_DELETE, COL_SESSION_SECRETS, doc_str(secret, "session_id", ""), doc_int(secret, "version", 0), NULL };
	store_write(w->c->env.store, &op, 1, secret_written, w);
}

static void secret_seal_again(struct secret_sweep *w, const json_t *secret, const char *password)
{
	const char *id = doc_str(secret, "session_id", "");
	int64_t version = doc_int(secret, "version", 0);
	_cleanup_(doc_unrefp) json_t *next = secret_doc(w->c, id, password, version + 1);
	struct store_op op = { STORE_REPLACE, COL_SESSION_SECRETS, id, version, next };
	store_write(w->c->env.store, &op, 1, secret_written, w);
}

static void secret_check(struct secret_sweep *w, const json_t *secret)
{
	const char *id = doc_str(secret, "session_id", ""), *text = doc_str(secret, SESSION_SECRET_FIELD, "");
	struct seal_place at = secret_place(id);
	_cleanup_(seal_forgetp) char *password = NULL;
	enum seal_result r = seal_open(w->c->env.seal, &at, text, &password, NULL);
	if (r == SEAL_OK && !seal_is_current(w->c->env.seal, text)) {
		secret_seal_again(w, secret, password);
		return;
	}
	if (r != SEAL_OK && !w->closed++) {
		w->why = r;
		str_copy(w->session_id, sizeof w->session_id, id);
	}
	secrets_next(w);
}

static bool secret_is_new(const json_t *secret)
{
	int64_t ms = 0;
	return clock_from_iso(doc_str(secret, "updated_at", ""), &ms) && clock_wall_ms() - ms < NEW_MS;
}

static void session_of_secret(enum store_result result, const struct store_doc *d, UNUSED int err, void *arg)
{
	struct secret_sweep *w = arg;
	const json_t *secret = json_array_get(w->page, w->at++);
	_cleanup_(doc_unrefp) json_t *doc = result == STORE_OK ? doc_parse(d->text->data, d->text->len, NULL, 0) : NULL;
	bool wanted = doc_bool(json_object_get(doc, "rdp_config"), "has_password", false);
	if (objects_draining(w->c->objects) || result == STORE_FAILED)
		secrets_end(w);
	else if (wanted)
		secret_check(w, secret);
	else if (secret_is_new(secret))
		secrets_next(w);
	else
		secret_delete(w, secret);
}

static void secrets_next(struct secret_sweep *w)
{
	size_t n = json_array_size(w->page);
	if (w->at < n && !objects_draining(w->c->objects))
		store_get(w->c->env.store, COL_SESSIONS, doc_str(json_array_get(w->page, w->at), "session_id", ""), session_of_secret, w);
	else if (n == PAGE && !objects_draining(w->c->objects))
		secrets_page(w);
	else
		secrets_end(w);
}

static void secrets_listed(enum store_result result, struct blob *const *docs, size_t n, UNUSED int64_t total, UNUSED int err, void *arg)
{
	struct secret_sweep *w = arg;
	json_decref(w->page);
	w->page = json_array();
	w->at = 0;
	w->offset += n;
	for (size_t i = 0; result == STORE_OK && i < n; i++) {
		json_t *doc = doc_parse(docs[i]->data, docs[i]->len, NULL, 0);
		json_array_append_new(w->page, doc ? doc : json_object());
	}
	secrets_next(w);
}

/* Deletions shift the pages, so a pass may miss some; the next one finds them. */
static void secrets_page(struct secret_sweep *w)
{
	struct store_query q = { .sort = { "id", false }, .offset = w->offset, .limit = PAGE };
	store_list(w->c->env.store, COL_SESSION_SECRETS, &q, secrets_listed, w);
}

static void secrets_due(void *arg)
{
	struct secret_sweep *w = arg;
	struct controller *c = w->c;
	loop_timer_set(w->timer, EVERY_MS);
	if (w->running || !c->env.seal || !objects_loaded(c->objects) || objects_draining(c->objects) || !object_group_leads(objects_group(c->objects, "")))
		return;
	w->running = true;
	w->offset = w->closed = 0;
	objects_hold(c->objects);
	secrets_page(w);
}

void secret_sweep_begin(struct controller *c)
{
	struct secret_sweep *w = XNEW(struct secret_sweep);
	w->c = c;
	w->timer = loop_timer_new(c->env.loop, secrets_due, w);
	c->secrets = w;
	loop_timer_set(w->timer, EVERY_MS);
}

void secret_sweep_soon(struct controller *c)
{
	loop_timer_set(c->secrets->timer, SOON_MS);
}

void secret_sweep_end(struct controller *c)
{
	loop_timer_free(TAKE_PTR(c->secrets->timer));
	if (!c->secrets->running)
		free(TAKE_PTR(c->secrets));
}
