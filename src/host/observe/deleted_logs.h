/*
 * deleted_logs: keeps the logs of deleted servers for LOG_RETENTION_DAYS in LOG_DIR/xrdp/deleted/{server_id}, accessible to root only.
 * Floor F3, supervisor only; jobs read and remove directories. Beyond DELETED_LOGS_MAX servers or DELETED_LOGS_BYTES, the oldest are
 * removed.
 */
#ifndef HOST_OBSERVE_DELETED_LOGS_H
#define HOST_OBSERVE_DELETED_LOGS_H

#include "host/core.h"

#define DELETED_LOGS_MAX 1000
#define DELETED_LOGS_BYTES (512LL * 1024 * 1024)

struct deleted_logs;
struct deleted_logs *deleted_logs_new(struct host *h);
void deleted_logs_free(struct deleted_logs *d); /* takes NULL */
/* Removes logs that are too old or beyond the bounds; called at the start and periodically. */
void deleted_logs_sweep(struct deleted_logs *d);

/* The directory with the logs of a deleted server; the caller frees. */
char *deleted_logs_dir(const struct host *h, const char *server_id);
/* In a job: writes id, name and owner of the server beside its logs, for the time after its deletion. 0 or -errno. */
int deleted_logs_about(const struct instance *i, const json_t *spec);
/* In a job: moves the logs of a deleted server here, or removes them if LOG_RETENTION_DAYS is 0. */
void deleted_logs_keep(const struct instance *i);

/* host.logs.deleted: {"logs":[{server_id,name,user_id,deleted_at,size_bytes}],"truncated"}, newest first. */
void host_deleted_logs(struct host *h, const json_t *in, host_done done, void *arg);

#endif
