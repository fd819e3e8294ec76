/*
 * ports: which RDP ports of the range are likely free. Floor F6, loop thread only. A hint: the claim in the store
 * (COL_PORTS) decides; what is found taken there or on the host is marked here, so that it is not tried again at once.
 */
#ifndef SERVERS_PORTS_H
#define SERVERS_PORTS_H

#include "lucid/base.h"

enum port_state {
	PORT_AVAILABLE,
	PORT_ALLOCATED, /* held by a server */
	PORT_RESERVED,	/* claimed in the store, by none of our servers */
	PORT_BLOCKED,	/* a stranger listens on it; tried again after a minute */
};
const char *port_state_to_string(enum port_state s);

struct ports;
struct ports *ports_new(int first, int last);
void ports_free(struct ports *p);
int ports_first(const struct ports *p);
int ports_last(const struct ports *p);
/* The next free one, now allocated; 0 when there is none. Goes round, so that a port just freed rests. */
int ports_take(struct ports *p);
/* Go on from anywhere in the range: another manager, or several, give out the ports from here on. */
void ports_scatter(struct ports *p);
/* A server has it, and has it no more. Where several managers give out ports a record may be behind: two servers have a port here for
 * a while, of which one is deleted and the other new. It is held until the last one lets it go. */
void ports_hold(struct ports *p, int port);
void ports_let_go(struct ports *p, int port);
/* What was found out about one; nothing when a server has it. Ports outside the range are ignored: a narrower range does not hurt
 * servers that are there. */
void ports_set(struct ports *p, int port, enum port_state s);
enum port_state ports_get(const struct ports *p, int port);
size_t ports_count(const struct ports *p, enum port_state s);

#endif
