/* container: whether this is one, and whose network it has. Floor F7; reads /sys and a few files of the root. */
#ifndef APP_CONTAINER_H
#define APP_CONTAINER_H

#include <stdbool.h>

/* In a container that has a network of its own, so that localhost there is the container itself. */
bool container_has_own_network(void);

#endif
