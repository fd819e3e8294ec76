#include <ctype.h>
#include <stdio.h>

#include "app/app_config.h"
#include "app/commands.h"
#include "app/keys.h"
#include "auth/token.h"
#include "lucid/errs.h"

#define ROLES_MAX 8

static const char help[] =
	"lucid-rdp token --user NAME [--roles admin,user] [--ttl 1h] [--no-create-sessions] [OPTION…]: prints a bearer token, signed\n"
	"with the JWT_SECRET of the same settings as the program's; run it as the same user, on the same host.\n"
	"  --user NAME            who it is for: the claim sub, and the owner of what it makes\n"
	"  --roles ROLE[,ROLE]    admin, user, service; default user\n"
	"  --ttl TIME             how long it is valid: seconds, or with s, m, h or d; default JWT_EXPIRATION\n"
	"  --no-create-sessions   it may not create sessions\n";

struct wanted {
	const char *user, *roles, *ttl;
	bool no_sessions;
};

static int take(struct cli *c, int argc, char **argv, int *i, void *arg)
{
	struct wanted *w = arg;
	int rc;
	if (str_eq(argv[*i], "--no-create-sessions"))
		return w->no_sessions = true;
	if ((rc = cli_value(c, "--user", argc, argv, i, &w->user)) == 0 &&
	    (rc = cli_value(c, "--roles", argc, argv, i, &w->roles)) == 0)
		rc = cli_value(c, "--ttl", argc, argv, i, &w->ttl);
	return rc;
}

/* 90, 90s, 15m, 1h, 30d; at most ten years. */
static bool parse_ttl(const char *s, unsigned *ret)
{
	static const struct {
		char unit;
		int64_t seconds;
	} units[] = { { 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 } };
	size_t n = strlen(s);
	int64_t number, unit = 1;
	for (size_t i = 0; n && i < ARRAY_LEN(units); i++)
		if (s[n - 1] == units[i].unit)
			unit = units[i].seconds;
	_cleanup_(xfreep) char *digits = xstrndup(s, n && isdigit((unsigned char)s[n - 1]) ? n : n - (n > 0));
	if ((n && !isdigit((unsigned char)s[n - 1]) && !strchr("smhd", s[n - 1])) || !str_int(digits, 1, 3650LL * 86400 / unit, &number))
		return false;
	*ret = (unsigned)(number * unit);
	return true;
}

/* Splits in place; NULL-ended. False: a role there is not. */
static bool split_roles(char *text, const char *ret[ROLES_MAX + 1])
{
	static const char *const known[] = { "admin", "user", "service" };
	char *save = NULL;
	size_t n = 0;
	for (char *s = strtok_r(text, ", ", &save); s; s = strtok_r(NULL, ", ", &save)) {
		bool good = false;
		for (size_t i = 0; i < ARRAY_LEN(known); i++)
			good |= str_eq(s, known[i]);
		if (!good || n == ROLES_MAX)
			return false;
		ret[n++] = s;
	}
	ret[n] = NULL;
	return n > 0;
}

static int print_token(const struct config *c, const struct wanted *w, const char *const *roles, unsigned ttl_s)
{
	struct token_keys *k = keys_make_signing(c);
	char *token = k ? token_mint(k, w->user, roles, !w->no_sessions, ttl_s ? ttl_s : (unsigned)config_int(c, "JWT_EXPIRATION")) : NULL;
	token_keys_free(k);
	if (!token) {
		fprintf(stderr, "token: JWT_SECRET does not do; give one of at least %d bytes\n", TOKEN_SECRET_MIN);
		return 1;
	}
	puts(token);
	free(token);
	return fflush(stdout) == 0 ? 0 : 1;
}

int cmd_token(struct cli *c, int argc, char **argv)
{
	struct wanted w = { .roles = "user" };
	const char *roles[ROLES_MAX + 1];
	unsigned ttl_s = 0;
	int code = EXIT_USAGE;
	if (!command_words(c, argc, argv, help, take, &w, &code))
		return code;
	_cleanup_(xfreep) char *copy = xstrdup(w.roles);
	if (!w.user || strlen(w.user) > CALLER_NAME_MAX || str_has_control(w.user, false) || !str_utf8(w.user, strlen(w.user), NULL))
		fprintf(stderr, "token: --user NAME is needed, at most %d bytes of text\n", CALLER_NAME_MAX);
	else if (w.ttl && !parse_ttl(w.ttl, &ttl_s))
		fprintf(stderr, "token: --ttl takes seconds, or a number with s, m, h or d; at most ten years\n");
	else if (!split_roles(copy, roles))
		fprintf(stderr, "token: --roles takes admin, user and service\n");
	else {
		struct config *config = app_config_load_or_say(c);
		code = config ? print_token(config, &w, roles, ttl_s) : 1;
		config_free(config);
	}
	return code;
}
