/* rdpfile: the text of a .rdp file. Floor F6, pure. No value can begin a line of its own: control characters are left out. */
#ifndef SERVERS_RDPFILE_H
#define SERVERS_RDPFILE_H

#include "lucid/doc.h"
#include "lucid/str.h"

/* `account` NULL or no sane Linux account: no user name is written. */
void rdp_file_text(struct strbuf *out, const json_t *server, const char *host, const char *account);
/* The Linux account of a user: as "user=account" in map (NULL-ended, may be NULL) says, else of the same name. */
const char *rdp_account(const char *const *map, const char *user);

#endif
