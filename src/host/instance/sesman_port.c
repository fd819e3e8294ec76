#include "host/instance/sesman_port.h"

#include <stdio.h>
#include <stdlib.h>

#include "host/instance/instance.h"
#include "host/kernel/port.h"
#include "host/kernel/reserve.h"
#include "host/system_xrdp/config_files.h"
#include "lucid/str.h"

#define RESERVED "sesman-port"

/* The TCP ports that /etc/services names. Reads the file itself, because getservbyport may block on a name service. */
static void known_services(bool known[1024])
{
	char line[256];
	FILE *f = fopen("/etc/services", "re");
	while (f && fgets(line, sizeof line, f)) {
		unsigned port;
		char protocol[8];
		if (line[0] != '#' && sscanf(line, "%*s %u/%7[a-z]", &port, protocol) == 2 && port < 1024 && str_eq(protocol, "tcp"))
			known[port] = true;
	}
	if (f)
		fclose(f);
}

int sesman_port_reserve(int port)
{
	return MAX(reserve(RESERVED, port), -1);
}

/* Without `reserving`, a port counts that somebody else has reserved: any account may take these names. */
static bool is_usable(struct host *h, int port, int host_port, bool reserving, int *ret_reserved)
{
	if (port == host_port || host_uses_port(h, port))
		return false;
	/* before the look: what another supervisor has chosen is in use, or reserved still */
	_cleanup_(closep) int fd = reserve(RESERVED, port);
	if ((fd < 0 && reserving) || !port_is_free_local(port))
		return false;
	*ret_reserved = fd < 0 ? -1 : TAKE_FD(fd);
	return true;
}

enum { PRIVILEGED = 660, PRIVILEGED_N = 330, FIRST = 21000, LAST = 29999 };

static int privileged_port(struct host *h, unsigned spread, int host_port, bool reserving, int *ret_reserved)
{
	bool known[1024] = { false };
	known_services(known);
	for (int n = 0; n < PRIVILEGED_N; n++) {
		int port = PRIVILEGED + (int)((spread + (unsigned)n) % PRIVILEGED_N);
		if (!known[port] && is_usable(h, port, host_port, reserving, ret_reserved))
			return port;
	}
	return 0;
}

/* Prefers ports below 1024, which only root can bind: no other account can take the port of a dead sesman and receive passwords. Ports that
 * /etc/services names are left to their services. */
int sesman_port_choose(struct host *h, const char *server_id, int *ret_reserved)
{
	unsigned spread = (unsigned)strtoul(server_id, NULL, 16); /* the first group of a UUID */
	_cleanup_(inifile_freep) struct inifile *sesman = hostcfg_sesman(h);
	int host_port = hostcfg_sesman_port(sesman), port = privileged_port(h, spread, host_port, true, ret_reserved);
	if (!port)
		port = privileged_port(h, spread, host_port, false, ret_reserved);
	for (int n = FIRST + (int)(spread % 1000); n <= LAST && !port; n++)
		if (is_usable(h, n, host_port, false, ret_reserved))
			port = n;
	return port;
}
