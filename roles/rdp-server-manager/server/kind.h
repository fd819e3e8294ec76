/* kind: servers as stored objects, one row (lucid/object.h). Floor F6, loop thread only. */
#ifndef SERVERS_KIND_H
#define SERVERS_KIND_H

#include "lucid/object.h"

extern const struct object_kind server_kind;

#endif
