/* request: checks a call and copies its arguments into a request, so that nothing of the caller's is needed after the call. */
#include "store/driver.h"

#include "lucid/log.h"
#include "lucid/str.h"

struct store_chunk {
	struct store_chunk *next;
};
#define INLINE_ROOM 1024
#define CHUNK_ROOM 4096

static void *take(struct store_request *r, size_t n)
{
	n = (n + 15) & ~(size_t)15;
	if (n > r->room) {
		size_t room = MAX(n, CHUNK_ROOM);
		struct store_chunk *c = xmalloc(16 + room);
		c->next = r->chunks;
		r->chunks = c;
		r->free = (char *)c + 16;
		r->room = room;
	}
	void *p = r->free;
	r->free += n;
	r->room -= n;
	return p;
}

static char *copy(struct store_request *r, const char *s)
{
	size_t n = strlen(s) + 1;
	return memcpy(take(r, n), s, n);
}

static struct store_request *request_new(enum store_kind kind)
{
	struct store_request *r = xmalloc(sizeof *r + INLINE_ROOM);
	*r = (struct store_request){ .kind = kind, .result = STORE_FAILED, .total = -1 };
	list_init(&r->node);
	list_init(&r->waiting);
	list_init(&r->same);
	r->free = (char *)(r + 1);
	r->room = INLINE_ROOM;
	uintptr_t off = (uintptr_t)r->free & 15;
	if (off) {
		r->free += 16 - off;
		r->room -= 16 - off;
	}
	return r;
}

void store_request_free(struct store_request *r)
{
	if (!r)
		return;
	for (size_t i = 0; i < r->nops; i++)
		blob_unref(r->ops[i].text);
	blob_unref(r->text);
	for (size_t i = 0; i < r->ndocs; i++)
		blob_unref(r->docs[i]);
	free(r->docs);
	for (struct store_chunk *c = r->chunks, *next; c; c = next) {
		next = c->next;
		free(c);
	}
	free(r);
}

void store_request_fail(struct store_request *r, int err)
{
	r->result = STORE_FAILED;
	r->err = err;
}

static void store_request_refuse(struct store_request *r, size_t index, int err, enum store_collection col, const char *why)
{
	store_request_fail(r, err);
	r->failed_index = index;
	log_error("store", "invalid store request on %s: %s",
		  (unsigned)col < COL_COUNT ? store_collections[col].name : "no collection", why);
}

static const char *bad_id(const char *id)
{
	return !id || !*id ? "no id" : strlen(id) > STORE_ID_MAX ? "the id is too long" : NULL;
}

static const char *list_text(struct store_request *r, const json_t *array)
{
	struct strbuf b = { 0 };
	size_t i;
	json_t *v;
	strbuf_putc(&b, '[');
	json_array_foreach((json_t *)array, i, v) {
		if (!json_is_string(v))
			continue;
		if (b.len > 1)
			strbuf_putc(&b, ',');
		strbuf_json(&b, json_string_value(v));
	}
	strbuf_putc(&b, ']');
	char *s = copy(r, b.s);
	strbuf_done(&b);
	return s;
}

static void take_value(struct store_request *r, const struct store_field *f, const json_t *doc, struct store_value *ret)
{
	const json_t *v = doc_get(doc, f->path);
	*ret = (struct store_value){ 0 };
	if (f->type == STORE_TEXT && json_is_string(v))
		ret->text = copy(r, json_string_value(v));
	else if (f->type == STORE_INTEGER && json_is_integer(v))
		ret->number = json_integer_value(v);
	else if (f->type == STORE_INTEGER && json_is_boolean(v))
		ret->number = json_is_true(v);
	else if (f->type == STORE_TEXT_LIST && json_is_array(v))
		ret->text = list_text(r, v);
	else
		return;
	ret->set = true;
}

static struct blob *serialise(const json_t *doc)
{
	struct blob *b = doc_blob(doc);
	/* give spare memory back, which the cache would hold for long */
	return b->len < 1600 ? xrealloc(b, sizeof *b + b->len + 1) : b;
}

/* Copies one write. Returns what is wrong with it, or NULL. */
static const char *take_op(struct store_request *r, const struct store_op *op, struct store_request_op *to)
{
	*to = (struct store_request_op){ .verb = op->verb, .col = op->col, .expect = op->expect };
	const char *why = (unsigned)op->col >= COL_COUNT ? "no such collection" : bad_id(op->id);
	if (why)
		return why;
	to->id = copy(r, op->id);
	if (op->verb == STORE_DELETE)
		return op->doc ? "a delete has no document" : NULL;
	if (!json_is_object(op->doc))
		return "the document is not an object";
	to->version = doc_int(op->doc, "version", 0);
	if (to->version < 1)
		return "the document has no version of 1 or more";
	if (op->verb == STORE_REPLACE && op->expect && to->version <= op->expect)
		return "the document's version is not above the one it replaces";
	to->text = serialise(op->doc);
	const struct store_collection_def *def = &store_collections[op->col];
	struct store_value *values = take(r, def->n * sizeof *values);
	for (size_t i = 0; i < def->n; i++)
		take_value(r, &def->fields[i], op->doc, &values[i]);
	to->values = values;
	return NULL;
}

