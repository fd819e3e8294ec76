#include "host/desktop/desktop_log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "host/instance/instance.h"
#include "lucid/clock.h"
#include "lucid/log.h"
#include "lucid/str.h"
#include "sys/files.h"

#define LOG_MAX (256 * 1024)
#define LINES_MAX 40

static int open_log(const struct instance *i)
{
	_cleanup_(xfreep) char *path = xasprintf("%s/desktops.log", i->log), *old = xasprintf("%s/desktops.log.1", i->log);
	struct stat st;
	if (lstat(path, &st) == 0 && st.st_size > LOG_MAX && rename(path, old) < 0)
		return -1;
	return open(path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0640);
}

void desktop_log(const struct instance *i, const char *what, const char *user, const char *text)
{
	_cleanup_(closep) int fd = open_log(i);
	char stamp[32], line[512];
	time_t now = (time_t)(clock_wall_ms() / 1000);
	struct tm tm;
	if (fd < 0)
		return;
	strftime(stamp, sizeof stamp, "%Y%m%d-%H:%M:%S", localtime_r(&now, &tm));
	for (int n = 0; *text && n < LINES_MAX; n++) {
		size_t len = strcspn(text, "\n");
		int size = snprintf(line, sizeof line, "[%s] [WARN ] %.32s of %.64s: %.*s", stamp, what, *user ? user : "?", (int)MIN(len, (size_t)300), text);
		for (int k = 0; k < size; k++)
			if ((unsigned char)line[k] < 0x20 || line[k] == 0x7f)
				line[k] = '?';
		line[size] = '\n';
		if (write(fd, line, (size_t)size + 1) < 0)
			log_debug("host", "desktops.log of server %s: %s", i->id, strerror(errno));
		text += len + (text[len] == '\n');
	}
}
