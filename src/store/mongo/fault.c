#include "store/mongo/fault.h"

#include <stdio.h>

#include "lucid/errs.h"

#define TIME_EXPIRED 50
#define DISK_FULL 14031

static bool is_of(const uint32_t *codes, size_t n, uint32_t code)
{
	for (size_t i = 0; i < n; i++)
		if (codes[i] == code)
			return true;
	return false;
}

/* An error that the server answered with; most concern this request alone. */
static void server_fault(struct mongo_fault *f, const bson_error_t *e)
{
	static const uint32_t leaving[] = { 6, 7, 89, 91, 189, 262, 9001, 10058, 10107, 11600, 11602, 13435, 13436 };
	static const uint32_t forbidden[] = { 13, 18 };
	f->err = -ERR_UNAVAILABLE;
	if (is_of(leaving, ARRAY_LEN(leaving), e->code)) {
		f->down = f->uncertain = true;
		snprintf(f->why, sizeof f->why, "MongoDB is electing a primary or shutting down; retrying");
	} else if (is_of(forbidden, ARRAY_LEN(forbidden), e->code)) {
		f->down = true;
		snprintf(f->why, sizeof f->why, "the MongoDB user lacks a privilege: grant the user of MONGODB_URL the role readWrite on its database");
	} else if (e->code == TIME_EXPIRED) {
		f->err = -ERR_DEADLINE;
		snprintf(f->why, sizeof f->why, "MongoDB took longer than STORE_TIMEOUT_MS");
	} else if (e->code == DISK_FULL) {
		snprintf(f->why, sizeof f->why, "MongoDB's disk is full: free some space there");
	} else {
		f->err = -ERR_INTERNAL;
		snprintf(f->why, sizeof f->why, "MongoDB answered: %.300s (code %u)", e->message, e->code);
	}
}

void mongo_fault_set(struct mongo_fault *f, const bson_error_t *e)
{
	*f = (struct mongo_fault){ .err = -ERR_UNAVAILABLE, .down = true };
	if (e->domain == MONGOC_ERROR_SERVER_SELECTION && !strstr(e->message, "uthentication")) {
		snprintf(f->why, sizeof f->why, "MongoDB is unreachable: start it, or correct MONGODB_URL (%.300s)", e->message);
	} else if (e->domain == MONGOC_ERROR_STREAM) {
		f->uncertain = e->code == MONGOC_ERROR_STREAM_SOCKET;
		snprintf(f->why, sizeof f->why, "the connection to MongoDB was lost or timed out; retrying");
	} else if (e->domain == MONGOC_ERROR_CLIENT || e->domain == MONGOC_ERROR_SERVER_SELECTION) {
		snprintf(f->why, sizeof f->why, "MongoDB rejects the login: correct user, password or authSource in MONGODB_URL");
	} else if (e->domain == MONGOC_ERROR_WRITE_CONCERN) {
		f->down = false;
		f->uncertain = true;
		snprintf(f->why, sizeof f->why, "too few members of the replica set confirmed a write: check their health");
	} else {
		f->down = false;
		server_fault(f, e);
	}
}
