#include "fuzz.h"

#include <arpa/inet.h>

#include "api/proxy/proxy.h"

#define LINES 8

/* The client address from any header lines is always an address in canonical form; the proxy's own if the lines are invalid. A line that a
 * trusted proxy appends is believed, whatever precedes it. */
static bool canonical(const char *s)
{
	struct in6_addr a;
	char again[INET6_ADDRSTRLEN];
	int family = strchr(s, ':') ? AF_INET6 : AF_INET;
	return inet_pton(family, s, &a) == 1 && inet_ntop(family, &a, again, sizeof again) && strcmp(again, s) == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct proxies *proxies;
	static const char *const trusted[] = { "10.0.0.0/8", "fd00::/8", NULL };
	if (!proxies)
		proxies = proxies_new(trusted);
	char *text = fuzz_text(data, size), *save = NULL;
	const char *room[LINES + 1];
	struct forwarded_lines lines = { room, 0 }, none = { NULL, 0 };
	for (char *line = strtok_r(text, "\n", &save); line && lines.n < LINES; line = strtok_r(NULL, "\n", &save))
		room[lines.n++] = line;
	struct proxied p;
	for (int kind = 0; kind < 3; kind++) {
		proxies_client(proxies, "10.0.0.1", kind == 1 ? &none : &lines, kind == 0 ? &none : &lines, &p);
		assert(canonical(p.client) && p.hops >= 1);
		proxies_client(proxies, "192.0.2.1", &lines, &lines, &p);
		assert(strcmp(p.client, "192.0.2.1") == 0 && p.hops == 0 && !p.host.s);
	}
	struct span item = forwarded_item(&lines, 1 + (unsigned)(size % 3));
	assert(!item.s || item.len);
	room[lines.n++] = "for=\"[2001:db8::9]:80\"";
	proxies_client(proxies, "10.0.0.1", &none, &lines, &p);
	assert(strcmp(p.client, "2001:db8::9") == 0);
	room[lines.n - 1] = "[2001:db8::9]:80";
	proxies_client(proxies, "10.0.0.1", &lines, &none, &p);
	assert(strcmp(p.client, "2001:db8::9") == 0);
	free(text);
	return 0;
}
