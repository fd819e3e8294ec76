/* fuzz: the entry point of each harness; libFuzzer calls it, or replay.c with the committed corpus. A harness checks properties that hold for
 * any input, not only that nothing crashes. */
#ifndef TEST_FUZZ_H
#define TEST_FUZZ_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The input as a NUL-terminated string, in memory of exactly that size, so that sanitizers detect a read beyond it. */
static inline char *fuzz_text(const uint8_t *data, size_t size)
{
	char *s = malloc(size + 1);
	if (size)
		memcpy(s, data, size);
	s[size] = 0;
	return s;
}

#endif
