/*
 * fanout: many calls for one answer. Floor F5 (src/cluster fulfils it), loop thread only, never blocks.
 *
 * At most FANOUT_AT_ONCE of them are under way, the others wait; all are over when the time is up, those that were not asked
 * by then with ERR_DEADLINE. A reply may ask for more. Calls are made as the role itself, with the request id and trace of the
 * call that they are for. Who could not be asked is remembered by name, so that an answer can say what it lacks.
 * Not for: changes, which need an order and an outcome each.
 */
#ifndef LUCID_FANOUT_H
#define LUCID_FANOUT_H

#include "lucid/bus.h"

#define FANOUT_AT_ONCE 64 /* hosts that hang hold a place each until the time is up */
#define FANOUT_MAX 10000 /* calls in one */
#define FANOUT_MS 4000

struct nodes;
struct fanout;

/* done comes once, when nothing is under way any more, and ends the fanout. arg is also each reply's. */
struct fanout *fanout_new(struct bus *b, const struct call *c, void (*done)(void *arg), void *arg);
/* node: whose agent is asked, or NULL for the role wherever it lives; param: the path's first one, or NULL; `query` is consumed
 * and may be NULL. fn never comes from within; its reply has a doc also where the answer came as text. What is over FANOUT_MAX
 * is not asked, and its node counts as missed. */
typedef void (*fanout_reply)(const char *node, const char *param, const struct reply *r, void *arg);
void fanout_ask(struct fanout *f, const struct op *op, const char *node, const char *param, json_t *query, fanout_reply fn);
/* As whoever it is all for, so that the role that is asked decides what that one may see. */
void fanout_ask_as_caller(struct fanout *f, const struct op *op, json_t *query, fanout_reply fn);
/* Every host that there is, or the one named `only` where that is not NULL. `here` where hosts are not known: then the agent
 * that this process knows is the only one. */
void fanout_ask_nodes(struct fanout *f, struct nodes *nodes, const char *here, const char *only, const struct op *op,
		      fanout_reply fn);
/* Whether there is a host of that name to be asked. */
bool fanout_knows(struct nodes *nodes, const char *here, const char *node);
/* All were asked that shall be before the first reply. done may come from within, when it was none. */
void fanout_go(struct fanout *f);

/* Say that a node did not answer; once each. */
void fanout_miss(struct fanout *f, const char *node);
/* Their names, an array of strings; the caller's. */
json_t *fanout_missed(const struct fanout *f);

#endif
