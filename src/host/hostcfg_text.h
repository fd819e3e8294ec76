/*
 * hostcfg_text: an ini file of xrdp as lines that can be changed one by one, so that comments, order and what nobody knows
 * stay as they are. Floor F3, any process; allocates, does no input or output.
 *
 * Read as xrdp 0.9.21 reads it (common/file.c): '#' and ';' begin a comment anywhere in a line, "[name]" anywhere in what is
 * left begins a section, names of sections and keys are the same in either case, and of two sections with one name the first
 * counts. Not for what the keys mean (hostcfg_keys.h), nor for the files that instances are started from (ini.h).
 */
#ifndef HOST_HOSTCFG_TEXT_H
#define HOST_HOSTCFG_TEXT_H

#include "lucid/doc.h"

/* Bounds of xrdp's own reader: what is beyond them it cuts off. */
#define HOSTCFG_FILE_MAX (32 * 1024)
#define HOSTCFG_LINE_MAX 2047

struct inifile;
struct inifile *inifile_parse(const char *text);
void inifile_free(struct inifile *f); /* takes NULL */
void inifile_freep(struct inifile **f);
/* The caller's. The same text that was parsed, as long as nothing was changed. */
char *inifile_text(const struct inifile *f);

/* {"Globals":{"port":["3389"]}}: every key with all its values, in the file's order. A new document. */
json_t *inifile_doc(const struct inifile *f);
/* The section's name as it is written in the file; NULL: there is none. */
const char *inifile_section(const struct inifile *f, const char *name);

/* Give a key exactly these values (array of strings; NULL or empty: take it away). Values that are there already keep their
 * lines. A new key comes after a comment that shows it ("#key=…"), else after the last key of its section; a new section at
 * the end. */
void inifile_set(struct inifile *f, const char *section, const char *key, const json_t *values);
/* Take a section away with its keys, and those of its name that did not count; comments stay. */
void inifile_remove(struct inifile *f, const char *section);

#endif
