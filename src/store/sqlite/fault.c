#include "store/sqlite/fault.h"

#include <errno.h>
#include <stdio.h>

bool sqlite_fault_is_damage(int rc)
{
	return (rc & 0xff) == SQLITE_CORRUPT || (rc & 0xff) == SQLITE_NOTADB;
}

bool sqlite_fault_is_full(const struct sqlite_db *db, int rc)
{
	int os = db->h ? sqlite3_system_errno(db->h) : 0;
	return (rc & 0xff) == SQLITE_FULL || ((rc & 0xff) == SQLITE_IOERR && (os == ENOSPC || os == EDQUOT));
}

bool sqlite_fault_is_lasting(int rc)
{
	switch (rc & 0xff) {
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
	case SQLITE_IOERR:
	case SQLITE_CANTOPEN:
	case SQLITE_READONLY:
	case SQLITE_MISUSE:
		return true;
	default:
		return false;
	}
}

int sqlite_fault(const struct sqlite_db *db, int rc, char *why, size_t size)
{
	int os = db->h ? sqlite3_system_errno(db->h) : errno;
	int kind = rc & 0xff;
	if (kind == SQLITE_IOERR || kind == SQLITE_CANTOPEN) /* the error of the system is the cause of these */
		kind = os == ENOSPC || os == EDQUOT ? SQLITE_FULL : os == EROFS ? SQLITE_READONLY : kind;
	const char *path = db->path;
	switch (kind) {
	case SQLITE_FULL:
		snprintf(why, size, "the disk that holds %s is full: free some space there; writing then resumes by itself", path);
		break;
	case SQLITE_READONLY:
	case SQLITE_PERM:
		snprintf(why, size, "%s is not writable: make the file and its directory writable for the user that the server runs as",
			 path);
		break;
	case SQLITE_CANTOPEN:
		snprintf(why, size, "%s cannot be opened (%s): its directory must exist and belong to the user the server runs as",
			 path, os ? strerror(os) : "no reason given");
		break;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		snprintf(why, size, "%s %s", path, db->h ? "is damaged" : "is not a regular file: it cannot be a store");
		break;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		snprintf(why, size, "%s is locked by another program: end it; writing then resumes by itself",
			 path);
		break;
	default:
		snprintf(why, size, "%s cannot be used (%s%s%s): check the disk and the kernel log", path, sqlite3_errstr(rc),
			 os ? ", " : "", os ? strerror(os) : "");
	}
	return -ERR_UNAVAILABLE;
}
