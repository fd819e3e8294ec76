/* checks: checks of settings beyond their own row: across settings, and against the roles that run and the environment. Floor F7; changes
 * nothing. Reports all faults, one on each line. */
#ifndef APP_SETTINGS_CHECKS_H
#define APP_SETTINGS_CHECKS_H

#include "lucid/role.h"
#include "sys/config/config.h"

/* `roles` are those of this process, NULL-ended. */
void checks_run(const struct config *c, const struct role *const *roles, struct strbuf *faults, struct strbuf *warnings);

/* checks_values.c: the syntax of single values, where a row cannot describe it. */
void checks_values(const struct config *c, struct strbuf *faults);
/* checks_tls.c: with ENFORCE_TLS, whether every listener and every URL uses TLS. Sockets that a service manager passes are checked in
 * daemon.c. */
void checks_tls(const struct config *c, struct strbuf *faults);

#endif
