/*
 * ports: which RDP ports of the range are probably free. Floor F6, loop thread only. These are hints: the claim in the store (COL_PORTS)
 * decides. Ports that are found taken there or on the host are marked here, so that they are not tried again at once.
 */
#ifndef SERVERS_PORTS_H
#define SERVERS_PORTS_H

#include "lucid/base.h"

enum port_state {
	PORT_AVAILABLE,
	PORT_ALLOCATED, /* held by a server */
	PORT_RESERVED,	/* claimed in the store, but not by a known server */
	PORT_BLOCKED,	/* a foreign process listens on it; tried again after a minute */
};
const char *port_state_to_string(enum port_state s);

struct ports;
struct ports *ports_new(int first, int last);
void ports_free(struct ports *p);
int ports_first(const struct ports *p);
int ports_last(const struct ports *p);
/* Allocates the next free port; 0: none is free. Goes round the range, so that a port is not reused right after its release. */
int ports_take(struct ports *p);
/* Continue at a random port, because another manager is allocating the next ones. */
void ports_scatter(struct ports *p);
/* Count and uncount a server that has the port. With several managers a record may be behind, so that a deleted and a new server have the same
 * port for a while. The port is held until the last of them releases it. */
void ports_hold(struct ports *p, int port);
void ports_let_go(struct ports *p, int port);
/* Sets the state of a port, unless a known server has it. Ports outside the range are ignored, so that existing servers survive a narrower
 * range. */
void ports_set(struct ports *p, int port, enum port_state s);
enum port_state ports_get(const struct ports *p, int port);
size_t ports_count(const struct ports *p, enum port_state s);

#endif
