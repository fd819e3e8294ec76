#include "host/instance/displays.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "host/instance/instance.h"
#include "host/kernel/reserve.h"
#include "host/system_xrdp/config_files.h"

#define RESERVED "displays"

/* The ports of a display: Xvnc listens on 5900+N, and sesman skips a display whose ports are in use. sesman forms their numbers by
 * concatenating "59", "60" or "62" with N, truncated to 16 bits. */
static void ports_of_display(int display, int ret[4])
{
	static const int prefixes[] = { 59, 60, 62 };
	ret[0] = 5900 + display;
	for (size_t n = 0; n < ARRAY_LEN(prefixes); n++) {
		char text[32];
		snprintf(text, sizeof text, "%d%02d", prefixes[n], display);
		ret[n + 1] = atoi(text) & 0xffff;
	}
}

/* X clients connect to the abstract name first, and any process may bind it. */
static bool name_is_free(int display)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int len = snprintf(a.sun_path + 1, sizeof a.sun_path - 1, "/tmp/.X11-unix/X%d", display);
	_cleanup_(closep) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	return fd >= 0 &&
	       bind(fd, (struct sockaddr *)&a, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)len)) == 0;
}

static bool display_is_free(struct host *h, int display)
{
	char path[64];
	int ports[4];
	ports_of_display(display, ports);
	for (size_t n = 0; n < ARRAY_LEN(ports); n++)
		if (host_uses_port(h, ports[n]))
			return false;
	if (!name_is_free(display))
		return false;
	if (h->can_isolate) /* the X servers of isolated instances create no files in /tmp */
		return true;
	snprintf(path, sizeof path, "/tmp/.X11-unix/X%d", display);
	if (access(path, F_OK) == 0)
		return false;
	snprintf(path, sizeof path, "/tmp/.X%d-lock", display);
	return access(path, F_OK) != 0;
}

static bool overlaps(int first, int count, int other, int others)
{
	return first < other + others && other < first + count;
}

/* The last display is 59031: its port, 5900 higher, exists. If no range among so many is wholly free, the best one will do. */
enum { FIRST = 1000, RANGES = 1116, SPREAD = 20, RANGES_TRIED = 64 };

/* How many displays of the range are free; 0 where a part of it belongs to an instance or to the host's own sesman. */
static int free_in_range(struct host *h, int first, const struct inifile *sesman)
{
	int host_first, host_count = hostcfg_sesman_displays(sesman, &host_first), n = 0;
	if (overlaps(first, DISPLAYS_WIDTH, host_first, host_count))
		return 0;
	struct instance *i;
	INSTANCE_FOREACH(i, h)
		if (i->display_count && overlaps(first, DISPLAYS_WIDTH, i->display_first, i->display_count))
			return 0;
	for (int display = first; display < first + DISPLAYS_WIDTH; display++)
		n += display_is_free(h, display);
	return n;
}

int displays_reserve(int first)
{
	return MAX(reserve(RESERVED, first), -1);
}

/* The first display of the best range, reserved; 0: none has a free display. Without `reserving`, ranges count that somebody else has reserved: any account may
 * take these names, so they must not keep a server from starting. */
static int range_search(struct host *h, unsigned spread, const struct inifile *sesman, bool reserving, int *ret_reserved)
{
	int best = 0, best_free = 0;
	for (unsigned n = 0; n < RANGES && best_free < DISPLAYS_WIDTH && (n < RANGES_TRIED || !best); n++) {
		int first = FIRST + (int)((spread + n) % RANGES) * DISPLAYS_WIDTH;
		/* before the look: what another supervisor has chosen is in use, or reserved still */
		_cleanup_(closep) int fd = reserve(RESERVED, first);
		int found = fd < 0 && reserving ? 0 : free_in_range(h, first, sesman);
		if (found <= best_free)
			continue;
		best = first;
		best_free = found;
		fd_close(ret_reserved);
		*ret_reserved = fd < 0 ? -1 : TAKE_FD(fd);
	}
	return best;
}

int displays_choose(struct host *h, const char *server_id, int *ret_reserved)
{
	unsigned spread = (unsigned)strtoul(server_id, NULL, 16) % SPREAD; /* the first group of a UUID */
	_cleanup_(inifile_freep) struct inifile *sesman = hostcfg_sesman(h);
	*ret_reserved = -1;
	int first = range_search(h, spread, sesman, true, ret_reserved);
	return first ? first : range_search(h, spread, sesman, false, ret_reserved);
}
