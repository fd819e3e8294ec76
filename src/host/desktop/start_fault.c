#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

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
#define LOG_MAX (256 * 1024)
#define LINES_MAX 40

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

/* A file of root, bounded: it keeps the last 256 KiB to 512 KiB. */
static int open_log(const struct instance *i)
{
	_cleanup_(xfreep) char *path = xasprintf("%s/desktops.log", i->log), *old = xasprintf("%s/desktops.log.1", i->log);
	struct stat st;
	if (lstat(path, &st) == 0 && st.st_size > LOG_MAX && rename(path, old) < 0)
		return -1;
	return open(path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0640);
}

static void write_line(int fd, const char *stamp, const struct desktop *d, const char *line, size_t len)
{
	char text[512];
	int n = snprintf(text, sizeof text, "[%s] [WARN ] desktop :%d of %.64s: %.*s", stamp, d->display, d->user[0] ? d->user : "?",
			 (int)MIN(len, (size_t)300), line);
	for (int k = 0; k < n; k++)
		if ((unsigned char)text[k] < 0x20 || text[k] == 0x7f)
			text[k] = '?';
	text[n] = '\n';
	if (write(fd, text, (size_t)n + 1) < 0)
		log_debug("host", "desktops.log of server %s: %s", d->instance->id, strerror(errno));
}

static void log_findings(const struct desktop *d, const char *lines)
{
	_cleanup_(closep) int fd = open_log(d->instance);
	char stamp[32];
	time_t now = (time_t)(clock_wall_ms() / 1000);
	struct tm tm;
	if (fd < 0)
		return;
	strftime(stamp, sizeof stamp, "%Y%m%d-%H:%M:%S", localtime_r(&now, &tm));
	write_line(fd, stamp, d, "did not come up", strlen("did not come up"));
	for (int n = 0; *lines && n < LINES_MAX; n++) {
		size_t len = strcspn(lines, "\n");
		write_line(fd, stamp, d, lines, len);
		lines += len + (lines[len] == '\n');
	}
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
