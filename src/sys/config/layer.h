/*
 * layer: one source of settings (--set, the environment, a file), read into pairs of name and text. Floor F1. Layers are searched in
 * order of precedence, and the first that names a setting decides (config.c). The size of everything read is limited here.
 */
#ifndef SYS_CONFIG_LAYER_H
#define SYS_CONFIG_LAYER_H

#include "lucid/map.h"
#include "lucid/str.h"

enum {
	CONFIG_FILE_MAX = 1 << 20,  /* bytes of a file */
	CONFIG_VALUE_MAX = 1 << 16, /* bytes of a value, after expansion */
	CONFIG_LAYERS_MAX = 32,
	CONFIG_PAIRS_MAX = 4096, /* of one source */
};

struct config_pair {
	char *name, *text;
	unsigned line; /* 0: not from a file */
};
enum layer_kind { LAYER_SET, LAYER_ENV, LAYER_ENV_FILE, LAYER_CONF };
struct config_layer {
	enum layer_kind kind;
	char *source; /* "--set", "environment", or the path */
	struct config_pair *pairs;
	size_t n, cap;
};
struct config_layers {
	struct config_layer *layer[CONFIG_LAYERS_MAX]; /* highest precedence first */
	size_t n;
	struct map *known; /* every name, alias and NAME_FILE → struct slot of config.c */
	struct strbuf *faults, *warnings;
};

struct config_layer *layer_new(enum layer_kind kind, const char *source);
void layer_free(struct config_layer *l); /* wipes the values; takes NULL */
/* NULL: the layer has CONFIG_PAIRS_MAX pairs. */
struct config_pair *layer_add(struct config_layer *l, const char *name, size_t name_len, const char *text, unsigned line);
struct config_pair *layer_find(const struct config_layer *l, const char *name); /* NULL: there is none */
struct config_layer *layer_from_env(char *const *env);
struct config_layer *layer_from_set(const char *const *set, struct strbuf *faults);
bool config_name_ok(const char *s, size_t len); /* a possible name of a setting or variable */

#endif
