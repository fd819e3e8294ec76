/*
 * rdp_file: .rdp files that mstsc, xfreerdp and Remmina open. Floor F3 (implemented in src/rdp), pure.
 *
 * A value cannot begin a line of its own: control characters and line separators are removed. What the clients do with the keys:
 *   - mstsc reads bytes in the Windows code page, so text other than ASCII is UTF-16 with a byte order mark, which all three read.
 *     xfreerdp does not skip the byte order mark of UTF-8;
 *   - `negotiate security layer:i:0` makes mstsc begin with TLS before any RDP, which xrdp does not understand, and xfreerdp fail at once.
 *     It is always 1; the server chooses its layer;
 *   - xfreerdp ignores `domain` beside a `username`, so a domain is part of the user name;
 *   - xfreerdp does not connect to an IPv6 address of a file, in any form; a host name works.
 */
#ifndef LUCID_RDP_FILE_H
#define LUCID_RDP_FILE_H

#include "lucid/doc.h"
#include "lucid/str.h"

/* `authentication level`: what the client does if it cannot verify the server's certificate. */
enum rdp_file_policy { RDP_FILE_WARN, RDP_FILE_REFUSE, RDP_FILE_CONNECT };

struct rdp_file {
	const char *host; /* name or address, IPv6 without or with brackets */
	int port;
	const char *username; /* NULL: none; the client asks */
	const char *domain; /* of the user name; NULL or "": none */
	int width, height, color_depth; /* 0: the client's default */
	bool dynamic_resolution, clipboard, drives, sound;
	bool nla; /* the server may require NLA: other hosts than ours, because xrdp has none */
	enum rdp_file_policy policy;
};

/* Fills in all but host and user name from the definition of a server: port, display and channels. */
void rdp_file_of_server(struct rdp_file *ret, const json_t *server);
/* The content of the file, encoded for the clients; the caller frees `out`, which must be empty. */
void rdp_file_write(struct strbuf *out, const struct rdp_file *f);

#endif
