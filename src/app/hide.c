#include "app/hide.h"

#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "app/settings/options.h"
#include "lucid/str.h"

extern char **environ;

static bool names_have(const char *names, const char *s, size_t len)
{
	for (; names && *names; names += strcspn(names, ",") + (names[strcspn(names, ",")] == ','))
		if (strcspn(names, ",") == len && !strncmp(names, s, len))
			return true;
	return false;
}

/* The value in NAME=value if the setting is a secret, otherwise NULL. */
static char *secret_of(char *s)
{
	size_t len = strcspn(s, "=");
	if (!s[len])
		return NULL;
	for (size_t i = 0; i < options_n(); i++)
		if (options()[i].flags & OPT_SECRET && (names_have(options()[i].name, s, len) || names_have(options()[i].aliases, s, len)))
			return s + len + 1;
	return NULL;
}

/* Copies the list and wipes the values of secrets in the original. With `after`, only in words that follow it, or `after` and '='. */
static char **copy_and_wipe(char **list, size_t n, const char *after)
{
	char **copy = xcalloc(n + 1, sizeof *copy);
	for (size_t i = 0; i < n; i++) {
		copy[i] = xstrdup(list[i]);
		char *s = list[i];
		if (after && str_starts(s, after) && s[strlen(after)] == '=')
			s += strlen(after) + 1;
		else if (after && (!i || !str_eq(copy[i - 1], after)))
			continue;
		char *value = secret_of(s);
		if (value)
			mem_wipe(value, strlen(value));
	}
	return copy;
}

void hide_secrets(int argc, char ***argv)
{
	static char **volatile words; /* keeps the copy reachable for leak checkers; volatile, so that it is not optimised away */
	size_t n = 0;
	while (environ && environ[n])
		n++;
	environ = copy_and_wipe(environ, n, NULL);
	*argv = words = copy_and_wipe(*argv, (size_t)argc, "--set");
}

void hide_memory(void)
{
	/* the limit alone is not enough: core_pattern may pipe the core to a program; child processes set their own limit */
	const struct rlimit none = { 0, 0 };
	setrlimit(RLIMIT_CORE, &none);
	if (geteuid() == 0) /* a non-root supervisor could then not read /proc of its own children; the server sets it in any case */
		prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}
