#include "api/audit/fold.h"

#include "lucid/errs.h"
#include "lucid/map.h"
#include "lucid/str.h"

#define KINDS 512
#define WINDOW_MS 10000

struct fold {
	char *actor, *from;
	const char *action, *reason;
	int err;
	int64_t count;
	bool gate;
};

struct audit_folds {
	void (*add)(void *arg, const struct audit_fact *f);
	void *arg;
	struct map *kinds;
	struct fold others, gates; /* shared by all kinds beyond KINDS, and by all addresses beyond AUDIT_GATE_KINDS */
	size_t ngates;
	struct loop_timer *end;
};

static void fold_free(void *p)
{
	struct fold *f = p;
	free(f->actor);
	free(f->from);
	free(f);
}

static void add_folded(struct audit_folds *f, const struct fold *k)
{
	if (k->count)
		f->add(f->arg, &(struct audit_fact){ .actor = k->actor, .action = k->action, .from = k->from, .err = k->err, .reason = k->reason,
						     .count = k->count, .gate = k->gate });
}

void audit_folds_end(struct audit_folds *f)
{
	struct map_pos pos = { 0 };
	const char *key;
	void *value;
	while (map_next(f->kinds, &pos, &key, &value)) {
		add_folded(f, value);
		fold_free(map_remove(f->kinds, key));
	}
	add_folded(f, &f->others);
	add_folded(f, &f->gates);
	f->others.count = f->gates.count = 0;
	f->ngates = 0;
}

static void on_end(void *arg)
{
	audit_folds_end(arg);
}

struct audit_folds *audit_folds_new(struct loop *l, void (*add)(void *arg, const struct audit_fact *f), void *arg)
{
	struct audit_folds *f = XNEW(struct audit_folds);
	f->add = add;
	f->arg = arg;
	f->kinds = map_new(KINDS);
	f->others = (struct fold){ .action = "several", .err = ERR_UNAUTHENTICATED };
	f->gates = (struct fold){ .action = "http.refused", .err = ERR_MALFORMED, .gate = true };
	f->end = loop_timer_new(l, on_end, f);
	return f;
}

void audit_folds_free(struct audit_folds *f)
{
	loop_timer_free(f->end);
	map_free(f->kinds, fold_free);
	free(f);
}

static bool costs_nothing(const struct audit_fact *f)
{
	int err = f->err;
	return f->gate || err == ERR_UNAUTHENTICATED || err == ERR_FORBIDDEN || err == ERR_RATE_LIMITED;
}

bool audit_fold(struct audit_folds *f, const struct audit_fact *fact)
{
	if (!costs_nothing(fact))
		return false;
	const char *actor = fact->actor ? fact->actor : "", *from = fact->from ? fact->from : "";
	_cleanup_(xfreep) char *key = xasprintf("%d %s %s %s %s", fact->err, fact->action, fact->reason ? fact->reason : "", from, actor);
	struct fold *k = map_get(f->kinds, key);
	if (k) {
		k->count++;
		return true;
	}
	if (!loop_timer_pending(f->end))
		loop_timer_set(f->end, WINDOW_MS);
	if (fact->gate && f->ngates == AUDIT_GATE_KINDS) {
		f->gates.count++;
		return true;
	}
	if (map_count(f->kinds) == KINDS) {
		f->others.count++;
		return true;
	}
	k = XNEW(struct fold);
	*k = (struct fold){ xstrdup(actor), xstrdup(from), fact->action, fact->reason, fact->err, 0, fact->gate };
	f->ngates += fact->gate;
	map_put(f->kinds, key, k, NULL);
	return false;
}
