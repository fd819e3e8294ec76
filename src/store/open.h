/* open: makes a store. Floor F3. What it does: lucid/store.h. */
#ifndef STORE_OPEN_H
#define STORE_OPEN_H

#include "lucid/loop.h"
#include "lucid/store.h"

struct store_options {
	const char *path;    /* of the file; its directory must be there */
	size_t queue_limit;  /* writes waiting; beyond it ERR_BUSY */
	unsigned timeout_ms; /* of one operation, waiting included */
	size_t cache_bytes;  /* of the write-through cache of serialised documents; 0: 8 MiB */
	const char *backup_dir; /* where the newest backup is looked for when the file is damaged; may be NULL */
	/* of MongoDB */
	const char *url; /* connection string; the database in it, or lucid_rdp */
	unsigned min_clients, max_clients; /* connections at the start, and at most */
	unsigned idle_ms; /* a thread without work for so long ends; 0: as it is; tests make time run faster */
};
/* Returns at once; the file is opened, checked and migrated on the writer's thread, and on_open tells how that went
 * (err 0, or a negated code with a sentence that says what to do). What is asked before waits, within queue_limit. When the
 * opening failed everything answers STORE_FAILED and it is tried again every two seconds unless `why` is final (newer
 * schema, not a store); on_open tells each outcome that differs from the one before. A final one is -ERR_INVALID, all others
 * -ERR_UNAVAILABLE. A damaged file is left as it is and not tried again either, but -ERR_UNAVAILABLE: `why` names the newest
 * backup. A disk too full to write is an opening that went well, followed by store_healthy saying so: reads work. */
struct store *store_open_embedded(struct loop *l, const struct store_options *o,
				  void (*on_open)(int err, const char *why, void *arg), void *arg);
/* The same on MongoDB, or what speaks its protocol: returns at once, and on_open tells. A server that is away is looked for all
 * the time, and what is asked meanwhile fails at once. Final (-ERR_INVALID): a newer schema, another program's database, a URL that is
 * none (store_check_mongo_url says so before, without what is secret in it), or a driver that is not there: it is a module of its own,
 * lucid-rdp-mongodb.so, loaded here and not before, as its library would cost every start 4 MiB and 9 ms. */
struct store *store_open_mongo(struct loop *l, const struct store_options *o,
			       void (*on_open)(int err, const char *why, void *arg), void *arg);
/* `timeout_ms`: as of the store's options; what the URL says itself of times may not go beyond it. */
int store_check_mongo_url(const char *url, unsigned timeout_ms, char *why, size_t size);
bool store_mongo_url_is_loopback(const char *url); /* all its hosts; of a URL that is one */
/* For who works on the file while no program has it: its lock, until ret_fd is closed. 0, or a negated error with a sentence. */
int store_lock(const char *path, int *ret_fd, char *why, size_t size);
/* Answers what is queued, checkpoints, ends the threads. Blocks for that; call after the drain. */
void store_close(struct store *s);

#endif
