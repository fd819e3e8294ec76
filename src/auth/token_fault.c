#include "auth/token_fault.h"

static const struct {
	const char *name, *text;
} faults[TOKEN_FAULTS] = {
	[TOKEN_OK] = { "none", "the token is valid" },
	[TOKEN_MALFORMED] = { "malformed", "the token is malformed" },
	[TOKEN_SIGNATURE] = { "signature", "the token is not signed by this service" },
	[TOKEN_ALGORITHM] = { "algorithm", "the token's algorithm is not JWT_ALGORITHM" },
	[TOKEN_EXPIRED] = { "expired", "the token has expired" },
	[TOKEN_NOT_YET] = { "not_yet_valid", "the token is not valid yet" },
	[TOKEN_CLAIMS] = { "claims", "the token lacks a required claim, or a claim has the wrong type" },
	[TOKEN_ISSUER] = { "issuer", "the token's issuer (iss) is not the configured one" },
	[TOKEN_AUDIENCE] = { "audience", "the token's audience (aud) is not the configured one" },
};

const char *token_fault_text(enum token_fault f)
{
	return faults[f].text;
}

const char *token_fault_name(enum token_fault f)
{
	return faults[f].name;
}
