/*
 * inifile: an ini file of xrdp as a list of lines, changed line by line, so that comments, order and unknown keys stay. Floor F3, any
 * process; allocates, does no input or output.
 *
 * Parsed as xrdp 0.9.21 does (common/file.c): '#' and ';' start a comment anywhere in a line, "[name]" anywhere in the rest starts a
 * section, names ignore case, and of two sections with the same name the first counts. Not for: the meaning of keys (system_xrdp/keys.h),
 * the files of instances (ini.h).
 */
#ifndef HOST_SYSTEM_XRDP_INIFILE_H
#define HOST_SYSTEM_XRDP_INIFILE_H

#include "lucid/doc.h"

/* Bounds of xrdp's parser, which truncates what is beyond them. */
#define HOSTCFG_FILE_MAX (32 * 1024)
#define HOSTCFG_LINE_MAX 2047

struct inifile;
struct inifile *inifile_parse(const char *text);
void inifile_free(struct inifile *f); /* takes NULL */
void inifile_freep(struct inifile **f);
/* The text; the caller frees. Without changes, it is the parsed text. */
char *inifile_text(const struct inifile *f);

/* {"Globals":{"port":["3389"]}}: every key with all its values, in the order of the file. A new document. */
json_t *inifile_doc(const struct inifile *f);
/* The name of the section as written in the file; NULL: there is none. */
const char *inifile_section(const struct inifile *f, const char *name);

/* Sets a key to exactly these values (array of strings; NULL or empty: removes it). Existing values keep their lines. A new key is inserted
 * after a comment that shows it ("#key=…"), else after the last key of its section; a new section at the end. */
void inifile_set(struct inifile *f, const char *section, const char *key, const json_t *values);
/* Removes all sections of this name with their keys; comments stay. */
void inifile_remove(struct inifile *f, const char *section);

#endif
