/*
 * start_report: what the PAM hook finds out about the start of a desktop when its session closes. Floor F3; runs in the process that
 * pam_exec starts in the namespace of the instance, where it may block. Not for: the supervisor, which gets the text only.
 */
#ifndef HOST_DESKTOP_START_REPORT_H
#define HOST_DESKTOP_START_REPORT_H

#include "lucid/base.h"

#define START_REPORT_MAX 3072

/* The first byte of a report. */
enum { START_ENDED = 'e', START_FAILED = 'f', START_UNKNOWN = 'u', START_NOT_RUN = 'n' };

/* Switches from root to that account for good, and writes into dst what its login script left for display `tty` (":10"): one of the bytes
 * above, then lines with faults of its home directory and shell, and with the output of the script. "" if there is no such account. The
 * file of the script belongs to the user, so its lines are untrusted: they are displayed and never interpreted. */
void start_report(char dst[START_REPORT_MAX], const char *user, const char *tty);

#endif
