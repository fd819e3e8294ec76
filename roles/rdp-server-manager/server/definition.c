#include "roles/rdp-server-manager/server/definition.h"

#include "lucid/clock.h"
#include "roles/rdp-server-manager/manager.h"
#include "roles/rdp-server-manager/node/place.h"
#include "roles/rdp-server-manager/server/limits.h"
#include "roles/rdp-server-manager/server/states.h"

/* Members of the InstanceSpec that are copied from the definition. */
static const char *const spec_members[] = { "server_id", "name",     "user_id",	 "port",   "display",
					    "desktop",	 "security", "channels", "limits", "restart_policy", "recording" };
/* Members that a running instance is rendered from; a change of these needs a restart. Width and height are not among them: the client
 * requests its own size, and the .rdp file proposes ours. Of `desktop`, everything but the limits (limits.h) is. */
static const char *const rendered[] = { "display.color_depth", "security", "channels", "limits", "restart_policy" };
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
	/* null removes a member of metadata, as in a change, so that sending a read document back changes nothing */
	json_t *metadata = json_object_get(given, "metadata");
	if (metadata)
		json_object_set_new(given, "metadata", doc_merge(NULL, metadata));
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

static void check_named(const json_t *profiles, const char *wanted, struct faults *f)
{
	struct strbuf installed = { 0 };
	json_t *profile;
	size_t i;
	bool found = !json_array_size(profiles), known = false;
	json_array_foreach(profiles, i, profile)
	{
		const char *name = doc_str(profile, "name", "");
		bool here = doc_bool(profile, "installed", true), same = str_eq(name, wanted);
		known |= same;
		found |= same && here;
		if (here)
			strbuf_printf(&installed, "%s%s", installed.len ? ", " : "", name);
	}
	if (!found && known)
		faults_add(f, "desktop.profile", "is not installed on the host; installed profiles: %s", installed.len ? installed.s : "none");
	else if (!found)
		faults_add(f, "desktop.profile", "must be one of the installed profiles: %s", installed.len ? installed.s : "none");
	strbuf_done(&installed);
}

/* Only profiles of this node are known here. On other nodes, and before the first list of the agent, a missing profile shows at the start. */
void server_check_profile(struct manager *m, const json_t *doc, const char *node, struct faults *f)
{
	const char *wanted = doc_str(json_object_get(doc, "desktop"), "profile", NULL), *fault = doc_str(m->profiles, "default_fault", NULL);
	if (!str_eq(node, m->env.node))
		return;
	if (wanted)
		check_named(json_object_get(m->profiles, "desktops"), wanted, f);
	else if (fault)
		faults_add(f, "desktop.profile", "%s", fault);
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
		faults_add(f, "limits.cpu_percent", "must be at most %lld: the host has %lld cores, 100 for each core",
			   (long long)(100 * cores), (long long)cores);
	if (doc_int(limits, "memory_mb", 64) > memory_mb)
		faults_add(f, "limits.memory_mb", "must be at most %lld, the memory of the host in MiB", (long long)memory_mb);
	int first = (int)config_int(m->env.config, "PORT_RANGE_START"), last = (int)config_int(m->env.config, "PORT_RANGE_END");
	int64_t port = doc_int(doc, "port", first);
	if (port < first || port > last)
		faults_add(f, "port", "must be between %d and %d (PORT_RANGE_START and PORT_RANGE_END)", first, last);
}

void server_check_admin(const struct caller *c, const json_t *body, struct faults *f)
{
	static const char *const admins[] = { "user_id", "node", "port" };
	for (size_t i = 0; !caller_is_admin(c) && i < ARRAY_LEN(admins); i++)
		if (json_object_get(body, admins[i]))
			faults_add(f, admins[i], "may be set by an admin only");
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
			json_object_set_new(plain, writable[i], json_deep_copy(old)); /* the defaults below are written in place */
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
	return !server_limits_only(before, after);
}

json_t *server_spec(const json_t *doc)
{
	json_t *spec = json_object();
	for (size_t i = 0; i < ARRAY_LEN(spec_members); i++)
		if (json_object_get(doc, spec_members[i]))
			json_object_set(spec, spec_members[i], json_object_get(doc, spec_members[i]));
	return spec;
}
