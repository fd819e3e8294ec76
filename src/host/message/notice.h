/*
 * notice: one message window on one desktop, shown by a process of its own (src/notice). Floor F3, supervisor only, loop thread; nothing
 * blocks, except the fork.
 *
 * The process runs as the user of the desktop, in its mount namespace and control group, so that it ends with the desktop and its limits
 * apply. It outlives the supervisor, because a restart must not hide a warning, and ends by itself when its time is over.
 */
#ifndef HOST_MESSAGE_NOTICE_H
#define HOST_MESSAGE_NOTICE_H

#include "host/desktop/xprobe.h"
#include "host/message/notice_wire.h"
#include "lucid/list.h"

struct cgroup;
struct host;
struct notice;

struct notice_request {
	struct host *host;
	struct xprobe x;
	struct cgroup *cgroup; /* needed until notice_start returns; NULL: none */
	enum notice_level level;
	const char *text; /* copied; 1 to NOTICE_BYTES_MAX bytes of UTF-8 */
	unsigned seconds;
	/* Called once, never within notice_start: the window is mapped (err 0) and that many characters have no glyph, or why not.
	 * `message` is valid during the call. */
	void (*shown)(void *arg, int err, const char *message, int missing);
	/* The process has ended, and the notice is freed. Called after `shown`, not after notice_leave or notice_close. */
	void (*ended)(void *arg);
	void *arg;
};

struct notice *notice_start(const struct notice_request *r);
bool notice_is_shown(const struct notice *n);
void notice_close(struct notice *n); /* ends the process and frees the notice. If it was not shown yet, calls `shown` with an error */
void notice_leave(struct notice *n); /* the same, but a window that was shown stays until its time is over */

#endif
