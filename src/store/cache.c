#include "store/cache.h"

#include "lucid/map.h"
#include "lucid/str.h"

struct cache_entry {
	struct list used; /* in `used` of the cache while it has a text */
	struct blob *text;
	json_t *doc; /* parsed when first asked for */
	int64_t version;
	size_t cost;
	uint64_t generation;
	unsigned reads, writes; /* in progress */
	bool overlapped;	/* two writes overlapped since the last time that none was in progress */
	char key[];
};

/* Removed from the cache, but perhaps lent to a caller until this turn ends. */
struct removed {
	struct removed *next;
	struct blob *text;
	json_t *doc;
};

struct store_cache {
	struct loop *loop;
	struct map *entries;
	struct list used; /* least recently used first */
	size_t bytes, max;
	struct removed *removed;
	struct loop_task free_removed;
};

#define ENTRY_COST 256	  /* bytes of the structs of an entry */
#define PARSED_COST_FACTOR 4 /* size of a parsed document relative to its text; jansson allocates a node for each value */
#define KEY_SIZE (STORE_ID_MAX + 2)

static void on_free_removed(struct loop_task *t)
{
	struct store_cache *c = CONTAINER_OF(t, struct store_cache, free_removed);
	struct removed *g;
	while ((g = c->removed)) {
		c->removed = g->next;
		blob_unref(g->text);
		json_decref(g->doc);
		free(g);
	}
}

struct store_cache *store_cache_new(struct loop *l, size_t bytes)
{
	struct store_cache *c = XNEW(struct store_cache);
	c->loop = l;
	c->max = bytes;
	c->entries = map_new(SIZE_MAX); /* bounded by bytes, and by the requests in progress */
	list_init(&c->used);
	loop_task_init(&c->free_removed, on_free_removed);
	return c;
}

static void free_entry(void *p)
{
	struct cache_entry *e = p;
	blob_unref(e->text);
	json_decref(e->doc);
	free(e);
}

void store_cache_free(struct store_cache *c)
{
	if (!c)
		return;
	loop_undefer(&c->free_removed);
	on_free_removed(&c->free_removed);
	map_free(c->entries, free_entry);
	free(c);
}

size_t store_cache_bytes(const struct store_cache *c)
{
	return c->bytes;
}

static const char *make_key(char key[KEY_SIZE], enum store_collection col, const char *id)
{
	key[0] = (char)('A' + col);
	return str_copy(key + 1, KEY_SIZE - 1, id) ? key : NULL;
}

static struct cache_entry *find(struct store_cache *c, enum store_collection col, const char *id)
{
	char key[KEY_SIZE];
	return make_key(key, col, id) ? map_get(c->entries, key) : NULL;
}

static void drop_text(struct store_cache *c, struct cache_entry *e)
{
	if (!e->text)
		return;
	struct removed *g = XNEW(struct removed);
	g->text = TAKE_PTR(e->text);
	g->doc = TAKE_PTR(e->doc);
	g->next = c->removed;
	c->removed = g;
	loop_defer(c->loop, &c->free_removed);
	c->bytes -= e->cost;
	e->cost = 0;
	list_remove(&e->used);
}

static void drop_if_idle(struct store_cache *c, struct cache_entry *e)
{
	if (e->text || e->reads || e->writes)
		return;
	map_remove(c->entries, e->key);
	free(e);
}

static void shrink(struct store_cache *c)
{
	while (c->bytes > c->max && !list_empty(&c->used)) {
		struct cache_entry *e = CONTAINER_OF(c->used.next, struct cache_entry, used);
		drop_text(c, e);
		drop_if_idle(c, e);
	}
}

static void charge(struct store_cache *c, struct cache_entry *e, size_t cost)
{
	c->bytes += cost;
	e->cost += cost;
}

/* The entry may be freed, unless it is pinned. */
static void set_text(struct store_cache *c, struct cache_entry *e, struct blob *text, int64_t version)
{
	drop_text(c, e);
	if (text->len > c->max / 4)
		return;
	e->text = blob_ref(text);
	e->version = version;
	list_append(&c->used, &e->used);
	charge(c, e, ENTRY_COST + strlen(e->key) + text->len);
	shrink(c);
}

static void touch(struct store_cache *c, struct cache_entry *e)
{
	list_remove(&e->used);
	list_append(&c->used, &e->used);
}

bool store_cache_peek(struct store_cache *c, enum store_collection col, const char *id, struct store_doc *ret)
{
	struct cache_entry *e = find(c, col, id);
	if (!e || !e->text)
		return false;
	touch(c, e);
	*ret = (struct store_doc){ e->text, e->version };
	return true;
}

json_t *store_cache_peek_doc(struct store_cache *c, enum store_collection col, const char *id)
{
	struct cache_entry *e = find(c, col, id);
	if (!e || !e->text)
		return NULL;
	touch(c, e);
	if (e->doc)
		return e->doc;
	json_t *doc = e->doc = doc_parse(e->text->data, e->text->len, NULL, 0);
	if (doc) {
		charge(c, e, PARSED_COST_FACTOR * e->text->len);
		shrink(c); /* may evict this entry; doc stays valid until the turn ends */
	}
	return doc;
}

static struct cache_entry *pin_entry(struct store_cache *c, enum store_collection col, const char *id)
{
	char key[KEY_SIZE];
	if (!make_key(key, col, id))
		return NULL;
	struct cache_entry *e = map_get(c->entries, key);
	if (e)
		return e;
	size_t len = strlen(key) + 1;
	e = xcalloc(1, sizeof *e + len);
	memcpy(e->key, key, len);
	list_init(&e->used);
	map_put(c->entries, key, e, NULL);
	return e;
}

struct cache_entry *store_cache_begin_write(struct store_cache *c, enum store_collection col, const char *id)
{
	struct cache_entry *e = pin_entry(c, col, id);
	if (e && e->writes++)
		e->overlapped = true;
	return e;
}

void store_cache_end_write(struct store_cache *c, struct cache_entry *e, enum cache_outcome outcome, struct blob *text,
			   int64_t version)
{
	if (!e)
		return;
	if (outcome != CACHE_SAME) {
		e->generation++;
		if (outcome == CACHE_STORED && !e->overlapped)
			set_text(c, e, text, version); /* pinned: not freed */
		else
			drop_text(c, e);
	}
	if (!--e->writes)
		e->overlapped = false;
	drop_if_idle(c, e);
}

struct cache_entry *store_cache_begin_read(struct store_cache *c, enum store_collection col, const char *id,
					   uint64_t *ret_generation)
{
	struct cache_entry *e = pin_entry(c, col, id);
	if (e) {
		e->reads++;
		*ret_generation = e->generation;
	}
	return e;
}

void store_cache_end_read(struct store_cache *c, struct cache_entry *e, uint64_t generation, bool failed,
			  struct blob *text, int64_t version)
{
	if (!e)
		return;
	if (!failed && generation == e->generation) {
		/* not found, or newer than the cached text: a write of it took effect and is not answered yet */
		if (!text)
			drop_text(c, e);
		else if (!e->text || version > e->version)
			set_text(c, e, text, version);
	}
	e->reads--;
	drop_if_idle(c, e);
}
