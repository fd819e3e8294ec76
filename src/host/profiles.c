#include "host/profiles.h"

#include <stdio.h>
#include <unistd.h>

#include "lucid/str.h"

#define PROFILES_MAX 32
#define NAME "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-"

struct profiles {
	struct profile p[PROFILES_MAX];
	size_t n;
	char preferred[33];
};

/* What is looked for when nothing is configured, the first that is there being the default. */
static const struct {
	const char *name, *command;
} known[] = {
	{ "xfce", "startxfce4" },     { "mate", "mate-session" },         { "lxqt", "startlxqt" },
	{ "lxde", "startlxde" },      { "cinnamon", "cinnamon-session" }, { "openbox", "openbox-session" },
	{ "icewm", "icewm-session" }, { "fluxbox", "startfluxbox" },      { "xterm", "xterm" },
};

static const char *const search[] = {
	"/usr/local/bin", "/usr/bin", "/bin", "/usr/games", "/usr/local/sbin", "/usr/sbin"
};

/* The command's first word is a program that can be run. */
static bool is_installed(const char *command)
{
	command += strspn(command, " ");
	char word[256], path[512];
	size_t len = strcspn(command, " \t;&|<>");
	if (len == 0 || len >= sizeof word)
		return false;
	memcpy(word, command, len);
	word[len] = '\0';
	if (word[0] == '/')
		return access(word, X_OK) == 0;
	for (size_t n = 0; n < ARRAY_LEN(search); n++) {
		snprintf(path, sizeof path, "%s/%s", search[n], word);
		if (access(path, X_OK) == 0)
			return true;
	}
	return false;
}

static void add(struct profiles *ps, const char *name, size_t len, const char *command)
{
	struct profile *p = &ps->p[ps->n];
	if (ps->n == PROFILES_MAX || len == 0 || len >= sizeof p->name || !*command || strspn(name, NAME) < len ||
	    str_has_control(command, false))
		return;
	memcpy(p->name, name, len);
	p->name[len] = '\0';
	p->command = xstrdup(command);
	p->installed = is_installed(command);
	ps->n++;
}

struct profiles *profiles_new(const char *const *configured, const char *default_name)
{
	struct profiles *ps = XNEW(struct profiles);
	for (; configured && *configured; configured++) {
		const char *eq = strchr(*configured, '=');
		if (eq)
			add(ps, *configured, (size_t)(eq - *configured), eq + 1);
	}
	if (ps->n == 0)
		for (size_t n = 0; n < ARRAY_LEN(known); n++)
			add(ps, known[n].name, strlen(known[n].name), known[n].command);
	if (default_name)
		str_copy(ps->preferred, sizeof ps->preferred, default_name);
	return ps;
}

void profiles_free(struct profiles *ps)
{
	if (!ps)
		return;
	for (size_t n = 0; n < ps->n; n++)
		free(ps->p[n].command);
	free(ps);
}

size_t profiles_count(const struct profiles *ps)
{
	return ps->n;
}

const struct profile *profiles_at(const struct profiles *ps, size_t n)
{
	return &ps->p[n];
}

void profiles_refresh(struct profiles *ps)
{
	for (size_t n = 0; n < ps->n; n++)
		ps->p[n].installed = is_installed(ps->p[n].command);
}

const char *profiles_default(const struct profiles *ps)
{
	for (size_t n = 0; n < ps->n; n++)
		if (str_eq(ps->p[n].name, ps->preferred))
			return ps->preferred;
	for (size_t n = 0; n < ps->n; n++)
		if (ps->p[n].installed)
			return ps->p[n].name;
	return "";
}

const struct profile *profiles_find(struct profiles *ps, const char *name)
{
	if (!name || !*name)
		name = profiles_default(ps);
	for (size_t n = 0; n < ps->n; n++)
		if (str_eq(ps->p[n].name, name)) {
			ps->p[n].installed = is_installed(ps->p[n].command);
			return &ps->p[n];
		}
	return NULL;
}
