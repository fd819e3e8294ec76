#include "sys/config/config.h"
#include "sys/config/snapshot.h"

static void print_row(const struct option *o, struct strbuf *out)
{
	strbuf_printf(out, "# %s", o->name);
	if (o->aliases)
		strbuf_printf(out, " (also %s)", o->aliases);
	strbuf_puts(out, ": ");
	if (o->flags & OPT_IGNORED) {
		strbuf_puts(out, "accepted, and without effect");
	} else {
		config_allowed(o, out);
		if (o->flags & OPT_LIVE)
			strbuf_puts(out, "; changes on SIGHUP");
		if (o->flags & OPT_SECRET)
			strbuf_puts(out, "; secret");
	}
	strbuf_printf(out, ".\n# %s\n", o->help);
	if (o->flags & OPT_NOT_BUILT)
		strbuf_printf(out, "# Not built yet (%s): do not change.\n", o->part);
	strbuf_printf(out, "#%s=%s\n\n", o->name, o->otherwise);
}

void config_print_help(const struct option *rows, size_t n, struct strbuf *out)
{
	strbuf_puts(out, "# Settings of lucid-rdp with their defaults. Precedence, highest first: --set NAME=value and --role,\n"
			 "# environment, --env-file (later ones win; ./.env where none is given), configuration file, default.\n"
			 "# NAME_FILE reads the value of NAME from a file. Files expand ${NAME} and ${NAME:-default}.\n\n");
	for (size_t i = 0; i < n; i++)
		print_row(&rows[i], out);
}

void config_print(const struct config *c, struct strbuf *out)
{
	for (size_t i = 0; i < c->n; i++) {
		const struct option *o = &c->rows[i];
		const struct config_value *v = &c->values[i];
		if ((o->flags & (OPT_NOT_BUILT | OPT_IGNORED)) && !v->given)
			continue;
		const char *text = (o->flags & OPT_SECRET) && *v->text ? "********" : v->text;
		size_t start = out->len;
		/* in single quotes if the parser would read the line otherwise */
		const char *quote = strpbrk(text, " \t\"#$\\") && !strchr(text, '\'') ? "'" : "";
		strbuf_printf(out, "%s=%s%s%s", o->name, quote, text, quote);
		strbuf_printf(out, "%*s  # %s\n", (int)MAX(0, 48 - (int)(out->len - start)), "", v->source);
	}
}
