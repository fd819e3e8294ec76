/*
 * service: the host's own xrdp and sesman. Floor F3, supervisor only, loop thread; does not block.
 *
 * If systemd runs and has units for them, it does the work (units.h). Otherwise they are started and stopped as Debian's init script does:
 * the socket directory as by its socksetup, sesman as root, xrdp as account xrdp, each as a daemon with its pid file in /run/xrdp.
 * Instances are never touched: a process is signalled only if the host's pid file names it, it runs that program, and it is in the
 * supervisor's mount namespace.
 *
 * One operation runs at a time; a second one is refused.
 */
#ifndef HOST_SYSTEM_XRDP_SERVICE_H
#define HOST_SYSTEM_XRDP_SERVICE_H

#include "host/core.h"
#include "host/kernel/proc.h"

#define SERVICE_RUN "/run/xrdp" /* built into xrdp */

enum service_part { SERVICE_XRDP, SERVICE_SESMAN };
enum service_state { SERVICE_RUNNING, SERVICE_STOPPED, SERVICE_FAILED, SERVICE_NOT_INSTALLED };
/* From pid file and /proc; `why` explains the state. Running: *ret is the process. */
enum service_state service_look(const struct host *h, enum service_part which, struct proc_stat *ret, char *why, size_t size);
const char *service_unit(const struct host *h, enum service_part which); /* of systemd, or NULL */
/* The connection to systemd, opened on first use; NULL: the system does not run systemd, or has no units of xrdp. */
struct units *service_units(struct host *h);

enum service_step {
	STEP_END,
	STEP_STOP_XRDP,
	STEP_STOP_SESMAN,
	STEP_RELOAD_SESMAN, /* SIGHUP: it rereads its file, and rebinds if the port changed */
	STEP_START_SESMAN,
	STEP_START_XRDP,
	STEP_SESMAN_LISTENS,
	STEP_XRDP_LISTENS, /* waits until xrdp listens on its port */
};
#define STEPS_MAX 8
/* fault NULL: all steps are done; else a sentence, and the following steps were skipped. */
typedef void (*service_done)(void *arg, const char *fault);

/* Why no operation is possible here (an error code and a sentence); 0: it is possible. */
int service_cannot(const struct host *h, const char **ret_why);
/* Runs the steps, terminated by STEP_END. Calls `done` once, on a later turn. False: another operation is in progress. */
bool service_run(struct host *h, const enum service_step *steps, service_done done, void *arg);
void service_free(struct host *h); /* the program ends: the operation in progress fails */

/* Entries for the rows of the same names. */
void host_service_start(struct host *h, const json_t *in, host_done done, void *arg);
void host_service_stop(struct host *h, const json_t *in, host_done done, void *arg);
void host_service_restart(struct host *h, const json_t *in, host_done done, void *arg);
void host_service_reload(struct host *h, const json_t *in, host_done done, void *arg);

#endif
