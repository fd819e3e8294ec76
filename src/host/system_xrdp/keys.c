#include "host/system_xrdp/keys.h"

#include <stdio.h>
#include <strings.h>

#include "host/system_xrdp/key_value.h"
#include "lucid/str.h"

#define WORD "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-"

const char *hostcfg_file_name(enum hostcfg_file w)
{
	return w == HOSTCFG_SESMAN ? "sesman.ini" : "xrdp.ini";
}

enum hostcfg_file hostcfg_file_from(const char *s)
{
	return s && str_eq(s, "sesman") ? HOSTCFG_SESMAN : HOSTCFG_XRDP;
}

/* --- the table */

static bool is_core(enum hostcfg_file w, const char *section)
{
	const char *const *core = w == HOSTCFG_XRDP ? hostcfg_xrdp_sections : hostcfg_sesman_sections;
	for (; *core; core++)
		if (strcasecmp(*core, section) == 0)
			return true;
	return false;
}

static const struct hostcfg_key *key_find(enum hostcfg_file w, const char *section, const char *key)
{
	const struct hostcfg_key *rows = w == HOSTCFG_XRDP ? hostcfg_xrdp_keys : hostcfg_sesman_keys;
	size_t n = w == HOSTCFG_XRDP ? hostcfg_xrdp_keys_n : hostcfg_sesman_keys_n;
	bool kind = w == HOSTCFG_XRDP && !is_core(w, section);
	for (size_t k = 0; k < n; k++)
		if ((kind ? str_eq(rows[k].section, "*") : strcasecmp(rows[k].section, section) == 0) &&
		    (str_eq(rows[k].key, "*") || strcasecmp(rows[k].key, key) == 0))
			return &rows[k];
	return NULL;
}

static json_t *get_nocase(const json_t *object, const char *name)
{
	const char *key;
	json_t *v;
	json_object_foreach ((json_t *)(uintptr_t)object, key, v)
		if (strcasecmp(key, name) == 0)
			return v;
	return NULL;
}

static const char *last_of(const json_t *values)
{
	return json_string_value(json_array_get(values, json_array_size(values) - 1));
}

const char *hostcfg_value(const json_t *raw, const char *section, const char *key)
{
	const json_t *values = get_nocase(get_nocase(raw, section), key);
	return json_array_size(values) ? last_of(values) : NULL;
}

static json_t *typed_of(const struct hostcfg_key *row, const json_t *values)
{
	if (!row || row->type != HC_PARAMS)
		return hostcfg_value_typed(row, last_of(values));
	return json_deep_copy(values);
}

json_t *hostcfg_typed(enum hostcfg_file w, const json_t *raw)
{
	json_t *doc = json_object(), *keys, *values;
	const char *section, *key;
	json_object_foreach ((json_t *)(uintptr_t)raw, section, keys) {
		json_t *out = json_object();
		json_object_foreach (keys, key, values)
			json_object_set_new(out, key, typed_of(key_find(w, section, key), values));
		json_object_set_new(doc, section, out);
	}
	return doc;
}

/* --- a change */

struct change {
	enum hostcfg_file which;
	const struct hostcfg_dirs *dirs;
	struct inifile *file;
	json_t *before; /* inifile_doc */
	struct faults *faults;
	json_t *changed;
};

static void fault(struct change *c, const char *section, const char *key, const char *why)
{
	_cleanup_(xfreep) char *field = xasprintf("sections.%s%s%s", section, key ? "." : "", key ? key : "");
	faults_add(c->faults, field, "%s", why);
}

static void note(struct change *c, const char *section, const char *key)
{
	_cleanup_(xfreep) char *name = xasprintf("%s%s%s", section, key ? "." : "", key ? key : "");
	json_array_append_new(c->changed, json_string(name));
}

/* A value as text; NULL: it has no text form. */
static char *as_text(const json_t *v)
{
	if (json_is_string(v) && strlen(json_string_value(v)) == json_string_length(v))
		return xstrdup(json_string_value(v));
	if (json_is_integer(v))
		return xasprintf("%lld", (long long)json_integer_value(v));
	return json_is_boolean(v) ? xstrdup(json_is_true(v) ? "true" : "false") : NULL;
}

/* The values of a key as checked texts; NULL after a fault. */
static json_t *texts_of(struct change *c, const struct hostcfg_key *row, const char *section, const char *key, const json_t *v)
{
	json_t *list = json_array();
	bool many = row && row->type == HC_PARAMS;
	size_t n = json_is_array(v) ? json_array_size(v) : 1;
	char why[400] = "";
	if (many != json_is_array(v) || n > 64)
		snprintf(why, sizeof why, many ? "must be an array of at most 64 strings" : "must be a string, a number, true or false");
	for (size_t k = 0; k < n && !*why; k++) {
		_cleanup_(xfreep) char *text = as_text(many ? json_array_get(v, k) : v);
		if (!text)
			snprintf(why, sizeof why, "must be a string, a number, true or false");
		else if (row && row->type == HC_SECRET && str_eq(text, HOSTCFG_HIDDEN))
			snprintf(why, sizeof why, "is the placeholder of a password, but no password is set; send the password itself");
		else if (hostcfg_value_ok(row, c->dirs, key, text, k == 0, why, sizeof why)) {
			json_array_append_new(list, json_string(text));
			why[0] = 0;
		}
	}
	if (!*why)
		return list;
	fault(c, section, key, why);
	json_decref(list);
	return NULL;
}

