#include <strings.h>

#include "fuzz.h"
#include "host/xrdp_config/pam_session.h"
#include "lucid/str.h"

/*
 * The host's PAM files: "name NUL text NUL name NUL text …". It must hold that every output line is one session line, none names an excluded
 * module or a file that is not part of the output, and everything is within its bounds.
 */
struct input {
	const char *text;
	size_t len;
};

static char *read_file(void *arg, const char *name)
{
	const struct input *in = arg;
	for (const char *p = in->text, *end = p + in->len; p < end;) {
		const char *text = p + strlen(p) + 1;
		if (text > end)
			return NULL;
		if (strcmp(p, name) == 0)
			return xstrdup(text);
		p = text + strlen(text) + 1;
	}
	return NULL;
}

static void check_line(const struct pam_session *s, const char *line, size_t len)
{
	char text[2048], type[2048] = "", control[2048] = "", module[2048] = "";
	if (!len || line[0] == '#' || len >= sizeof text)
		return;
	memcpy(text, line, len);
	text[len] = 0;
	char *save = NULL, *word = strtok_r(text, " \t\r", &save);
	if (word)
		str_copy(type, sizeof type, word);
	assert(strcasecmp(type[0] == '-' ? type + 1 : type, "session") == 0);
	if ((word = strtok_r(NULL, " \t\r", &save)))
		str_copy(control, sizeof control, word);
	if (control[0] == '[')
		return; /* it may contain blanks: the unit tests cover those */
	if ((word = strtok_r(NULL, " \t\r", &save)))
		str_copy(module, sizeof module, word);
	assert(strcasecmp(control, "include") != 0 && type[0] != '@');
	assert(strcmp(module, "pam_systemd.so") != 0);
	if (strcasecmp(control, "substack") != 0)
		return;
	bool there = false;
	for (size_t n = 1; n < s->n; n++) {
		_cleanup_(xfreep) char *path = xasprintf("/etc/xrdp/%s", pam_session_name(n));
		there |= strcmp(module, path) == 0;
	}
	assert(there);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_text(data, size);
	struct input in = { text, size };
	struct pam_session s;
	pam_session_take(&s, read_file, &in, (const char *const[]){ "pam_systemd.so", NULL });
	assert(s.n >= 1 && s.n <= PAM_SESSION_FILES && strlen(s.notes) <= PAM_SESSION_NOTES_MAX);
	for (size_t n = 0; n < s.n; n++) {
		assert(strlen(s.text[n]) < PAM_SESSION_FILE_MAX + 256);
		for (const char *p = s.text[n]; *p;) {
			size_t len = strcspn(p, "\n");
			check_line(&s, p, len);
			p += len + (p[len] == '\n');
		}
	}
	pam_session_done(&s);
	free(text);
	return 0;
}
