/*
 * messages: words to the person on a desktop, each in a window of its own. Floor F3, supervisor only, loop thread; does not block.
 *
 * Bounds: the windows of a desktop (a further one replaces the oldest, notice_wire.h), messages to a desktop per minute, and messages of the
 * host that are about to be shown.
 */
#ifndef HOST_MESSAGE_MESSAGES_H
#define HOST_MESSAGE_MESSAGES_H

#include "host/callbacks.h"

struct desktop;
struct host;

/* Entry for host.desktop.message. Answers when the window is mapped. */
void host_desktop_message(struct host *h, const json_t *in, host_done done, void *arg);

/* Shows a warning of the supervisor itself, for at most this time. It does not count as one of the messages per minute, which others send. A
 * failure is logged. */
void messages_warn(struct desktop *d, const char *text, unsigned seconds);

void messages_close(struct desktop *d); /* the desktop has ended: ends the processes of its windows */
void messages_leave(struct desktop *d); /* the desktop is forgotten: windows that are shown stay until their time is over */

/* The allowance of one desktop: MESSAGES_BURST at once, then one in MESSAGES_EACH_MS. Takes one at this monotonic time; returns 0, or the
 * milliseconds until there is one. All zero at first. */
#define MESSAGES_BURST 6
#define MESSAGES_EACH_MS 10000
struct message_rate {
	int64_t full_ms; /* monotonic: when the whole allowance is available again */
};
int64_t message_rate_take(struct message_rate *r, int64_t now_ms);

/* Whether the text is one to show: not only blanks. Lengths and control characters are checked by the shape of the operation. */
bool message_text_ok(const char *text);

#endif
