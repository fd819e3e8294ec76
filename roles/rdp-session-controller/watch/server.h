/*
 * server: an RDP server as the controller sees it: its node and owner, its sessions that have not ended, and the desktops that its agent
 * listed last. Created on first use and kept until the program exits. Floor F6, loop thread only, never blocks.
 */
#ifndef SESSIONS_SERVER_H
#define SESSIONS_SERVER_H

#include "roles/rdp-session-controller/controller.h"

struct session;

#define ENDS_MAX 64 /* ends of desktops that are remembered for a server: more than it can have desktops at a time */

/* The end of a desktop: reported by its agent, or brought about here. */
struct desktop_end {
	int display; /* 0: unused */
	int64_t started_ms;
	int64_t at_us; /* monotonic */
	bool known;    /* its session has ended, or was deleted */
	char session_id[ID_UUID_SIZE]; /* "": not known */
	json_t *doc; /* as the agent reported it, with `reason`; NULL: not reported */
};

struct watched {
	struct controller *s;
	char id[ID_UUID_SIZE];
	const char *node, *owner; /* "": not known */
	const char *name;
	bool records;	/* recording.mode is "on" */
	const char *notice; /* shown to the people who are recorded; "": none */
	bool current; /* node, owner and name are those that rdp-server-manager has */
	struct list sessions; /* those that have not ended */
	struct desktop_end *ends; /* ENDS_MAX; NULL: none yet */
	size_t next_end;
	/* look.c */
	struct list due_node;
	bool due, looking, again;
	json_t *desktops;  /* the last listing, an array; NULL: none yet */
	int64_t asked_us; /* monotonic: when it was requested */
	int64_t asking_us; /* when the one was requested that is under way */
};

struct watched *watched_of(struct controller *s, const char *server_id); /* finds or creates; NULL: the id is not one of a server */
/* In place of a server, for sessions on foreign RDP hosts: without id, node and owner, and not followed. */
struct watched *watched_new_foreign(struct controller *s);
struct watched *watched_next(struct controller *s, struct map_pos *pos);
void watched_learn(struct watched *w, const json_t *server); /* a document of rdp-server-manager */
void watched_free(void *w);
/* The group of its sessions; NULL: its node is not known yet. */
struct place *watched_place(struct watched *w);
bool watched_leads(struct watched *w); /* this process follows its desktops */

/* The desktop of a listing; NULL: it is not in it. */
json_t *watched_desktop(const struct watched *w, int display, int64_t started_ms);
int64_t desktop_started_ms(const json_t *desktop); /* 0: unknown */
/* True if these are the times of the same desktop. The agent derives the time from that of a process if it lost its record. */
bool desktop_same_start(int64_t a_ms, int64_t b_ms);

/* The end of this desktop; NULL: none is remembered. */
struct desktop_end *watched_end_of(struct watched *w, int display, int64_t started_ms);
struct desktop_end *watched_end_add(struct watched *w, int display, int64_t started_ms); /* finds or creates */

/* A node and its sessions: a group of stored objects. */
struct place {
	struct object_group g;
	bool listing, again; /* listing its instances now; list them again afterwards */
	bool lost;	     /* the last listing failed */
	int64_t lost_us;     /* monotonic: since when listings have failed; 0: they have not */
	int64_t removed_us;  /* monotonic: when it was first missing in the list of nodes; 0: it is not */
	/* quotas_tell.c */
	uint64_t told; /* hash of what its agent was told last; 0: it may know nothing */
	bool telling, tell_again, tell_refused;
	bool limits_refused; /* its agent does not take limits of sessions; logged once */
	bool fully;	     /* the next listing is followed by one of each server, whatever its counts say */
};
static inline struct place *place_next(struct controller *s, struct map_pos *pos)
{
	return (struct place *)objects_next_group(s->objects, pos);
}

/* Whether the server records its sessions (recording.mode on), and the caller is neither an admin nor its owner: then the caller may neither
 * stop a recording, nor change what is recorded and how long it is kept. w may be NULL. */
bool watched_imposes(const struct watched *w, const struct caller *caller);
#define WATCHED_IMPOSES "the sessions of this server are recorded (recording.mode is on); only its owner or an admin may "

#endif
