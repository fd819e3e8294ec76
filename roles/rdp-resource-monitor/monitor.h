/* monitor: the internal interface of rdp-resource-monitor. Floor F6, loop thread only, never blocks. */
#ifndef MONITOR_H
#define MONITOR_H

#include "lucid/role.h"
#include "lucid/under_way.h"
#include "roles/rdp-resource-monitor/alert/alert.h"

struct keeper;
struct server_gauges;
struct sampler;

struct monitor {
	struct role_env env;
	const struct op *stats, *instance_stats, *server, *servers, *session;
	struct sampler *sampler; /* sample.h */
	struct server_gauges *gauges;
	struct keeper *keeper;
	struct under_way under_way; /* responses in progress */
	struct alerts *alerts;
	void (*drained)(void *arg);
	void *drained_arg;
};

void op_usage(struct call *c, void *monitor); /* usage.c */
void op_top(struct call *c, void *monitor);   /* usage.c */
void op_usage_of_one(struct call *c, void *monitor); /* usage_one.c */

#endif
