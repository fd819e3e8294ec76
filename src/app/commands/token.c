#include <ctype.h>
#include <stdio.h>

#include "app/settings/app_config.h"
#include "app/commands/commands.h"
#include "app/settings/keys.h"
#include "auth/token.h"
#include "lucid/errs.h"
#include "lucid/text.h"

#define ROLES_MAX 8

static const char help[] =
	"lucid-rdp token --user NAME [--roles admin,user] [--ttl 1h] [--no-create-sessions] [OPTION…]: prints a bearer token, signed\n"
	"with the JWT_SECRET of the same settings as the program's; run it as the same user, on the same host.\n"
	"  --user NAME            the user: the claim sub, and the owner of the objects created with it\n"
	"  --roles ROLE[,ROLE]    admin, user, service; default user\n"
	"  --ttl TIME             lifetime: seconds, or a number with s, m, h or d; default JWT_EXPIRATION\n"
	"  --no-create-sessions   the token may not create sessions\n";

struct wanted {
	const char *user, *roles, *ttl;
	bool no_sessions;
};

/* --role names the roles of the process whose settings are read. With a role of the token, --roles is meant. */
static int refuse_process_role(struct cli *c, int argc, char **argv, int i)
{
	const char *value = NULL;
	if (cli_value(c, "--role", argc, argv, &i, &value) <= 0 || !(str_eq(value, "admin") || str_eq(value, "user") || str_eq(value, "service")))
		return 0;
	snprintf(c->why, sizeof c->why, "--role %s names no role of the program; did you mean --roles?", value);
	return -ERR_INVALID;
}

static int token_option(struct cli *c, int argc, char **argv, int *i, void *arg)
{
	struct wanted *w = arg;
	int rc;
	if (str_eq(argv[*i], "--no-create-sessions"))
		return w->no_sessions = true;
	if ((rc = cli_value(c, "--user", argc, argv, i, &w->user)) == 0 &&
	    (rc = cli_value(c, "--roles", argc, argv, i, &w->roles)) == 0)
		rc = cli_value(c, "--ttl", argc, argv, i, &w->ttl);
	return rc ? rc : refuse_process_role(c, argc, argv, *i);
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

/* Splits the text in place into a NULL-ended list. False: an unknown role, or none. */
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
		fprintf(stderr, "token: JWT_SECRET is missing or too short; at least %d bytes are required\n", TOKEN_SECRET_MIN);
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
	if (!command_words(c, argc, argv, help, token_option, &w, &code))
		return code;
	_cleanup_(xfreep) char *copy = xstrdup(w.roles);
	if (!w.user || strlen(w.user) > CALLER_NAME_MAX || !text_is_subject(w.user))
		fprintf(stderr, "token: --user NAME is required: at most %d bytes of UTF-8, without control, invisible or bidirectional control "
			"characters, and without leading or trailing spaces\n", CALLER_NAME_MAX);
	else if (w.ttl && !parse_ttl(w.ttl, &ttl_s))
		fprintf(stderr, "token: --ttl must be a number of seconds, or a number with the suffix s, m, h or d; at most ten years\n");
	else if (!split_roles(copy, roles))
		fprintf(stderr, "token: --roles must be a comma-separated list of admin, user and service\n");
	else {
		/* a misspelt JWT_SECRET would otherwise make a token that no running program accepts, without a word */
		struct strbuf faults = { 0 }, warnings = { 0 };
		struct config *config = app_config_load(c, &faults, &warnings);
		fprintf(stderr, "%s%s", warnings.s ? warnings.s : "", faults.s ? faults.s : "");
		strbuf_done(&faults);
		strbuf_done(&warnings);
		code = config ? print_token(config, &w, roles, ttl_s) : 1;
		config_free(config);
	}
	return code;
}
