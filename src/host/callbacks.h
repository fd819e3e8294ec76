/* callbacks: how the host answers a request and reports an event. Floor F3, supervisor only. */
#ifndef HOST_CALLBACKS_H
#define HOST_CALLBACKS_H

#include "lucid/doc.h"

/* The answer to a request. err 0: `out` is the result, or NULL. Else `message` says what is wrong and what to do (NULL: the text of the
 * error code), and `out` is the array of details, or NULL. */
typedef void (*host_done)(void *arg, int err, const char *message, json_t *consume_out);

/* An event: topic "xrdp.…", server id or "", owner (user_id) or "", data. */
typedef void (*host_event)(void *arg, const char *topic, const char *server_id, const char *user_id, json_t *consume_data);

#endif
