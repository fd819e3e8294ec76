/* secret: the password of a foreign RDP host, as a document of its own (session_secrets), sealed for its session. Floor F6, loop thread only,
 * never blocks.
 *
 * It is stored with the document of the session, and deleted after the end of the session. Each is one write, so a crash between the two
 * leaves a password without a session, which secret_sweep.h removes. */
#ifndef SESSIONS_SECRET_H
#define SESSIONS_SECRET_H

#include "lucid/seal.h"
#include "roles/rdp-session-controller/session/session.h"

/* Where the password of a session is stored, for the seal. */
static inline struct seal_place secret_place(const char *session_id)
{
	return (struct seal_place){ SESSION_SECRET_PURPOSE, store_collections[COL_SESSION_SECRETS].name, session_id, SESSION_SECRET_FIELD };
}
/* The document to be stored in COL_SESSION_SECRETS under the id of the session. controller->env.seal must be set. The caller owns it. */
json_t *secret_doc(struct controller *c, const char *session_id, const char *password, int64_t version);
/* Deletes the password of a session, later. A failure is logged, and the sweep retries. */
void secret_forget(struct session *s);

#endif
