#include "lucid/clock.h"
#include "roles/rdp-resource-monitor/history/track.h"

/* Removes documents whose time is over. Several monitors may do it: a document that is missing is what all of them want. */

#define EXPIRE_EVERY_MS (10 * 60 * 1000)
#define EXPIRE_MORE_MS 1000 /* if there were more than one batch */

static void expire_over(struct keeper *k, size_t found)
{
	k->expiring = false;
	k->expire_ms = clock_mono_ms() + (found == STORE_MAX_OPS ? EXPIRE_MORE_MS : EXPIRE_EVERY_MS);
	under_way_end(k->under_way);
}

static void on_expired(enum store_result result, UNUSED size_t index, UNUSED int err, void *arg)
{
	/* another monitor removed one of them: the others are found again */
	expire_over(arg, result == STORE_FAILED ? 0 : STORE_MAX_OPS);
}

static void on_expired_found(enum store_result result, struct blob *const *docs, size_t n, UNUSED int64_t total, UNUSED int err, void *arg)
{
	struct keeper *k = arg;
	struct store_op ops[STORE_MAX_OPS];
	json_t *parsed[STORE_MAX_OPS];
	size_t found = 0;
	for (size_t i = 0; result == STORE_OK && !k->stopped && i < n && i < STORE_MAX_OPS; i++) {
		json_t *doc = doc_parse(docs[i]->data, docs[i]->len, NULL, 0);
		const char *id = doc_str(doc, "id", NULL);
		if (!id) {
			json_decref(doc);
			continue;
		}
		parsed[found] = doc;
		ops[found++] = (struct store_op){ STORE_DELETE, COL_RESOURCES, id, 0, NULL };
	}
	if (found)
		store_write(k->env.store, ops, found, on_expired, k);
	else
		expire_over(k, 0);
	for (size_t i = 0; i < found; i++)
		json_decref(parsed[i]);
}

void keeper_expire(struct keeper *k)
{
	struct store_query old = { .filters = { { .path = "expires_at", .cmp = STORE_LT, .number = clock_wall_ms() } },
				   .nfilters = 1, .sort = { .path = "expires_at" }, .limit = STORE_MAX_OPS };
	if (k->expiring || k->stopped || clock_mono_ms() < k->expire_ms)
		return;
	k->expiring = true;
	under_way_begin(k->under_way);
	store_list(k->env.store, COL_RESOURCES, &old, on_expired_found, k);
}
