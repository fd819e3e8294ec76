#include "app/container.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "lucid/str.h"

#define INTERFACES "/sys/class/net"

static bool in_container(void)
{
	static const char *const marks[] = { "/.dockerenv", "/run/.containerenv", "/run/systemd/container" };
	for (size_t i = 0; i < ARRAY_LEN(marks); i++)
		if (access(marks[i], F_OK) == 0)
			return true;
	return getenv("container") != NULL; /* set by systemd, podman and LXC */
}

/* Hardware interfaces and bridges exist in the host's network namespace only; a container's own network has virtual interfaces. */
static bool has_host_network(void)
{
	static const char *const signs[] = { "device", "bridge" };
	bool found = false;
	DIR *d = opendir(INTERFACES);
	for (struct dirent *e = d ? readdir(d) : NULL; e && !found; e = readdir(d)) {
		for (size_t i = 0; e->d_name[0] != '.' && i < ARRAY_LEN(signs); i++) {
			_cleanup_(xfreep) char *path = xasprintf("%s/%s", e->d_name, signs[i]);
			found |= faccessat(dirfd(d), path, F_OK, 0) == 0;
		}
	}
	if (d)
		closedir(d);
	return found;
}

bool container_has_own_network(void)
{
	return in_container() && !has_host_network();
}
