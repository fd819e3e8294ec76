#include "api/events/text.h"

#include "lucid/clock.h"
#include "lucid/id.h"
#include "lucid/str.h"

#define DATA_MAX (64 * 1024) /* an event with more data is sent without it */

static void add_member(struct strbuf *b, const char *before, const char *text)
{
	strbuf_puts(b, before);
	strbuf_json(b, text);
}

static const char *kind_of(const char *object_id)
{
	return str_starts(object_id, "sess-") ? ",\"session_id\":" : id_is_uuid(object_id) ? ",\"server_id\":" : ",\"object_id\":";
}

struct blob *events_text(const struct event *e)
{
	char iso[CLOCK_ISO_SIZE];
	struct strbuf b = { 0 };
	_cleanup_(xfreep) char *data = doc_text(e->data);
	strbuf_printf(&b, "id: %s\nevent: %s\ndata: ", e->id, e->topic);
	add_member(&b, "{\"id\":", e->id);
	add_member(&b, ",\"topic\":", e->topic);
	add_member(&b, ",\"timestamp\":", clock_iso(iso, e->time_ms));
	if (*e->object_id)
		add_member(&b, kind_of(e->object_id), e->object_id);
	add_member(&b, ",\"user_id\":", e->user_id);
	strbuf_puts(&b, ",\"data\":");
	strbuf_puts(&b, strlen(data) <= DATA_MAX ? data : "{\"too_large\":true}");
	strbuf_puts(&b, "}\n\n");
	struct blob *text = blob_new(b.s, b.len);
	strbuf_done(&b);
	return text;
}

struct blob *events_own_text(const char *id, const char *topic, const char *reason, const char *message)
{
	struct event e = { .topic = topic, .time_ms = clock_wall_ms(), .user_id = "", .object_id = "" };
	_cleanup_(doc_unrefp) json_t *data = json_pack("{s:s,s:s}", "reason", reason, "message", message);
	e.data = data;
	str_copy(e.id, sizeof e.id, id);
	return events_text(&e);
}
