#include "fuzz.h"
#include "net/http_head.h"
#include "net/http_host.h"

/* Properties of accepted heads: every offset is in the buffer, every string ends in it, and none contains a control character. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *why = NULL;
	char *buf = fuzz_text(data, size);
	struct http_head h = { 0 };
	http_head_partial(buf, 0, size, 16384, &why);
	/* the contract: the head ends with the first empty line */
	char *end = size ? memmem(buf, size, "\r\n\r\n", 4) : NULL;
	size_t len = end ? (size_t)(end - buf) + 4 : 0;
	if (len && http_head_check(buf, len, 1 << 20, &h, &why) == 0) {
		assert(buf[h.path] == '/' && strlen(buf + h.path) <= HTTP_HEAD_TARGET);
		char name[HTTP_HOST_MAX + 1];
		const char *host = h.authority ? buf + h.authority : http_head_find(&h, buf, "Host", NULL);
		assert(!h.authority || (*host && h.authority + strlen(host) < h.path));
		assert(host || h.http10);
		if (host) {
			assert(http_host_ok(host, strlen(host)) && !strpbrk(host, " /?#@,"));
			http_host_name(host, name);
			assert(!strpbrk(name, "[]ABCDEFGHIJKLMNOPQRSTUVWXYZ"));
		}
		assert(h.query < len && h.body_len <= 1 << 20 && h.n_lines <= HTTP_HEAD_LINES);
		for (unsigned i = 0; i < h.n_lines; i++) {
			assert(h.line[i].name + strlen(buf + h.line[i].name) < len);
			assert(h.line[i].value + strlen(buf + h.line[i].value) < len);
			assert(strlen(buf + h.line[i].name) == h.line[i].name_len && h.line[i].name_len);
			assert(!strpbrk(buf + h.line[i].value, "\r\n"));
		}
		assert(!http_head_find(&h, buf, "Transfer-Encoding", NULL));
	}
	free(buf);
	return 0;
}
