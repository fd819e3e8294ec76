/*
 * fold: case-insensitive search. Floor F0, any thread, never blocks. Upper and lower case are those of the C.UTF-8 locale; if the C
 * library does not have it, only ASCII letters have two cases. Text is valid UTF-8.
 */
#ifndef LUCID_FOLD_H
#define LUCID_FOLD_H

#include "lucid/base.h"

/* Returns the code point at *p and moves *p behind it; 0 at the end. */
uint32_t fold_next(const char **p);
uint32_t fold_lower(uint32_t c);
uint32_t fold_upper(uint32_t c);
/* Whether s contains `part`, where each character may be as in `part`, or in lower or upper case. Every s contains "". */
bool fold_contains(const char *s, const char *part);

#endif
