#include "host/desktop/missing.h"

#include <unistd.h>

const char *xorgxrdp_module(void)
{
	static const char *const places[] = { "/usr/lib/xorg/modules/libxorgxrdp.so", "/usr/lib64/xorg/modules/libxorgxrdp.so",
					      "/usr/local/lib/xorg/modules/libxorgxrdp.so" };
	for (size_t n = 0; n < ARRAY_LEN(places); n++)
		if (access(places[n], R_OK) == 0)
			return places[n];
	return NULL;
}

const char *desktop_fault(struct profiles *p)
{
	const struct profile *usual = profiles_find(p, NULL);
	if (!xorgxrdp_module())
		return "the module libxorgxrdp.so was not found: desktops of type xorg cannot start; install the package xorgxrdp";
	if (!usual)
		return "no desktop environment is installed: servers without a profile cannot start; install one (xfce4), or name one that is "
		       "installed in DESKTOP_DEFAULT";
	if (!usual->installed)
		return "the desktop in DESKTOP_DEFAULT or DESKTOP_PROFILES is not installed: servers without a profile cannot start; "
		       "install it, or name another";
	return NULL;
}
