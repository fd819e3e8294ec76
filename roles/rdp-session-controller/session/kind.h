/* kind: sessions as stored objects (lucid/object.h). Floor F6, loop thread only, never blocks. */
#ifndef SESSIONS_KIND_H
#define SESSIONS_KIND_H

#include "lucid/object.h"

extern const struct object_kind session_kind;

#endif
