/* timeline: the history of a session, one stored document for each entry. Floor F6, loop thread only, never blocks. */
#ifndef SESSIONS_TIMELINE_H
#define SESSIONS_TIMELINE_H

#include "roles/rdp-session-controller/session/session.h"

#define TIMELINE_MAX 1000 /* entries of one session that are read */

/* Stores an entry. doc: the document of the session; `by`: the user who did it, "": nobody, it happened. A failed write is logged only.
 * The entry does not outlive its session, even if that is deleted meanwhile. */
void timeline_add(struct session *s, const json_t *doc, const char *event, const char *by);
/* The same, of a session whose record need not be here; `reason` takes the place of its status_reason. */
void timeline_note(struct controller *c, const json_t *doc, const char *event, const char *reason, const char *by);
void timeline_entered(struct session *s, unsigned status); /* s->o.doc is present */
void timeline_forget(struct session *s);		   /* deletes all entries, later */
void op_session_timeline(struct call *c, void *controller);

#endif
