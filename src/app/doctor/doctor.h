/* doctor: checks the host and recommends changes. Floor F7; sub-command only; blocks; makes no lasting changes. To add a check, add a row
 * to commands/doctor.c and a function here. */
#ifndef APP_DOCTOR_DOCTOR_H
#define APP_DOCTOR_DOCTOR_H

#include "lucid/config.h"

enum doctor_state { DOCTOR_OK, DOCTOR_WARN, DOCTOR_FAIL };
struct finding {
	enum doctor_state state;
	char found[512], advice[512]; /* advice "": nothing to do */
};

/* Sets the state, `found`, and `advice` unless the state is DOCTOR_OK. */
void doctor_say(struct finding *f, enum doctor_state state, const char *advice, const char *fmt, ...) PRINTF(4, 5);

/* doctor/xrdp.c */
void doctor_xrdp(const struct config *c, struct finding *f);
void doctor_vulnerabilities(const struct config *c, struct finding *f);
void doctor_sesman(const struct config *c, struct finding *f);
void doctor_xorgxrdp(const struct config *c, struct finding *f);
void doctor_pam(const struct config *c, struct finding *f);
void doctor_desktops(const struct config *c, struct finding *f);
/* The known vulnerabilities of an xrdp of that version ("0.9.21.1") and package ("0.9.21.1-1+deb12u3", or "") that are not fixed: their
 * names in `names`. Returns the worst state. */
enum doctor_state doctor_known_faults(const char *version, const char *package, char *names, size_t size);

/* doctor/certificates.c */
void doctor_certificates(const struct config *c, struct finding *f);

/* doctor/passwords.c */
void doctor_passwords(const struct config *c, struct finding *f);

/* doctor/recording.c */
void doctor_recording(const struct config *c, struct finding *f);

/* doctor/ports.c */
void doctor_ports(const struct config *c, struct finding *f);

/* doctor/host.c */
void doctor_namespaces(const struct config *c, struct finding *f);
void doctor_cgroups(const struct config *c, struct finding *f);
void doctor_disk(const struct config *c, struct finding *f);
void doctor_clock(const struct config *c, struct finding *f);
void doctor_entropy(const struct config *c, struct finding *f);
void doctor_descriptors(const struct config *c, struct finding *f);
void doctor_user(const struct config *c, struct finding *f);
void doctor_store(const struct config *c, struct finding *f);

#endif
