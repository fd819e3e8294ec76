/* defaults: values that depend on the host and on other settings: directories, names, generated secrets. Floor F7; before
 * threads exist; reads and writes files. */
#ifndef APP_DEFAULTS_H
#define APP_DEFAULTS_H

#include "lucid/role.h"
#include "sys/config.h"

/* `roles` are those of this process, NULL-ended. Secrets that are not generated stay empty. False with faults. */
bool defaults_fill(struct config *c, const struct role *const *roles, struct strbuf *faults);
/* After defaults_fill: secrets that nobody gave, from files below DATA_DIR, or new ones kept there if `make`. */
bool defaults_secrets(struct config *c, bool make, struct strbuf *faults);

/* secrets.c: the secret kept in `path`, generated there (0600, never overwritten) if `make` and it is not there. Hex text to
 * be wiped and freed; NULL with a reason in why, which is empty when there is none and none was to be made. */
char *secret_keep(const char *path, bool make, char *why, size_t size);

#endif
