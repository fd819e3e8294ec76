/* sesman_port: the loopback port on which the sesman of an instance listens. Floor F3, supervisor only; a bind for each try, nothing waits.
 * */
#ifndef HOST_INSTANCE_SESMAN_PORT_H
#define HOST_INSTANCE_SESMAN_PORT_H

struct host;

/* A port that is free and used by no other part of this program, by no instance and not by the host's own sesman; 0: there is none. The
 * search begins at a place that depends on `server_id`. *ret_reserved as of displays_choose. */
int sesman_port_choose(struct host *h, const char *server_id, int *ret_reserved);
/* Reserves a port that was chosen before this process started; -1: it is reserved already, or cannot be. */
int sesman_port_reserve(int port);

#endif
