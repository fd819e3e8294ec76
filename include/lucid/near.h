/* near: whether an unknown name is probably a misspelling of a known one. Floor F0, any thread, allocates nothing. */
#ifndef LUCID_NEAR_H
#define LUCID_NEAR_H

#include <stdbool.h>

/* Whether `given` differs from `known` only in case, in '-' for '_' or in leading dashes; in one letter that is missing, added, changed or
 * swapped with its neighbour (two in names of eight letters and more); in the order of its words; or in words that are abbreviated or spelt
 * out (BIND_ADDR, DATA_DIRECTORY) and in missing words at the end (TLS_CERT). Equal names are near. */
bool near_alike(const char *given, const char *known);

#endif
