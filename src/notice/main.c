/* lucid-rdp-notice: shows one message on one X server, as notice_wire.h describes. Started by the supervisor, as the user of a desktop. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "notice/window.h"

static bool opening = true;

/* The X server does not answer. After the window was shown, its time is over. */
static void on_alarm(int signo)
{
	(void)signo;
	_exit(opening ? NOTICE_X_SILENT : NOTICE_OK);
}

/* Reads exactly so many bytes of standard input. */
static bool read_exactly(void *dst, size_t len)
{
	char *p = dst;
	while (len) {
		ssize_t n = read(0, p, len);
		if (n <= 0)
			return false;
		p += n;
		len -= (size_t)n;
	}
	return true;
}

static char *read_input(struct notice_input *in)
{
	if (!read_exactly(in, sizeof *in) || in->magic != NOTICE_MAGIC || in->level >= NOTICE_LEVELS || !in->bytes ||
	    in->bytes > NOTICE_BYTES_MAX || !in->seconds || in->seconds > NOTICE_SECONDS_MAX)
		return NULL;
	char *text = calloc(1, in->bytes + 1);
	if (text && read_exactly(text, in->bytes))
		return text;
	free(text);
	return NULL;
}

static int show(void)
{
	struct notice_input in;
	struct window w;
	prctl(PR_SET_NAME, NOTICE_FILE); /* it was executed by descriptor, so it has that number as its name */
	char *text = read_input(&in);
	if (!text)
		return NOTICE_BAD_INPUT;
	signal(SIGALRM, on_alarm);
	signal(SIGPIPE, SIG_IGN);
	alarm(NOTICE_X_SECONDS);
	int err = window_open(&w, NOTICE_X, &in, text);
	explicit_bzero(in.cookie, sizeof in.cookie);
	if (err)
		return err;
	opening = false;
	dprintf(NOTICE_REPORT, "shown %d\n", w.missing);
	close(NOTICE_REPORT);
	return window_run(&w);
}

/* What Pango and XCB hold lives as long as the process, so nothing is freed. */
int main(void)
{
	_exit(show());
}
