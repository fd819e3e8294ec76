/*
 * cert_watch: checks the certificate of the instances in a job: once a minute, on a reload, and when the clock was set. Floor F3,
 * supervisor only, loop thread. A self-signed certificate is renewed before it expires. Running instances take the new one, a few at a
 * time, by a restart in place, in which connections stay.
 */
#ifndef HOST_INSTANCE_CERT_WATCH_H
#define HOST_INSTANCE_CERT_WATCH_H

#include "host/core.h"

struct cert_watch *cert_watch_new(struct host *h);
void cert_watch_free(struct cert_watch *w); /* takes NULL */
/* Checks soon. With `renew`, every instance whose certificate differs from the files gets the new one; else only those whose own has
 * expired or is near its end. */
void cert_watch_look(struct cert_watch *w, bool renew);
void cert_watch_tick(struct cert_watch *w); /* once a second */
/* What was wrong with it at the last check, without a path; NULL: nothing. Also schedules a check. */
const char *cert_watch_fault(struct cert_watch *w);

#endif
