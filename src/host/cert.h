/* cert: the certificate that RDP clients see. Floor F3; blocks (key generation, disk), so it is used in jobs. The only file
 * of this room that knows OpenSSL. */
#ifndef HOST_CERT_H
#define HOST_CERT_H

#include <sys/types.h>

#include "lucid/base.h"

/* Make a self-signed EC P-256 certificate for `name` unless both files are there; safe against a second process doing the
 * same. Key 0640 root:gid. 0 or -errno. */
int cert_ensure(const char *cert_path, const char *key_path, const char *name, gid_t gid);
/* SHA-256 of the first certificate of a PEM file, lower-case hex. */
bool cert_fingerprint(const char *cert_path, char dst[65]);

#endif
