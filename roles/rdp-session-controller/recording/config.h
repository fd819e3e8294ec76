/* config: what a recording is made with: its own request, the recording_config of its session, the defaults. Floor F6, pure. */
#ifndef RECORDING_CONFIG_H
#define RECORDING_CONFIG_H

#include "lucid/config.h"
#include "lucid/shape.h"

/* The settings of a recording, all members present. session: its document. asked: the body of the request, or NULL. Adds the faults of `asked`
 * and `session`, which may have been stored by an earlier version. The caller owns the document. */
json_t *recording_config(const struct config *settings, const json_t *session, const json_t *asked, struct faults *f);
/* How long it is kept, from the storage_config of its session. */
json_t *recording_storage(const struct config *settings, const json_t *session);
/* True if the session wants to be recorded without being asked. */
bool recording_configured(const json_t *session);

#endif
