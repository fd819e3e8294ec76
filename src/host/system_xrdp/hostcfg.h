/*
 * hostcfg: configuration and certificates of the host's own xrdp: the operations host.config.* and host.certificates.*. Floor F3,
 * supervisor only, loop thread; does not block. Not for: the files of instances (ini.h, prepare.h).
 */
#ifndef HOST_SYSTEM_XRDP_HOSTCFG_H
#define HOST_SYSTEM_XRDP_HOSTCFG_H

#include "host/core.h"
#include "host/system_xrdp/keys.h"

void host_config_get(struct host *h, const json_t *in, host_done done, void *arg);
void host_config_put(struct host *h, const json_t *in, host_done done, void *arg);
void host_config_validate(struct host *h, const json_t *in, host_done done, void *arg);
void host_config_backups(struct host *h, const json_t *in, host_done done, void *arg);
void host_config_rollback(struct host *h, const json_t *in, host_done done, void *arg);

void host_certificates(struct host *h, const json_t *in, host_done done, void *arg);
void host_certificates_make(struct host *h, const json_t *in, host_done done, void *arg);

/* A checked change: makes a backup, writes `text`, applies it if requested, and answers. `changed` is the array of changed keys. Rolls back
 * to `before` if xrdp does not answer afterwards. */
struct hostcfg_write {
	enum hostcfg_file which;
	const char *before, *text;
	json_t *consume_changed;
	json_t *consume_more; /* members for the answer, or NULL */
	bool apply;
};
void hostcfg_put_text(struct host *h, const struct hostcfg_write *w, host_done done, void *arg);

/* --- whether the host's xrdp can use the certificate and key of an xrdp.ini (cert_pair.c) */

#define HOSTCFG_PATH_SIZE 512

/* The files that xrdp uses with this xrdp.ini (inifile_doc): cert.pem and key.pem of XRDP_CONFIG_PATH if a key is absent, empty or not an
 * absolute path. */
void hostcfg_pair_paths(const struct host *h, const json_t *raw, char cert[HOSTCFG_PATH_SIZE], char key[HOSTCFG_PATH_SIZE]);

struct hostcfg_pair_fault {
	const char *key; /* "certificate" or "key_file": which of the two files has the fault */
	const char *text; /* begins with the file's path */
};
/* NULL: the pair is usable. The fault is valid during the call. */
typedef void (*hostcfg_pair_done)(void *arg, const struct hostcfg_pair_fault *fault);
/* Reads and checks both files that this xrdp.ini names. Calls `done` once, on a later turn. */
void hostcfg_pair_look(struct host *h, const char *ini, hostcfg_pair_done done, void *arg);

/* The key of [Globals] to report a fault of the pair under: the faulty one, else the other, if the change from `before` to `after` gives it
 * a path. NULL: the change names neither, so the fault is older. */
const char *hostcfg_pair_named(const char *before, const char *after, const char *at_fault);
/* [{field, message}] for a fault older than the change, which is also logged; [] without one, or if security_layer=rdp uses no certificate.
 * A new array. */
json_t *hostcfg_pair_warnings(const char *ini, const struct hostcfg_pair_fault *fault);

#endif
