/*
 * connection_desktop: which child of xrdp has a connection, and which desktop that child shows. Floor F3, supervisor only, loop thread. For
 * connections.c alone.
 *
 * A child serves one connection for its whole life. Its desktop is known by the peer of its socket to the X server.
 */
#ifndef HOST_LOGIN_CONNECTION_DESKTOP_H
#define HOST_LOGIN_CONNECTION_DESKTOP_H

struct connection;
struct instance;
struct tcp_sock;
struct unix_sock;

/* The kernel's Unix and VNC sockets at one sweep; read only if a login is in progress. Starts as all zero. */
struct socket_snapshot {
	struct unix_sock *unix_socks;
	int n;
	struct tcp_sock *vnc; /* the X servers' ends */
	int nvnc;
};
void socket_snapshot_done(struct socket_snapshot *s);

void connections_find_pids(struct instance *i);
void connections_find_displays(struct instance *i, struct socket_snapshot *snap);
/* Sets the user of its desktop once that is known, and publishes that the connection was opened. */
void connection_take_user(struct connection *c);

#endif
