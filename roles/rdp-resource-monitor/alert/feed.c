#include "roles/rdp-resource-monitor/alert/feed.h"

#include "lucid/clock.h"
#include "roles/rdp-resource-monitor/sample.h"

static const enum resource measured[ALERT_METRICS] = { [ALERT_CPU] = RES_CPU, [ALERT_MEMORY] = RES_MEMORY_PERCENT, [ALERT_DISK] = RES_DISK };

/* False: nothing of this kind raises alerts. */
static bool subject_of(enum sample_kind kind, const char *id, const char *node, struct alert_subject *ret)
{
	*ret = (struct alert_subject){ ALERT_NODE, kind == SAMPLE_NODE ? id : node, kind == SAMPLE_SERVER ? id : NULL };
	if (kind == SAMPLE_SERVER)
		ret->kind = ALERT_SERVER;
	return kind == SAMPLE_NODE || kind == SAMPLE_SERVER;
}

static void feed_sample(const struct sample *sample, void *arg)
{
	struct alert_subject subject;
	int64_t now = clock_mono_ms();
	if (!subject_of(sample->kind, sample->id, sample->node, &subject))
		return;
	for (enum alert_metric m = 0; m < ALERT_METRICS; m++)
		if (m != ALERT_DISK || sample->kind == SAMPLE_NODE)
			alert_judge(arg, &subject, m, sample->value[measured[m]], now);
}

static void feed_gone(enum sample_kind kind, const char *id, void *arg)
{
	struct alert_subject subject;
	if (subject_of(kind, id, "", &subject))
		alert_unmeasured(arg, &subject);
}

void alert_feed(struct alerts *a, struct sampler *s)
{
	sampler_listen(s, &(struct sample_listener){ .on_sample = feed_sample, .on_gone = feed_gone, .arg = a });
}
