#include "roles/rdp-server-manager/port/ports.h"

#include "lucid/clock.h"
#include "lucid/id.h"

#define BLOCKED_MS 60000

struct ports {
	int first, last, next;
	size_t counts[PORT_BLOCKED + 1];
	int64_t blocked_ms; /* when a port was last found blocked */
	struct {
		uint32_t holders; /* known servers with this port */
		uint8_t state;
	} of[];
};

static const char *const names[] = { "available", "allocated", "reserved", "blocked" };

const char *port_state_to_string(enum port_state s)
{
	return names[s];
}

struct ports *ports_new(int first, int last)
{
	size_t n = (size_t)(last - first) + 1;
	struct ports *p = xcalloc(1, sizeof *p + n * sizeof p->of[0]);
	p->first = p->next = first;
	p->last = last;
	p->counts[PORT_AVAILABLE] = n;
	return p;
}

void ports_free(struct ports *p)
{
	free(p);
}

int ports_first(const struct ports *p)
{
	return p->first;
}

int ports_last(const struct ports *p)
{
	return p->last;
}

static bool inside(const struct ports *p, int port)
{
	return port >= p->first && port <= p->last;
}

static void enter(struct ports *p, int port, enum port_state s)
{
	uint8_t *state = &p->of[port - p->first].state;
	p->counts[*state]--;
	p->counts[s]++;
	*state = (uint8_t)s;
}

void ports_hold(struct ports *p, int port)
{
	if (!inside(p, port))
		return;
	p->of[port - p->first].holders++;
	enter(p, port, PORT_ALLOCATED);
}

void ports_let_go(struct ports *p, int port)
{
	if (inside(p, port) && --p->of[port - p->first].holders == 0)
		enter(p, port, PORT_AVAILABLE);
}

void ports_set(struct ports *p, int port, enum port_state s)
{
	if (!inside(p, port) || p->of[port - p->first].holders)
		return;
	enter(p, port, s);
	if (s == PORT_BLOCKED)
		p->blocked_ms = clock_mono_ms();
}

enum port_state ports_get(const struct ports *p, int port)
{
	return inside(p, port) ? (enum port_state)p->of[port - p->first].state : PORT_AVAILABLE;
}

size_t ports_count(const struct ports *p, enum port_state s)
{
	return p->counts[s];
}

/* Foreign listeners exit: a minute after the last blocked port was found, all are tried again. */
static void unblock(struct ports *p)
{
	if (!p->counts[PORT_BLOCKED] || clock_mono_ms() - p->blocked_ms < BLOCKED_MS)
		return;
	for (int port = p->first; port <= p->last; port++)
		if (ports_get(p, port) == PORT_BLOCKED)
			ports_set(p, port, PORT_AVAILABLE);
}

int ports_take(struct ports *p)
{
	unblock(p);
	if (!p->counts[PORT_AVAILABLE])
		return 0;
	while (ports_get(p, p->next) != PORT_AVAILABLE)
		p->next = p->next == p->last ? p->first : p->next + 1;
	int port = p->next;
	p->next = port == p->last ? p->first : port + 1;
	ports_set(p, port, PORT_ALLOCATED);
	return port;
}

void ports_scatter(struct ports *p)
{
	uint32_t chance;
	id_random(&chance, sizeof chance);
	p->next = p->first + (int)(chance % (uint32_t)(p->last - p->first + 1));
}
