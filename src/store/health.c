#include "store/health.h"

#include "lucid/log.h"
#include "lucid/str.h"

#define MAX_WHYS 32 /* distinct sentences that are kept; about ten exist */

struct store_why {
	struct list node;
	char *public_text; /* the same without paths, for the readiness page, which is public */
	char text[];
};

/* Replaces the path of the store by "the store's file", and other paths by FILE. */
static char *health_without_paths(const struct store_health *h, const char *text)
{
	struct strbuf named = { 0 }, text_out = { 0 };
	size_t len = h->path ? strlen(h->path) : 0;
	for (const char *p = text, *at; *p; p = at + len) {
		at = len ? strstr(p, h->path) : NULL;
		if (!at) {
			strbuf_puts(&named, p);
			break;
		}
		strbuf_add(&named, p, (size_t)(at - p));
		strbuf_puts(&named, "the store's file");
	}
	strbuf_without_paths(&text_out, named.s ? named.s : "");
	strbuf_done(&named);
	return strbuf_take(&text_out);
}

static const struct store_why *health_keep(struct store_health *h, const char *text)
{
	static const char too_many[] = "the store is unavailable; the log says why";
	struct store_why *w;
	LIST_FOREACH(w, &h->whys, node)
		if (strcmp(w->text, text) == 0)
			return w;
	if (h->nwhys == MAX_WHYS && !str_eq(text, too_many))
		return health_keep(h, too_many);
	size_t n = strlen(text) + 1;
	w = xmalloc(sizeof *w + n);
	memcpy(w->text, text, n);
	w->public_text = health_without_paths(h, text);
	list_append(&h->whys, &w->node);
	h->nwhys++;
	return w;
}

void store_health_take(struct store_health *h, const struct store_report *p)
{
	bool changed = p->err != h->err || !h->known || (p->err && (!h->why || strcmp(h->why->text, p->why) != 0));
	h->known = true;
	h->up = !p->err;
	h->err = p->err;
	h->why = p->err ? health_keep(h, p->why) : NULL;
	if (changed && p->err && (!p->opening || p->opened))
		log_error("store", "%s", p->why);
	else if (changed && h->reported && !p->err && !p->opening)
		log_info("store", "the store is up again");
	if (p->opening && (changed || !h->reported || p->opened != h->reported_open)) {
		h->reported = true;
		h->reported_open = p->opened;
		if (h->on_open)
			h->on_open(p->opened ? 0 : h->err, h->why ? h->why->text : h->note ? h->note : "", h->arg);
	}
}

void store_health_note(struct store_health *h, const char *note)
{
	if (note && note != h->note)
		log_warn("store", "%s", note);
	h->note = note;
}

bool store_health_look(const struct store_health *h, const char **ret_why)
{
	if (ret_why)
		*ret_why = h->why ? h->why->public_text : !h->known ? "the store is being opened" : h->note ? h->note : "";
	return h->up;
}

void store_health_init(struct store_health *h, const char *path, void (*on_open)(int err, const char *why, void *arg), void *arg)
{
	*h = (struct store_health){ .path = path ? xstrdup(path) : NULL, .on_open = on_open, .arg = arg };
	list_init(&h->whys);
}

void store_health_done(struct store_health *h)
{
	struct list *n;
	while ((n = list_take_first(&h->whys))) {
		struct store_why *w = CONTAINER_OF(n, struct store_why, node);
		free(w->public_text);
		free(w);
	}
	free(h->path);
}
