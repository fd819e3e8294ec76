/* found: sessions of desktops that nobody declared. Floor F6, loop thread only, never blocks. */
#ifndef SESSIONS_FOUND_H
#define SESSIONS_FOUND_H

#include "roles/rdp-session-controller/session/session.h"

/* A desktop without a session: joins it with the oldest waiting declaration of its user, else stores a new session. */
void session_adopt(struct watched *w, const json_t *desktop);
/* Who a desktop belongs to: the user that RDP_USER_MAP gives to its account, else the owner of the server; "": nobody is known. */
void session_user_of(const struct watched *w, const json_t *desktop, char dst[CALLER_NAME_MAX + 1]);

#endif
