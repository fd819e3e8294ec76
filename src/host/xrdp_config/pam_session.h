/*
 * pam_session: the session part of an instance's PAM file, taken over from the host's configuration. Floor F3. The parser is pure;
 * pam_session_host reads files and blocks on the disk, so it runs in a job.
 *
 * Modules such as pam_mkhomedir, pam_umask, pam_mount, pam_krb5 and pam_sss have to run for a desktop as they do for ssh. Only excluded
 * modules do not run: pam_systemd would move the desktop out of the control group of its server.
 *
 * The lines are copied, with `@include` and `include` expanded in place, as Linux-PAM does. A `substack` becomes a file of its own, because
 * "done" and "die" end a substack only. An excluded line is replaced by pam_permit.so with the same type and control. The number of lines
 * stays, so jumps such as [success=2 default=ignore] keep their targets.
 */
#ifndef HOST_XRDP_CONFIG_PAM_SESSION_H
#define HOST_XRDP_CONFIG_PAM_SESSION_H

#include "lucid/base.h"

#define PAM_SESSION_FILES 17 /* the session part, and at most 16 substacks */
#define PAM_SESSION_FILE_MAX 65536
#define PAM_SESSION_DEPTH 16 /* of nested files; also the bound of Linux-PAM on substacks */
#define PAM_SESSION_READS 128 /* files read for one session part, with repetitions */
#define PAM_SESSION_NOTES_MAX 4096

/* The text of the PAM file with that name, as given to @include; the caller frees; NULL: there is none. */
typedef char *(*pam_session_read)(void *arg, const char *name);

struct pam_session {
	char *text[PAM_SESSION_FILES]; /* [0]: the session part; then its substacks */
	size_t n;
	char *notes; /* a line for each part that was left out; "": none */
};

/* The session part of the host: that of xrdp-sesman if it includes common-session (Debian) or there is no common-session, else that of
 * common-session; only pam_unix.so if the host has neither. pam_limits.so is put first if it is missing. `exclude`: names of modules,
 * NULL-ended, with or without ".so"; NULL: none. */
void pam_session_take(struct pam_session *ret, pam_session_read read, void *arg, const char *const *exclude);
/* The same from the files that PAM reads. */
void pam_session_host(struct pam_session *ret, const char *const *exclude);
void pam_session_done(struct pam_session *s);

/* The name of the nth file in /etc/xrdp of the instance: pam-session, pam-session-1, … Static text until the next call. */
const char *pam_session_name(size_t n);

#endif
