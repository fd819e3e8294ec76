/*
 * reasons: why an instance could not be prepared, in three forms: a word for its status; a sentence for everyone who may see the server,
 * which names settings but no paths; a line for the log and for admins, which names the file. Floor F3, supervisor and its jobs; does not
 * block.
 */
#ifndef HOST_REASONS_H
#define HOST_REASONS_H

#include "host/core.h"
#include "net/cert_check.h"

struct reason {
	char word[40], told[240], line[400];
};

/* For a path that could not be created, read or written. */
void reason_of_path(const struct host *h, const char *path, int err, struct reason *ret);
/* For an unusable certificate, configured or generated. */
void reason_of_certificate(const struct host *h, const char *cert_path, const char *key_path, const struct cert_state *s,
			   struct reason *ret);
/* The form in which jobs pass it on: three lines. */
void reason_print(const struct reason *r, int out);
bool reason_parse(const char *text, struct reason *ret);

/* The word as static text, as instances keep it; `otherwise` if it is unknown. */
const char *reason_word(const char *word, const char *otherwise);
/* Whether the cause can pass by itself: a full disk, an expired certificate. */
bool reason_heals(const char *word);
bool reason_is_of_certificate(const char *word);

#endif
