/*
 * queues: what the threads of the embedded store share: the two queues of requests, the state of the file, and the lock that protects
 * both. Floor F3, of this room alone. The loop thread adds requests (sqlite/driver.c), one writer takes writes (sqlite/writer.c), up to
 * SQLITE_READERS readers take reads (sqlite/reader.c).
 * Not for: what a request does to the database (sqlite/db.h, sqlite/query.c).
 */
#ifndef STORE_SQLITE_QUEUES_H
#define STORE_SQLITE_QUEUES_H

#include <pthread.h>

#include "store/sqlite/db.h"

#define SQLITE_READERS 2
#define SQLITE_STACK_BYTES (256 * 1024) /* of each thread */
#define SQLITE_WHY_SIZE 512		/* of a sentence that says why something failed */

enum sqlite_state {
	SQLITE_STATE_OPENING,
	SQLITE_STATE_UP,
	SQLITE_STATE_DOWN,  /* the writer tries to open the file again */
	SQLITE_STATE_FINAL, /* it does not: the file is not ours, too new, or damaged */
};

/* Used by the writer's thread alone. */
struct sqlite_writer {
	pthread_t thread;
	struct sqlite_db db;
	int lock_fd;
	bool tried;	/* to open the file, at least once */
	bool log_grown; /* the write-ahead log has something to copy into the file */
	int64_t next_try_ms, commit_us /* the last commit took */;
	size_t last_batch;
};

struct store_driver {
	struct store *store;
	char *path, *backup_dir;
	struct sqlite_writer writer;
	/* what follows is protected by the lock */
	pthread_mutex_t lock;
	pthread_cond_t work, reads_more; /* for the writer; for the readers */
	struct list writes, reads;
	size_t waiting_writes, wake_at; /* the writer is woken when this many wait */
	size_t waiting_reads, nreaders, idle_readers;
	pthread_t readers[SQLITE_READERS];
	enum sqlite_state state;
	unsigned epoch; /* raised each time the file is opened; a reader with an older one opens it again */
	bool closing;
	bool failing; /* a read or write failed; the writer probes until a write succeeds */
	bool damage_seen;
};

void sqlite_queues_init(struct store_driver *d);
void sqlite_queues_done(struct store_driver *d); /* empty, and no thread uses them any more */

/* With the lock held. False: the time is over. */
bool sqlite_wait_us(struct store_driver *d, pthread_cond_t *c, int64_t us);
/* Answers these requests with `err`. Without the lock. */
void sqlite_fail_requests(struct store_driver *d, struct list *requests, int err);
/* The same for all requests in both queues. */
void sqlite_fail_waiting(struct store_driver *d, int err);

#endif
