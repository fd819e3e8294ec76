/* doctor: looks over the host and says what to do. Floor F7; the sub-command alone; blocks, changes nothing that stays. A check
 * is a row in cmd_doctor.c and a function here. */
#ifndef APP_DOCTOR_H
#define APP_DOCTOR_H

#include "lucid/config.h"

enum doctor_state { DOCTOR_OK, DOCTOR_WARN, DOCTOR_FAIL };
struct finding {
	enum doctor_state state;
	char found[512], advice[512]; /* advice "": nothing to do */
};

/* "found" and, when something is to be done, "advice"; each one sentence. */
void doctor_say(struct finding *f, enum doctor_state state, const char *advice, const char *fmt, ...) PRINTF(4, 5);

/* doctor_xrdp.c */
void doctor_xrdp(const struct config *c, struct finding *f);
void doctor_vulnerabilities(const struct config *c, struct finding *f);
void doctor_sesman(const struct config *c, struct finding *f);
void doctor_xorgxrdp(const struct config *c, struct finding *f);
void doctor_pam(const struct config *c, struct finding *f);
void doctor_desktops(const struct config *c, struct finding *f);
/* What is known of an xrdp of that version ("0.9.21.1") in that package ("0.9.21.1-1+deb12u3", or ""): the worst state, and the
 * names of what it has not got mended in `names`. */
enum doctor_state doctor_known_faults(const char *version, const char *package, char *names, size_t size);

/* doctor_host.c */
void doctor_ports(const struct config *c, struct finding *f);
void doctor_namespaces(const struct config *c, struct finding *f);
void doctor_cgroups(const struct config *c, struct finding *f);
void doctor_disk(const struct config *c, struct finding *f);
void doctor_clock(const struct config *c, struct finding *f);
void doctor_entropy(const struct config *c, struct finding *f);
void doctor_descriptors(const struct config *c, struct finding *f);
void doctor_user(const struct config *c, struct finding *f);
void doctor_store(const struct config *c, struct finding *f);

#endif
