#include "roles/rdp-session-controller/session/define.h"

#include "lucid/clock.h"
#include "lucid/str.h"
#include "roles/rdp-session-controller/foreign/foreign.h"

json_t *session_visible_to(const char *user, const char *server_owner)
{
	json_t *list = json_array();
	if (*user)
		json_array_append_new(list, json_string(user));
	if (*server_owner && !str_eq(user, server_owner))
		json_array_append_new(list, json_string(server_owner));
	return list;
}

void session_check_metadata(const json_t *body, const char *user, struct faults *f)
{
	const char *owner = doc_str(json_object_get(body, "metadata"), "owner", user);
	if (!str_eq(owner, user))
		faults_add(f, "metadata.owner", "is always the user of the session; omit it");
}

static json_t *metadata_of(const json_t *body, const char *user)
{
	json_t *metadata = json_copy(json_object_get(body, "metadata"));
	if (!metadata)
		metadata = json_object();
	doc_set_str(metadata, "owner", *user ? user : NULL);
	return metadata;
}

json_t *session_define(const struct watched *w, const char *id, const char *user, const json_t *body)
{
	static const char *const unknown[] = { "username", "client_address", "connection_id", "display" };
	static const char *const given[] = { "recording_config", "storage_config", "limits" };
	json_t *doc = json_object();
	int64_t now_ms = clock_wall_ms();
	doc_set_str(doc, "session_id", id); /* first: lists rely on it */
	doc_set_str(doc, "name", doc_str(body, "name", NULL));
	doc_set_str(doc, "description", doc_str(body, "description", ""));
	doc_set_str(doc, "user_id", *user ? user : NULL);
	doc_set_str(doc, "server_id", *w->id ? w->id : NULL);
	doc_set_str(doc, "node", *w->id ? w->node : NULL);
	for (size_t i = 0; i < ARRAY_LEN(unknown); i++)
		doc_set(doc, unknown[i], NULL);
	doc_set_str(doc, "status", "created");
	doc_set(doc, "status_reason", NULL);
	doc_set_bool(doc, "declared", body != NULL);
	doc_set_int(doc, "version", 1);
	static const char *const times[] = { "created_at", "updated_at", "status_since" };
	for (size_t i = 0; i < ARRAY_LEN(times); i++)
		doc_set_time(doc, times[i], now_ms);
	doc_set(doc, "started_at", NULL);
	doc_set(doc, "stopped_at", NULL);
	doc_set(doc, "ended_by", NULL);
	doc_set(doc, "rdp_config", foreign_config(json_object_get(body, "rdp_config")));
	for (size_t i = 0; i < ARRAY_LEN(given); i++)
		doc_set(doc, given[i], json_incref(json_object_get(body, given[i])));
	doc_set(doc, "metadata", metadata_of(body, user));
	doc_set(doc, "statistics", json_pack("{s:i, s:i, s:i, s:i, s:i, s:i}", "connections", 0, "reconnects", 0, "connected_ms", 0,
					      "disconnected_ms", 0, "bytes_in", 0, "bytes_out", 0));
	doc_set(doc, "visible_to", session_visible_to(user, w->owner));
	return doc;
}
