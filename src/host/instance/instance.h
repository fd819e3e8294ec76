/*
 * instance: one xrdp with its sesman: its state, how it is found, and as a document. Floor F3, supervisor only, loop thread.
 *
 * The files of host/instance run it. Those of desktop, login and observe read it, and keep desktops and connections in `see`.
 *
 * A stopped instance is freed when the loop's turn ends, after hooks.closed. Across anything asynchronous, keep its id, not a pointer.
 */
#ifndef HOST_INSTANCE_INSTANCE_H
#define HOST_INSTANCE_INSTANCE_H

#include "host/instance/instance_data.h"
#include "host/kernel/ns.h"

const char *instance_state_to_string(enum instance_state s);

struct instance *instance_find(struct host *h, const char *server_id);
/* The instance that a process belongs to, by its control group (at any depth) or its mount namespace; NULL: none. */
struct instance *instance_of_cgroup(struct host *h, const char *path);
struct instance *instance_of_pid(struct host *h, pid_t pid);
/* Whether the process is in the mount namespace of the instance or of one of its desktops. False for a shared one. */
bool instance_has(const struct instance *i, pid_t pid);
/* A new descriptor of its mount namespace, through a running daemon, for a job, which does not inherit ns_fd; -errno. */
int instance_ns_open(const struct instance *i);
/* Sets uid and gid from `desks` and `port`. */
void instance_account(struct instance *i);
/* The instance that has this display or RDP port; NULL: none. */
struct instance *instance_of_display(struct host *h, int display);
struct instance *instance_of_port(struct host *h, int port);
/* Whether this program uses the port: for RDP, for a role, or for an instance. */
bool host_uses_port(struct host *h, int port);

/* The only function that changes the state: rejects an illegal transition, writes the record, publishes events. */
void instance_enter(struct instance *i, enum instance_state s, const char *static_reason);

/* In the form of shape_instance; the caller frees. */
json_t *instance_doc(struct instance *i);

/* The limits of the server for its desktops, in the form of shape_instance_limits; the caller frees. */
json_t *instance_limits_doc(const struct instance *i);

/* Removes what a desktop left behind: its mount (in a job), or, if desktops have no mounts of their own, /tmp/.X11-unix/XN, /tmp/.XN-lock
 * and the sockets of display N in run/sockdir, unless the process named in the lock is running. */
void display_clean(struct instance *i, int display);

#endif
