/* cert: the certificate that RDP clients see. Floor F3; blocks (key generation, disk), so it is used in jobs. The only file
 * of this room that knows OpenSSL. */
#ifndef HOST_CERT_H
#define HOST_CERT_H

#include <sys/types.h>

#include "lucid/doc.h"

/* Make a self-signed EC P-256 certificate for `name` unless both files are there; safe against a second process doing the
 * same. Key 0640 root:gid. 0 or -errno. */
int cert_ensure(const char *cert_path, const char *key_path, const char *name, gid_t gid);
/* The same, over whatever is there, valid for so many days. */
int cert_make(const char *cert_path, const char *key_path, const char *name, int days, gid_t gid);
/* Subject, issuer, validity, fingerprint, days left, whether the key fits (null: the key cannot be read), or what is wrong. */
json_t *cert_doc(const char *cert_path, const char *key_path);
/* SHA-256 of the first certificate of a PEM file, lower-case hex. */
bool cert_fingerprint(const char *cert_path, char dst[65]);

#endif
