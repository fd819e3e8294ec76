/* define: the document of a new session. Floor F6, pure. */
#ifndef SESSIONS_DEFINE_H
#define SESSIONS_DEFINE_H

#include "roles/rdp-session-controller/session/session.h"

/* body: the validated declaration; NULL: the session was found. The caller owns the document. */
json_t *session_define(const struct watched *w, const char *id, const char *user, const json_t *body);
/* Adds a fault if the metadata name another owner than the user. */
void session_check_metadata(const json_t *body, const char *user, struct faults *f);
/* The users other than admins who see a session: its own and the owner of its server. The caller owns the array. */
json_t *session_visible_to(const char *user, const char *server_owner);

#endif
