#include "lucid/id.h"

#include <errno.h>
#include <stdio.h>
#include <sys/random.h>
#include <unistd.h>

#include "lucid/str.h"

static _Thread_local struct {
	unsigned char bytes[512];
	size_t left;
	pid_t pid; /* whose bytes these are: a forked child must not repeat its parent's */
} stock;

void id_random(void *dst, size_t n)
{
	unsigned char *out = dst;
	if (stock.pid != getpid()) {
		stock.left = 0;
		stock.pid = getpid();
	}
	while (n) {
		if (!stock.left) {
			ssize_t got = getrandom(stock.bytes, 256, 0); /* getrandom(2) never returns less for up to 256 bytes */
			if (got != 256) {
				fprintf(stderr, "lucid-rdp: getrandom failed: %s\n", strerror(errno));
				abort();
			}
			stock.left = 256;
		}
		size_t take = MIN(n, stock.left);
		unsigned char *from = stock.bytes + stock.left - take;
		memcpy(out, from, take);
		mem_wipe(from, take);
		stock.left -= take;
		out += take;
		n -= take;
	}
}

void id_hex(char *dst, size_t n)
{
	unsigned char bytes[64];
	for (size_t done = 0; done < n;) {
		size_t take = MIN(n - done, sizeof bytes);
		id_random(bytes, take);
		str_hex(dst + 2 * done, bytes, take);
		done += take;
	}
	dst[2 * n] = 0;
}

void id_uuid(char dst[ID_UUID_SIZE])
{
	unsigned char b[16];
	id_random(b, sizeof b);
	b[6] = (b[6] & 0x0f) | 0x40;
	b[8] = (b[8] & 0x3f) | 0x80;
	static const struct {
		unsigned char at, from, n;
	} part[] = { { 0, 0, 4 }, { 9, 4, 2 }, { 14, 6, 2 }, { 19, 8, 2 }, { 24, 10, 6 } };
	memset(dst, '-', ID_UUID_SIZE - 1);
	for (size_t i = 0; i < ARRAY_LEN(part); i++)
		str_hex(dst + part[i].at, b + part[i].from, part[i].n);
	dst[ID_UUID_SIZE - 1] = 0;
}

bool id_is_uuid(const char *s)
{
	for (size_t i = 0; i < ID_UUID_SIZE - 1; i++) {
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;
		char c = s[i];
		if (dash ? c != '-' : !((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
			return false;
	}
	return !s[ID_UUID_SIZE - 1];
}

bool id_is_request(const char *s)
{
	size_t n = strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-");
	return n >= 1 && n <= ID_REQUEST_MAX && !s[n];
}
