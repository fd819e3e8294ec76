#include "sys/notify.h"

#include <stdio.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "lucid/clock.h"

/* In the protocol a line break would end the status and begin another assignment. */
static void one_line(char *dst, size_t size, const char *s)
{
	snprintf(dst, size, "%s", s ? s : "");
	for (; *dst; dst++)
		if (*dst == '\n' || *dst == '\r')
			*dst = ' ';
}

void notify_ready(const char *status)
{
	char line[256];
	one_line(line, sizeof line, status);
	sd_notifyf(0, "READY=1%s%s", *line ? "\nSTATUS=" : "", line);
}

void notify_status(const char *status)
{
	char line[256];
	one_line(line, sizeof line, status);
	sd_notifyf(0, "STATUS=%s", line);
}

void notify_stopping(void)
{
	sd_notify(0, "STOPPING=1");
}

/* systemd 253 and later require the time, to match it with the following READY=1. */
void notify_reloading(void)
{
	sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%lld", (long long)clock_mono_us());
}

void notify_watchdog(void)
{
	sd_notify(0, "WATCHDOG=1");
}

uint64_t notify_watchdog_us(void)
{
	uint64_t us = 0;
	return sd_watchdog_enabled(0, &us) > 0 ? us : 0;
}

size_t notify_listen_fds(int ret_fds[NOTIFY_FDS_MAX], char *ret_names[NOTIFY_FDS_MAX])
{
	char **names = NULL;
	int n = sd_listen_fds_with_names(1, &names);
	size_t kept = 0;
	for (int i = 0; i < n; i++) {
		int fd = SD_LISTEN_FDS_START + i;
		if (kept < NOTIFY_FDS_MAX) {
			ret_fds[kept] = fd;
			ret_names[kept++] = xstrdup(names[i]);
		} else {
			close(fd);
		}
		free(names[i]);
	}
	free(names);
	return kept;
}
