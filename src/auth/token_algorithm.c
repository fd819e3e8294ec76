#include "auth/token_algorithm.h"

#include "lucid/str.h"

static const char *const algorithms[TOKEN_ALGORITHMS] = { "HS256", "RS256", "ES256", "EdDSA" };

const char *token_algorithm_name(enum token_algorithm a)
{
	return algorithms[a];
}

bool token_algorithm_find(const char *name, enum token_algorithm *ret)
{
	for (size_t i = 0; i < TOKEN_ALGORITHMS; i++)
		if (str_eq(algorithms[i], name)) {
			*ret = (enum token_algorithm)i;
			return true;
		}
	return false;
}
