/* settings: struct host_settings: copied, completed with defaults, checked. Floor F3. */
#ifndef HOST_SETTINGS_H
#define HOST_SETTINGS_H

#include "host/core.h"

void settings_copy(struct host_settings *dst, const struct host_settings *src);
void settings_user_map(struct host_settings *s, const char *const *map); /* replaces the previous one */
void settings_done(struct host_settings *s);
/* Why no instance can be started with these settings, a static sentence; NULL: nothing is wrong. */
const char *settings_fault(const struct host_settings *s);

#endif
