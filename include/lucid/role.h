/*
 * role: the interface between a role and the program. Floor F4 (types only). A role is a folder roles/NAME. It includes only lucid/ and
 * roles/contract, and is registered by one line in roles/contract/roles.def.
 */
#ifndef LUCID_ROLE_H
#define LUCID_ROLE_H

#include "lucid/bus.h"
#include "lucid/config.h"
#include "lucid/log.h"
#include "lucid/loop.h"
#include "lucid/metrics.h"
#include "lucid/option.h"
#include "lucid/store.h"

struct nodes;  /* lucid/nodes.h */
struct leases; /* lucid/lease.h */
struct seal;   /* lucid/seal.h */

/* The environment of a role; everything in it outlives the role. */
struct role_env {
	struct loop *loop;
	struct bus *bus;
	struct store *store;
	const struct config *config;
	const char *node; /* NODE_NAME */
	struct nodes *nodes;
	struct leases *leases;
	struct seal *seal; /* with MASTER_KEY; SIGHUP may change its keys */
};

/* Settings that every role has. */
enum role_option { ROLE_OPT_CONFIG_FILE, ROLE_OPT_PORT, ROLE_OPT_HOST, ROLE_OPT_URL, ROLE_OPT_COUNT };
#define ROLE_OPTIONS(prefix)                                                                                           \
	{ [ROLE_OPT_CONFIG_FILE] = prefix "_CONFIG_FILE", [ROLE_OPT_PORT] = prefix "_PORT", [ROLE_OPT_HOST] = prefix "_HOST", \
	  [ROLE_OPT_URL] = prefix "_URL" }

struct role {
	const char *name;	  /* "rdp-server-manager" */
	const char *service;	  /* name in logs, metrics and health; SERVICE_NAME overrides it */
	const char *base_path;	  /* "/api/v1/rdp" */
	const char *option[ROLE_OPT_COUNT]; /* ROLE_OPTIONS("RDP_SERVER_MANAGER") */
	const char *port;	  /* default port, "8090" */
	const struct option *settings; /* settings that only this role reads; NULL: none */
	size_t n_settings;
	bool supervised;	  /* it calls host.*, so its process needs a supervisor */
	const char *alias;	  /* another accepted name for --role, or NULL */
	const char *description; /* one line, for --help and OpenAPI */
	/* For conf/split, the example of an installation on several hosts: the short host name of the role ("manager", which gives
	 * MANAGER_HOST and manager.internal); the comment at the top of its file, one sentence or more; and further lines, NULL: none. */
	const char *host, *about_host, *host_settings;
	/* Binds handlers and subscribes; must not wait. *ret is the state of the role. 0 or a negated error. */
	int (*init)(const struct role_env *env, void **ret);
	/* Called when the store is open: load and reconcile. NULL: the role stores nothing. */
	void (*start)(void *role);
	/* Starts nothing new, and calls done when no operation is in progress. NULL: nothing to wait for. */
	void (*drain)(void *role, void (*done)(void *arg), void *arg);
	void (*free)(void *role);
	/* Called twice on SIGHUP. First with apply false, to check `next`: 0, or a negated error with a sentence in why[size]; then no setting
	 * changes. After that with apply true, when role_env.config has the new values: update copies. NULL: the role keeps no copies. */
	int (*reload)(void *role, const struct config *next, bool apply, char *why, size_t size);
};

#endif
