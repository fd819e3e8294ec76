#include <errno.h>
#include <unistd.h>

#include "lucid/clock.h"
#include "lucid/log.h"
#include "lucid/str.h"
#include "sys/child/child.h"
#include "sys/child/child_internal.h"
#include "sys/child/process.h"
#include "sys/files.h"

/* Identifies the process of a child for the next supervisor. */

#define RECORD_MAX 4096

json_t *child_record(const struct child *c)
{
	char boot[BOOT_ID_SIZE];
	boot_id_read(boot);
	json_t *d = json_object();
	doc_set_int(d, "pid", c->pid);
	doc_set_int(d, "start", c->watch ? (int64_t)watch_start(c->watch) : 0);
	doc_set_str(d, "boot_id", boot);
	doc_set_int(d, "since", c->since_wall_ms);
	doc_set_int(d, "failures", c->failures);
	return d;
}

/* A record of an older version has no boot id; then its user has compared it. */
static bool of_this_boot(const json_t *record)
{
	char boot[BOOT_ID_SIZE];
	boot_id_read(boot);
	return str_eq(doc_str(record, "boot_id", boot), boot);
}

enum child_found child_adopt(struct child *c, const json_t *record)
{
	pid_t pid = (pid_t)doc_int(record, "pid", 0);
	uint64_t start = (uint64_t)doc_int(record, "start", 0);
	if (c->state != CHILD_GONE || !json_is_object(record) || !of_this_boot(record))
		return CHILD_FOUND_NONE;
	c->since_wall_ms = doc_int(record, "since", 0);
	c->since_boot_ms = proc_start_boot_ms(start);
	c->failures = (unsigned)doc_int(record, "failures", 0);
	if (pid <= 1 || !start) {
		/* it was backing off, and continues to: child_mourn will count the same failure again */
		c->failures -= c->failures > 0;
		return CHILD_FOUND_DEAD;
	}
	c->was_ready = true;
	c->watch = watch_new(c->all, pid, start, child_on_end, c);
	if (!c->watch)
		return CHILD_FOUND_DEAD;
	c->pid = pid;
	child_enter(c, CHILD_READY);
	loop_timer_clear(c->timer); /* the heartbeat is checked from the first beat that this supervisor receives */
	return CHILD_FOUND_ALIVE;
}

void child_mourn(struct child *c)
{
	const struct obituary o = { .code = -1, .lived_ms = MAX(clock_boot_ms() - c->since_boot_ms, 0) };
	if (c->state == CHILD_GONE)
		child_ended(c, &o, CHILD_UNSEEN, 0);
}

/* --- a record in a file */

void child_record_keep(const struct child *c)
{
	if (!c->record)
		return;
	if (c->state == CHILD_GONE || c->state == CHILD_GAVE_UP) {
		unlink(c->record);
		return;
	}
	_cleanup_(doc_unrefp) json_t *d = child_record(c);
	_cleanup_(xfreep) char *text = doc_text(d);
	int r = file_replace(c->record, text, strlen(text), 0600, 0);
	if (r < 0)
		log_error("child", "cannot write %s: %s; if this process ends now, the next one does not find %s (pid %d)", c->record, strerror(-r),
			  c->desc->name, (int)c->pid);
}

enum child_found child_resume(struct child *c, const char *record_path)
{
	_cleanup_(xfreep) char *text = file_read(record_path, RECORD_MAX, NULL);
	_cleanup_(doc_unrefp) json_t *d = text ? doc_parse(text, strlen(text), NULL, 0) : NULL;
	enum child_found found = child_adopt(c, d);
	free(c->record);
	c->record = xstrdup(record_path);
	if (found == CHILD_FOUND_DEAD)
		child_mourn(c);
	else if (found == CHILD_FOUND_NONE)
		child_start(c);
	return found;
}
