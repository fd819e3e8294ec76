#include "host/xrdp_config/profiles.h"
#include "host/observe/observe.h"
#include "host/observe/observed.h"
#include "lucid/str.h"

void host_profiles(struct host *h, UNUSED const json_t *in, host_done done, void *arg)
{
	json_t *out = json_object(), *list = json_array();
	profiles_refresh(h->profiles);
	for (size_t n = 0; n < profiles_count(h->profiles); n++) {
		const struct profile *p = profiles_at(h->profiles, n);
		json_t *doc = json_object();
		doc_set_str(doc, "name", p->name);
		doc_set_bool(doc, "installed", p->installed);
		doc_set_bool(doc, "default", str_eq(p->name, profiles_default(h->profiles)));
		json_array_append_new(list, doc);
	}
	doc_set(out, "desktops", list);
	/* without a namespace, a server runs the host's startwm.sh, so profiles do not apply */
	_cleanup_(xfreep) char *why = h->can_isolate ? profiles_fault(h->profiles, NULL) : NULL;
	doc_set_str(out, "default_fault", why);
	host_answer(h, done, arg, 0, NULL, out);
}
