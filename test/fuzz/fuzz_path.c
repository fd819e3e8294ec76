#include "fuzz.h"
#include "api/router.h"

/* An accepted path has no "..", no empty segment, and no byte that a segment must not contain. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct path p;
	char *raw = fuzz_text(data, size);
	if (!path_split(&p, raw) && p.n != PATH_DEEP)
		for (size_t i = 0; i < p.n; i++) {
			const char *s = p.segment[i];
			assert(strlen(s) == p.len[i] && p.len[i] > 0);
			assert(strcmp(s, ".") && strcmp(s, "..") && !strchr(s, '/'));
			assert(s >= p.room && s + p.len[i] < p.room + sizeof p.room);
		}
	free(raw);
	return 0;
}
