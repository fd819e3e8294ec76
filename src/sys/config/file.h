/* file: configuration files and env files, as lines of NAME=value. Floor F1; blocks while it reads. */
#ifndef SYS_CONFIG_FILE_H
#define SYS_CONFIG_FILE_H

#include "sys/config/layer.h"

/* The contents of a regular file of at most `max` bytes without NUL; NULL with a reason in why[size]. */
char *config_read(const char *path, size_t max, char *why, size_t size);
/* Adds the lines of `text` to `l`, with values expanded. Faults go to all->faults. */
void config_parse_file(struct config_layers *all, struct config_layer *l, const char *text);

#endif
