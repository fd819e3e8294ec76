#include "roles/rdp-server-manager/port/probe.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include "roles/rdp-server-manager/node/place.h"
#include "roles/rdp-server-manager/port/ports.h"

#define TAKE_TRIES 256 /* bind() calls in one turn of the loop, about 5 µs each */

/* Binds as xrdp does: a listener on any address of the host conflicts with it. */
static bool binds(int port)
{
	struct sockaddr_in any = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	_cleanup_(closep) int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int on = 1;
	if (fd < 0)
		return true; /* unknown: the start reports a blocked port */
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	return bind(fd, (struct sockaddr *)&any, sizeof any) == 0;
}

bool port_is_foreign(struct place *p, int port)
{
	if (!place_is_here(p) || binds(port))
		return false;
	ports_set(p->ports, port, PORT_BLOCKED);
	return true;
}

int port_take(struct place *p)
{
	for (int tries = 0; tries < TAKE_TRIES; tries++) {
		int port = ports_take(p->ports);
		if (!port || !port_is_foreign(p, port))
			return port;
	}
	return 0;
}
