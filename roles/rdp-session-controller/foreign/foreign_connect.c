#include "roles/rdp-session-controller/foreign/foreign_connect.h"

#include "lucid/rdp_file.h"
#include "lucid/str.h"

void foreign_connection(struct session_reading *r)
{
	static const char *const unknown[] = { "security_layer", "min_tls", "certificate_fingerprint", "server_status" };
	static const char *const same[] = { "host", "port", "username", "domain" };
	const json_t *config = json_object_get(r->doc, "rdp_config");
	json_t *out = json_object();
	json_object_set(out, "session_id", json_object_get(r->doc, "session_id"));
	doc_set(out, "server_id", NULL);
	for (size_t i = 0; i < ARRAY_LEN(same); i++)
		json_object_set(out, same[i], json_object_get(config, same[i]));
	for (size_t i = 0; i < ARRAY_LEN(unknown); i++)
		doc_set(out, unknown[i], NULL);
	json_object_set(out, "status", json_object_get(r->doc, "status"));
	call_ok(r->call, out);
	session_read_end(r);
}

void foreign_rdp_file(struct session_reading *r)
{
	const json_t *config = json_object_get(r->doc, "rdp_config");
	struct strbuf text = { 0 };
	rdp_file_write(&text, &(struct rdp_file){
				      .host = doc_str(config, "host", ""),
				      .port = (int)doc_int(config, "port", 0),
				      .username = doc_str(config, "username", NULL),
				      .domain = doc_str(config, "domain", NULL),
				      .dynamic_resolution = true,
				      .clipboard = true,
				      .nla = true,
			      });
	call_set_file_name(r->call, doc_str(r->doc, "name", doc_str(r->doc, "session_id", "session")), ".rdp");
	call_ok_blob(r->call, blob_new(text.s, text.len), "application/x-rdp");
	strbuf_done(&text);
	session_read_end(r);
}
