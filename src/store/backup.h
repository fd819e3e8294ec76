/*
 * backup: copies of the embedded store, and the way back. Floor F3; for sub-commands and for the sentence about a damaged
 * file: blocks, needs no loop, works beside a running program. Not for: who may read and write what, and what is printed
 * (src/app/cmd_backup.c, cmd_restore.c).
 *
 * A backup is two files of mode 0600: lucid-DATE.db, which SQLite opens as it is, and lucid-DATE.json, its manifest; there
 * is a backup when both are there. Keys (JWT_SECRET, MASTER_KEY) are never in it.
 */
#ifndef STORE_BACKUP_H
#define STORE_BACKUP_H

#include "lucid/id.h"
#include "lucid/store.h"

#define BACKUP_NAME_SIZE 40

/* What is in a copy. */
struct backup_facts {
	int schema;
	int64_t bytes, counts[COL_COUNT];
};

/* Copy the store at `path` as it is at one moment into out_fd, an empty file open for reading and writing, and check the
 * copy. Writers go on meanwhile. The process is of no other use afterwards (SQLite is told to write to a descriptor): call it
 * in a child, as the owner of the store. 0, or a negated error with a sentence. */
int backup_copy(const char *path, int out_fd, struct backup_facts *ret, char *why, size_t size);

/* What is in the store at `path`, read only; as its owner. 0, or a negated error with a sentence. */
int backup_look(const char *path, struct backup_facts *ret, char *why, size_t size);

/* Copy the backup open at in_fd to `to`, which must not be there, as a store: checked whole, and migrated. As the owner of
 * the store. On failure nothing is left at `to`. */
int backup_rehearse(int in_fd, const char *to, struct backup_facts *ret, char *why, size_t size);
/* Put the rehearsed file `from` in the place of the store at `path`, whose lock is held; what was there is kept at
 * `aside`. */
int backup_replace(const char *from, const char *path, const char *aside, char *why, size_t size);

/* backup_files.c: names. `ret` gets "lucid-20261121T031500.000Z"; the files have .db and .json behind it. */
void backup_name(char ret[BACKUP_NAME_SIZE], int64_t wall_ms);
/* The path of the newest whole backup in a directory, to be freed; NULL: there is none, or it cannot be read. */
char *backup_newest(const char *dir);
/* Remove what is older than `days`, but never the newest, and what an interrupted backup left. Returns how many went. */
size_t backup_sweep(const char *dir, int64_t days, int64_t now_ms);
/* SHA-256 of a whole file as hex; 0 or -errno. */
int backup_digest(int fd, char ret[ID_DIGEST_SIZE]);
json_t *backup_manifest(const char *name, const struct backup_facts *f, const char *digest, int64_t wall_ms);
/* False with a sentence: it is not the manifest of this file. */
bool backup_manifest_fits(const json_t *doc, const struct backup_facts *f, const char *digest, char *why, size_t size);

#endif
