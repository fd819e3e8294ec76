#include "host/xrdp_config/profiles.h"

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

/* Desktop environments that are searched for without DESKTOP_PROFILES; the first that is installed and not bare is the default. */
static const struct {
	const char *name, *command, *xdg;
	bool bare;
} known[] = {
	{ "xfce", "startxfce4", "XFCE" },
	{ "mate", "mate-session", "MATE" },
	{ "lxqt", "startlxqt", "LXQt" },
	{ "lxde", "startlxde", "LXDE" },
	{ "cinnamon", "cinnamon-session", "X-Cinnamon" },
	{ "openbox", "openbox-session", "", true },
	{ "icewm", "icewm-session", "ICEWM", true },
	{ "fluxbox", "startfluxbox", "", true },
	{ "xterm", "xterm", "", true },
};

static const char *const search[] = {
	"/usr/local/bin", "/usr/bin", "/bin", "/usr/games", "/usr/local/sbin", "/usr/sbin"
};

/* Whether the first word of the command is an executable program. */
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

static void profile_add(struct profiles *ps, const char *name, size_t len, const char *command, bool bare)
{
	struct profile *p = &ps->p[ps->n];
	if (ps->n == PROFILES_MAX || len == 0 || len >= sizeof p->name || !*command || strspn(name, NAME) < len ||
	    str_has_control(command, false))
		return;
	memcpy(p->name, name, len);
	p->name[len] = '\0';
	p->command = xstrdup(command);
	p->installed = is_installed(command);
	p->bare = bare;
	ps->n++;
}

struct profiles *profiles_new(const char *const *configured, const char *default_name)
{
	struct profiles *ps = XNEW(struct profiles);
	for (; configured && *configured; configured++) {
		const char *eq = strchr(*configured, '=');
		if (eq)
			profile_add(ps, *configured, (size_t)(eq - *configured), eq + 1, false);
	}
	if (ps->n == 0)
		for (size_t n = 0; n < ARRAY_LEN(known); n++)
			profile_add(ps, known[n].name, strlen(known[n].name), known[n].command, known[n].bare);
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
		if (ps->p[n].installed && !ps->p[n].bare)
			return ps->p[n].name;
	return "";
}

char *profiles_installed(const struct profiles *ps)
{
	struct strbuf b = { 0 };
	for (size_t n = 0; n < ps->n; n++)
		if (ps->p[n].installed)
			strbuf_printf(&b, "%s%s", b.len ? ", " : "", ps->p[n].name);
	return strbuf_take(&b);
}

char *profiles_fault(struct profiles *ps, const char *name)
{
	profiles_refresh(ps);
	const struct profile *p = profiles_find(ps, name);
	if (p && p->installed)
		return NULL;
	_cleanup_(xfreep) char *installed = profiles_installed(ps);
	bool none = !*installed;
	if (p || (name && *name))
		return xasprintf("profile %s is not installed on this host; installed: %s", p ? p->name : "of that name", none ? "none" : installed);
	if (none)
		return xstrdup("no desktop is installed on this host; install one (xfce4) or set DESKTOP_PROFILES");
	return xasprintf("no desktop is installed on this host, only bare window managers; name one of them (%s), set DESKTOP_DEFAULT, or install "
			 "xfce4", installed);
}

/* The first word of a command, without its directory. */
static bool runs(const char *command, const char *program)
{
	command += strspn(command, " ");
	size_t len = strcspn(command, " \t;&|<>"), want = strlen(program);
	return len >= want && strncmp(command + len - want, program, want) == 0 && (len == want || command[len - want - 1] == '/');
}

const char *profiles_xdg(const char *command)
{
	for (size_t n = 0; n < ARRAY_LEN(known); n++)
		if (runs(command, known[n].command))
			return known[n].xdg;
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
