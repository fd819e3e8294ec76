/* errs: every error that the program can return, one row each in errs.def. Floor F0, any thread, never blocks.
 * Functions return 0 or a negated code: `return -ERR_INVALID;`. */
#ifndef LUCID_ERRS_H
#define LUCID_ERRS_H

#include "lucid/base.h"

enum err {
	ERR_OK = 0,
#define ERR(name, code, status, again, text) ERR_##name,
#include "lucid/errs.def"
#undef ERR
	ERR_COUNT
};

/* Each accepts a code or its negation; an unknown code is treated as ERR_INTERNAL. */
const char *err_name(int err);	   /* "INVALID" */
const char *err_code(int err);	   /* "LUCID_ERR_0005" */
int err_status(int err);	   /* HTTP status */
bool err_again(int err);	   /* whether a retry of the same request may succeed */
const char *err_text(int err);	   /* the default message */
int err_from_name(const char *s);  /* the code, ERR_INTERNAL when unknown; for frames between processes */
int err_from_code(const char *s);  /* the first row with this LUCID_ERR_…, ERR_INTERNAL when unknown; for answers over REST */

#endif
