/* cert: the certificate that RDP clients see. Floor F3; blocks (key generation, disk), so it runs in jobs. The only file of this room that
 * uses OpenSSL. */
#ifndef HOST_XRDP_CONFIG_CERT_H
#define HOST_XRDP_CONFIG_CERT_H

#include <sys/types.h>

#include "lucid/doc.h"

/* Generates a self-signed EC P-256 certificate for `name` unless the files hold a usable one that is not near its end. Safe if another
 * process does the same. Keeps name and days of the previous certificate. Key 0640 root:gid. 0 or -errno. */
int cert_ensure(const char *cert_path, const char *key_path, const char *name, gid_t gid);
/* Generates one in any case, valid for so many days. */
int cert_make(const char *cert_path, const char *key_path, const char *name, int days, gid_t gid);
/* Subject, issuer, validity, fingerprint, days left, whether the key matches (null: it cannot be read), or the error. */
json_t *cert_doc(const char *cert_path, const char *key_path);
/* When a generated certificate with this validity is renewed. */
int64_t cert_renew_ms(int64_t not_before_ms, int64_t not_after_ms);

#endif
