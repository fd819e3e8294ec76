/* tell: shows a message on the desktop of one session, through the agent of its host. Floor F6, loop thread only, never blocks. The agent
 * bounds how many messages a desktop gets. A message is never sent twice: after a lost answer its outcome is uncertain. */
#ifndef SESSIONS_TELL_H
#define SESSIONS_TELL_H

#include "roles/rdp-session-controller/controller.h"

#define TELL_WHY_SIZE 300

/* 0, or the error, with the sentence for the caller: the session has ended, has no desktop yet, or its host is unreachable. */
int session_untellable(const struct controller *c, const json_t *doc, char why[TELL_WHY_SIZE]);
/* r: the answer of the agent if err is 0, otherwise its failure; why: what to say about an err. */
typedef void (*session_told)(int err, const char *why, const struct reply *r, void *arg);
/* Shows the message of `call` (members text and level of its body) on the desktop of the session in `doc`, which session_untellable allows.
 * `told` is called once, never inside this call, and before that `call` must not be answered. */
void session_tell(struct controller *c, const struct call *call, json_t *doc, session_told told, void *arg);

#endif
