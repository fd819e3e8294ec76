/*
 * judge: whether a measured value raises an alert, or clears it. Floor F6, any thread, pure: the caller passes the time.
 *
 * A value must stay above the threshold for the hold time until the alert is raised. An open alert is cleared when the value has stayed at
 * or below the threshold minus the hysteresis for the same time. A value in between leaves things as they are. A restart begins the hold time
 * again, because nobody knows the values in between.
 */
#ifndef ALERT_JUDGE_H
#define ALERT_JUDGE_H

#include "lucid/base.h"

#define JUDGE_NEVER 100 /* a threshold of 100 percent or more raises no alert */

struct judge_rule {
	double threshold;
	double hysteresis;
	int64_t hold_ms;
};
/* Initialise with {0}. */
struct judge {
	bool counting;	  /* the value has crossed its level since since_ms */
	bool open;	  /* which level: that of an open alert */
	int64_t since_ms; /* monotonic */
};
enum judge_verdict { JUDGE_NOTHING, JUDGE_RAISE, JUDGE_CLEAR };

/* One more value. `open`: there is an open alert. A value that is not a number means unknown: it begins the hold time again. The verdict is
 * repeated with each further value until the caller has acted on it, that is until `open` has changed. */
enum judge_verdict judge_value(struct judge *j, const struct judge_rule *rule, bool open, double value, int64_t mono_ms);
/* The values have a gap: begin the hold time again. */
void judge_reset(struct judge *j);
/* The level at or below which an open alert may be cleared. With a hysteresis that exceeds the threshold it is half the threshold: a level
 * below 0 would never be reached. */
double judge_clear_level(const struct judge_rule *rule);

#endif
