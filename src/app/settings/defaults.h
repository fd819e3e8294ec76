/* defaults: defaults that depend on the host and on other settings: directories, names, generated secrets. Floor F7; before threads exist;
 * reads and writes files. */
#ifndef APP_SETTINGS_DEFAULTS_H
#define APP_SETTINGS_DEFAULTS_H

#include "lucid/role.h"
#include "sys/config/config.h"

/* `roles` are those of this process, NULL-ended. Secrets are left empty. False with faults. */
bool defaults_fill(struct config *c, const struct role *const *roles, struct strbuf *faults);
/* After defaults_fill: secrets that are not set, from files below DATA_DIR; if `make`, missing ones are generated and kept there. */
bool defaults_secrets(struct config *c, bool make, struct strbuf *faults);

/* secrets.c: the secret in the file `path`; if `make`, a missing one is generated (mode 0600; never overwritten). Hex text, which the caller
 * wipes and frees. NULL with a reason in why; why is empty if the file is missing and `make` is false. */
char *secret_keep(const char *path, bool make, char *why, size_t size);

#endif
