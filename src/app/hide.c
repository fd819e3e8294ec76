#include "app/hide.h"

#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "app/options.h"
#include "lucid/str.h"

extern char **environ;

static bool is_name(const char *names, const char *s, size_t len)
{
	for (; names && *names; names += strcspn(names, ",") + (names[strcspn(names, ",")] == ','))
		if (strcspn(names, ",") == len && !strncmp(names, s, len))
			return true;
	return false;
}

/* The value behind NAME= where the name is a secret's, else NULL. */
static char *secret_of(char *s)
{
	size_t len = strcspn(s, "=");
	if (!s[len])
		return NULL;
	for (size_t i = 0; i < options_n; i++)
		if (options[i].flags & OPT_SECRET && (is_name(options[i].name, s, len) || is_name(options[i].aliases, s, len)))
			return s + len + 1;
	return NULL;
}

/* `after`: only what stands behind this word, or behind it and '='. */
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
	static char **volatile words; /* kept for as long as the process, and to be seen as that: one that nobody reads is left out */
	size_t n = 0;
	while (environ && environ[n])
		n++;
	environ = copy_and_wipe(environ, n, NULL);
	*argv = words = copy_and_wipe(*argv, (size_t)argc, "--set");
}

void hide_memory(void)
{
	/* programs started from here set a limit of their own; the kernel asks for both, as a core may go to a program, too */
	const struct rlimit none = { 0, 0 };
	setrlimit(RLIMIT_CORE, &none);
	if (geteuid() == 0) /* others may then not look at their own children; the server takes it up for itself in any case */
		prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}
