/*
 * target: RDP hosts that this program does not run itself, and whether they can be reached. Floor F3 (implemented in src/rdp), loop thread
 * only, never blocks.
 *
 * Only targets that RDP_TARGETS_ALLOWED names are tried, so that a user cannot scan the network of the host. The list has addresses,
 * networks (10.1.0.0/16, 2001:db8::/32), host names and *.example.org; it is empty by default, which allows none. Rules:
 *   - an IPv4 address in IPv6 form (::ffff:10.1.2.3) is the IPv4 address;
 *   - a name is resolved, and every address that it has must be allowed: by a network, or because the list has the name. The connection goes
 *     to an address that was checked, so a name that resolves differently a moment later gains nothing;
 *   - loopback, link-local, multicast, unspecified and translated addresses, and those of the metadata services of clouds, are allowed only
 *     by an entry that lies within that range. Neither 0.0.0.0/0 nor a host name allows them.
 *
 * Not for: carrying a session to a target. A client connects to it by itself.
 */
#ifndef LUCID_TARGET_H
#define LUCID_TARGET_H

#include "lucid/loop.h"

#define TARGET_PROBES_MAX 16 /* at a time; further ones get TARGET_BUSY at once */
#define TARGET_TIMEOUT_MS 5000 /* of a whole probe, with resolution */
#define TARGET_ADDRESS_SIZE 64
#define TARGET_WHY_SIZE 512

enum target_outcome {
	TARGET_REACHABLE,   /* an RDP server has answered */
	TARGET_REFUSED,	    /* the host refused the connection */
	TARGET_NO_ROUTE,    /* no route to the host, or the network forbids it */
	TARGET_TIMED_OUT,   /* no answer within TARGET_TIMEOUT_MS */
	TARGET_NOT_RDP,	    /* something other than an RDP server listens there */
	TARGET_UNKNOWN_NAME, /* the name cannot be resolved */
	TARGET_NOT_ALLOWED, /* RDP_TARGETS_ALLOWED does not contain it; nothing was sent to it */
	TARGET_BUSY,	    /* too many probes are in progress; retry */
};
const char *target_outcome_to_string(enum target_outcome o); /* "reachable", "refused", "no_route" …; static */

/* What the server has chosen when it was offered all of them. */
enum target_security { TARGET_RDP, TARGET_TLS, TARGET_NLA };
const char *target_security_to_string(enum target_security s); /* "rdp", "tls", "nla"; static */

struct target_result {
	enum target_outcome outcome;
	enum target_security security;	   /* if TARGET_REACHABLE */
	char address[TARGET_ADDRESS_SIZE]; /* that was tried last; for the log, not for users; "": none */
	char why[TARGET_WHY_SIZE]; /* a sentence with host and port for the user: what failed, and what to do; "" if reachable */
};
typedef void (*target_done)(const struct target_result *r, void *arg);

/* A host name, or an address in its usual form: not 2130706433, 0177.0.0.1 or 127.1. */
bool target_host_ok(const char *host);

/* --- RDP_TARGETS_ALLOWED */
struct target_list;
/* NULL with a reason that names the item. `items` is NULL-terminated; an empty list is valid and allows nothing. */
struct target_list *target_list_new(const char *const *items, char *why, size_t size);
void target_list_free(struct target_list *t); /* takes NULL */
/* Whether a host (a name or an address) may be tried if it has these n addresses. False: *ret_i (may be NULL) is the first address that is not
 * allowed; n: the host itself is not valid, or has no address. */
bool target_list_allows(const struct target_list *t, const char *host, const char (*addresses)[TARGET_ADDRESS_SIZE], size_t n, size_t *ret_i);

/* --- probes */
struct target_prober;
struct target_probe;
/* With an empty list. */
struct target_prober *target_prober_new(struct loop *l);
void target_prober_free(struct target_prober *p); /* cancels all probes; takes NULL */
/* The list that applies from now on, also to probes in progress that have not connected yet. */
void target_prober_allow(struct target_prober *p, struct target_list *consume_list);
/* Tries to connect to host:port and to negotiate RDP, and calls `done` once, never from within this call. host: a name or an address, IPv6
 * perhaps in brackets. Returns a handle for target_probe_cancel, valid until `done`. */
struct target_probe *target_probe(struct target_prober *p, const char *host, int port, target_done done, void *arg);
/* `done` is not called; takes NULL. */
void target_probe_cancel(struct target_probe *q);

#endif
