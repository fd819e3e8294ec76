/*
 * instance_cert: the certificate of the instances: that of XRDP_CERT_FILE and XRDP_KEY_FILE, or a self-signed one, which is generated if
 * there is no usable one, and renewed before it expires. Floor F3; reads and writes files, so it runs in jobs only.
 */
#ifndef HOST_XRDP_CONFIG_INSTANCE_CERT_H
#define HOST_XRDP_CONFIG_INSTANCE_CERT_H

#include "host/reasons.h"
#include "host/instance/staged_files.h"

/* What all instances have in common is made and copied under this lock: a descriptor, which the caller closes, or -errno. Waits. */
int instance_cert_lock(const struct host *h);
/* Whether the certificate is usable now; else *ret_why. Generates or renews a self-signed one. */
bool instance_cert_look(const struct host *h, struct cert_state *ret, struct reason *ret_why);
/* The same, and stages copies of both files for an instance; checks these copies. */
bool instance_cert_stage(const struct host *h, const char *etc, gid_t gid, struct stage *stage, struct cert_state *ret,
			 struct reason *ret_why);

#endif
