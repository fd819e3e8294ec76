/*
 * manager: the state that all of rdp-server-manager shares. Floor F6, loop thread only, never blocks.
 *
 * server/  one server: its definition, its operations, its kind as a stored object (lucid/object.h)
 * connect/ how clients connect to a server: address, account, .rdp file
 * node/    nodes of servers: placement, leases, reconciliation with the agent, unreachable nodes, nodes above their thresholds
 * port/    which ports are free, and the documents that claim a port or a name
 *
 * Not for: anything that touches the host (the agent does).
 */
#ifndef SERVERS_MANAGER_H
#define SERVERS_MANAGER_H

#include "lucid/object.h"
#include "lucid/role.h"
#include "roles/contract/contract.h"

#define SERVICE ROLE_SERVERS

struct lease;
struct node_alerts;
struct agent_ops {
	const struct op *start, *list, *get, *stop, *config, *logs, *log_file, *desktops, *ports, *profiles, *account, *limits;
};

struct manager {
	struct role_env env;
	struct agent_ops agent;
	struct objects *objects; /* the servers; their groups are the nodes */
	bool one_host;	  /* no other host shares the store, so all servers are on this one */
	const char *host; /* host name or address that clients connect to */
	int64_t max_live, max_per_user;
	struct subscription *events, *gaps;
	/* node/reconcile.c */
	struct loop_timer *look_timer;
	bool look_again;
	size_t looking; /* nodes whose agents are listing their instances now */
	/* server/limits.c */
	size_t limits_sending; /* requests in flight */
	/* node/status_events.c */
	struct subscription *node_events;
	struct loop_task node_task; /* runs after nodes have changed */
	bool node_ready;	    /* one of them has become ready */
	int64_t say_ms;		    /* NODE_STATUS_OWED_MS; shorter in tests */
	struct node_alerts *node_alerts; /* node/node_alerts.h */
	/* port/claims_sweep.c */
	struct lease *sweeper;
	bool sweeping;
	int64_t swept_ms;
	struct map *strays; /* claim → monotonic time in ms at which it was first seen without its server */
	/* profiles.c */
	const struct call *profiles_for; /* the call for which the list was just fetched; NULL: none */
	json_t *profiles; /* profiles of this node, {desktops, default_fault}; NULL until its agent has responded */
	struct {
		struct metric *created, *deleted, *ports;
	} metrics;
};

#endif
