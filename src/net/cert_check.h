/*
 * cert_check: checks whether a certificate and its key are usable, until when, and why not. Floor F2, any thread; cert_check_files reads
 * files, so a loop that must not block must not call it. Not for: TLS connections (tls.h), creating certificates
 * (host/xrdp_config/cert.h).
 */
#ifndef NET_CERT_CHECK_H
#define NET_CERT_CHECK_H

#include <stddef.h>

#include "lucid/base.h"

enum cert_fault {
	CERT_GOOD,
	CERT_UNREADABLE,
	CERT_EMPTY,
	CERT_DER,
	CERT_NO_PEM,
	CERT_CUT,
	CERT_CHAIN,
	CERT_UNUSABLE,
	CERT_EXPIRED,
	CERT_NOT_YET,
	KEY_UNREADABLE,
	KEY_EMPTY,
	KEY_DER,
	KEY_NO_PEM,
	KEY_CUT,
	KEY_ENCRYPTED,
	KEY_OTHER, /* it belongs to another certificate */
	KEY_UNUSABLE,
	CERT_FAULTS
};

struct cert_state {
	enum cert_fault fault;
	int err;	/* errno, if a file cannot be read */
	char detail[80]; /* OpenSSL's reason, or "" */
	bool key_open;	/* every account of the host can read the key file */
	int64_t not_before_ms, not_after_ms; /* of the first certificate; 0: it could not be parsed */
	char fingerprint[65]; /* its SHA-256, lower-case hex; "" */
	char name[65];	      /* its common name; "" */
};

/* An earlier time means that the clock is wrong: a board without a battery starts in 1970. Certificates are checked and created as if it
 * were this time. */
#define CERT_CLOCK_MIN_MS 1767225600000 /* 2026-01-01 */
int64_t cert_now_ms(void); /* the wall time, at least CERT_CLOCK_MIN_MS */

/* Contents of the two files; NULL: the file cannot be read, and ret->err says why. Expiry is checked last: an expired certificate with the
 * key of another one is KEY_OTHER. */
void cert_check(const char *cert, size_t cert_len, const char *key, size_t key_len, int64_t now_ms, struct cert_state *ret);
void cert_check_files(const char *cert_path, const char *key_path, int64_t now_ms, struct cert_state *ret);

const char *cert_fault_name(enum cert_fault f); /* "certificate_expired"; static */
bool cert_fault_is_of_key(enum cert_fault f);	/* whether it concerns the key file */
/* A sentence without the path: "the certificate expired at 2025-…; replace it" */
void cert_fault_text(const struct cert_state *s, char *dst, size_t size);

#endif
