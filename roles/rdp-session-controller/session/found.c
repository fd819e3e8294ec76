#include "roles/rdp-session-controller/session/found.h"

#include "lucid/account.h"
#include "lucid/str.h"
#include "roles/rdp-session-controller/session/define.h"
#include "roles/rdp-session-controller/session/timeline.h"
#include "roles/rdp-session-controller/watch/later.h"

void session_user_of(const struct watched *w, const json_t *desktop, char dst[CALLER_NAME_MAX + 1])
{
	account_user(config_list(w->s->env.config, "RDP_USER_MAP"), doc_str(desktop, "username", ""), dst);
	if (!*dst)
		str_copy(dst, CALLER_NAME_MAX + 1, w->owner);
}

/* The oldest declaration of this user and server that waits for a login; NULL: none. */
static struct session *waiting_declaration(struct watched *w, const char *user)
{
	struct session *s, *oldest = NULL;
	LIST_FOREACH (s, &w->sessions, live)
		if (s->o.state == SESSION_CREATED && !s->display && !s->o.unborn && !s->o.gone && str_eq(s->o.owner->id, user) &&
		    (!oldest || s->created_ms < oldest->created_ms))
			oldest = s;
	return oldest;
}

/* --- a new session */

struct finding {
	struct session *s; /* unborn */
	json_t *doc;
};

static void finding_end(struct finding *f)
{
	struct objects *set = f->s->o.set;
	json_decref(f->doc);
	free(f);
	objects_release(set);
}

/* Its desktop is observed at once, so that the status follows. */
static void found_born(struct finding *f)
{
	struct session *s = f->s;
	s->o.unborn = false;
	objects_figures(s->o.set);
	metric_add(session_controller(s)->metrics.created, 1);
	object_publish(&s->o, "created", json_incref(f->doc));
	timeline_add(s, f->doc, "found", "");
	session_observe(s);
	finding_end(f);
}

static void found_stored(enum store_result result, UNUSED size_t index, int err, void *arg)
{
	struct finding *f = arg;
	struct session *s = f->s;
	struct watched *w = s->server;
	if (result == STORE_OK) {
		found_born(f);
		return;
	}
	if (result != STORE_EXISTS)
		log_warn(SERVICE, "the session of display %d of server %s could not be stored: %s; retrying", s->display, w->id, err_text(err));
	else
		objects_follow(s->o.set); /* another process stored it */
	struct objects *set = s->o.set;
	object_drop(&s->o);
	follow_retry(objects_ctx(set));
	json_decref(f->doc);
	free(f);
	objects_release(set);
}

static void store_found(struct watched *w, const char *id, const char *user, const json_t *desktop)
{
	struct controller *c = w->s;
	struct finding *f = XNEW(struct finding);
	static const char *const same[] = { "username", "display", "started_at" };
	f->doc = session_define(w, id, user, NULL);
	for (size_t i = 0; i < ARRAY_LEN(same); i++)
		json_object_set(f->doc, same[i], json_object_get(desktop, same[i]));
	f->s = (struct session *)objects_add(c->objects, f->doc);
	if (!f->s) {
		log_error(SERVICE, "too many sessions: display %d of server %s is not followed; lower SESSION_HISTORY_DAYS",
			  (int)doc_int(desktop, "display", 0), w->id);
		json_decref(f->doc);
		free(f);
		return;
	}
	f->s->o.unborn = true;
	objects_hold(c->objects);
	struct store_op op = { STORE_INSERT, COL_SESSIONS, f->s->o.id, 0, f->doc };
	store_write(c->env.store, &op, 1, found_stored, f);
}

void session_adopt(struct watched *w, const json_t *desktop)
{
	char user[CALLER_NAME_MAX + 1], id[SESSION_ID_SIZE];
	int display = (int)doc_int(desktop, "display", 0);
	int64_t started_ms = desktop_started_ms(desktop);
	session_user_of(w, desktop, user);
	struct session *s = waiting_declaration(w, user);
	session_id_found(id, w, display, started_ms);
	struct session *known = (struct session *)objects_record(w->s->objects, id);
	if (known) { /* it had ended, as it seemed */
		if (!known->o.unborn)
			session_observe(known);
	} else if (s) {
		s->display = display;
		s->desktop_ms = started_ms;
		session_observe(s);
	} else {
		store_found(w, id, user, desktop);
	}
}
