#include "host/kernel/sensors.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "host/kernel/proc.h"
#include "lucid/str.h"

#define ZONES_MAX 32
#define PACKAGES_MAX 64 /* processors whose counters are looked for */
#define INTERFACES_BYTES 65536

/* The number in a file; -1: there is none. */
static bool number_in(const char *path, int base, int64_t *ret)
{
	char text[64], *end;
	if (proc_read_file(path, text, sizeof text) <= 0)
		return false;
	*ret = strtoll(text, &end, base);
	return end != text;
}

static void read_zones(const char *sys, struct sensors *s)
{
	char path[4096];
	for (int n = 0; n < ZONES_MAX; n++) {
		int64_t milli;
		snprintf(path, sizeof path, "%s/class/thermal/thermal_zone%d", sys, n);
		if (access(path, F_OK) < 0)
			return;
		snprintf(path, sizeof path, "%s/class/thermal/thermal_zone%d/temp", sys, n);
		if (!number_in(path, 10, &milli)) /* a zone that is disabled */
			continue;
		double celsius = (double)milli / 1000;
		s->celsius = s->has_temperature ? MAX(s->celsius, celsius) : celsius;
		s->has_temperature = true;
	}
}

/* A Raspberry Pi: bits 0 to 3 say what happens now (under-voltage, frequency capped, throttled, soft temperature limit), bits 16 to 19
 * what has happened since the start. */
static bool read_raspberry(const char *sys, struct sensors *s)
{
	char path[4096];
	int64_t bits;
	snprintf(path, sizeof path, "%s/devices/platform/soc/soc:firmware/get_throttled", sys);
	if (!number_in(path, 16, &bits))
		return false;
	s->throttled = (bits & 0xe) != 0;
	return true;
}

/* Intel: a counter for each core. Whether a processor is throttled at this moment is not shown. */
static void read_counters(const char *sys, struct sensors *s)
{
	char path[4096];
	for (int n = 0; n < PACKAGES_MAX; n++) {
		int64_t count;
		snprintf(path, sizeof path, "%s/devices/system/cpu/cpu%d/thermal_throttle/core_throttle_count", sys, n);
		if (!number_in(path, 10, &count))
			return;
		s->throttle_events = MAX(s->throttle_events, 0) + count;
	}
}

void sensors_read(const char *sys, struct sensors *ret)
{
	*ret = (struct sensors){ .throttled = -1, .throttle_events = -1 };
	read_zones(sys, ret);
	if (!read_raspberry(sys, ret))
		read_counters(sys, ret);
}

/* A line of /proc/net/dev: "  eth0: bytes packets errs drop fifo frame compressed multicast bytes …". */
static bool interface_line(const char *line, char name[32], int64_t *ret_in, int64_t *ret_out)
{
	long long in, out;
	if (sscanf(line, " %31[^:\n]: %lld %*d %*d %*d %*d %*d %*d %*d %lld", name, &in, &out) != 3)
		return false;
	*ret_in = in;
	*ret_out = out;
	return true;
}

bool sensors_network(const char *sys, const char *proc, int64_t *ret_in, int64_t *ret_out)
{
	char path[4096], text[INTERFACES_BYTES], name[32];
	int64_t in[2] = { 0 }, out[2] = { 0 }; /* physical; all but lo */
	bool physical = false;
	snprintf(path, sizeof path, "%s/net/dev", proc);
	if (proc_read_file(path, text, sizeof text) <= 0)
		return false;
	for (const char *line = text; line && *line; line = strchr(line, '\n'), line += line != NULL) {
		int64_t i, o;
		if (!interface_line(line, name, &i, &o) || str_eq(name, "lo"))
			continue;
		snprintf(path, sizeof path, "%s/class/net/%s/device", sys, name);
		bool real = access(path, F_OK) == 0;
		physical |= real;
		for (int k = real ? 0 : 1; k < 2; k++) {
			in[k] += i;
			out[k] += o;
		}
	}
	*ret_in = in[!physical];
	*ret_out = out[!physical];
	return true;
}
