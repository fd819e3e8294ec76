/* expand: ${NAME} and ${NAME:-default} in the values of files. Floor F1, pure. */
#ifndef SYS_CONFIG_EXPAND_H
#define SYS_CONFIG_EXPAND_H

#include "sys/config/layer.h"

/* Expands the ${…} in text[0..len) into out. NULL, or a static reason. `unknown` gets the names that are not set. */
const char *config_expand(const struct config_layers *all, const struct config_layer *current, const char *text, size_t len,
			  struct strbuf *out, struct strbuf *unknown);

#endif
