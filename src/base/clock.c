#include "lucid/clock.h"

#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

static _Atomic int64_t shift_ms; /* set by tests; atomic because the threads of the store read the clocks too */

#ifdef LUCID_TEST
/* Lets a system test run the whole program with shifted clocks. */
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

int64_t clock_boot_ms(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000 + atomic_load_explicit(&shift_ms, memory_order_relaxed);
}

void clock_shift_ms(int64_t ms)
{
	shift_ms += ms;
}

#define CLOCK_LAST_S 253402300799 /* 9999-12-31T23:59:59Z */

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

/* Reads exactly n digits; on false, *s is unchanged. */
static bool read_digits(const char **s, int n, int *ret)
{
	int v = 0;
	for (int i = 0; i < n; i++) {
		if ((*s)[i] < '0' || (*s)[i] > '9')
			return false;
		v = v * 10 + ((*s)[i] - '0');
	}
	*s += n;
	*ret = v;
	return true;
}

static bool skip_char(const char **s, char c)
{
	bool is = **s == c;
	*s += is;
	return is;
}

/* RFC 3339 also allows 't' and 'z'. */
static bool skip_letter(const char **s, char upper)
{
	return skip_char(s, upper) || skip_char(s, (char)(upper | 0x20));
}

static int days_of(int year, int month)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
	return days[month - 1] + (month == 2 && leap);
}

/* An optional fraction: '.' and one or more digits. Digits after the third are dropped. */
static bool read_fraction(const char **s, int *ret_ms)
{
	int unit = 100;
	if (!skip_char(s, '.'))
		return true;
	if (**s < '0' || **s > '9')
		return false;
	for (; **s >= '0' && **s <= '9'; ++*s, unit /= 10)
		*ret_ms += unit * (**s - '0');
	return true;
}

/* "Z" or "+hh:mm"; east is positive. */
static bool read_zone(const char **s, int *ret_minutes)
{
	int h, m;
	if (skip_letter(s, 'Z'))
		return true;
	bool east = skip_char(s, '+');
	if ((!east && !skip_char(s, '-')) || !read_digits(s, 2, &h) || !skip_char(s, ':') || !read_digits(s, 2, &m) || h > 23 || m > 59)
		return false;
	*ret_minutes = (east ? 1 : -1) * (h * 60 + m);
	return true;
}

/* Leap seconds have only ever been inserted at the end of June and of December, UTC. */
static bool may_leap(const struct tm *next)
{
	return next->tm_sec == 0 && next->tm_min == 0 && next->tm_hour == 0 && next->tm_mday == 1 && (next->tm_mon == 0 || next->tm_mon == 6);
}

bool clock_from_iso(const char *s, int64_t *ret_wall_ms)
{
	struct tm tm = { 0 };
	int millis = 0, east = 0;
	if (!read_digits(&s, 4, &tm.tm_year) || !skip_char(&s, '-') || !read_digits(&s, 2, &tm.tm_mon) || !skip_char(&s, '-') ||
	    !read_digits(&s, 2, &tm.tm_mday) || !skip_letter(&s, 'T') || !read_digits(&s, 2, &tm.tm_hour) || !skip_char(&s, ':') ||
	    !read_digits(&s, 2, &tm.tm_min) || !skip_char(&s, ':') || !read_digits(&s, 2, &tm.tm_sec) || !read_fraction(&s, &millis) ||
	    !read_zone(&s, &east) || *s)
		return false;
	if (tm.tm_mon < 1 || tm.tm_mon > 12 || tm.tm_mday < 1 || tm.tm_mday > days_of(tm.tm_year, tm.tm_mon) || tm.tm_hour > 23 ||
	    tm.tm_min > 59 || tm.tm_sec > 60)
		return false;
	bool leap = tm.tm_sec == 60;
	tm.tm_year -= 1900;
	tm.tm_mon -= 1;
	time_t utc = timegm(&tm) - (time_t)east * 60; /* timegm makes a leap second the second that follows it */
	if (utc < 0 || utc > CLOCK_LAST_S || !gmtime_r(&utc, &tm) || (leap && !may_leap(&tm)))
		return false;
	*ret_wall_ms = (int64_t)utc * 1000 + millis;
	return true;
}