struct store_request *store_request_write(const struct store_op *ops, size_t n)
{
	struct store_request *r = request_new(STORE_KIND_WRITE);
	if (!n || n > STORE_MAX_OPS) {
		store_request_refuse(r, 0, -ERR_INVALID, n ? ops[0].col : COL_COUNT, "a list has 1 to 64 writes");
		return r;
	}
	r->ops = take(r, n * sizeof *r->ops);
	for (size_t i = 0; i < n; i++) {
		const char *why = take_op(r, &ops[i], &r->ops[i]);
		r->nops = i + 1;
		if (why) {
			store_request_refuse(r, i, -ERR_INVALID, ops[i].col, why);
			return r;
		}
		if (r->ops[i].text && r->ops[i].text->len > STORE_DOC_MAX) {
			store_request_refuse(r, i, -ERR_TOO_LARGE, ops[i].col, "the document is too large");
			return r;
		}
	}
	return r;
}

struct store_request *store_request_get(enum store_collection col, const char *id)
{
	struct store_request *r = request_new(STORE_KIND_GET);
	r->ops = take(r, sizeof *r->ops);
	r->ops[0] = (struct store_request_op){ .col = col };
	r->nops = 1;
	const char *why = (unsigned)col >= COL_COUNT ? "no such collection" : bad_id(id);
	if (why)
		store_request_refuse(r, 0, -ERR_INVALID, col, why);
	else
		r->ops[0].id = copy(r, id);
	return r;
}

static const struct store_field *field(enum store_collection col, const char *path)
{
	const struct store_collection_def *def = &store_collections[col];
	for (size_t i = 0; path && i < def->n; i++)
		if (str_eq(def->fields[i].path, path))
			return &def->fields[i];
	return NULL;
}

static const char *take_id_filter(struct store_request *r, struct store_filter *f)
{
	if ((f->cmp != STORE_GE && f->cmp != STORE_LT) || !f->text)
		return "a filter on the id takes STORE_GE or STORE_LT and a text";
	f->path = "id";
	f->text = copy(r, f->text);
	return NULL;
}

static const char *take_filter(struct store_request *r, struct store_filter *f)
{
	const struct store_field *def = field(r->col, f->path);
	if (!def && f->path && str_eq(f->path, "id"))
		return take_id_filter(r, f);
	if (!def)
		return "a filter on a field that is not declared";
	f->path = def->path;
	if ((f->cmp == STORE_HAS) != (def->type == STORE_TEXT_LIST))
		return "STORE_HAS is for lists, and lists take nothing else";
	if (def->type == STORE_INTEGER)
		return f->cmp == STORE_IN || f->cmp == STORE_PREFIX || f->cmp == STORE_CONTAINS ? "that comparison is for text" : NULL;
	if (f->cmp != STORE_IN) {
		if (!f->text)
			return "a filter without its text";
		f->text = copy(r, f->text);
		return NULL;
	}
	size_t n = 0;
	while (f->list && f->list[n])
		n++;
	if (!f->list || n > STORE_MAX_IN)
		return "STORE_IN takes a list of at most 256 texts";
	const char **list = take(r, (n + 1) * sizeof *list);
	for (size_t i = 0; i < n; i++)
		list[i] = copy(r, f->list[i]);
	list[n] = NULL;
	f->list = list;
	return NULL;
}

static const char *take_query(struct store_request *r)
{
	struct store_query *q = &r->query;
	if (q->nfilters > STORE_MAX_FILTERS || q->limit > STORE_MAX_PAGE || q->offset > INT64_MAX)
		return "too many filters, or limit or offset out of range";
	for (size_t i = 0; i < q->nfilters; i++) {
		const char *why = take_filter(r, &q->filters[i]);
		if (why)
			return why;
	}
	if (!q->sort.path || str_eq(q->sort.path, "id")) {
		q->sort.path = NULL;
		return NULL;
	}
	const struct store_field *def = field(r->col, q->sort.path);
	if (!def || def->type == STORE_TEXT_LIST)
		return "a sort on a field that is not declared";
	q->sort.path = def->path;
	return NULL;
}

struct store_request *store_request_list(enum store_collection col, const struct store_query *q)
{
	struct store_request *r = request_new(STORE_KIND_LIST);
	r->col = col;
	r->query = *q;
	const char *why = (unsigned)col >= COL_COUNT ? "no such collection" : take_query(r);
	if (why)
		store_request_refuse(r, 0, -ERR_INVALID, col, why);
	return r;
}

/* --- the driver starts a request, or the front gives it up, whichever comes first */

enum { STAGE_QUEUED, STAGE_BEGUN, STAGE_GIVEN_UP };

static bool request_claim(struct store_request *r, int stage)
{
	int queued = STAGE_QUEUED;
	return __atomic_compare_exchange_n(&r->stage, &queued, stage, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}

bool store_request_start(struct store_request *r)
{
	return request_claim(r, STAGE_BEGUN);
}

bool store_request_give_up(struct store_request *r)
{
	return request_claim(r, STAGE_GIVEN_UP);
}

bool store_request_begun(const struct store_request *r)
{
	return __atomic_load_n(&r->stage, __ATOMIC_ACQUIRE) == STAGE_BEGUN;
}

void store_request_copy_answer(struct store_request *to, const struct store_request *from)
{
	to->result = from->result;
	to->err = from->err;
	to->text = blob_ref(from->text);
	to->version = from->version;
	to->total = from->total;
	to->ndocs = from->ndocs;
	to->docs = from->ndocs ? xcalloc(from->ndocs, sizeof *to->docs) : NULL;
	for (size_t i = 0; i < from->ndocs; i++)
		to->docs[i] = blob_ref(from->docs[i]);
}
