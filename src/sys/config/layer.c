#include "sys/config/layer.h"

#include <ctype.h>

bool config_name_ok(const char *s, size_t len)
{
	if (!len || len > 128 || isdigit((unsigned char)s[0]))
		return false;
	for (size_t i = 0; i < len; i++)
		if (!isalnum((unsigned char)s[i]) && s[i] != '_')
			return false;
	return true;
}

struct config_layer *layer_new(enum layer_kind kind, const char *source)
{
	struct config_layer *l = XNEW(struct config_layer);
	l->kind = kind;
	l->source = xstrdup(source);
	return l;
}

void layer_free(struct config_layer *l)
{
	if (!l)
		return;
	for (size_t i = 0; i < l->n; i++) {
		mem_wipe(l->pairs[i].text, strlen(l->pairs[i].text));
		free(l->pairs[i].text);
		free(l->pairs[i].name);
	}
	free(l->pairs);
	free(l->source);
	free(l);
}

struct config_pair *layer_add(struct config_layer *l, const char *name, size_t name_len, const char *text, unsigned line)
{
	if (l->n == CONFIG_PAIRS_MAX)
		return NULL;
	if (l->n == l->cap) {
		l->cap = l->cap ? l->cap * 2 : 64;
		l->pairs = xrealloc(l->pairs, l->cap * sizeof *l->pairs);
	}
	l->pairs[l->n] = (struct config_pair){ xstrndup(name, name_len), xstrdup(text), line };
	return &l->pairs[l->n++];
}

struct config_pair *layer_find(const struct config_layer *l, const char *name)
{
	for (size_t i = 0; i < l->n; i++)
		if (str_eq(l->pairs[i].name, name))
			return &l->pairs[i];
	return NULL;
}

/* Of two variables with the same name, the first one is used, as in getenv(3). */
struct config_layer *layer_from_env(char *const *env)
{
	struct config_layer *l = layer_new(LAYER_ENV, "environment");
	for (size_t i = 0; env && env[i]; i++) {
		const char *eq = strchr(env[i], '=');
		if (eq && eq != env[i] && strlen(eq) <= CONFIG_VALUE_MAX)
			layer_add(l, env[i], (size_t)(eq - env[i]), eq + 1, 0);
	}
	return l;
}

/* Of two --set with the same name, the last one is used, as for most options. A fault does not quote a word without NAME=, which may
 * be a secret without its name. */
struct config_layer *layer_from_set(const char *const *set, struct strbuf *faults)
{
	struct config_layer *l = layer_new(LAYER_SET, "--set");
	for (size_t i = 0; set && set[i]; i++) {
		const char *eq = strchr(set[i], '=');
		if (!eq || !config_name_ok(set[i], (size_t)(eq - set[i]))) {
			strbuf_printf(faults, "--set number %zu: must be NAME=value\n", i + 1);
			continue;
		}
		_cleanup_(xfreep) char *name = xstrndup(set[i], (size_t)(eq - set[i]));
		struct config_pair *old = layer_find(l, name);
		if (old) {
			mem_wipe(old->text, strlen(old->text));
			free(old->text);
			old->text = xstrdup(eq + 1);
		} else if (strlen(eq) > CONFIG_VALUE_MAX || !layer_add(l, name, strlen(name), eq + 1, 0)) {
			strbuf_printf(faults, "%s: from --set: too long\n", name);
		}
	}
	return l;
}
