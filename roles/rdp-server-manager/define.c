#include "roles/rdp-server-manager/servers.h"

#include "lucid/clock.h"

/* Members of the InstanceSpec that come from the definition as they are. */
static const char *const spec_members[] = { "server_id", "name",     "user_id",	 "port",   "display",
					    "desktop",	 "security", "channels", "limits", "restart_policy" };
/* What a running instance was made from. The others it does not know: a client asks for the size it wants, and learns ours
 * from the .rdp file. */
static const char *const rendered[] = { "display.color_depth", "desktop", "security", "channels", "limits", "restart_policy" };
static const char *const writable[] = { "description", "tags",	 "metadata",	   "display",	 "desktop",  "security",
					"channels",    "limits", "restart_policy", "auto_start", "recording" };

static const struct shape *body_shape(void)
{
	static const struct op *row;
	if (!row)
		row = op_find("rdp.servers.create");
	return row->in;
}

json_t *server_define(struct manager *m, const char *id, const char *user, const char *node, int port, const json_t *body,
		      int64_t now_ms)
{
	json_t *given = json_copy((json_t *)body), *doc = json_object();
	if (json_is_null(json_object_get(given, "description")))
		json_object_del(given, "description");
	shape_defaults(body_shape(), given);
	bool run = doc_bool(given, "auto_start", true);
	doc_set_str(doc, "server_id", id);
	json_object_set(doc, "name", json_object_get(given, "name"));
	json_object_set(doc, "description", json_object_get(given, "description"));
	doc_set_str(doc, "user_id", user);
	doc_set_str(doc, "node", node);
	doc_set_str(doc, "host", place_host(m, node));
	doc_set_int(doc, "port", port);
	doc_set_str(doc, "status", server_status_to_string(run ? SERVER_CREATING : SERVER_STOPPED));
	static const char *const unknown_yet[] = { "status_reason", "backend", "isolation" };
	for (size_t i = 0; i < ARRAY_LEN(unknown_yet); i++)
		doc_set(doc, unknown_yet[i], NULL);
	doc_set_bool(doc, "pending_restart", false);
	for (size_t i = 1; i < ARRAY_LEN(writable); i++)
		json_object_set(doc, writable[i], json_object_get(given, writable[i]));
	doc_set_int(doc, "version", 1);
	doc_set_time(doc, "created_at", now_ms);
	doc_set_time(doc, "updated_at", now_ms);
	doc_set(doc, "started_at", NULL);
	doc_set(doc, "stopped_at", NULL);
	json_decref(given);
	return doc;
}

/* Only what the agent says it has; while it was never asked, it says so itself when the server starts. */
static void check_profile(struct manager *m, const json_t *doc, struct faults *f)
{
	const char *wanted = doc_str(json_object_get(doc, "desktop"), "profile", NULL);
	struct strbuf known = { 0 };
	json_t *profile;
	size_t i;
	bool found = !wanted || !json_array_size(m->profiles);
	json_array_foreach(m->profiles, i, profile)
	{
		const char *name = doc_str(profile, "name", "");
		found |= wanted && str_eq(name, wanted);
		strbuf_printf(&known, "%s%s", i ? ", " : "", name);
	}
	if (!found)
		faults_add(f, "desktop.profile", "must be one of: %s", known.s);
	strbuf_done(&known);
}

void server_check(struct manager *m, const json_t *doc, const char *node, struct faults *f)
{
	int64_t cores, memory_mb;
	place_capacity(m, node, &cores, &memory_mb);
	const json_t *display = json_object_get(doc, "display"), *limits = json_object_get(doc, "limits");
	int64_t depth = doc_int(display, "color_depth", 24);
	if (depth != 8 && depth != 15 && depth != 16 && depth != 24 && depth != 32)
		faults_add(f, "display.color_depth", "must be 8, 15, 16, 24 or 32");
	if (doc_int(limits, "cpu_percent", 1) > 100 * cores)
		faults_add(f, "limits.cpu_percent", "must be at most %lld: the host has %lld cores of 100 each",
			   (long long)(100 * cores), (long long)cores);
	if (doc_int(limits, "memory_mb", 64) > memory_mb)
		faults_add(f, "limits.memory_mb", "must be at most %lld, the host's memory", (long long)memory_mb);
	check_profile(m, doc, f);
	int first = (int)config_int(m->env.config, "PORT_RANGE_START"), last = (int)config_int(m->env.config, "PORT_RANGE_END");
	int64_t port = doc_int(doc, "port", first);
	if (port < first || port > last)
		faults_add(f, "port", "must be from %d to %d, the configured range", first, last);
}

void server_check_admin(const struct caller *c, const json_t *body, struct faults *f)
{
	static const char *const admins[] = { "user_id", "node", "port" };
	for (size_t i = 0; !caller_is_admin(c) && i < ARRAY_LEN(admins); i++)
		if (json_object_get(body, admins[i]))
			faults_add(f, admins[i], "only an admin may set it");
}

json_t *server_merge(const json_t *doc, const json_t *patch)
{
	json_t *out = json_copy((json_t *)doc), *plain = json_object();
	for (size_t i = 0; i < ARRAY_LEN(writable); i++) {
		json_t *p = json_object_get(patch, writable[i]), *old = json_object_get(doc, writable[i]);
		if (json_is_object(p))
			json_object_set_new(plain, writable[i], doc_merge(old, p));
		else if (p && !json_is_null(p))
			json_object_set(plain, writable[i], p);
		else if (!p && old)
			json_object_set_new(plain, writable[i], json_deep_copy(old)); /* defaults below are written in place */
	}
	shape_defaults(body_shape(), plain);
	for (size_t i = 0; i < ARRAY_LEN(writable); i++)
		json_object_set(out, writable[i], json_object_get(plain, writable[i]));
	json_decref(plain);
	static const char *const texts[] = { "name", "user_id" };
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		if (json_object_get(patch, texts[i]))
			json_object_set(out, texts[i], json_object_get(patch, texts[i]));
	return out;
}

bool server_needs_restart(const json_t *before, const json_t *after)
{
	for (size_t i = 0; i < ARRAY_LEN(rendered); i++)
		if (!json_equal(doc_get(before, rendered[i]), doc_get(after, rendered[i])))
			return true;
	return false;
}

json_t *server_spec(const json_t *doc)
{
	json_t *spec = json_object();
	for (size_t i = 0; i < ARRAY_LEN(spec_members); i++)
		if (json_object_get(doc, spec_members[i]))
			json_object_set(spec, spec_members[i], json_object_get(doc, spec_members[i]));
	return spec;
}
