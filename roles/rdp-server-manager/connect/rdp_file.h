/* rdp_file: the text of an .rdp file. Floor F6, pure. Control characters are removed, so that no value can inject a line. */
#ifndef SERVERS_RDP_FILE_H
#define SERVERS_RDP_FILE_H

#include "lucid/doc.h"
#include "lucid/str.h"

/* Without a user name if `account` is NULL or not a valid account name. */
void rdp_file_text(struct strbuf *out, const json_t *server, const char *host, const char *account);
/* The Linux account of a user: that of "user=account" in the map (NULL-terminated, may be NULL), else the user's own name. */
const char *rdp_account(const char *const *map, const char *user);

/* Encodes the text for clients: ASCII unchanged, other text as UTF-16 with a byte order mark, because mstsc reads bytes in the Windows code
 * page. */
void rdp_file_encode(struct strbuf *b);

#endif
