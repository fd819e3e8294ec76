/* query: lists as SQL. Field names come from the table of collections; values of a caller are always parameters. */
#include "store/sqlite/db.h"

#include "lucid/str.h"

/* Parameters of one query: up to two for each filter, offset and limit. */
struct params {
	struct param {
		const char *text; /* NULL: it is the number */
		int64_t number;
	} p[2 * STORE_MAX_FILTERS + 2];
	int n;
	char *owned[2 * STORE_MAX_FILTERS];
	int nowned;
};

static int add_text(struct params *p, const char *text)
{
	p->p[p->n++] = (struct param){ .text = text };
	return p->n;
}

static int add_number(struct params *p, int64_t number)
{
	p->p[p->n++] = (struct param){ .number = number };
	return p->n;
}

static int add_owned(struct params *p, char *text)
{
	p->owned[p->nowned++] = text;
	return add_text(p, text);
}

static char *in_list(const char *const *list)
{
	struct strbuf b = { 0 };
	strbuf_putc(&b, '[');
	for (size_t i = 0; list[i]; i++) {
		if (i)
			strbuf_putc(&b, ',');
		strbuf_json(&b, list[i]);
	}
	strbuf_putc(&b, ']');
	return strbuf_take(&b);
}

/* A range: texts with the prefix are not below it, and below the prefix with its last byte incremented. Texts compare by bytes, so that no
 * character is special. */
static void add_prefix(struct strbuf *sql, struct params *p, const char *name, const char *prefix)
{
	size_t n = strlen(prefix);
	if (!n) {
		strbuf_printf(sql, "%s IS NOT NULL", name);
		return;
	}
	strbuf_printf(sql, "%s>=?%d", name, add_text(p, prefix));
	char *end = xstrdup(prefix);
	while (n && (unsigned char)end[n - 1] == 0xff)
		end[--n] = 0;
	if (n) {
		end[n - 1] = (char)(end[n - 1] + 1);
		strbuf_printf(sql, " AND %s<?%d", name, add_owned(p, end));
	} else {
		free(end);
	}
}

static void add_filter(struct strbuf *sql, struct params *p, const struct store_filter *f, bool integer)
{
	char name[64] = "id";
	if (!str_eq(f->path, "id"))
		sqlite_column_name(name, f->path);
	if (f->cmp == STORE_PREFIX) {
		add_prefix(sql, p, name, f->text);
	} else if (f->cmp == STORE_CONTAINS) {
		strbuf_printf(sql, "fold_contains(%s,?%d)", name, add_text(p, f->text));
	} else if (f->cmp == STORE_IN) {
		strbuf_printf(sql, "%s IN (SELECT value FROM json_each(?%d))", name, add_owned(p, in_list(f->list)));
	} else if (f->cmp == STORE_HAS) {
		strbuf_printf(sql, "EXISTS(SELECT 1 FROM json_each(%s) WHERE value=?%d)", name, add_text(p, f->text));
	} else {
		int at = integer ? add_number(p, f->number) : add_text(p, f->text);
		switch (f->cmp) { /* the format stays a literal, so that the compiler checks it */
		case STORE_NE:
			strbuf_printf(sql, "%s IS NOT ?%d", name, at);
			break;
		case STORE_GE:
			strbuf_printf(sql, "%s>=?%d", name, at);
			break;
		case STORE_LT:
			strbuf_printf(sql, "%s<?%d", name, at);
			break;
		default:
			strbuf_printf(sql, "%s=?%d", name, at);
		}
	}
}

static void add_where(struct strbuf *sql, struct params *p, const struct store_request *r)
{
	strbuf_printf(sql, " FROM %s", store_collections[r->col].name);
	for (size_t i = 0; i < r->query.nfilters; i++) {
		const struct store_filter *f = &r->query.filters[i];
		strbuf_puts(sql, i ? " AND " : " WHERE ");
		add_filter(sql, p, f, store_field_is_integer(r->col, f->path));
	}
}

static void add_order(struct strbuf *sql, struct params *p, const struct store_query *q)
{
	const char *dir = q->sort.descending ? "DESC" : "ASC";
	char name[64];
	if (q->sort.path) {
		sqlite_column_name(name, q->sort.path);
		strbuf_printf(sql, " ORDER BY %s %s,id", name, dir);
	} else {
		strbuf_printf(sql, " ORDER BY id %s", dir);
	}
	int limit = add_number(p, (int64_t)q->limit);
	strbuf_printf(sql, " LIMIT ?%d OFFSET ?%d", limit, add_number(p, (int64_t)q->offset));
}

