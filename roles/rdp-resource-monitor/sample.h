/*
 * sample: the latest figures of each host, server and desktop, and who is told of new ones. Floor F6, loop thread only, never blocks.
 *
 * Every METRICS_INTERVAL the agent of each node is asked, and rates are computed from the difference to the sample before. Of several
 * monitors on one store each does so, so that each can answer. Only the one with the lease "resources:NODE" passes the samples on to listeners, so
 * that they are stored, judged and exported to Prometheus once.
 * Not for: the past (history/), and figures for a response on demand (usage.c).
 */
#ifndef MONITOR_SAMPLE_H
#define MONITOR_SAMPLE_H

#include "lucid/role.h"

enum resource {
#define RESOURCE(id, ...) RES_##id,
#include "roles/contract/resources_sampled.def"
#undef RESOURCE
	RES_COUNT
};
struct resource_info {
	const char *name, *unit, *help;
	double scale; /* history stores value × scale, rounded to a whole number */
};
extern const struct resource_info resources[RES_COUNT];
int resource_find(const char *name); /* enum resource, or -1 */

enum sample_kind { SAMPLE_NODE, SAMPLE_SERVER, SAMPLE_DESKTOP };
#define SAMPLE_ID_MAX 128
struct sample {
	enum sample_kind kind;
	char id[SAMPLE_ID_MAX]; /* name of the node; server_id; "SERVER_ID:DISPLAY" of a desktop */
	char node[SAMPLE_ID_MAX];
	int64_t time_ms; /* wall clock */
	double value[RES_COUNT]; /* NAN: unknown, or not measured for this kind; rates are unknown in the first sample */
};

struct sampler;
struct sampler *sampler_new(const struct role_env *env);
void sampler_start(struct sampler *s); /* the store is open */
/* Starts no new request; those in progress are dropped. */
void sampler_stop(struct sampler *s);
void sampler_free(struct sampler *s); /* takes NULL */

/* NULL: unknown here. Borrowed until the loop's turn ends. */
const struct sample *sample_latest(const struct sampler *s, enum sample_kind kind, const char *id);
/* Calls fn for the latest sample of each object, in no particular order. */
void sample_each(const struct sampler *s, void (*fn)(const struct sample *sample, void *arg), void *arg);
/* True while listeners get the samples of the node from this process. */
bool sampler_holds(const struct sampler *s, const char *node);

/* Callbacks, each may be NULL; they may call sample_latest, not sampler_listen. At most SAMPLE_LISTENERS, for the sampler's life. */
#define SAMPLE_LISTENERS 8
struct sample_listener {
	/* A new sample; servers and desktops of a node come before the node itself. */
	void (*on_sample)(const struct sample *sample, void *arg);
	/* No more samples come from here: the object stopped or ended, its host does not respond, or another monitor has the lease. */
	void (*on_gone)(enum sample_kind kind, const char *id, void *arg);
	/* All samples of this round of a node were delivered. */
	void (*on_round)(const char *node, int64_t time_ms, void *arg);
	void *arg;
};
void sampler_listen(struct sampler *s, const struct sample_listener *l);

#endif