static void change_key(struct change *c, const char *section, const char *key, const json_t *v)
{
	const struct hostcfg_key *row = key_find(c->which, section, key);
	json_t *now = get_nocase(get_nocase(c->before, section), key);
	size_t len = strlen(key);
	if (!len || len > 64 || strspn(key, WORD "()*/: ") != len) {
		fault(c, section, key, "is not a valid key name");
		return;
	}
	if (!row && !now) {
		_cleanup_(xfreep) char *why = xasprintf("is not a key that xrdp 0.9.21 knows in [%s] of %s", section,
						       hostcfg_file_name(c->which));
		fault(c, section, key, why);
		return;
	}
	if (json_is_null(v)) {
		if (now)
			note(c, section, key);
		inifile_set(c->file, section, key, NULL);
		return;
	}
	_cleanup_(doc_unrefp) json_t *typed = now ? typed_of(row, now) : NULL;
	if (typed && json_equal(typed, (json_t *)(uintptr_t)v))
		return; /* unchanged; also a hidden password */
	_cleanup_(doc_unrefp) json_t *texts = texts_of(c, row, section, key, v);
	if (!texts)
		return;
	_cleanup_(doc_unrefp) json_t *wanted = typed_of(row, texts);
	if (typed && json_equal(typed, wanted) && !hostcfg_value_secret(row, last_of(texts)))
		return;
	note(c, section, key);
	inifile_set(c->file, section, key, texts);
}

static void remove_section(struct change *c, const char *section)
{
	if (is_core(c->which, section)) {
		fault(c, section, NULL, "cannot be removed; remove single keys with null");
		return;
	}
	if (!inifile_section(c->file, section))
		return;
	note(c, section, NULL);
	inifile_remove(c->file, section);
}

static void change_section(struct change *c, const char *name, const json_t *keys)
{
	const char *there = inifile_section(c->file, name), *section = there ? there : name, *key;
	size_t len = strlen(name);
	json_t *v;
	if (!len || len > 63 || strspn(name, WORD " ") != len) {
		fault(c, name, NULL, "is not a valid section name: use letters, digits, spaces and ._-");
		return;
	}
	if (json_is_null(keys)) {
		remove_section(c, section);
		return;
	}
	if (!json_is_object(keys)) {
		fault(c, name, NULL, "must be an object of keys, or null");
		return;
	}
	if (!there && c->which == HOSTCFG_SESMAN && !is_core(c->which, name)) {
		fault(c, name, NULL, "is not a section that xrdp 0.9.21 knows in sesman.ini");
		return;
	}
	json_object_foreach ((json_t *)(uintptr_t)keys, key, v)
		change_key(c, section, key, v);
}

static bool pair_is_whole(const json_t *raw, const char **ret_lacks)
{
	const char *cert = hostcfg_value(raw, "Globals", "certificate"), *key = hostcfg_value(raw, "Globals", "key_file");
	*ret_lacks = cert && *cert ? "key_file" : "certificate";
	return (cert && *cert) == (key && *key);
}

static void check_pair(struct change *c, const json_t *raw)
{
	const char *lacks;
	if (!pair_is_whole(raw, &lacks))
		fault(c, "Globals", lacks, "certificate and key_file must be set together");
}

void hostcfg_change(enum hostcfg_file w, const struct hostcfg_dirs *dirs, struct inifile *f, const json_t *sections,
		    struct faults *faults, json_t **ret_changed)
{
	_cleanup_(doc_unrefp) json_t *before = inifile_doc(f);
	struct change c = { w, dirs, f, before, faults, json_array() };
	const char *name;
	json_t *keys;
	json_object_foreach ((json_t *)(uintptr_t)sections, name, keys)
		change_section(&c, name, keys);
	_cleanup_(doc_unrefp) json_t *after = inifile_doc(f);
	const char *lacks;
	if (w == HOSTCFG_XRDP && pair_is_whole(before, &lacks)) /* an older incomplete pair does not prevent other changes */
		check_pair(&c, after);
	if (ret_changed)
		*ret_changed = c.changed;
	else
		json_decref(c.changed);
}

/* --- the whole */

static void check_values(struct change *c)
{
	const char *section, *key;
	json_t *keys, *values, *v;
	size_t n;
	char why[400];
	json_object_foreach (c->before, section, keys)
		json_object_foreach (keys, key, values) {
			const struct hostcfg_key *row = key_find(c->which, section, key);
			if (!row)
				continue; /* an unknown key, which xrdp ignores */
			json_array_foreach (values, n, v)
				if (!hostcfg_value_ok(row, c->dirs, key, json_string_value(v), n == 0, why, sizeof why)) {
					fault(c, section, key, why);
					break;
				}
		}
}

