#include "host/kernel/pressure.h"

#include <stdlib.h>
#include <string.h>

#include "host/kernel/proc.h"

double pressure_read(const char *path)
{
	static const char key[] = "some avg10=";
	char text[512], *end;
	if (proc_read_file(path, text, sizeof text) <= 0)
		return -1;
	const char *p = strstr(text, key);
	if (!p)
		return -1;
	p += strlen(key);
	double pct = strtod(p, &end);
	return end == p || pct < 0 || pct > 100 ? -1 : pct;
}
