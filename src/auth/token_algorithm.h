/*
 * token_algorithm: the signature algorithms of tokens by their JWT names (JWT_ALGORITHM). Floor F3, any thread, pure.
 */
#ifndef AUTH_TOKEN_ALGORITHM_H
#define AUTH_TOKEN_ALGORITHM_H

#include <stdbool.h>

enum token_algorithm { TOKEN_HS256, TOKEN_RS256, TOKEN_ES256, TOKEN_EDDSA, TOKEN_ALGORITHMS };
const char *token_algorithm_name(enum token_algorithm a); /* "RS256" */
bool token_algorithm_find(const char *name, enum token_algorithm *ret);

#endif
