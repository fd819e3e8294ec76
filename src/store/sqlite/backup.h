/*
 * backup: backs up and restores the embedded store. Floor F3; for sub-commands, and for the message about a damaged file. Blocks, needs no
 * loop, and works beside a running program. Not for: permissions and output (src/app/commands/backup.c, commands/restore.c).
 *
 * A backup is two files of mode 0600: lucid-DATE.db, a database of SQLite, and lucid-DATE.json, its manifest. Without the manifest it is
 * incomplete and ignored. Keys (JWT_SECRET, MASTER_KEY) are never in it.
 */
#ifndef STORE_SQLITE_BACKUP_H
#define STORE_SQLITE_BACKUP_H

#include "lucid/id.h"
#include "lucid/store.h"

#define BACKUP_NAME_SIZE 40

/* The contents of a copy. */
struct backup_facts {
	int schema;
	int64_t bytes, counts[COL_COUNT];
};

/* Copies a snapshot of the store at `path` into out_fd, an empty file open for reading and writing, and checks the copy. Writers continue
 * meanwhile. Call it in a child process, as the owner of the store: it redirects SQLite's files to the descriptor for good. 0, or a negated
 * error with a sentence. */
int backup_copy(const char *path, int out_fd, struct backup_facts *ret, char *why, size_t size);

/* Reads the contents of the store at `path`; as its owner. 0, or a negated error with a sentence. */
int backup_look(const char *path, struct backup_facts *ret, char *why, size_t size);

/* Copies the backup open at in_fd to `to`, which must not exist, checks it completely and migrates it. As the owner of the store. On failure
 * nothing is left at `to`. */
int backup_rehearse(int in_fd, const char *to, struct backup_facts *ret, char *why, size_t size);
/* Renames the rehearsed file `from` to `path`, the store, whose lock is held. The previous store is kept as `aside`. */
int backup_replace(const char *from, const char *path, const char *aside, char *why, size_t size);

/* backup_files.c: names. `ret` gets "lucid-20261121T031500.000Z"; the files are this with .db and .json. */
void backup_name(char ret[BACKUP_NAME_SIZE], int64_t wall_ms);
/* The path of the newest complete backup in a directory, freed by the caller; NULL: there is none, or the directory cannot be read. */
char *backup_newest(const char *dir);
/* Removes backups older than `days`, but never the newest, and files of interrupted backups. Returns how many backups were removed. */
size_t backup_sweep(const char *dir, int64_t days, int64_t now_ms);
/* SHA-256 of a whole file as hex; 0 or -errno. */
int backup_digest(int fd, char ret[ID_DIGEST_SIZE]);
json_t *backup_manifest(const char *name, const struct backup_facts *f, const char *digest, int64_t wall_ms);
/* False, with a sentence, if it is not the manifest of this file. */
bool backup_manifest_fits(const json_t *doc, const struct backup_facts *f, const char *digest, char *why, size_t size);

#endif
