/* missing: what this host lacks to show any desktop. Floor F3; checks a few paths. */
#ifndef HOST_DESKTOP_MISSING_H
#define HOST_DESKTOP_MISSING_H

#include "host/xrdp_config/profiles.h"

/* The path of xorgxrdp's module for Xorg (static), or NULL. */
const char *xorgxrdp_module(void);
/* What is missing and what to do, a static sentence; NULL: nothing is. */
const char *desktop_fault(struct profiles *p);

#endif
