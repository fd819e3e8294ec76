/* container: whether this process runs in a container with its own network. Floor F7; reads /sys and a few files below / and /run. */
#ifndef APP_CONTAINER_H
#define APP_CONTAINER_H

#include <stdbool.h>

/* Whether localhost is the container itself, and not the host. */
bool container_has_own_network(void);

#endif
