#include "lucid/clock.h"

#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

static _Atomic int64_t shift_ms; /* of tests, whose stores have threads that look at the time */

#ifdef LUCID_TEST
/* A whole program whose clock is off, for tests. */
static void __attribute__((constructor)) shift_from_environment(void)
{
	const char *ms = getenv("LUCID_CLOCK_SHIFT_MS");
	shift_ms = ms ? strtoll(ms, NULL, 10) : 0;
}
#endif

int64_t clock_mono_ns(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec + atomic_load_explicit(&shift_ms, memory_order_relaxed) * 1000000;
}

int64_t clock_wall_ms(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000 + atomic_load_explicit(&shift_ms, memory_order_relaxed);
}

void clock_shift_ms(int64_t ms)
{
	shift_ms += ms;
}

static void digits(char *dst, int n, int v)
{
	while (n--) {
		dst[n] = (char)('0' + v % 10);
		v /= 10;
	}
}

char *clock_iso(char dst[CLOCK_ISO_SIZE], int64_t wall_ms)
{
	time_t sec = wall_ms / 1000;
	struct tm tm;
	gmtime_r(&sec, &tm);
	memcpy(dst, "0000-00-00T00:00:00.000Z", CLOCK_ISO_SIZE);
	digits(dst, 4, tm.tm_year + 1900);
	digits(dst + 5, 2, tm.tm_mon + 1);
	digits(dst + 8, 2, tm.tm_mday);
	digits(dst + 11, 2, tm.tm_hour);
	digits(dst + 14, 2, tm.tm_min);
	digits(dst + 17, 2, tm.tm_sec);
	digits(dst + 20, 3, (int)(wall_ms % 1000));
	return dst;
}

bool clock_from_iso(const char *s, int64_t *ret_wall_ms)
{
	struct tm tm = { 0 };
	int used = 0, millis = 0, off_h = 0, off_m = 0;
	if (sscanf(s, "%4d-%2d-%2dT%2d:%2d:%2d%n", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &tm.tm_hour, &tm.tm_min, &tm.tm_sec,
		   &used) != 6 || used != 19)
		return false;
	if (tm.tm_mon < 1 || tm.tm_mon > 12 || tm.tm_mday < 1 || tm.tm_mday > 31 || tm.tm_hour > 23 || tm.tm_min > 59 ||
	    tm.tm_sec > 60 || tm.tm_year < 1970)
		return false;
	s += used;
	if (*s == '.') {
		int n = 0;
		for (s++; *s >= '0' && *s <= '9' && n < 9; s++, n++)
			if (n < 3)
				millis = millis * 10 + (*s - '0');
		for (int i = n; i < 3; i++)
			millis *= 10;
		if (!n)
			return false;
	}
	if (*s == 'Z' && !s[1])
		;
	else if ((*s == '+' || *s == '-') && strlen(s) == 6 && sscanf(s + 1, "%2d:%2d", &off_h, &off_m) == 2) {
		if (*s == '-')
			off_h = -off_h, off_m = -off_m;
	} else
		return false;
	tm.tm_year -= 1900;
	tm.tm_mon -= 1;
	*ret_wall_ms = ((int64_t)timegm(&tm) - off_h * 3600 - off_m * 60) * 1000 + millis;
	return true;
}
