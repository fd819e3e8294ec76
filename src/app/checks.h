/* checks: what settings must be beyond their own row: to each other, to the roles that run, to the environment. Floor F7;
 * reads only. Every fault is told, one sentence a line. */
#ifndef APP_CHECKS_H
#define APP_CHECKS_H

#include "lucid/role.h"
#include "sys/config.h"

/* `roles` are those of this process, NULL-ended. */
void checks_run(const struct config *c, const struct role *const *roles, struct strbuf *faults, struct strbuf *warnings);

/* checks_values.c: the form of single values that a row cannot say. */
void checks_values(const struct config *c, struct strbuf *faults);
/* checks_tls.c: with ENFORCE_TLS, whether everything that listens and every URL uses TLS. Sockets that a service manager hands over are
 * looked at where they are taken. */
void checks_tls(const struct config *c, struct strbuf *faults);

#endif
