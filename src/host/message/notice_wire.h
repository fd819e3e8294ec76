/*
 * notice_wire: what the supervisor and the program of a message window (src/notice) exchange. Floor F3; types only.
 *
 * The program gets three descriptors: 0 is a struct notice_input and the text after it, in memory; NOTICE_REPORT takes one line,
 * "shown N", when the window is mapped (N: characters without a glyph); NOTICE_X is a connected socket of the X server. It ends when the
 * window was dismissed or its time is over.
 */
#ifndef HOST_MESSAGE_NOTICE_WIRE_H
#define HOST_MESSAGE_NOTICE_WIRE_H

#include <stdint.h>

#define NOTICE_FILE "lucid-rdp-notice"
#define NOTICE_MAGIC 0x3165746e
enum { NOTICE_REPORT = 3, NOTICE_X = 4, NOTICE_PROGRAM = 5 };

#define NOTICE_CHARS_MAX 2000
#define NOTICE_BYTES_MAX (4 * NOTICE_CHARS_MAX)
#define NOTICE_SECONDS_MAX 120
#define NOTICE_X_SECONDS 3 /* how long an X server may take to answer */
#define NOTICE_COOKIE 16
#define NOTICE_WINDOWS_MAX 4 /* of one display; a further one replaces the oldest */

enum notice_level { NOTICE_INFO, NOTICE_WARNING, NOTICE_CRITICAL, NOTICE_LEVELS };

struct notice_input {
	uint32_t magic, level, seconds, bytes;
	unsigned char cookie[NOTICE_COOKIE];
};

/* Exit codes. NOTICE_NO_COOKIE to NOTICE_NO_ACCOUNT: before the program is executed. */
enum {
	NOTICE_OK = 0,
	NOTICE_BAD_INPUT = 20,
	NOTICE_X_REFUSED, /* no connection, or an answer that is not one of an X server */
	NOTICE_X_SILENT,
	NOTICE_NO_FONT,
	NOTICE_NO_COOKIE,
	NOTICE_NO_NAMESPACE,
	NOTICE_NO_ACCOUNT,
	NOTICE_NO_PROGRAM,
};

#endif
