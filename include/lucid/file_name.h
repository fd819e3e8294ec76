/*
 * file_name: the name under which a browser saves a response. Floor F0, pure. Users choose the name: it must not lead to another folder,
 * hide the type of the file, or be a name that an operating system reserves.
 */
#ifndef LUCID_FILE_NAME_H
#define LUCID_FILE_NAME_H

#include "lucid/base.h"

/* Value of Content-Disposition (RFC 6266): attachment with filename in ASCII, and with filename* if the name has other characters.
 * `ending` is the file name extension, such as ".rdp". The caller frees. */
char *file_name_disposition(const char *name, const char *ending);

#endif
