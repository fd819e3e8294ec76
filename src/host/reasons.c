#include "host/reasons.h"

#include <errno.h>
#include <stdio.h>

#include "lucid/str.h"

static const char disk_full[] = "disk_full", read_only[] = "read_only_file_system", unwritable[] = "files_unwritable";

/* The reasons other than those of certificates; `true`: the cause can pass by itself. */
static const struct {
	const char *word;
	bool heals;
} words[] = {
	{ disk_full, true },	 { read_only, true },	  { unwritable, true },	    { "prepare_slow", true },
	{ "no_namespace", false }, { "sesman_exited", false }, { "xrdp_exited", false }, { "port_in_use", false },
	{ "xrdp_mute", false },	 { "sesman_mute", false }, { "fork", false },	    { "no_displays", false }, { "no_xrdp", false },
	{ "no_sesman", false },	 { "processes_left", false },
};

const char *reason_word(const char *word, const char *otherwise)
{
	for (size_t n = 0; n < ARRAY_LEN(words); n++)
		if (str_eq(words[n].word, word))
			return words[n].word;
	for (int f = CERT_GOOD + 1; f < CERT_FAULTS; f++)
		if (str_eq(cert_fault_name(f), word))
			return cert_fault_name(f);
	return otherwise;
}

bool reason_is_of_certificate(const char *word)
{
	for (int f = CERT_GOOD + 1; f < CERT_FAULTS; f++)
		if (str_eq(cert_fault_name(f), word))
			return true;
	return false;
}

bool reason_heals(const char *word)
{
	for (size_t n = 0; n < ARRAY_LEN(words); n++)
		if (str_eq(words[n].word, word))
			return words[n].heals;
	return reason_is_of_certificate(word);
}

/* The setting whose directory contains the path. */
static const char *place_of(const struct host *h, const char *path)
{
	const struct {
		const char *dir, *name;
	} places[] = { { h->set.data_dir, "DATA_DIR" },
		       { h->set.log_dir, "LOG_DIR" },
		       { h->set.runtime_dir, "RUNTIME_DIR" },
		       { h->set.xrdp_config, "XRDP_CONFIG_PATH" },
		       { "/tmp", "/tmp" } };
	for (size_t n = 0; n < ARRAY_LEN(places); n++) {
		size_t len = strlen(places[n].dir);
		if (strncmp(path, places[n].dir, len) == 0 && (path[len] == '/' || !path[len]))
			return places[n].name;
	}
	return "the host";
}

void reason_of_path(const struct host *h, const char *path, int err, struct reason *ret)
{
	const char *place = place_of(h, path);
	bool full = err == ENOSPC || err == EDQUOT;
	snprintf(ret->word, sizeof ret->word, "%s", full ? disk_full : err == EROFS ? read_only : unwritable);
	snprintf(ret->line, sizeof ret->line, "%s: %s", path, strerror(err));
	if (full)
		snprintf(ret->told, sizeof ret->told, "the disk that holds %s is full; free some space or inodes there", place);
	else if (err == EROFS)
		snprintf(ret->told, sizeof ret->told, "the file system that holds %s is mounted read-only; mount it for writing", place);
	else
		snprintf(ret->told, sizeof ret->told, "a file in %s cannot be written or read: %s", place, strerror(err));
}

void reason_of_certificate(const struct host *h, const char *cert_path, const char *key_path, const struct cert_state *s,
			   struct reason *ret)
{
	char text[200];
	bool own = !h->set.cert_file || !*h->set.cert_file, key = cert_fault_is_of_key(s->fault);
	cert_fault_text(s, text, sizeof text);
	snprintf(ret->word, sizeof ret->word, "%s", cert_fault_name(s->fault));
	snprintf(ret->told, sizeof ret->told, "%s: %s", own ? "the program's own certificate" : key ? "XRDP_KEY_FILE" : "XRDP_CERT_FILE", text);
	snprintf(ret->line, sizeof ret->line, "%s: %s", key ? key_path : cert_path, text);
}

void reason_print(const struct reason *r, int out)
{
	dprintf(out, "%s\n%s\n%s\n", r->word, r->told, r->line);
}

static const char *take_line(const char *p, char *dst, size_t size)
{
	size_t len = strcspn(p, "\n");
	snprintf(dst, size, "%.*s", (int)MIN(len, size - 1), p);
	return p[len] ? p + len + 1 : NULL;
}

bool reason_parse(const char *text, struct reason *ret)
{
	const char *p = take_line(text, ret->word, sizeof ret->word);
	p = p ? take_line(p, ret->told, sizeof ret->told) : NULL;
	if (p)
		take_line(p, ret->line, sizeof ret->line);
	return p;
}
