/* open: opens and closes a store. Floor F3, loop thread. Not for: using it (lucid/store.h). */
#ifndef STORE_OPEN_H
#define STORE_OPEN_H

#include "lucid/loop.h"
#include "lucid/store.h"

struct store_options {
	const char *path;    /* of the file; its directory must exist */
	size_t queue_limit;  /* of pending writes, and of pending reads; further ones get ERR_BUSY */
	unsigned timeout_ms; /* of one operation, including the wait in the queue */
	size_t cache_bytes;  /* of the write-through cache of serialised documents; 0: 8 MiB */
	const char *backup_dir; /* if the file is damaged, the message names the newest backup in here; may be NULL */
	/* of MongoDB */
	const char *url; /* connection string; the database in it, or lucid_rdp */
	unsigned min_clients, max_clients; /* connections at the start, and their maximum */
	unsigned idle_ms; /* a thread ends after this time without work; 0: the default; tests set a shorter one */
};
/* Returns at once. The writer's thread opens, checks and migrates the file, and on_open reports the result: err 0, or a negated error with a
 * sentence that says what to do. Requests made before wait, within queue_limit.
 * After a failure all requests get STORE_FAILED, and opening is retried every two seconds; on_open reports each result that differs from the
 * last. -ERR_INVALID is final and not retried (a newer schema, or not a store); other errors are -ERR_UNAVAILABLE. A damaged file
 * is not changed and not retried either, but reported as -ERR_UNAVAILABLE; `why` names the newest backup. If the disk is too full to write,
 * opening succeeds, reads work, and store_healthy reports the full disk. */
struct store *store_open_embedded(struct loop *l, const struct store_options *o,
				  void (*on_open)(int err, const char *why, void *arg), void *arg);
/* The same on MongoDB, or a server that speaks its protocol. While the server is unreachable, connecting is retried and requests fail at
 * once. -ERR_INVALID is final: a newer schema, another program's database, an invalid URL (store_check_mongo_url finds out earlier,
 * without quoting its secrets), or a missing driver. The driver is the module lucid-rdp-mongodb.so, which is loaded only here, as its
 * library costs 4 MiB and 9 ms. */
struct store *store_open_mongo(struct loop *l, const struct store_options *o,
			       void (*on_open)(int err, const char *why, void *arg), void *arg);
/* 0, or -ERR_INVALID with a sentence that quotes nothing of the URL. Timeouts in the URL may not exceed `timeout_ms`, which is that of the
 * store's options. */
int store_check_mongo_url(const char *url, unsigned timeout_ms, char *why, size_t size);
bool store_mongo_url_is_loopback(const char *url); /* all hosts of a valid URL */
/* Locks the file of the embedded store until ret_fd is closed, for commands that need a stopped program. 0, or a negated error with a sentence. */
int store_lock(const char *path, int *ret_fd, char *why, size_t size);
/* Answers queued requests, checkpoints, and ends the threads; blocks for that. Called after the drain. */
void store_close(struct store *s);

#endif