/* The prepared statement of this text. A new one replaces the least recently used. */
static int statement(struct sqlite_db *db, const char *sql, sqlite3_stmt **ret)
{
	struct sqlite_list *oldest = &db->lists[0];
	for (size_t i = 0; i < SQLITE_LIST_STATEMENTS; i++) {
		struct sqlite_list *l = &db->lists[i];
		if (l->sql && str_eq(l->sql, sql)) {
			l->used = ++db->uses;
			*ret = l->stmt;
			return SQLITE_OK;
		}
		if (l->used < oldest->used)
			oldest = l;
	}
	sqlite3_stmt *st = NULL;
	int rc = sqlite3_prepare_v3(db->h, sql, -1, SQLITE_PREPARE_PERSISTENT, &st, NULL);
	if (rc)
		return rc;
	sqlite3_finalize(oldest->stmt);
	free(oldest->sql);
	*oldest = (struct sqlite_list){ xstrdup(sql), st, ++db->uses };
	*ret = st;
	return SQLITE_OK;
}

static void bind(sqlite3_stmt *st, const struct params *p)
{
	for (int i = 0; i < p->n; i++)
		if (p->p[i].text)
			sqlite_bind_string(st, i + 1, p->p[i].text);
		else
			sqlite3_bind_int64(st, i + 1, p->p[i].number);
}

static int statement_reset(sqlite3_stmt *st, int rc)
{
	int reset = sqlite3_reset(st);
	sqlite3_clear_bindings(st);
	return rc == SQLITE_DONE || rc == SQLITE_ROW ? SQLITE_OK : reset ? reset : rc;
}

static int run_count(struct sqlite_db *db, struct store_request *r)
{
	struct strbuf sql = { 0 };
	struct params p = { .n = 0 };
	sqlite3_stmt *st = NULL;
	strbuf_puts(&sql, "SELECT count(*)");
	add_where(&sql, &p, r);
	int rc = statement(db, sql.s, &st);
	if (rc == SQLITE_OK) {
		bind(st, &p);
		rc = sqlite3_step(st);
		if (rc == SQLITE_ROW)
			r->total = sqlite3_column_int64(st, 0);
		rc = statement_reset(st, rc);
	}
	for (int i = 0; i < p.nowned; i++)
		free(p.owned[i]);
	strbuf_done(&sql);
	return rc;
}

static int take_rows(sqlite3_stmt *st, struct store_request *r)
{
	size_t bytes = 0;
	int rc;
	while ((rc = sqlite3_step(st)) == SQLITE_ROW && r->ndocs < r->query.limit) {
		struct blob *b = sqlite_column_blob(st, 0);
		r->docs[r->ndocs++] = b;
		bytes += b->len;
		if (bytes > STORE_LIST_BYTES) {
			store_request_fail(r, -ERR_TOO_LARGE);
			break;
		}
	}
	return rc;
}

static int run_page(struct sqlite_db *db, struct store_request *r)
{
	struct strbuf sql = { 0 };
	struct params p = { .n = 0 };
	sqlite3_stmt *st = NULL;
	strbuf_puts(&sql, "SELECT doc");
	add_where(&sql, &p, r);
	add_order(&sql, &p, &r->query);
	int rc = statement(db, sql.s, &st);
	if (rc == SQLITE_OK) {
		r->docs = xcalloc(r->query.limit, sizeof *r->docs);
		bind(st, &p);
		rc = statement_reset(st, take_rows(st, r));
	}
	for (int i = 0; i < p.nowned; i++)
		free(p.owned[i]);
	strbuf_done(&sql);
	return rc;
}

int sqlite_list(struct sqlite_db *db, struct store_request *r)
{
	bool count = r->query.want_total || !r->query.limit, page = r->query.limit > 0;
	r->result = STORE_OK;
	/* a transaction, so that both read the same snapshot */
	int rc = count && page ? sqlite_run(db, &db->begin, "BEGIN") : SQLITE_OK;
	if (rc)
		return rc;
	if (count)
		rc = run_count(db, r);
	if (page && rc == SQLITE_OK)
		rc = run_page(db, r);
	if (count && page) {
		int end = sqlite_run(db, &db->commit, "COMMIT");
		rc = rc ? rc : end;
	}
	return rc;
}
