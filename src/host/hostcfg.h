/*
 * hostcfg: the host's own xrdp: its configuration and its certificates, as rows host.config.* and host.certificates.* have
 * them. Floor F3, supervisor only, loop thread; nothing waits. Not for what instances are started from (ini.h, prepare.h).
 */
#ifndef HOST_HOSTCFG_H
#define HOST_HOSTCFG_H

#include "host/core.h"
#include "host/hostcfg_keys.h"

void host_config_get(struct host *h, const json_t *in, host_done done, void *arg);
void host_config_put(struct host *h, const json_t *in, host_done done, void *arg);
void host_config_validate(struct host *h, const json_t *in, host_done done, void *arg);
void host_config_backups(struct host *h, const json_t *in, host_done done, void *arg);
void host_config_rollback(struct host *h, const json_t *in, host_done done, void *arg);

void host_certificates(struct host *h, const json_t *in, host_done done, void *arg);
void host_certificates_make(struct host *h, const json_t *in, host_done done, void *arg);

/* A change that was checked: write `text` beside a backup, apply it if that is wanted, answer. `changed` is an array of what
 * is different. Goes back to `before` when xrdp does not answer afterwards. */
struct hostcfg_write {
	enum hostcfg_file which;
	const char *before, *text;
	json_t *consume_changed;
	json_t *consume_more; /* members for the answer, or NULL */
	bool apply;
};
void hostcfg_put_text(struct host *h, const struct hostcfg_write *w, host_done done, void *arg);

#endif
