/*
 * fanout: makes many calls for one response. Floor F5 (implemented in src/cluster), loop thread only, never blocks.
 *
 * At most FANOUT_AT_ONCE calls are in flight; the others are queued. All end by the deadline: FANOUT_MS, or less if the caller has less time.
 * Queued calls then fail with ERR_DEADLINE. A reply callback may add calls. Calls are made as the role itself, with the request id and trace
 * of the call that they serve. Nodes that did not respond are recorded, so that the response can name them.
 * Not for: changes, where order and each single outcome matter.
 */
#ifndef LUCID_FANOUT_H
#define LUCID_FANOUT_H

#include "lucid/bus.h"

#define FANOUT_AT_ONCE 64 /* a host that hangs occupies one of these until the deadline */
#define FANOUT_MAX 10000 /* calls in one fanout */
#define FANOUT_MS 4000 /* deadline of all calls together */

struct nodes;
struct fanout;

/* Begins a fanout for call c. `done` is called once when all calls have ended; the fanout is freed after it. `arg` is passed to done and to each
 * reply. */
struct fanout *fanout_new(struct bus *b, const struct call *c, void (*done)(void *arg), void *arg);
/* Adds a call. node: whose agent is called, NULL: the role in whichever process it is; param: the first path parameter, or NULL; query:
 * consumed, may be NULL. fn is not called inside fanout_ask; the reply has a doc even if the answer came as text. A call beyond FANOUT_MAX
 * is dropped, and its node counts as missed. */
typedef void (*fanout_reply)(const char *node, const char *param, const struct reply *r, void *arg);
void fanout_ask(struct fanout *f, const struct op *op, const char *node, const char *param, json_t *query, fanout_reply fn);
/* The same, but with the identity of the original caller, so that the called role enforces what that caller may see. */
void fanout_ask_as_caller(struct fanout *f, const struct op *op, json_t *query, fanout_reply fn);
/* Adds a call to each host, or only to the host `only` if that is not NULL. Unreachable hosts count as missed. If hosts are unknown, or the
 * store belongs to one host, the only agent is that of `here`. */
void fanout_ask_nodes(struct fanout *f, struct nodes *nodes, const char *here, const char *only, const struct op *op,
		      fanout_reply fn);
/* True if a host of that name can be called. */
bool fanout_knows(struct nodes *nodes, const char *here, const char *node);
/* Starts the calls, after all initial ones were added. Without any call, `done` is called inside fanout_go. */
void fanout_go(struct fanout *f);

/* Records that a node did not respond; duplicates are ignored. */
void fanout_miss(struct fanout *f, const char *node);
/* The names of the recorded nodes, an array of strings; the caller owns the reference. */
json_t *fanout_missed(const struct fanout *f);

#endif
