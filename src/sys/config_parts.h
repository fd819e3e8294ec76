/*
 * config_parts: what the files of the configuration engine share. Floor F1. Nobody else includes this.
 *
 * A layer is one source, read into pairs of name and text; layers are looked at in order of precedence, and the first that
 * names a setting decides. Everything that is read is bounded here.
 */
#ifndef SYS_CONFIG_PARTS_H
#define SYS_CONFIG_PARTS_H

#include "lucid/map.h"
#include "sys/config.h"

enum {
	CONFIG_FILE_MAX = 1 << 20,  /* bytes of one file */
	CONFIG_VALUE_MAX = 1 << 16, /* of one value, expanded */
	CONFIG_LAYERS_MAX = 32,
	CONFIG_PAIRS_MAX = 4096, /* of one source */
	CONFIG_ITEMS_MAX = 1024, /* of one list */
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
	struct map *known; /* every name, alias and NAME_FILE → struct slot */
	struct strbuf *faults, *warnings;
};

struct config_value {
	char *text, *source;
	bool given;
	int64_t num;
	char **items; /* NULL-ended, of a list */
};
struct config {
	const struct option *rows;
	size_t n;
	struct config_value *values;
	struct map *index; /* name → row */
	struct config_value *parked; /* replaced by a reload, and maybe still borrowed */
	size_t nparked;
};

/* config.c */
struct config *config_new(const struct option *rows, size_t n, struct strbuf *faults);
bool config_set_value(struct config *c, size_t row, const char *text, const char *source, bool given, struct strbuf *faults);

/* config_layer.c */
struct config_layer *layer_new(enum layer_kind kind, const char *source);
void layer_free(struct config_layer *l);
struct config_pair *layer_add(struct config_layer *l, const char *name, size_t name_len, const char *text, unsigned line);
struct config_pair *layer_find(const struct config_layer *l, const char *name);
struct config_layer *layer_from_env(char *const *env);
struct config_layer *layer_from_set(const char *const *set, struct strbuf *faults);

/* config_file.c. The whole of a regular file, at most `max` bytes, with no NUL in it; NULL with a reason in why. */
char *config_read(const char *path, size_t max, char *why, size_t size);
/* Parse a file of NAME=value lines; what it names is added to `l`. Faults go to all->faults. */
void config_parse_file(struct config_layers *all, struct config_layer *l, const char *text);
bool config_name_ok(const char *s, size_t len);

/* config_expand.c. Expand ${…} of text[0..len) into out. 0, or a static reason. */
const char *config_expand(const struct config_layers *all, const struct config_layer *current, const char *text, size_t len,
			  struct strbuf *out, struct strbuf *unknown);

/* config_value.c. Check `text` as a value of the row and fill ret; false: it does not fit, and `detail` (may stay empty)
 * may have more to say than config_allowed. */
bool config_value_parse(const struct option *o, const char *text, struct config_value *ret, struct strbuf *detail);
void config_value_done(struct config_value *v);
void config_allowed(const struct option *o, struct strbuf *out);

#endif
