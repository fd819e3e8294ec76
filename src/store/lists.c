#include "store/lists.h"

#include "lucid/list.h"
#include "lucid/map.h"
#include "lucid/str.h"

#define BYTES_MAX (2u << 20)
#define ONE_MAX (256u << 10) /* a longer answer would displace too many others */
#define KEPT_MAX 256

struct kept {
	struct list node, of_col; /* all, in the order in which they were kept; those of the collection */
	char *question;
	struct store_request answer; /* the members of the answer only */
	size_t bytes;
};

struct lists {
	struct map *kept; /* question → struct kept */
	struct list order;
	struct {
		struct list kept;
		uint64_t generation;
	} of[COL_COUNT];
	size_t bytes, n;
	struct strbuf key;
};

static void kept_drop(struct lists *l, struct kept *k)
{
	map_remove(l->kept, k->question);
	list_remove(&k->node);
	list_remove(&k->of_col);
	l->bytes -= k->bytes;
	l->n--;
	for (size_t i = 0; i < k->answer.ndocs; i++)
		blob_unref(k->answer.docs[i]);
	free(k->answer.docs);
	free(k->question);
	free(k);
}

/* --- writes */

void lists_written(struct lists *l, enum store_collection col)
{
	struct kept *k, *next;
	l->of[col].generation++;
	LIST_FOREACH_SAFE (k, next, &l->of[col].kept, of_col)
		kept_drop(l, k);
}

uint64_t lists_generation(const struct lists *l, enum store_collection col)
{
	return l->of[col].generation;
}

/* --- answers */

static size_t size_of(const struct store_request *r, const char *question)
{
	size_t n = sizeof(struct kept) + strlen(question) + r->ndocs * sizeof *r->docs;
	for (size_t i = 0; i < r->ndocs; i++)
		n += r->docs[i]->len;
	return n;
}

void lists_keep(struct lists *l, const struct store_request *r)
{
	const char *question = store_question(&l->key, r);
	size_t bytes = size_of(r, question);
	if (r->generation != l->of[r->col].generation || bytes > ONE_MAX || map_get(l->kept, question))
		return;
	while (l->n && (l->n == KEPT_MAX || l->bytes + bytes > BYTES_MAX))
		kept_drop(l, CONTAINER_OF(l->order.next, struct kept, node));
	struct kept *k = XNEW(struct kept);
	k->question = xstrdup(question);
	k->bytes = bytes;
	store_request_copy_answer(&k->answer, r);
	list_append(&l->order, &k->node);
	list_append(&l->of[r->col].kept, &k->of_col);
	map_put(l->kept, k->question, k, NULL);
	l->bytes += bytes;
	l->n++;
}

bool lists_answer(struct lists *l, struct store_request *r)
{
	const struct kept *k = map_get(l->kept, store_question(&l->key, r));
	if (k)
		store_request_copy_answer(r, &k->answer);
	return k != NULL;
}

/* --- life */

struct lists *lists_new(void)
{
	struct lists *l = XNEW(struct lists);
	l->kept = map_new(KEPT_MAX);
	list_init(&l->order);
	for (size_t i = 0; i < COL_COUNT; i++)
		list_init(&l->of[i].kept);
	return l;
}

void lists_free(struct lists *l)
{
	if (!l)
		return;
	while (!list_empty(&l->order))
		kept_drop(l, CONTAINER_OF(l->order.next, struct kept, node));
	map_free(l->kept, NULL);
	strbuf_done(&l->key);
	free(l);
}
