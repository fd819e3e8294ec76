/* port_holders: which processes listen on ports of this host. Floor F7; reads all of /proc, so only for the start and sub-commands. Only
 * root can see the processes of other accounts. */
#ifndef APP_DOCTOR_PORT_HOLDERS_H
#define APP_DOCTOR_PORT_HOLDERS_H

#include "host/kernel/proc.h"

struct port_holder {
	int port;
	pid_t pid; /* 0: the process is not visible */
	char name[PROC_COMM_SIZE];
};

/* Fills in one row for each port in [first, last] that a process listens on, at an address that conflicts with `address` (NULL: at any).
 * Returns the number of rows, at most `max`. */
size_t port_holders(const char *address, int first, int last, struct port_holder *dst, size_t max);
/* The process that listens on a Unix socket; false if none does. */
bool port_holder_of_socket(const char *path, struct port_holder *ret);

#define PORT_HOLDER_SIZE 64
/* "pid 812 (nginx)", or that the process is not visible; returns dst. */
const char *port_holder_text(const struct port_holder *h, char dst[PORT_HOLDER_SIZE]);

#endif
