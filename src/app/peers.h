/* peers: the roles that live behind a URL: routes to them, and their readiness. Floor F7. */
#ifndef APP_PEERS_H
#define APP_PEERS_H

#include "api/api.h"

struct peers;
/* A route for every role that is not among `roles` and has a URL set. What `tls` holds is shown to them, and its authorities are
 * trusted besides the system's. */
struct peers *peers_new(struct loop *l, struct bus *b, const struct config *c, struct token_keys *keys,
			const struct role *const *roles, const struct http_tls *tls);
void peers_add_checks(struct peers *p, struct api *a);
void peers_free(struct peers *p); /* takes NULL */

#endif
