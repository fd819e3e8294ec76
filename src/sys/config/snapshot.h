/*
 * snapshot: struct config: a value for each row of the option table. Floor F1. For this folder only; others read a snapshot through
 * lucid/config.h.
 */
#ifndef SYS_CONFIG_SNAPSHOT_H
#define SYS_CONFIG_SNAPSHOT_H

#include "lucid/config.h"
#include "lucid/map.h"
#include "sys/config/value.h"

struct config {
	const struct option *rows;
	size_t n;
	struct config_value *values;
	struct map *index; /* name → row */
	struct config_value *parked; /* replaced by a reload; callers may still hold their text */
	size_t nparked;
};

/* All defaults; faults in them go to `faults`. */
struct config *snapshot_new(const struct option *rows, size_t n, struct strbuf *faults);
void snapshot_free(struct config *c); /* wipes all values */
/* The row of a setting; asserts that the name exists. */
size_t snapshot_row(const struct config *c, const char *name);
/* False with a fault if `text` is not a valid value of the row; the value then stays. */
bool snapshot_set(struct config *c, size_t row, const char *text, const char *source, bool given, struct strbuf *faults);
/* "NAME: \"value\" from SOURCE: WHAT", with the value of a secret masked. */
void snapshot_fault(const struct config *c, size_t row, const char *text, const char *source, struct strbuf *faults, const char *what);

#endif
