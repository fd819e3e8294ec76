/*
 * accept: accepts connections, also when descriptors or memory run out. Floor F1, loop thread only, never blocks. A listening socket
 * stays readable while accept fails, and a level-triggered loop would spin: so the accepter pauses. It keeps one descriptor in reserve.
 * With it, it accepts and closes a connection that cannot be served, so that the client does not wait in the backlog. Not for: HTTP
 * listeners, whose library accepts by itself; they use only the reserve (net/server/http_server.c).
 */
#ifndef SYS_ACCEPT_H
#define SYS_ACCEPT_H

#include "lucid/loop.h"

/* A descriptor to keep in reserve; -1 if none is left. */
int accept_reserve(void);
/* Accept up to `max` connections with the reserve, send each of them `words` (may be NULL) and close it. Returns how many. */
size_t accept_shed(int *reserve, int listen_fd, size_t max, const char *words);
/* Whether accept failed because descriptors or memory ran out. */
bool accept_is_starved(int err);

#define ACCEPT_PAUSE_MS 200

struct accepter;
/* `listen_fd` is borrowed and non-blocking. `fn` gets each connection, non-blocking and close-on-exec, and owns it. `what` is for the
 * log. */
struct accepter *accepter_new(struct loop *l, int listen_fd, const char *what, void (*fn)(int fd, void *arg), void *arg);
void accepter_free(struct accepter *a); /* takes NULL */

#endif
