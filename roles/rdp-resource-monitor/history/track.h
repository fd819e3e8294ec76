/* track: the history of one object while it is written. Floor F6; for the files of this folder alone. */
#ifndef MONITOR_TRACK_H
#define MONITOR_TRACK_H

#include "lucid/list.h"
#include "lucid/map.h"
#include "lucid/under_way.h"
#include "roles/rdp-resource-monitor/history/level.h"
#include "roles/rdp-resource-monitor/history/pack.h"

#define TRACKS_MAX 50000
#define WAITING_MAX 64 /* samples that are not stored yet; the oldest is dropped */
#define ROLLS_MAX 2048 /* complete slots that are not stored yet: more than 30 days of hours and a day of 5 minutes */
#define LOADS_AT_ONCE 8
#define ROLLS_AT_ONCE 8

struct keeper {
	struct role_env env;
	struct sampler *sampler;
	struct under_way *under_way;
	struct map *tracks; /* by "s:ID" */
	struct loop_timer *timer;
	size_t loading, rolling;
	int64_t expire_ms; /* monotonic: next removal of expired documents */
	bool expiring, stopped;
};

enum track_state {
	TRACK_NEW,     /* what is stored is not known */
	TRACK_LOADING, /* it is being read */
	TRACK_READY,
};

struct track {
	struct keeper *keeper;
	enum sample_kind kind;
	char id[SAMPLE_ID_MAX], node[SAMPLE_ID_MAX];
	enum track_state state;
	bool gone; /* no more samples come; what is complete is still written */
	bool lost; /* another process writes it now */
	/* raw samples: waiting[0..applied) are in `raw`, but not stored yet */
	struct point *waiting;
	size_t n_waiting, room, applied;
	struct pack *raw;
	int64_t raw_start_ms, raw_version; /* version 0: not stored */
	int64_t written_ms; /* time of the last sample in the write in progress */
	bool dirty, writing;
	/* slots */
	struct slot slot[LEVELS];
	int64_t rolled_to_ms[LEVELS]; /* loading: end of the last slot that is stored */
	struct list rolls; /* struct roll */
	size_t n_rolls;
	bool rolling;
};
struct roll {
	struct list node;
	enum level level;
	bool taken; /* by the write in progress */
	struct point point;
};

/* track.c */
struct track *track_get(struct keeper *k, enum sample_kind kind, const char *id, bool make);
void track_sample(struct track *t, const struct point *p);
void track_apply(struct track *t); /* moves waiting samples to the pack, as far as possible */
void track_stored(struct track *t); /* the write in progress succeeded */
void track_reset(struct track *t); /* reads again what is stored, before more is written */
void track_point(struct track *t, const struct point *p); /* a raw sample, to the slots */
void track_roll(struct track *t, enum level l, const struct point *p); /* a complete slot */
void track_close(struct track *t, int64_t now_ms); /* of an object that is gone: ends its slots when their time is over */
bool track_idle(const struct track *t); /* gone, and everything is written */
void track_free(void *track);

/* load.c */
void track_load(struct track *t);
/* roll.c */
void track_rolls_write(struct track *t);
/* keeper.c */
void keeper_pump(struct keeper *k);
/* expire.c */
void keeper_expire(struct keeper *k);

#endif
