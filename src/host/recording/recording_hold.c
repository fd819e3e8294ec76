#include "host/recording/recording_hold.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "host/desktop/desktop.h"
#include "host/instance/instance.h"
#include "host/kernel/fs.h"
#include "lucid/log.h"
#include "lucid/str.h"

static bool refuses(const struct instance *i)
{
	return str_eq(doc_str(doc_get(i->spec, "recording"), "on_failure", "allow"), "refuse");
}

static char *hold_file(const struct instance *i, int display)
{
	return xasprintf("%s/recording-%d", i->etc, display);
}

void recording_hold_begin(const struct desktop *d)
{
	const struct instance *i = d->instance;
	_cleanup_(xfreep) char *path = hold_file(i, d->display);
	if (i->shared)
		return;
	if (!str_eq(doc_str(doc_get(i->spec, "recording"), "mode", "off"), "on") || (!*i->host->set.recorder && !refuses(i))) {
		unlink(path); /* of a desktop that ended while no supervisor ran */
		return;
	}
	int r = fs_write(path, refuses(i) ? "refuse\n" : "allow\n", 0644, 0);
	if (r < 0)
		log_error("host", "%s cannot be written: %s; the session on display :%d may begin before its recording", path, strerror(-r), d->display);
}

void recording_hold_end(struct host *h, const char *server_id, int display)
{
	const struct instance *i = instance_find(h, server_id);
	_cleanup_(xfreep) char *path = i ? hold_file(i, display) : NULL;
	if (path)
		unlink(path);
}

void recording_hold_failed(struct host *h, const char *server_id, int display)
{
	const struct instance *i = instance_find(h, server_id);
	if (i && !refuses(i))
		recording_hold_end(h, server_id, display);
}
