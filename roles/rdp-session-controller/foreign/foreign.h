/* foreign: sessions on RDP hosts outside this installation: what rdp_config may contain, and how it is stored. Floor F6, pure.
 *
 * A client connects to such a host by itself, so nothing here sees its use: the session is `created` until it is ended, no desktop is joined
 * with it, and it does not expire. Its node and server are null; in memory its server is controller->foreign. */
#ifndef SESSIONS_FOREIGN_H
#define SESSIONS_FOREIGN_H

#include "roles/rdp-session-controller/session/session.h"

#define FOREIGN_PORT 3389

/* True if the document of a session has an rdp_config. */
static inline bool foreign_doc(const json_t *doc)
{
	return json_is_object(json_object_get(doc, "rdp_config"));
}
/* The session of that record is on a foreign host. */
static inline bool foreign_session(const struct session *s)
{
	return s->server && s->server == session_controller(s)->foreign;
}

/* Adds the faults of the rdp_config of a declaration. */
void foreign_check(const struct controller *c, const json_t *declared, struct faults *f);
/* The rdp_config that is stored for a declared one: without the password. NULL: none was declared. The caller owns it. */
json_t *foreign_config(const json_t *declared);

/* Adds the faults of a change (a merge patch, checked) of the session's document. */
void foreign_check_change(const struct controller *c, const json_t *doc, const json_t *patch, struct faults *f);
/* Corrects the rdp_config of `next`, the document with the patch merged into it: members that the patch removed are null, and the password is
 * not in it. */
void foreign_change(const json_t *doc, const json_t *patch, json_t *next);
/* The password of a declaration or a change; NULL: it has none. */
const char *foreign_password(const json_t *body);
/* The change removes a stored password. */
bool foreign_password_removed(const json_t *doc, const json_t *patch);

#endif
