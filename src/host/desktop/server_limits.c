#include "host/desktop/server_limits.h"

#include "host/instance/run.h"
#include "host/observe/observed.h"
#include "lucid/log.h"

static const char *const members[] = { "idle_timeout", "disconnected_timeout", "kill_disconnected" };

/* A definition is never changed in place: jobs and requests may refer to it. */
static void spec_set_limits(json_t **spec, const json_t *in)
{
	json_t *now = json_copy(*spec), *desktop = json_copy(json_object_get(*spec, "desktop"));
	if (!desktop)
		desktop = json_object();
	for (size_t k = 0; k < ARRAY_LEN(members); k++)
		json_object_set(desktop, members[k], json_object_get(in, members[k]));
	doc_set(now, "desktop", desktop);
	json_decref(*spec);
	*spec = now;
}

static void limits_changed(struct instance *i)
{
	const json_t *desktop = json_object_get(i->spec, "desktop");
	struct desktop *d;
	LIST_FOREACH (d, &i->observed->desktops, node)
		d->idle_ask_ms = 0; /* determined anew from the present limit */
	record_write(i);
	log_info("host", "limits of the desktops of server %s: %lld s without input, %lld s without a client (0: none)%s", i->id,
		 (long long)doc_int(desktop, "idle_timeout", 0), (long long)doc_int(desktop, "disconnected_timeout", 0),
		 doc_bool(desktop, "kill_disconnected", false) ? "; they end when their clients disconnect" : "");
}

void host_instance_limits(struct host *h, const json_t *in, host_done done, void *arg)
{
	struct instance *i = instance_of_request(h, in, done, arg);
	if (!i)
		return;
	_cleanup_(doc_unrefp) json_t *before = instance_limits_doc(i);
	spec_set_limits(&i->spec, in);
	if (i->next_spec) /* a restart is in progress */
		spec_set_limits(&i->next_spec, in);
	json_t *out = instance_limits_doc(i);
	if (!json_equal(before, out))
		limits_changed(i);
	host_answer(h, done, arg, ERR_OK, NULL, out);
}
