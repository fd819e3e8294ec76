#include "api/audit/recordings.h"

#include <stdio.h>

#include "api/audit/audit.h"
#include "lucid/str.h"

#define OBJECT_ROOM 200

static const struct {
	const char *topic;
	bool requested; /* if a user did it, the request has an entry of its own */
} noted[] = {
	{ "recording.started", true },	   { "recording.stopped", true },  { "recording.deleted", true },   { "recording.chunk", false },
	{ "recording.interrupted", false }, { "recording.viewed", false }, { "recording.verified", false }, { "recording.exported", false },
	{ "recording.rewrapped", false },   { "recording.sealed", false },
};

/* The recording, for a chunk also its number and hash: so the audit log, which is a chain of its own, vouches for it. */
static void recording_object(const struct event *e, char dst[OBJECT_ROOM])
{
	const char *hash = doc_str(e->data, "hash", NULL), *of = doc_str(e->data, "recording_id", e->object_id);
	int64_t seq = doc_int(e->data, "seq", -1);
	if (seq >= 0 && hash)
		snprintf(dst, OBJECT_ROOM, "%s/%lld sha256:%s", of, (long long)seq, hash);
	else if (hash)
		snprintf(dst, OBJECT_ROOM, "%s sha256:%s", of, hash);
	else
		snprintf(dst, OBJECT_ROOM, "%s", of);
}

static void on_recording(const struct event *e, void *arg)
{
	const char *by = doc_str(e->data, "by", NULL);
	char object[OBJECT_ROOM];
	if (e->origin[0])
		return; /* the audit log of the process that published it has it */
	for (size_t i = 0; i < ARRAY_LEN(noted); i++) {
		if (!str_eq(e->topic, noted[i].topic) || (noted[i].requested && by))
			continue;
		recording_object(e, object);
		audit_note(arg, &(struct audit_fact){
					.actor = by ? by : AUDIT_ACTOR,
					.action = noted[i].topic,
					.object = object,
					.from = doc_str(e->data, "from", NULL),
					.request_id = doc_str(e->data, "request_id", NULL),
				});
	}
}

struct subscription *audit_recordings(struct bus *b, struct audit *a)
{
	return a ? bus_subscribe(b, "recording.*", on_recording, a) : NULL;
}
