#include "fuzz.h"
#include "auth/token.h"

/* Only tokens signed with the secret are accepted: an accepted token with any byte changed must be refused. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct token_keys *keys;
	if (!keys)
		keys = token_keys_new(&(struct token_options){ .secret = "a secret of more than thirty-two bytes", .issuer = "", .audience = "", .lifetime_s = 60 });
	struct caller c = { .sub = "untouched" };
	char *text = fuzz_text(data, size);
	if (token_verify(keys, text, size, &c) == TOKEN_OK) {
		assert(size > 0 && c.sub[0]);
		for (size_t i = 0; i < size; i++) {
			text[i] ^= 1;
			struct caller other = { .sub = "untouched" };
			assert(token_verify(keys, text, size, &other) != TOKEN_OK);
			text[i] ^= 1;
		}
	} else {
		assert(strcmp(c.sub, "untouched") == 0);
	}
	free(text);
	return 0;
}
