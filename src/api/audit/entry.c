#include "api/audit/entry.h"

#include <stdio.h>

#include "lucid/clock.h"
#include "lucid/errs.h"
#include "lucid/log.h"
#include "lucid/str.h"
#include "sys/log.h"

enum audit_outcome audit_outcome(const struct audit_fact *f)
{
	return !f->err ? AUDIT_OK : f->gate || err_status(f->err) < 500 ? AUDIT_REFUSED : AUDIT_FAILED;
}

const char *audit_outcome_to_string(enum audit_outcome o)
{
	static const char *const names[AUDIT_OUTCOMES] = { "ok", "refused", "failed" };
	return names[o];
}

static const char *text_or_null(const char *s)
{
	return s && *s && str_utf8(s, strlen(s), NULL) ? s : NULL;
}

json_t *audit_entry(const struct audit_fact *f)
{
	json_t *o = json_object();
	doc_set_int(o, "seq", 0); /* set with prev and hash when it is written */
	doc_set_time(o, "time", clock_wall_ms());
	doc_set_str(o, "actor", text_or_null(f->actor));
	doc_set_str(o, "action", f->action);
	doc_set_str(o, "object", text_or_null(f->object));
	doc_set_str(o, "outcome", audit_outcome_to_string(audit_outcome(f)));
	doc_set_str(o, "code", f->err ? err_code(f->err) : NULL);
	doc_set_str(o, "from", text_or_null(f->from));
	doc_set_str(o, "request_id", text_or_null(f->request_id));
	if (f->reason)
		doc_set_str(o, "reason", f->reason);
	if (f->count)
		doc_set_int(o, "count", f->count);
	return o;
}

void audit_entry_log(const struct audit_fact *f, bool kept)
{
	char count[24] = "";
	if (f->count)
		snprintf(count, sizeof count, "%lld", (long long)f->count);
	const struct log_field fields[] = {
		{ "actor", text_or_null(f->actor) }, { "action", f->action }, { "object", text_or_null(f->object) },
		{ "outcome", audit_outcome_to_string(audit_outcome(f)) }, { "code", f->err ? err_code(f->err) : NULL },
		{ "reason", f->reason }, { "from", text_or_null(f->from) }, { "count", *count ? count : NULL }, { "kept", kept ? NULL : "false" }, { NULL, NULL },
	};
	log_write(kept ? LOG_INFO_ : LOG_WARN_, "audit", text_or_null(f->request_id), fields, "audit");
	if (!f->err)
		log_flush(); /* before the response: even if the process is killed now, no change is acknowledged without a log line */
}
