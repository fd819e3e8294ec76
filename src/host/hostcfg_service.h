/*
 * hostcfg_service: the host's own xrdp and sesman. Floor F3, supervisor only, loop thread; nothing waits.
 *
 * Where systemd runs and has units of them, it is asked (units.h). Elsewhere they are started and stopped as Debian's init script
 * does it: sockets' directory made as its socksetup does, sesman as root, xrdp as user xrdp, each a daemon with its pid file in
 * /run/xrdp. Instances of ours are never touched: a process is signalled only if the host's pid file names it, it is that program
 * and it lives in our own mount namespace.
 *
 * One thing at a time is done to the host's service; whoever comes second is told so.
 */
#ifndef HOST_HOSTCFG_SERVICE_H
#define HOST_HOSTCFG_SERVICE_H

#include "host/core.h"
#include "host/proc.h"

#define SERVICE_RUN "/run/xrdp" /* built into xrdp */

enum service_part { SERVICE_XRDP, SERVICE_SESMAN };
enum service_state { SERVICE_RUNNING, SERVICE_STOPPED, SERVICE_FAILED, SERVICE_NOT_INSTALLED };
/* As pid file and /proc tell; `why` says what was seen. Running: *ret is the process. (service.c) */
enum service_state service_look(const struct host *h, enum service_part which, struct proc_stat *ret, char *why, size_t size);
const char *service_unit(const struct host *h, enum service_part which); /* of systemd, or NULL */
/* Systemd's, made when first asked for; NULL: this system is not systemd's, or it has no units of xrdp. */
struct units *service_units(struct host *h);

enum service_step {
	STEP_END,
	STEP_STOP_XRDP,
	STEP_STOP_SESMAN,
	STEP_RELOAD_SESMAN, /* SIGHUP: it reads its file again, and listens anew where that changed */
	STEP_START_SESMAN,
	STEP_START_XRDP,
	STEP_SESMAN_LISTENS,
	STEP_XRDP_ANSWERS, /* an RDP negotiation */
};
#define STEPS_MAX 8
/* fault NULL: all steps were done; else a sentence, and the steps after it were not. */
typedef void (*service_done)(void *arg, const char *fault);

/* Why nothing can be done to it here (an error code and a sentence); 0: it can. */
int service_cannot(const struct host *h, const char **ret_why);
/* Do the steps, STEP_END at their end. `done` comes once, on a later turn. False: something is being done already. */
bool service_run(struct host *h, const enum service_step *steps, service_done done, void *arg);
void service_free(struct host *h); /* the program ends: what is under way is told so */

/* Entries of the rows of the same names. */
void host_service_start(struct host *h, const json_t *in, host_done done, void *arg);
void host_service_stop(struct host *h, const json_t *in, host_done done, void *arg);
void host_service_restart(struct host *h, const json_t *in, host_done done, void *arg);
void host_service_reload(struct host *h, const json_t *in, host_done done, void *arg);

#endif
