/*
 * base: macros and memory functions that every file uses. Floor F0, any thread, never blocks.
 *
 * Clean-up attributes, ownership transfer, array length, and allocation that never returns NULL. Out of memory, the process prints a
 * line and aborts: a server that cannot allocate a few bytes could not send an error response either. The supervisor then restarts
 * it, and the store has every acknowledged write. Callers must bound sizes that come from outside.
 */
#ifndef LUCID_BASE_H
#define LUCID_BASE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))
#define PRINTF(f, a) __attribute__((format(printf, f, a)))
#define UNUSED __attribute__((unused))
#define NORETURN __attribute__((noreturn))
#define CONTAINER_OF(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

/* `_cleanup_(xfreep) char *s = …` frees at the end of the scope; TAKE_PTR hands it over instead. */
#define _cleanup_(f) __attribute__((cleanup(f)))
#define TAKE_PTR(p)                                                                                                    \
	({                                                                                                             \
		__typeof__(p) take_ = (p);                                                                             \
		(p) = NULL;                                                                                            \
		take_;                                                                                                 \
	})
#define TAKE_FD(fd)                                                                                                    \
	({                                                                                                             \
		int take_ = (fd);                                                                                      \
		(fd) = -1;                                                                                             \
		take_;                                                                                                 \
	})

/* malloc and related functions that abort the process, with a line on stderr, when memory runs out. The caller frees the result. */
void *xmalloc(size_t n) __attribute__((malloc, alloc_size(1)));
void *xcalloc(size_t n, size_t size) __attribute__((malloc, alloc_size(1, 2)));
void *xrealloc(void *p, size_t n) __attribute__((alloc_size(2)));
char *xstrdup(const char *s) __attribute__((malloc));
char *xstrndup(const char *s, size_t n) __attribute__((malloc));
char *xasprintf(const char *fmt, ...) PRINTF(1, 2) __attribute__((malloc));
char *xvasprintf(const char *fmt, va_list ap) PRINTF(1, 0) __attribute__((malloc));
#define XNEW(type) ((type *)xcalloc(1, sizeof(type)))

/* Destructors for _cleanup_: each takes the address of the variable. */
void xfreep(void *p);
void closep(int *fd);

/* Close and set to -1; -1 is allowed. Preserves errno. */
void fd_close(int *fd);

/* Overwrite n bytes in a way that the compiler cannot optimise away; for secrets. NULL is allowed if n is 0. */
void mem_wipe(void *p, size_t n);

/* A reference-counted, immutable byte string: serialised documents, bodies. The loop and the store threads share them, so the count is
 * atomic. A NUL, which `len` does not count, follows `data`. */
struct blob {
	int refs;
	size_t len;
	char data[];
};
struct blob *blob_new(const void *data, size_t len); /* copies; data NULL: uninitialised, to be filled in */
struct blob *blob_ref(struct blob *b);		     /* NULL gives NULL */
void blob_unref(struct blob *b); /* takes NULL */
void blob_unrefp(struct blob **b);

#endif
