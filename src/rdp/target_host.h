/* target_host: what the probe needs of the list of targets (lucid/target.h). Floor F3, pure; implemented in target_list.c. */
#ifndef RDP_TARGET_HOST_H
#define RDP_TARGET_HOST_H

#include "lucid/base.h"

#define TARGET_HOST_MAX 253

struct target_list;
/* A host name in lower case without the dot at its end, or an address without brackets. False: it is neither. */
bool target_host_fold(const char *host, char dst[TARGET_HOST_MAX + 1]);
/* Whether an address of this host could be allowed at all. Names are resolved only then. */
bool target_list_may_resolve(const struct target_list *t, const char *folded_host);

#endif
