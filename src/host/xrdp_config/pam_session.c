#include "host/xrdp_config/pam_session.h"

#include <stdio.h>
#include <strings.h>

#include "host/kernel/fs.h"
#include "lucid/str.h"
#include "sys/files.h"

struct take {
	struct pam_session *out;
	struct strbuf text[PAM_SESSION_FILES], notes;
	pam_session_read read;
	void *arg;
	const char *const *exclude;
	size_t reads, lines;
	bool common, limits; /* common-session was included; pam_limits.so is among the modules */
};

const char *pam_session_name(size_t n)
{
	static char name[32];
	snprintf(name, sizeof name, n ? "pam-session-%zu" : "pam-session", n);
	return name;
}

static PRINTF(2, 3) void note(struct take *t, const char *fmt, ...)
{
	struct strbuf line = { .max = 512 };
	va_list ap;
	va_start(ap, fmt);
	strbuf_vprintf(&line, fmt, ap);
	va_end(ap);
	for (char *p = line.s; p && *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = '?';
	if (line.s)
		strbuf_printf(&t->notes, "%s\n", line.s);
	strbuf_done(&line);
}

/* --- lines and words, parsed as Linux-PAM does */

/* The next line of *p, with its continuation lines and without its comment; NULL at the end of the text. Blank lines and lines with a comment
 * only do not end a continued line. */
static char *take_line(const char **p)
{
	struct strbuf b = { 0 };
	if (!**p)
		return NULL;
	for (bool more = true; more && **p;) {
		size_t len = strcspn(*p, "\n"), end = strcspn(*p, "#\n");
		bool comment = end < len;
		if (b.len && strspn(*p, " \t") == end) {
			*p += len + ((*p)[len] == '\n');
			continue;
		}
		while (!comment && end && strchr(" \t\r", (*p)[end - 1]))
			end--;
		more = !comment && end && (*p)[end - 1] == '\\';
		strbuf_add(&b, *p, more ? end - 1 : end);
		if (more)
			strbuf_putc(&b, ' ');
		*p += len + ((*p)[len] == '\n');
	}
	return strbuf_take(&b);
}

/* Reads the next word and advances *p. A word in brackets may contain blanks. False: there is none. */
static bool take_word(const char **p, char *dst, size_t size)
{
	const char *s = *p + strspn(*p, " \t\r");
	size_t len = strcspn(s, " \t\r");
	if (*s == '[')
		for (len = 1; s[len] && s[len - 1] != ']'; len++)
			if (s[len] == '\\' && s[len + 1])
				len++;
	*p = s + len;
	if (!len || len >= size)
		return false;
	memcpy(dst, s, len);
	dst[len] = 0;
	return true;
}

/* Compares the name after the last slash, with or without ".so". */
static bool is_module(const char *path, const char *name)
{
	const char *slash = strrchr(path, '/');
	path = slash ? slash + 1 : path;
	size_t a = strlen(path) - (str_ends(path, ".so") ? 3 : 0), b = strlen(name) - (str_ends(name, ".so") ? 3 : 0);
	return a && a == b && strncmp(path, name, a) == 0;
}

static bool is_excluded(const struct take *t, const char *module)
{
	for (const char *const *e = t->exclude; e && *e; e++)
		if (is_module(module, *e))
			return true;
	return false;
}

/* --- files */

static void take_file(struct take *t, size_t into, const char *name, unsigned depth);

static void put_line(struct take *t, size_t into, const char *line)
{
	struct strbuf *b = &t->text[into];
	if (b->len + strlen(line) + 2 >= PAM_SESSION_FILE_MAX) {
		note(t, "the line \"%.80s\" is omitted: the session part exceeds %d bytes", line, PAM_SESSION_FILE_MAX);
		return;
	}
	strbuf_printf(b, "%s\n", line);
	t->lines++;
}

static void take_substack(struct take *t, size_t into, const char *type, const char *name, unsigned depth)
{
	if (t->out->n == PAM_SESSION_FILES) {
		note(t, "the substack %s is omitted: there are more than %d", name, PAM_SESSION_FILES - 1);
		return;
	}
	size_t n = t->out->n++;
	char line[128];
	snprintf(line, sizeof line, "%s substack /etc/xrdp/%s", type, pam_session_name(n));
	put_line(t, into, line);
	take_file(t, n, name, depth + 1);
}

static void take_statement(struct take *t, size_t into, const char *line, const char *file, unsigned depth)
{
	char type[32], control[1024], module[1024];
	const char *p = line;
	if (!take_word(&p, type, sizeof type))
		return;
	if (strcasecmp(type, "@include") == 0) {
		if (take_word(&p, module, sizeof module))
			take_file(t, into, module, depth + 1);
		return;
	}
	if (strcasecmp(type[0] == '-' ? type + 1 : type, "session") != 0)
		return;
	if (!take_word(&p, control, sizeof control) || !take_word(&p, module, sizeof module)) {
		note(t, "%s: the line \"%.80s\" is omitted: it names no module", file, line);
		return;
	}
	if (strcasecmp(control, "include") == 0) {
		take_file(t, into, module, depth + 1);
		return;
	}
	if (strcasecmp(control, "substack") == 0) {
		take_substack(t, into, type, module, depth);
		return;
	}
	t->limits |= is_module(module, "pam_limits.so");
	_cleanup_(xfreep) char *permit = is_excluded(t, module) ? xasprintf("%s %s pam_permit.so", type, control) : NULL;
	put_line(t, into, permit ? permit : line);
}

static void take_file(struct take *t, size_t into, const char *name, unsigned depth)
{
	if (depth > PAM_SESSION_DEPTH || t->reads == PAM_SESSION_READS) {
		note(t, "%s is omitted: the files are nested more than %d levels deep, or there are more than %d", name, PAM_SESSION_DEPTH,
		     PAM_SESSION_READS);
		return;
	}
	t->reads++;
	_cleanup_(xfreep) char *text = t->read(t->arg, name);
	if (!text) {
		note(t, "%s is omitted: the file does not exist or cannot be read", name);
		return;
	}
	t->common |= str_eq(name, "common-session") || str_ends(name, "/common-session");
	const char *p = text;
	char *line;
	while ((line = take_line(&p))) {
		take_statement(t, into, line + strspn(line, " \t\r"), name, depth);
		free(line);
	}
}

static void restart(struct take *t)
{
	for (size_t n = 0; n < PAM_SESSION_FILES; n++)
		strbuf_reset(&t->text[n]);
	strbuf_reset(&t->notes);
	t->out->n = 1;
	t->reads = t->lines = 0;
	t->common = t->limits = false;
}

static bool exists(struct take *t, const char *name)
{
	_cleanup_(xfreep) char *text = t->read(t->arg, name);
	return text != NULL;
}

void pam_session_take(struct pam_session *ret, pam_session_read read, void *arg, const char *const *exclude)
{
	struct take t = { .out = ret, .read = read, .arg = arg, .exclude = exclude };
	*ret = (struct pam_session){ 0 };
	t.notes.max = PAM_SESSION_NOTES_MAX;
	restart(&t);
	if (exists(&t, "xrdp-sesman"))
		take_file(&t, 0, "xrdp-sesman", 0);
	if (!t.common && exists(&t, "common-session")) {
		restart(&t);
		take_file(&t, 0, "common-session", 0);
	}
	if (!t.lines) {
		put_line(&t, 0, "session required pam_unix.so");
		note(&t, "the host's PAM files have no session modules: only pam_unix.so is used");
	}
	_cleanup_(xfreep) char *host = strbuf_take(&t.text[0]);
	strbuf_puts(&t.text[0], "#%PAM-1.0\n");
	if (!t.limits)
		strbuf_puts(&t.text[0], "session required pam_limits.so\n");
	strbuf_puts(&t.text[0], host);
	for (size_t n = 0; n < ret->n; n++)
		ret->text[n] = strbuf_take(&t.text[n]);
	for (size_t n = ret->n; n < PAM_SESSION_FILES; n++)
		strbuf_done(&t.text[n]);
	ret->notes = strbuf_take(&t.notes);
}

void pam_session_done(struct pam_session *s)
{
	for (size_t n = 0; n < s->n; n++)
		free(s->text[n]);
	free(s->notes);
	*s = (struct pam_session){ 0 };
}

/* Searches the directories of PAM, in its order, for a name that is no path. */
static char *read_host(UNUSED void *arg, const char *name)
{
	static const char *const dirs[] = { "/etc/pam.d", "/usr/lib/pam.d", "/usr/etc/pam.d" };
	if (name[0] == '/')
		return file_read(name, PAM_SESSION_FILE_MAX, NULL);
	char *text = NULL;
	for (size_t n = 0; n < ARRAY_LEN(dirs) && !text; n++) {
		_cleanup_(xfreep) char *path = xasprintf("%s/%s", dirs[n], name);
		text = file_read(path, PAM_SESSION_FILE_MAX, NULL);
	}
	return text;
}

void pam_session_host(struct pam_session *ret, const char *const *exclude)
{
	pam_session_take(ret, read_host, NULL, exclude);
}
