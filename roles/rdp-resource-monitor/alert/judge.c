#include "roles/rdp-resource-monitor/alert/judge.h"

#include <math.h>

double judge_clear_level(const struct judge_rule *rule)
{
	return rule->hysteresis < rule->threshold ? rule->threshold - rule->hysteresis : rule->threshold / 2;
}

void judge_reset(struct judge *j)
{
	j->counting = false;
}

static bool judge_crossed(const struct judge_rule *rule, bool open, double value)
{
	return open ? value <= judge_clear_level(rule) : value > rule->threshold;
}

enum judge_verdict judge_value(struct judge *j, const struct judge_rule *rule, bool open, double value, int64_t mono_ms)
{
	if (isnan(value) || !judge_crossed(rule, open, value)) {
		judge_reset(j);
		return JUDGE_NOTHING;
	}
	if (!j->counting || j->open != open)
		*j = (struct judge){ true, open, mono_ms };
	if (mono_ms - j->since_ms < rule->hold_ms)
		return JUDGE_NOTHING;
	return open ? JUDGE_CLEAR : JUDGE_RAISE;
}
