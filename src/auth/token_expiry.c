#include "auth/token_expiry.h"

/* Times are clamped to this, so that adding the leeway cannot overflow. */
#define TIME_MAX 1000000000000.0

/* A NumericDate; if the claim is absent, *ret is unchanged. */
static bool read_time(const json_t *payload, const char *name, int64_t *ret)
{
	const json_t *v = json_object_get(payload, name);
	if (!v)
		return true;
	if (!json_is_number(v))
		return false;
	double s = json_number_value(v);
	*ret = (int64_t)(s > TIME_MAX ? TIME_MAX : s < 0 ? 0 : s);
	return true;
}

bool token_expiry_read(const json_t *payload, struct token_expiry *ret)
{
	int64_t exp = 0, nbf = 0, iat = 0;
	if (!json_object_get(payload, "exp") || !read_time(payload, "exp", &exp) || !read_time(payload, "nbf", &nbf) ||
	    !read_time(payload, "iat", &iat))
		return false;
	*ret = (struct token_expiry){ .expires_s = exp, .not_before_s = MAX(nbf, iat) };
	return true;
}

enum token_fault token_expiry_check(const struct token_expiry *e, int64_t now_s)
{
	if (now_s >= e->expires_s + TOKEN_LEEWAY_S)
		return TOKEN_EXPIRED;
	return now_s + TOKEN_LEEWAY_S < e->not_before_s ? TOKEN_NOT_YET : TOKEN_OK;
}
