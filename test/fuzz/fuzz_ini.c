#include <strings.h>

#include "fuzz.h"
#include "host/system_xrdp/keys.h"
#include "lucid/str.h"

/*
 * The host's ini files, and changes to them. The first byte selects the file; then follow its text, a NUL, and the change in JSON. It must
 * hold that a file without changes is identical to the byte, and that an accepted change is in the file when it is read again, and nothing else
 * differs.
 */
static const struct hostcfg_dirs dirs = { "/etc/xrdp", "/var/lib/lucid-rdp", "/var/log" };

static json_t *member(const json_t *object, const char *name)
{
	const char *key;
	json_t *v;
	json_object_foreach ((json_t *)(uintptr_t)object, key, v)
		if (strcasecmp(key, name) == 0)
			return v;
	return NULL;
}

/* Two members whose names are the same for xrdp: it is undefined which one counts. */
static bool twice(const json_t *object)
{
	const char *key;
	json_t *v;
	json_object_foreach ((json_t *)(uintptr_t)object, key, v)
		if (member(object, key) != v)
			return true;
	return false;
}

static bool ambiguous(const json_t *sections)
{
	const char *name;
	json_t *keys;
	json_object_foreach ((json_t *)(uintptr_t)sections, name, keys)
		if (twice(keys))
			return true;
	return twice(sections);
}

static void check_section(const json_t *before, const json_t *keys, const json_t *after)
{
	const char *key;
	json_t *v;
	json_object_foreach ((json_t *)(uintptr_t)keys, key, v)
		assert(json_is_null(v) ? member(after, key) == NULL : member(after, key) != NULL);
	json_object_foreach ((json_t *)(uintptr_t)before, key, v)
		assert(member(keys, key) || json_equal(v, member(after, key)));
	json_object_foreach ((json_t *)(uintptr_t)after, key, v)
		assert(member(keys, key) || member(before, key));
}

/* `after` is `before` with `change` applied, and nothing else. */
static void check_change(const json_t *before, const json_t *change, const json_t *after)
{
	const char *name;
	json_t *keys;
	json_object_foreach ((json_t *)(uintptr_t)change, name, keys)
		if (json_is_null(keys))
			assert(member(after, name) == NULL);
		else
			check_section(member(before, name), keys, member(after, name));
	json_object_foreach ((json_t *)(uintptr_t)before, name, keys)
		assert(member(change, name) || json_equal(keys, member(after, name)));
	json_object_foreach ((json_t *)(uintptr_t)after, name, keys)
		assert(member(change, name) || member(before, name));
}

static void change(enum hostcfg_file w, const char *text, const json_t *sections)
{
	struct inifile *f = inifile_parse(text);
	json_t *before = inifile_doc(f), *what = NULL;
	struct faults faults = { 0 };
	hostcfg_change(w, &dirs, f, sections, &faults, &what);
	if (!faults_any(&faults)) {
		char *written = inifile_text(f);
		struct inifile *again = inifile_parse(written);
		json_t *held = inifile_doc(f), *read = inifile_doc(again);
		assert(json_equal(held, read));
		assert(json_array_size(what) || strcmp(written, text) == 0);
		if (!ambiguous(sections))
			check_change(before, sections, read);
		json_decref(read);
		json_decref(held);
		inifile_free(again);
		free(written);
	}
	faults_done(&faults);
	json_decref(what);
	json_decref(before);
	inifile_free(f);
}

static void look(enum hostcfg_file w, const char *text)
{
	struct inifile *f = inifile_parse(text);
	char *same = inifile_text(f);
	assert(strcmp(same, text) == 0);
	free(same);
	json_t *raw = inifile_doc(f), *typed = hostcfg_typed(w, raw);
	assert(json_object_size(raw) == json_object_size(typed));
	char *shown = doc_text(typed);
	json_t *parsed = doc_parse(shown, strlen(shown), NULL, 0);
	assert(json_equal(parsed, typed));
	int port = hostcfg_xrdp_port(f), other = hostcfg_sesman_port(f), first, count = hostcfg_sesman_displays(f, &first);
	assert(port >= 0 && port <= 65535 && other >= 0 && other <= 65535);
	assert(first >= 0 && first <= 65535 && count > 0 && count <= 10000);
	struct faults faults = { 0 };
	hostcfg_check(w, &dirs, f, true, &faults);
	faults_done(&faults);
	json_decref(parsed);
	free(shown);
	/* what was read can be sent back, and changes nothing */
	json_t *what = NULL;
	hostcfg_change(w, &dirs, f, typed, &faults, &what);
	same = inifile_text(f);
	assert(faults_any(&faults) || (json_array_size(what) == 0 && strcmp(same, text) == 0));
	free(same);
	faults_done(&faults);
	json_decref(what);
	json_decref(typed);
	json_decref(raw);
	inifile_free(f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!size)
		return 0;
	enum hostcfg_file w = data[0] & 1 ? HOSTCFG_SESMAN : HOSTCFG_XRDP;
	char *text = fuzz_text(data + 1, size - 1);
	size_t len = strlen(text);
	look(w, text);
	json_t *sections = len + 2 < size ? doc_parse(text + len + 1, size - 2 - len, NULL, 0) : NULL;
	if (json_is_object(sections))
		change(w, text, sections);
	json_decref(sections);
	free(text);
	return 0;
}
