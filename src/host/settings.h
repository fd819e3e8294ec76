/* settings: host_settings from configuration, copied, checked, defaults filled in. Floor F3. */
#ifndef HOST_SETTINGS_H
#define HOST_SETTINGS_H

#include "host/core.h"

void settings_copy(struct host_settings *dst, const struct host_settings *src);
void settings_user_map(struct host_settings *s, const char *const *map); /* in place of the one before */
void settings_done(struct host_settings *s);
/* A sentence when instances cannot be started with these; NULL when all is well. Static text. */
const char *settings_fault(const struct host_settings *s);

#endif
