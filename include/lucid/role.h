/*
 * role: what a role is to the rest of the program. Floor F4 (types only). A role lives in roles/NAME, includes lucid/ and
 * roles/contract and nothing else, and is named once, in src/app/roles.c.
 */
#ifndef LUCID_ROLE_H
#define LUCID_ROLE_H

#include "lucid/bus.h"
#include "lucid/config.h"
#include "lucid/log.h"
#include "lucid/loop.h"
#include "lucid/metrics.h"
#include "lucid/store.h"

struct nodes;  /* lucid/nodes.h */
struct leases; /* lucid/lease.h */

/* What a role is given; all of it outlives the role. */
struct role_env {
	struct loop *loop;
	struct bus *bus;
	struct store *store;
	const struct config *config;
	const char *node; /* NODE_NAME */
	struct nodes *nodes;
	struct leases *leases;
};

struct role {
	const char *name;	  /* "rdp-server-manager" */
	const char *service;	  /* name in logs, metrics and health; the same unless SERVICE_NAME says otherwise */
	const char *base_path;	  /* "/api/v1/rdp" */
	const char *port_option;  /* "RDP_SERVER_MANAGER_PORT" */
	const char *url_option;	  /* "RDP_SERVER_MANAGER_URL" */
	const char *alias;	  /* another accepted name, or NULL */
	const char *description;
	/* Bind handlers, subscribe; must not wait for anything. ret is the role's own state. 0 or a negated error. */
	int (*init)(const struct role_env *env, void **ret);
	/* The store is up: load, reconcile, go. */
	void (*start)(void *role);
	/* Stop beginning things; call done when nothing is under way. NULL: nothing to wait for. */
	void (*drain)(void *role, void (*done)(void *arg), void *arg);
	void (*free)(void *role);
	/* SIGHUP, twice: apply false: may the settings become `next`? 0, or a negated error with a sentence, and nothing of them
	 * is taken up. apply true: they have; role_env.config says so, take up what was copied from it. NULL: nothing was. */
	int (*reload)(void *role, const struct config *next, bool apply, char *why, size_t size);
};

#endif
