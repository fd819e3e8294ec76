#include "auth/service_token.h"

#include "lucid/clock.h"

struct service_token {
	struct token_keys *keys;
	unsigned generation;
	int64_t made_ms; /* wall clock, by which other processes check its times */
	char *text;
};

static void forget_text(struct service_token *t)
{
	if (t->text)
		mem_wipe(t->text, strlen(t->text));
	free(TAKE_PTR(t->text));
}

const char *service_token_get(struct service_token *t)
{
	static const char *const roles[] = { "service", NULL };
	int64_t now_ms = clock_wall_ms(), age_ms = now_ms - t->made_ms;
	unsigned generation = token_keys_generation(t->keys);
	if (t->text && generation == t->generation && age_ms >= 0 && age_ms < SERVICE_TOKEN_LIFE_S * 1000 / 2)
		return t->text;
	forget_text(t);
	char *token = token_mint(t->keys, SERVICE_TOKEN_SUB, roles, true, SERVICE_TOKEN_LIFE_S);
	t->text = xasprintf("Bearer %s", token);
	mem_wipe(token, strlen(token));
	free(token);
	t->made_ms = now_ms;
	t->generation = generation;
	return t->text;
}

void service_token_seal(struct service_token *t, const char *text, char ret[TOKEN_SEAL_SIZE])
{
	token_seal(t->keys, t->text + strlen("Bearer "), text, ret);
}

struct service_token *service_token_new(struct token_keys *keys)
{
	struct service_token *t = XNEW(struct service_token);
	t->keys = keys;
	return t;
}

void service_token_free(struct service_token *t)
{
	if (!t)
		return;
	forget_text(t);
	free(t);
}
