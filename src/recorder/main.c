/* lucid-rdp-recorder: records one X display into a directory, as control.h describes. Started by the supervisor, as an account of its own. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lucid/clock.h"
#include "lucid/str.h"
#include "recorder/control.h"
#include "recorder/recorder.h"
#include "recorder/sandbox.h"

#define NAME "lucid-rdp-recorder"
#define START_MS 10000 /* within which `start` must come */

enum { EXIT_FAILED = 1, EXIT_NOT_STARTED = 2 };

static int refuse(const char *reason)
{
	json_t *body = json_object();
	doc_set_str(body, "reason", reason);
	control_send(CONTROL_FD, "failed", body);
	fprintf(stderr, NAME ": %s\n", reason);
	return EXIT_FAILED;
}

/* --- the loop */

static struct timespec until(int64_t next_us)
{
	int64_t left = next_us == INT64_MAX ? INT64_MAX : MAX(next_us - clock_mono_us(), (int64_t)0);
	left = MIN(left, (int64_t)60000000);
	return (struct timespec){ left / 1000000, left % 1000000 * 1000 };
}

/* Messages that are there. False: the recorder has ended; *gone: because the supervisor did. */
static bool read_control(struct recorder *r, bool *gone)
{
	json_t *message, *body;
	int fds[CONTROL_FDS_MAX];
	bool goes_on = true;
	while (goes_on) {
		enum control_result got = control_receive(CONTROL_FD, &message, fds);
		if (got == CONTROL_NOTHING)
			break;
		if (got == CONTROL_CLOSED) {
			*gone = true;
			return false;
		}
		const char *name = control_name(message, &body);
		goes_on = recorder_message(r, name, body, fds, clock_mono_us());
		fd_close(&fds[0]);
		fd_close(&fds[1]);
		doc_unref_secret(message);
	}
	return goes_on;
}

static void record(struct recorder *r)
{
	bool gone = false;
	do {
		struct pollfd p[2] = { { .fd = CONTROL_FD, .events = POLLIN }, { .fd = recorder_x_fd(r), .events = POLLIN } };
		struct timespec t = until(recorder_next_us(r));
		ppoll(p, 2, &t, NULL);
		if (p[0].revents && !read_control(r, &gone))
			break;
	} while (recorder_run(r, clock_mono_us()));
	if (gone)
		recorder_leave(r);
}

/* --- start */

/* The first message. NULL, or what is wrong; fds are the caller's. */
static const char *await_start(struct start *ret, int fds[CONTROL_FDS_MAX])
{
	struct pollfd p = { .fd = CONTROL_FD, .events = POLLIN };
	json_t *message = NULL, *body;
	fds[0] = fds[1] = -1;
	if (poll(&p, 1, START_MS) <= 0 || control_receive(CONTROL_FD, &message, fds) != CONTROL_MESSAGE)
		return "no start message came over the control socket";
	const char *why = str_eq(control_name(message, &body), "start") ? start_parse(body, ret) : "the first message is not a start";
	doc_unref_secret(message);
	return why ? why : fds[0] < 0 || fds[1] < 0 ? "the start lacks its two descriptors" : NULL;
}

static int recorder_main(void)
{
	static struct recorder r;
	struct start s = { 0 };
	int fds[CONTROL_FDS_MAX];
	char why[160];
	const char *fault = await_start(&s, fds);
	if (!fault && !record_codec_load(s.codec, why, sizeof why))
		fault = why;
	if (fault) {
		mem_wipe(&s, sizeof s);
		return refuse(fault);
	}
	int err = recorder_set_up(&r, CONTROL_FD, &s, fds[0], fds[1]);
	mem_wipe(&s, sizeof s);
	if (!err && !sandbox_close())
		err = refuse("the filter of system calls cannot be set; recording needs a kernel with seccomp");
	if (!err)
		record(&r);
	int code = err || r.failed ? EXIT_FAILED : 0;
	recorder_done(&r);
	return code;
}

int main(void)
{
	int type;
	socklen_t len = sizeof type;
	prctl(PR_SET_NAME, NAME); /* it is executed by descriptor, so it has that number as its name */
	signal(SIGPIPE, SIG_IGN);
	if (getsockopt(CONTROL_FD, SOL_SOCKET, SO_TYPE, &type, &len) < 0 || type != SOCK_SEQPACKET) {
		fputs(NAME ": descriptor 3 is not a control socket; the supervisor starts this program\n", stderr);
		return EXIT_NOT_STARTED;
	}
	if (geteuid() == 0)
		return refuse("a recorder does not run as root; start it with an account of its own");
	if (!sandbox_begin())
		return refuse("the limits of the process cannot be set");
	return recorder_main();
}
