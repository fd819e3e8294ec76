#include <stdio.h>

#include "host/desktop/desktop_log.h"
#include "host/observe/observed.h"
#include "host/desktop/start_report.h"
#include "lucid/clock.h"
#include "lucid/log.h"
#include "lucid/str.h"
#include "lucid/text.h"

/* Desktops that never came up: the findings of the hook are published and kept in desktops.log, which GET /servers/{id}/logs shows. */

/* If the login script reported nothing: a desktop that ended within this time did not come up. */
#define COME_UP_MS 10000
/* The same if the script did not run or no X server was seen: sesman waits at least 10 s for the X server before it gives up. */
#define NO_X_MS 60000

void desktop_report(struct desktop *d, const char *report)
{
	free(d->report);
	d->report = *report ? xstrndup(report, START_REPORT_MAX) : NULL;
}

static bool failed(const struct desktop *d)
{
	int64_t age = clock_wall_ms() - d->started_ms;
	char state = d->report ? d->report[0] : START_UNKNOWN;
	if (state == START_FAILED || state == START_ENDED)
		return state == START_FAILED;
	return age < (state == START_NOT_RUN || !d->x_pid ? NO_X_MS : COME_UP_MS);
}

static void log_findings(const struct desktop *d, const char *lines)
{
	char what[32];
	snprintf(what, sizeof what, "desktop :%d", d->display);
	desktop_log(d->instance, what, d->user, "did not come up");
	desktop_log(d->instance, what, d->user, lines);
}

const char *desktop_own_end(struct desktop *d, char **ret_detail)
{
	if (!failed(d))
		return "logout";
	const char *lines = d->report ? d->report + 1 : d->x_pid ? "it ended at once, and nothing was said\n" : "its X server was not seen\n";
	size_t len = strcspn(lines, "\n");
	char *detail = xstrndup(lines, len);
	/* text of the desktop's owner */
	if (!str_utf8(detail, len, NULL) || str_has_control(detail, false) || text_unfit(detail, TEXT_NAME))
		for (char *p = detail; *p; p++)
			if ((unsigned char)*p < 0x20 || (unsigned char)*p >= 0x7f)
				*p = '?';
	log_warn("host", "desktop :%d of server %s did not come up: %s", d->display, d->instance->id, len ? detail : "no reason was seen");
	log_findings(d, lines);
	*ret_detail = detail;
	return "start_failed";
}