static void check_xrdp(struct change *c)
{
	const char *autorun = hostcfg_value(c->before, "Globals", "autorun"), *section;
	size_t kinds = 0;
	json_t *keys;
	json_object_foreach (c->before, section, keys) {
		if (is_core(HOSTCFG_XRDP, section))
			continue;
		kinds++;
		if (!get_nocase(keys, "lib"))
			fault(c, section, "lib", "is required: a session type needs a library, such as libxup.so");
	}
	if (!kinds)
		fault(c, "Xorg", NULL, "at least one session type is required, such as [Xorg] with lib=libxup.so");
	if (!hostcfg_value(c->before, "Globals", "port"))
		fault(c, "Globals", "port", "is required");
	if (autorun && *autorun && (is_core(HOSTCFG_XRDP, autorun) || !get_nocase(c->before, autorun)))
		fault(c, "Globals", "autorun", "must name one of the session types");
}

static void check_sesman(struct change *c)
{
	const char *offset = hostcfg_value(c->before, "Sessions", "X11DisplayOffset");
	const char *most = hostcfg_value(c->before, "Sessions", "MaxSessions");
	int64_t first = 10, count = 0;
	if (offset && most && str_int(offset, 0, 65535, &first) && str_int(most, 0, 65535, &count) && first + count > 59535)
		fault(c, "Sessions", "X11DisplayOffset", "the last display would be above 59535, for which there is no VNC port");
}

void hostcfg_check(enum hostcfg_file w, const struct hostcfg_dirs *dirs, const struct inifile *f, bool values,
		   struct faults *faults)
{
	_cleanup_(doc_unrefp) json_t *raw = inifile_doc(f);
	_cleanup_(xfreep) char *text = inifile_text(f);
	struct change c = { w, dirs, NULL, raw, faults, NULL };
	if (strlen(text) > HOSTCFG_FILE_MAX)
		faults_add(faults, "sections", "the file would exceed 32 KiB, the most that xrdp reads");
	for (const char *p = text; *p; p += strcspn(p, "\n"), p += *p == '\n')
		if (strcspn(p, "\n") > HOSTCFG_LINE_MAX) {
			faults_add(faults, "sections", "the file has a line of more than 2047 bytes, the most that xrdp reads");
			break;
		}
	if (values)
		check_values(&c);
	if (w == HOSTCFG_XRDP)
		check_xrdp(&c);
	else
		check_sesman(&c);
}

int hostcfg_xrdp_port(const struct inifile *f)
{
	_cleanup_(doc_unrefp) json_t *raw = inifile_doc(f);
	const char *v = hostcfg_value(raw, "Globals", "port");
	return v ? hostcfg_listen_port(v) : 0;
}

int hostcfg_sesman_port(const struct inifile *f)
{
	_cleanup_(doc_unrefp) json_t *raw = inifile_doc(f);
	const char *v = hostcfg_value(raw, "Globals", "ListenPort");
	int64_t port = 3350;
	return v && !str_int(v, 1, 65535, &port) ? 0 : (int)port;
}

int hostcfg_sesman_displays(const struct inifile *f, int *ret_first)
{
	_cleanup_(doc_unrefp) json_t *raw = inifile_doc(f);
	const char *offset = hostcfg_value(raw, "Sessions", "X11DisplayOffset"), *most = hostcfg_value(raw, "Sessions", "MaxSessions");
	int64_t first, count;
	*ret_first = offset && str_int(offset, 0, 65535, &first) ? (int)first : 10;
	/* absent or 0: unlimited */
	return !most ? 51 : str_int(most, 1, 9999, &count) ? (int)count + 1 : 1000;
}

bool hostcfg_needs_start(const char *before, const char *after)
{
	static const char *const keys[] = { "fork", "port", "address", "use_vsock", "tcp_nodelay", "tcp_keepalive", "tcp_send_buffer_bytes",
					    "tcp_recv_buffer_bytes" };
	static const char *const sections[] = { "Logging", "LoggingPerLogger" };
	_cleanup_(inifile_freep) struct inifile *one = inifile_parse(before), *two = inifile_parse(after);
	_cleanup_(doc_unrefp) json_t *a = inifile_doc(one), *b = inifile_doc(two);
	for (size_t k = 0; k < ARRAY_LEN(keys); k++) {
		const char *was = hostcfg_value(a, "Globals", keys[k]), *is = hostcfg_value(b, "Globals", keys[k]);
		if (!was != !is || (was && !str_eq(was, is)))
			return true;
	}
	for (size_t k = 0; k < ARRAY_LEN(sections); k++) {
		const json_t *was = get_nocase(a, sections[k]), *is = get_nocase(b, sections[k]);
		if (!was != !is || (was && !json_equal((json_t *)(uintptr_t)was, (json_t *)(uintptr_t)is)))
			return true;
	}
	return false;
}
