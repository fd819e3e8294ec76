/*
 * recording_dirs: work on the directories of recordings, as jobs, because the disk may be slow. Floor F3, in forked children only, except
 * the functions that are marked.
 *
 * A recording has SESSION_STORAGE_PATH/{id} with manifest.json and seal.json, and CHUNK_STORAGE_PATH/{id} with chunks and index; by default
 * both are one directory. They belong to the account of recorders and are closed to all others; the directories above them are root's. So
 * nothing in them is trusted: links are not followed, and what parses their files runs under that account.
 *
 * Whoever holds the lock (flock) on the directory of the chunks may write there. The recorder holds it through the descriptor that it gets,
 * until it has ended. So a supervisor never starts a recorder beside one that its predecessor left.
 */
#ifndef HOST_RECORDING_RECORDING_DIRS_H
#define HOST_RECORDING_RECORDING_DIRS_H

#include "host/core.h"
#include "host/recording/recorder_account.h"
#include "lucid/id.h"

struct recording_dirs {
	char id[ID_UUID_SIZE];
	char *session, *chunks; /* the same text if they are one */
	struct recorder_account account;
	bool is_root;
};
/* On the loop; both are. The id must be a UUID. */
void recording_dirs_of(struct recording_dirs *ret, const struct host *h, const char *id);
void recording_dirs_done(struct recording_dirs *d);
/* On the loop: opens a regular file in one of the directories, without following a link; -1 with errno. */
int recording_dirs_open(const struct recording_dirs *d, const char *name);
bool recording_is_document(const char *name); /* manifest.json, seal.json */

/* Exit codes of the jobs; with PREPARE_FAILED and PREPARE_DAMAGED, their text says why. */
enum { PREPARE_FULL = 30, PREPARE_EXISTS, PREPARE_LOCKED, PREPARE_DAMAGED, PREPARE_FAILED };

/* Job: makes the directories of a new recording with its manifest, or repairs those of one that is continued or over; takes the lock. Prints
 * "NEXT_SEQ PREV_HASH END_MS CHUNKS BYTES TORN", and passes the descriptor of the directory of the chunks, unless `over`. */
struct recording_prepare {
	struct recording_dirs dirs;
	const char *manifest; /* of a new recording; NULL: its directories exist */
	bool over;
	int64_t high_water; /* of a new recording: fails with PREPARE_FULL if less is free; 0: not checked */
	pid_t old_pid;	    /* a recorder that may still run, and is killed if it keeps the lock; 0: none */
	uint64_t old_start;
};
int recording_prepare_run(void *prepare, int out);
/* On the loop: what the job printed. */
struct recording_found {
	uint32_t next_seq, chunks, torn; /* torn: found by this job */
	char head[65]; /* "": there is no chunk */
	int64_t end_ms, bytes;
};
bool recording_prepare_parse(const char *text, struct recording_found *ret);

/* Job: replaces manifest.json or seal.json. When it ends with 0, the text is on the disk. */
struct recording_document {
	struct recording_dirs dirs;
	char *name, *text;
};
int recording_document_run(void *document, int out);

/* Job over a struct recording_dirs: removes everything of a recording. 0 also if there is nothing. Interrupted, it is completed when it is
 * repeated, or by recording_sweep_run. */
int recording_remove_run(void *dirs, int out);

/* Jobs over struct recording_roots: print "FREE USED", USED -1 unless counted; and remove what interrupted removals left. */
struct recording_roots {
	char *session, *chunks;
	bool count;
};
int recording_storage_run(void *roots, int out);
int recording_sweep_run(void *roots, int out);

#endif
