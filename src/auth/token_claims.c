#include "auth/token_claims.h"

#include "lucid/str.h"
#include "lucid/text.h"

enum token_fault claims_header(const json_t *doc, const char *alg, const char *typ, const char **ret_kid)
{
	if (!json_is_object(doc))
		return TOKEN_MALFORMED;
	if (!str_eq(doc_str(doc, "alg", ""), alg) || json_object_get(doc, "crit"))
		return TOKEN_ALGORITHM;
	const json_t *kid = json_object_get(doc, "kid"), *its_typ = json_object_get(doc, "typ");
	if ((kid && !json_is_string(kid)) || (its_typ && !json_is_string(its_typ)))
		return TOKEN_MALFORMED;
	if (typ && !str_eq(doc_str(doc, "typ", ""), typ))
		return TOKEN_ALGORITHM;
	*ret_kid = kid ? json_string_value(kid) : "";
	return TOKEN_OK;
}

static bool read_bool(const json_t *doc, const char *name, bool *ret)
{
	const json_t *v = json_object_get(doc, name);
	if (v && !json_is_boolean(v))
		return false;
	if (v)
		*ret = json_is_true(v);
	return true;
}

static bool strings_only(const json_t *array)
{
	size_t i;
	json_t *v;
	json_array_foreach ((json_t *)array, i, v)
		if (!json_is_string(v))
			return false;
	return true;
}

static bool read_subject(const json_t *doc, char dst[CALLER_NAME_MAX + 1])
{
	const json_t *sub = json_object_get(doc, "sub"), *user = json_object_get(doc, "user_id");
	if ((sub && !json_is_string(sub)) || (user && !json_is_string(user)))
		return false;
	const char *s = json_string_value(sub ? sub : user);
	return s && text_is_subject(s) && str_copy(dst, CALLER_NAME_MAX + 1, s);
}

static bool read_roles(const json_t *doc, unsigned *ret)
{
	static const struct {
		const char *name;
		unsigned bit;
	} known[] = { { "admin", CALLER_ADMIN }, { "service", CALLER_SERVICE }, { "user", CALLER_USER } };
	const json_t *roles = json_object_get(doc, "roles");
	bool admin = false;
	if ((roles && (!json_is_array(roles) || !strings_only(roles))) || !read_bool(doc, "admin", &admin))
		return false;
	unsigned bits = admin ? CALLER_ADMIN : 0;
	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (doc_array_has(roles, known[i].name))
			bits |= known[i].bit;
	*ret = bits; /* 0 (no known role): a caller that may do nothing */
	return true;
}

static enum token_fault check_parties(const json_t *doc, const char *issuer, const char *audience)
{
	const json_t *iss = json_object_get(doc, "iss"), *aud = json_object_get(doc, "aud");
	if ((iss && !json_is_string(iss)) ||
	    (aud && !json_is_string(aud) && !(json_is_array(aud) && strings_only(aud))))
		return TOKEN_CLAIMS;
	if (*issuer && (!iss || !str_eq(json_string_value(iss), issuer)))
		return TOKEN_ISSUER;
	if (*audience &&
	    !(json_is_array(aud) ? doc_array_has(aud, audience) : aud && str_eq(json_string_value(aud), audience)))
		return TOKEN_AUDIENCE;
	return TOKEN_OK;
}

enum token_fault claims_read(const json_t *doc, const char *issuer, const char *audience, struct claims *ret)
{
	struct claims c = { .caller.can_create_sessions = true };
	if (!json_is_object(doc))
		return TOKEN_MALFORMED;
	if (!token_expiry_read(doc, &c.expiry) || !read_subject(doc, c.caller.sub) || !read_roles(doc, &c.caller.roles) ||
	    !read_bool(doc, "can_create_sessions", &c.caller.can_create_sessions))
		return TOKEN_CLAIMS;
	enum token_fault fault = check_parties(doc, issuer, audience);
	if (fault == TOKEN_OK)
		*ret = c;
	return fault;
}
