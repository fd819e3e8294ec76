/*
 * health: whether the store is up, and if not, why; logs and reports changes. Floor F3, of this room alone, loop thread only. Its sentences
 * live as long as it does, because store_healthy returns them.
 */
#ifndef STORE_HEALTH_H
#define STORE_HEALTH_H

#include "lucid/list.h"

/* What a driver has reported: the last report, and the result of an opening. */
struct store_report {
	bool pending, opening, opened; /* opening: includes the result of an opening; opened: it succeeded, whatever err says of later reports */
	int err;
	char why[512];
};

struct store_why;
struct store_health {
	bool up, reported, reported_open; /* reported: on_open was called; reported_open: with success */
	int err;
	const struct store_why *why; /* NULL: the store is up, or there was no report yet */
	bool known;
	char *path; /* of the file; NULL: there is none */
	struct list whys;
	size_t nwhys;
	const char *note;
	void (*on_open)(int err, const char *why, void *arg);
	void *arg;
};

void store_health_init(struct store_health *h, const char *path, void (*on_open)(int err, const char *why, void *arg), void *arg);
void store_health_done(struct store_health *h);
/* Logs a change, and calls on_open for the result of an opening; on_open may free anything but the store. */
void store_health_take(struct store_health *h, const struct store_report *p);
/* A remark on a store that is up. Static text or NULL. */
void store_health_note(struct store_health *h, const char *note);
bool store_health_look(const struct store_health *h, const char **ret_why); /* as store_healthy */

#endif
