/*
 * signature: signs what is posted to a webhook, in the scheme of Stripe. Floor F6, any thread, pure.
 *
 *   X-Lucid-Timestamp: T                   seconds since 1970
 *   X-Lucid-Signature: t=T,v1=HEX          HEX: HMAC-SHA256(secret, T + "." + body)
 *
 * The receiver computes HEX from the body as received, compares in constant time, and refuses a T that is minutes away from its own clock, so
 * that a recorded request cannot be sent again.
 */
#ifndef ALERT_SIGNATURE_H
#define ALERT_SIGNATURE_H

#include "lucid/base.h"

#define SIGNATURE_SIZE 100
#define SIGNATURE_TIME_SIZE 24

void signature_make(char dst[SIGNATURE_SIZE], char ret_time[SIGNATURE_TIME_SIZE], const char *secret, int64_t wall_s, const void *body,
		    size_t len);

#endif
